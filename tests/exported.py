"""Exports for tests, each made once per test run: of shipped weights, and of small nets with random weights."""

import functools
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
from conftest import ROOT

from manyfaces import pretrained
from manyfaces.config import load_config
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.export.export import export
from manyfaces.inference import models as testing

NAME = "ssh_mobilenet_v1_025"
ENDINGS = {"onnx": ".onnx", "faces": ".onnx", "openvino": ".xml", "litert": ".tflite", "saved_model": "",
           "int8": ".onnx", "int8_openvino": ".xml", "int8_litert": ".tflite"}
_folder = tempfile.TemporaryDirectory(prefix="manyfaces_exported_")


@functools.cache
def picture_folder():
    """A folder with the two portraits as PNG."""
    folder = Path(_folder.name) / "pictures"
    folder.mkdir()
    for name, portrait in zip(("a", "b"), portraits(), strict=True):
        assert cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(portrait.image, cv2.COLOR_RGB2BGR))
    return folder


@functools.cache
def loaded():
    """(family, model, run) of the shipped weights in Keras; loading takes longer than most exports."""
    return testing.load_model(load_config(pretrained.config_file(NAME)))


@functools.cache
def exported(kind):
    """(path, facts) of one export of the shipped weights; kind is a key of ENDINGS."""
    cfg = load_config(pretrained.config_file(NAME))
    options = {"nms": kind == "faces"}
    if kind.startswith("int8"):
        options = {"int8": True, "calibrate": picture_folder()}
    path = Path(_folder.name) / f"{kind}{ENDINGS[kind]}"
    keras = loaded()
    with mock.patch.object(testing, "load_model", lambda *_: keras):
        facts = export(cfg, None, path, images=picture_folder(), threads=1, **options)
    return path, facts


# ------------------------------------------------- families without weights

SMALL = {
    "ssd": ["ANCHORS.STRIDES", [16], "ANCHORS.WIDTHS", [12, 30, 50], "ANCHORS.HEIGHTS", [16, 40, 40], "TEST.NMS", 0.45,
            "TEST.SIZE", [100, 84], "NAME", "small_ssd"],
    "grid": ["GRID.INPUT", 96, "GRID.WIDTH", 8, "TEST.SIZE", [96, 96], "AUGMENT.SIZE", 96, "NAME", "small_grid"],
}


@functools.cache
def small(family):
    """(cfg, (family, model, run)): a net on a backbone of three convolutions with scores above and below 1/2."""
    from tiny_training import three_convolutions

    from manyfaces import nets
    from manyfaces.nets import backend
    from manyfaces.nets.backbones import BACKBONES

    cfg = load_config(overrides=["FAMILY", family, "NET.BACKBONE", "three", "TEST.SCORE", 0.5, *SMALL[family]])
    backend.prepare()
    net, rng = nets.family(cfg), np.random.default_rng(4)
    with pytest.MonkeyPatch.context() as patch:  # other tests go through all backbones
        patch.setitem(BACKBONES, "three", three_convolutions())
        model = net.build()
    for variable in model.trainable_variables:
        # Scores so far apart that faces in another order would be other faces; small offsets of the anchors.
        spread = 2.0 if variable.path.startswith(("head_scores", "grid_cells")) else 0.5
        fan = max(1, int(np.prod(variable.shape[:-1])))
        variable.assign(rng.normal(variable.path.endswith("gamma"), spread / fan**0.5, variable.shape))
    return cfg, (net, model, backend.runner(model))


@functools.cache
def small_exported(family, kind):
    """(path, facts) of one export of a small net; kind is a key of ENDINGS."""
    cfg, keras = small(family)
    options = {"nms": kind == "faces"}
    if kind.startswith("int8"):
        options = {"int8": True, "calibrate": picture_folder()}
    path = Path(_folder.name) / f"{family}_{kind}{ENDINGS[kind]}"
    with mock.patch.object(testing, "load_model", lambda *_: keras):
        facts = export(cfg, None, path, images=picture_folder(), threads=1, **options)
    return path, facts


# --------------------------------------------------------- without Keras

_CODE = """
import os, runpy, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))  # as Python does for a script
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
assert not {"keras", "tensorflow", "jax", "torch"} & set(sys.modules), sorted(sys.modules)
"""


def without_keras(tool, *arguments):
    """Standard output of a tool in its own process, which fails if Keras or one of its backends is loaded."""
    done = subprocess.run([sys.executable, "-c", _CODE, str(ROOT / "tools" / f"{tool}.py"), *map(str, arguments)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
