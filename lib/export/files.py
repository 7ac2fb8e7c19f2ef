"""Exported files: written, run, put in their place and measured."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..files import short_name
from ..locks import hold, release


def save_onnx(graph: Any, path: Path) -> None:
    """Write an onnx.ModelProto."""
    import onnx

    onnx.save(graph, str(path))


def save_openvino(graph: Any, path: Path) -> None:
    """Write OpenVINO's .xml and .bin, from an ONNX graph in memory or an OpenVINO model of NNCF."""
    import openvino

    if not isinstance(graph, openvino.Model):
        graph = openvino.Core().read_model(io.BytesIO(graph.SerializeToString()))
    openvino.save_model(graph, str(path), compress_to_fp16=False)


@contextlib.contextmanager
def workplace(path: Path) -> Iterator[Path]:
    """An empty folder beside `path`, to make it in. What a killed export left there is removed.

    Raises:
        InputError: another process is exporting to `path`.
    """
    folder = path.with_name(f".{short_name(path.name)}.part")
    hold(path, ", or choose another --out", is_file=True)
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        release(path, is_file=True)


def move(made: Path, path: Path) -> None:
    """Move what was made to its place: a file, an .xml with its .bin, or a folder."""
    if made.is_dir():
        if path.exists():  # a folder that is being removed would be half of one
            os.replace(path, made.with_name("before"))
        os.replace(made, path)
        return
    move_files(made.parent, path.parent)


def move_files(source: Path, folder: Path) -> None:
    """Move all files of one folder to another, each flushed to disk first."""
    for file in sorted(source.iterdir()):  # .bin before .xml: a reader of the new .xml finds its .bin
        with open(file, "rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(file, folder / file.name)


def open_saved_model(path: Path) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Function images (B, H, W, 3) uint8 -> dict of maps, of a SavedModel that `export` wrote. Needs TensorFlow."""
    import tensorflow as tf

    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    return lambda images: {name: value.numpy() for name, value in serve(images=tf.constant(
        np.asarray(images, np.uint8))).items()}
