"""Section `memory` of the benchmark: peak memory of a process that detects in one large image.

Each figure is for a separate Python process that loads a detector, reads a JPEG and detects once. It is the peak
resident set, including Python, the runtime and the image. An image of more than TEST.MAX_PIXELS is cut into tiles
(manyfaces.inference.tiles).
"""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from manyfaces import pretrained
from manyfaces.config import load_config
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.errors import InputError

from . import machine
from .timing import Table, environment

NAMES = "ssh_mobilenet_v1_025", "tiny_mobilenet_v1_025"
RUNTIMES = ("onnxruntime", "openvino", "keras")
CHILD = "import json, sys; from benchmarks.memory import look; look(**json.loads(sys.argv[1]))"


def run(size: str = "6000x4000") -> list[Table]:
    """Measure each detector of NAMES, at scale 1 and at its own scales, in each runtime.

    Args:
        size: of the image, WxH px.

    Returns:
        A list with one Table: loaded and peak MB, and seconds.

    Raises:
        InputError: the size cannot be read, or a runtime is not installed.
    """
    try:
        width, height = map(int, size.lower().split("x"))
    except ValueError:
        raise InputError(f"--size {size}: expected width x height in px, such as 6000x4000") from None
    rows, packages = [], {}
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "large.jpg"
        cv2.imwrite(str(image), large_picture(width, height))
        for name in NAMES:
            own = load_config(pretrained.config_file(name)).TEST.SCALES
            for scales in [[1.0]] if own == [1.0] else [[1.0], own]:
                for runtime in RUNTIMES:
                    facts = peak(image, name, scales=scales, runtime=runtime)
                    row = f"{name}, scales {', '.join(f'{scale:g}' for scale in scales)}, {runtime}"
                    packages[row] = machine.packages_of(runtime)
                    rows.append([row, f"{facts['loaded']:.0f}", f"{facts['peak']:.0f}", f"{facts['seconds']:.1f}"])
    return [Table(f"Peak memory for an image of {width} x {height} px", ("detector", "loaded MB", "peak MB", "s"), rows,
                  "Resident MB (10^6 bytes) of the whole process: after the detector was loaded, and at the peak.",
                  packages)]


def peak(image, name, weights=None, scales=None, runtime=None, overrides=()):
    """Measure one detection in a separate process.

    Args:
        image: path.
        name: as in Detector.load, like weights, runtime and overrides.
        scales: as in Detector.detect.

    Returns:
        Dict of loaded and peak (MB), seconds, and faces (their number from TEST.SCORE on).

    Raises:
        InputError: the process failed.
    """
    words = {"image": str(image), "name": str(name), "weights": weights and str(weights), "scales": scales,
             "runtime": runtime, "overrides": list(overrides)}
    done = subprocess.run([sys.executable, "-c", CHILD, json.dumps(words)], env=environment(),
                          capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"memory: {name} in {runtime}: {(done.stderr.strip() or 'ended').splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def look(image, name, weights, scales, runtime, overrides):
    """Detect once and print the dict of `peak` as JSON; this runs in the separate process."""
    import time

    from manyfaces.inference.detector import Detector

    detector = Detector.load(name, weights, overrides, runtime)
    loaded, start = _most(), time.perf_counter()
    detections = detector.detect(image, scales, threshold=0)
    print(json.dumps({"loaded": loaded, "peak": _most(), "seconds": time.perf_counter() - start,
                      "faces": len(detections)}))


def _most():
    """Peak MB of this process. Linux' ru_maxrss includes the parent's memory, so /proc/self/status is read there."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def large_picture(width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8 BGR: the two portraits side by side, repeated."""
    pair = [cv2.resize(portrait.image, (512, 512), interpolation=cv2.INTER_AREA) for portrait in portraits()]
    tile = np.concatenate(pair, axis=1)[..., ::-1]
    return np.ascontiguousarray(np.tile(tile, (-(-height // 512), -(-width // 1024), 1))[:height, :width])
