"""Our MTCNN compared with facenet-pytorch and the `mtcnn` package, with the same weights and thresholds.

The tables say whether our faces agree with facenet-pytorch's, how long an image takes, how long each step takes, and
which AP results. All cascades process the same images in turns. Ours use facenet-pytorch's weights and settings
(CASCADE: float32 pixels, plain means, inclusive boxes) unless the row says otherwise. The `mtcnn` package has the same
weights.
"""

import tempfile
from pathlib import Path

import numpy as np

from manyfaces.cascade.stages import STAGES
from manyfaces.config import override
from manyfaces.errors import InputError
from manyfaces.evaluation import read_ground_truth
from manyfaces.inference.cascade_detector import CascadeDetector
from manyfaces.inference.detector import Detector
from manyfaces.runtimes.cascade import open_cascade, write_cascade
from manyfaces.runtimes.files import CascadeFiles
from manyfaces.runtimes.sessions import RUNTIMES, installed

from . import machine
from .agreement import IOU, POINTS, SCORE, Agreement
from .in_turns import TIMED, TRUTH, images_of, in_turns, official_ap
from .mtcnn_peers import facenet_folder, facenet_pytorch, mtcnn_package
from .timing import Table

BYTES = ("CASCADE.ROUND", True)
OWN = (*BYTES, "CASCADE.BOXES", "continuous", "CASCADE.RESAMPLE", "smooth")
PEERS = {"facenet-pytorch": facenet_pytorch, "mtcnn package": mtcnn_package}
PEER_PACKAGES = {"facenet-pytorch": ("numpy", "opencv", "torch", "facenet-pytorch"),
                 "mtcnn package": ("numpy", "opencv", "tensorflow", "mtcnn")}
EVENTS = "wider_events"
AP_SETS = (EVENTS, TIMED)
STEPS = ("pyramid", "pnet", "crops", "rnet", "onet", "boxes", "nms")


def run(data: str = "../shared/data", limit: int = 0, tf1: str = "../shared/weights/mtcnn_tf1",
        model: str | None = None) -> list[Table]:
    """Compare the cascades on wider val, and AP on wider_events too.

    Args:
        data: folder with wider, wider_events and wider_eval.
        limit: only this many images of each; 0: all.
        tf1: folder of TensorFlow 1 checkpoints, for their AP; left out if it does not exist.
        model: folder of an exported cascade to add.

    Returns:
        Three Tables: agreement, speed with AP, and milliseconds per step.

    Raises:
        InputError: facenet-pytorch or the images are missing.
    """
    weights = facenet_folder()
    if weights is None:
        raise InputError("this compares with facenet-pytorch: pip install --no-deps facenet-pytorch torch")
    images = {title: images_of(data, title, limit) for title in (TIMED, EVENTS)}
    with tempfile.TemporaryDirectory() as folder:
        ours = _ours(weights, Path(folder) / "facenet")
        if Path(tf1).is_dir():
            ours |= _checkpoints(tf1, Path(folder) / "tf1")
        if model is not None:
            ours[Path(model).stem] = Timed(Detector.load(model))
        peers = {name: peer for name, make in PEERS.items() if (peer := make()) is not None}
        detections, seconds, processor = in_turns(peers | ours, images[TIMED], TIMED)
        steps = _steps(ours)  # of these images only
        found = {TIMED: detections, EVENTS: in_turns(peers | ours, images[EVENTS], EVENTS)[0]}
    truth = read_ground_truth(Path(data) / TRUTH)
    aps = {name: [official_ap(found[title][name], images[title], truth) for title in AP_SETS] for name in detections}
    return [_agreement(detections, ours), _speed(aps, seconds, processor, list(peers), ours), steps]


class Timed:
    """A Detector of a cascade as a function image -> Detections that keeps the milliseconds of its steps."""

    def __init__(self, detector):
        from manyfaces.cascade.cascade import Cascade

        self.cascade, self.rows = Cascade(detector.run, detector.cfg), []
        module = "." + type(detector.run["pnet"]).__module__.rpartition(".")[2]  # of the runtime's Session
        runtime = next((name for name, (own, *_) in RUNTIMES.items() if own == module), "keras")
        self.packages = machine.packages_of(runtime)

    def __call__(self, image):
        faces = self.cascade.detect([np.ascontiguousarray(image)])[0]
        self.rows.append([faces.times[step] for step in STEPS])
        return faces


def _ours(weights, folder):
    """Dict row name -> Timed, on facenet-pytorch's weights."""
    from manyfaces.inference.models import load_cascade
    from manyfaces.weights.mtcnn import import_mtcnn

    cfg, path = import_mtcnn(weights, folder)
    models, nets = load_cascade(cfg, path)
    ours = {"ours, Keras": Timed(CascadeDetector(nets, cfg))}
    exact, whole = folder / "exact", folder / "bytes"
    _write(cfg, models, exact)
    _write(override_copy(cfg, BYTES), models, whole)
    here = installed()
    for runtime in ("onnxruntime", "openvino"):
        if runtime in here:
            ours[f"ours, {runtime}"] = _opened(exact, runtime)
            ours[f"ours, {runtime}, bytes"] = _opened(whole, runtime)
    if "openvino" in here:
        ours["ours, openvino, bytes, bf16"] = _opened(whole, "openvino", precision="bf16")
    best = "openvino" if "openvino" in here else here[0]
    ours[f"ours, {best}, own conventions"] = _opened(whole, best, OWN)
    return ours


def _checkpoints(source, folder):
    """Dict row name -> Timed, on the TensorFlow 1 checkpoints, with their conventions and with ours."""
    from manyfaces.inference.models import load_cascade
    from manyfaces.weights.mtcnn import import_mtcnn

    cfg, path = import_mtcnn(source, folder)
    models, _ = load_cascade(cfg, path)
    _write(cfg, models, folder / "onnx")
    return {"TensorFlow 1 checkpoints": _opened(folder / "onnx"),
            "TensorFlow 1 checkpoints, own conventions": _opened(folder / "onnx", words=OWN)}


def _write(cfg, models, path):
    import json

    from manyfaces.export.cascade import write_stage
    from manyfaces.export.formats import FORMATS

    path.mkdir(parents=True)
    files = CascadeFiles.named(path, ".onnx")
    facts = {stage: write_stage(cfg, stage, models[stage], FORMATS["onnx"], files[stage]) for stage in STAGES}
    write_cascade(files, {"name": cfg.NAME, "precision": "float32", "licence": "not known",
                         "config": json.loads(json.dumps(cfg))}, facts)


def _opened(path, runtime=None, words=(), precision=None):
    nets, cfg = open_cascade(path, runtime, precision=precision)
    return Timed(CascadeDetector(nets, override_copy(cfg, words)))


def override_copy(cfg, words):
    import copy

    cfg = copy.deepcopy(cfg)
    override(cfg, words)
    return cfg


# ------------------------------------------------------------------- tables


def _agreement(detections, ours):
    rows = []
    for name in ours:
        count = Agreement()
        for first, second in zip(detections[name], detections["facenet-pytorch"], strict=True):
            count.add(first, second)
        rows.append([name, f"{count.first:,}", f"{count.second:,}", f"{count.paired:,}", f"{count.agreed:,}",
                     f"{count.part:.2%}", f"{count.scores:.1e}", f"{count.points:.1e}"])
    return Table(f"Faces that agree with facenet-pytorch's: IoU >= {IOU}, score within {SCORE}, points {POINTS:g} px",
                 ("detector", "its", "theirs", f"IoU >= {IOU}", "agree", "part", "score", "points px"), rows,
                 "score, points: largest differences among pairs.")


def _speed(aps, seconds, processor, peers, ours):
    fastest, least = (min(np.median(times[name]) for name in peers) for times in (seconds, processor))
    rows = []
    for name in aps:
        ms, busy = np.array(seconds[name]) * 1e3, np.array(processor[name]) * 1e3
        rows.append([name, f"{np.median(ms):.1f}", f"{np.percentile(ms, 90):.1f}",
                     f"{fastest * 1e3 / np.median(ms):.2f}", f"{np.median(busy):.1f}",
                     f"{least * 1e3 / np.median(busy):.2f}", *aps[name]])
    packages = {name: PEER_PACKAGES[name] for name in peers} | {name: ours[name].packages for name in ours}
    return Table("An image of wider val, thresholds 0.6 0.7 0.7, min face 20",
                 ("detector", "ms", "p90", "times faster", "processor ms", "times less", *AP_SETS), rows,
                 f"Medians over {len(seconds[peers[0]])} images of {TIMED}, in turns in one process; times: of the "
                 f"faster (or lighter) of {' and '.join(peers)}. Processor ms: of all threads together, also of those "
                 f"that spin while they wait. {' and '.join(AP_SETS)}: easy, medium and hard AP.", packages)


def _steps(ours):
    rows = []
    for name, timed in ours.items():
        medians = np.median(np.array(timed.rows), axis=0)
        rows.append([name, *(f"{ms:.2f}" for ms in medians), f"{np.median(np.sum(timed.rows, axis=1)):.1f}"])
    return Table("Where the milliseconds go, medians", ("detector", *STEPS, "all"), rows,
                 packages={name: timed.packages for name, timed in ours.items()})
