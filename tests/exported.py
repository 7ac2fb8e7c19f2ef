"""Exports of the weights that ship, each made once a test run and compared with Keras on two portraits."""

import functools
import tempfile
from pathlib import Path
from unittest import mock

import cv2

from manyfaces import pretrained
from manyfaces.config import load_config
from manyfaces.datasets.portraits import portraits
from manyfaces.engine import test as testing
from manyfaces.engine.export import export

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
    """(family, model, run) of the weights that ship, in Keras: once, for that takes longer than most exports."""
    return testing.load_model(load_config(pretrained.config_file(NAME)))


@functools.cache
def exported(kind):
    """(path, facts) of a kind of ENDINGS."""
    cfg = load_config(pretrained.config_file(NAME))
    options = {"nms": kind == "faces"}
    if kind.startswith("int8"):
        options = {"int8": True, "calibrate": picture_folder()}
    path = Path(_folder.name) / f"{kind}{ENDINGS[kind]}"
    keras = loaded()
    with mock.patch.object(testing, "load_model", lambda *_: keras):
        facts = export(cfg, None, path, images=picture_folder(), threads=1, **options)
    return path, facts
