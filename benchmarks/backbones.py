"""Section `backbones`: what each backbone costs as a Tiny Faces net and as SSH, as its config has it.

Only the net is timed, from an image to its maps. The weights are random, because they do not change the time. Each net
and runtime has its own process, so that the memory is that of one net alone. The runtimes of a net take turns.
"""

import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from manyfaces.config import load_config
from manyfaces.errors import InputError
from manyfaces.files import write_whole

from . import machine
from .one_net import OneNet
from .timing import Table

SIZE = (640, 480)  # px, the size at which papers count multiplications
FAMILIES = {"tiny": "Tiny Faces (HR)", "ssh": "SSH"}
BACKBONES = {"vgg16": "VGG16", "resnet50": "ResNet50", "resnet101": "ResNet101", "resnet152": "ResNet152",
             "mobilenet_v1_025": "MobileNetV1 x0.25", "mobilenet_v1_100": "MobileNetV1",
             "mobilenet_v2_100": "MobileNetV2"}
RUNTIMES = {"keras": "Keras", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
FEWEST, LONG_MS = 3, 5000  # a net whose calls together took longer than LONG_MS gets no more than FEWEST calls
PAUSE = 0.05  # s before each call: threads of the previous call that still spin would slow it down


def run(cfgs: str = "cfgs", repeats: int = 5, names: list[str] | None = None) -> list[Table]:
    """Measure parameters, GMAC, ms per megapixel and peak MB of every backbone.

    Args:
        cfgs: folder of the configs FAMILY_BACKBONE.yml.
        repeats: calls of a net in each runtime, FEWEST for a slow net; the median counts.
        names: configs, without .yml; None: all combinations of FAMILIES and BACKBONES.

    Returns:
        One Table per family; none without Keras.

    Raises:
        InputError: there is no folder `cfgs`, or a name is not known.
    """
    from manyfaces.inference.loading import installed

    if not Path(cfgs).is_dir():
        raise InputError(f"{cfgs}: no such folder; the benchmark of backbones reads the configs of the repository")
    known = [f"{family}_{backbone}" for family in FAMILIES for backbone in BACKBONES]
    if unknown := set(names or ()) - set(known):
        raise InputError(f"--nets {sorted(unknown)[0]}: expected some of {', '.join(known)}")
    runtimes = [name for name in RUNTIMES if name in installed()]
    if "keras" not in runtimes:
        print("backbones: left out, nets are built with Keras: pip install 'manyfaces[train]'")
        return []
    tables = []
    for family, title in FAMILIES.items():
        rows = [measure(cfgs, f"{family}_{backbone}", label, runtimes, repeats) for backbone, label in BACKBONES.items()
                if names is None or f"{family}_{backbone}" in names]
        if rows:
            columns = ("backbone", "parameters", f"GMAC at {SIZE[0]} x {SIZE[1]}",
                       *(f"{RUNTIMES[name]}, ms a megapixel" for name in runtimes),
                       *(f"{RUNTIMES[name]}, peak MB" for name in runtimes))
            note = (f"Configs {family}_*.yml, float32, random weights, one image of {SIZE[0]} x {SIZE[1]}, median of "
                    f"{repeats} calls in turns ({min(FEWEST, repeats)} of a slow net); peak MB of a process that "
                    "loads this net alone.")
            packages = [package for name in runtimes for package in machine.packages_of(name)]
            tables.append(Table(f"{title} by backbone", columns, rows, note, packages))
    return tables


def measure(cfgs, name, label, runtimes, repeats):
    """Measure one config and return its row of the table, whose first cell is the label."""
    with tempfile.TemporaryDirectory() as folder:
        config, weights, model, facts = prepare(Path(cfgs) / f"{name}.yml", Path(folder), len(runtimes) > 1)
        with ExitStack() as stack:
            nets = [OneNet(runtime, *((config, SIZE, weights) if runtime == "keras" else (model, SIZE)))
                    for runtime in runtimes]
            for net in nets:
                stack.enter_context(net)
            times = [[] for _ in nets]
            for turn in range(repeats):
                if turn >= FEWEST and sum(map(sum, times)) > LONG_MS:
                    break
                for net, taken in zip(nets, times, strict=True):
                    time.sleep(PAUSE)
                    taken.append(net.ms())
            memory = [f"{net.megabytes():.0f}" for net in nets]
    megapixels = SIZE[0] * SIZE[1] / 1e6
    speeds = [f"{statistics.median(taken) / megapixels:.0f}" for taken in times]
    return [label, f"{facts['parameters']:,}", f"{facts['macs'] / 1e9:.2f}", *speeds, *memory]


def prepare(path, folder, exported=True):
    """Build a config's net with random weights in the folder, and with exported its ONNX model too.

    Returns:
        Paths of config, weights and model, and the dict of totals (parameters, macs).
    """
    import cv2

    from manyfaces.export.export import export
    from manyfaces.nets import backend, family
    from manyfaces.nets.flops import layer_costs, totals
    from manyfaces.weights.files import save_weights

    cfg = load_config(path, ["NET.WEIGHTS", ""])
    keras = backend.prepare(seed=0)
    net = family(cfg).build()
    facts = totals(layer_costs(net, SIZE), net)
    weights, model = folder / "random.weights.h5", folder / "net.onnx"
    save_weights(net, weights, cfg)
    del net
    if exported:  # the export compares with Keras; a small image is enough for that
        (folder / "images").mkdir()
        image = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
        write_whole(folder / "images" / "a.png", cv2.imencode(".png", image)[1].tobytes())
        export(cfg, weights, model, images=folder / "images")
    keras.utils.clear_session()
    return path, weights, model, facts
