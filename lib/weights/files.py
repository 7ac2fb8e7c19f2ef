"""Weights of a detector: .weights.h5 files that are written atomically and hold the config keys of their net."""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from easydict import EasyDict

from ..config import flat_items, keys_with
from ..errors import InputError
from ..files import write_whole
from .content import CONFIG, check_finite, check_weights, sealed, stamp

if TYPE_CHECKING:
    import keras


class _Memory(io.BytesIO):
    """A file in memory for Keras, which needs the ending of a file's name."""

    def __str__(self):
        return "memory.weights.h5"


def save_weights(model: keras.Model, path: str | os.PathLike, cfg: EasyDict | None = None) -> None:
    """Write the weights of a model atomically.

    They are made in memory first: on a full disk HDF5 prints pages of errors, and may crash when its file is closed.

    Args:
        model: the model.
        path: the .weights.h5.
        cfg: the config of the model; its keys of the net are saved too, and a digest of the content in any case.

    Raises:
        OSError: the file cannot be written.
    """
    write_whole(path, weights_content(model, cfg))


def weights_content(model: keras.Model, cfg: EasyDict | None = None) -> bytes:
    """Return what `save_weights` writes."""
    import h5py

    memory = _Memory()
    model.save_weights(memory)
    with h5py.File(memory, "r+") as file:
        if cfg is not None:
            file.attrs[CONFIG] = json.dumps(net_of(cfg))
        stamp(file)
    return sealed(memory.getvalue())


def load_weights(model: keras.Model, path: str | os.PathLike, cfg: EasyDict | None = None) -> None:
    """Read the weights of a whole detector into a model.

    Args:
        model: the model.
        path: the .weights.h5.
        cfg: the config of the model, which is compared with the one that the weights were saved with.

    Raises:
        InputError: the file is missing or damaged, holds a value that is not finite, or the weights of another net.
    """
    saved = check_weights(path)
    now = net_of(cfg) if cfg is not None else {}
    for key in now:
        if key in saved and saved[key] != now[key]:
            raise InputError(f"{path}: these weights were trained with {key} {saved[key]!r}, the config has "
                             f"{now[key]!r}; use the config that they were trained with")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of each layer before it raises
            model.load_weights(Path(path))
    except Exception as error:  # Keras and h5py raise many kinds, none of them part of an interface
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: these weights belong to another net than the config describes ({reason[:200]}); use "
                         f"the config that they were trained with") from None


def net_of(cfg: EasyDict) -> dict[str, Any]:
    """Return the keys of a config that decide the net, such as NET.ALPHA, with their values."""
    values = json.loads(json.dumps(dict(flat_items(cfg))))
    return {key: values[key] for key in keys_with("net")}


def read_reference(path: str | os.PathLike, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Arrays of an .npz with an image and the outputs of the net that imported weights come from.

    Raises:
        InputError: the file cannot be read, or lacks an array.
    """
    names = list(names)
    try:
        with np.load(path, allow_pickle=False) as reference:
            arrays = {name: reference[name] for name in names}
    except Exception as error:  # NumPy's reader of headers raises what Python's tokenizer and parser raise
        raise InputError(f"{path}: cannot be read ({error}), expected an .npz with {', '.join(names)}") from error
    for name, values in arrays.items():
        check_finite(values, f"{path}: {name}")
    return arrays
