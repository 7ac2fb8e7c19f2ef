"""Weights of a detector: .weights.h5 files that appear whole or not at all, and know which net they are of."""

import io
import json
import warnings
from pathlib import Path

from ..config import flat_items, keys_with
from ..errors import InputError
from ..files import write_whole


class _Memory(io.BytesIO):
    """A file in memory for Keras, which asks a file's name for its ending."""

    def __str__(self):
        return "memory.weights.h5"


def save_weights(model, path, cfg=None):
    """Keras weights at `path` (.weights.h5), whole or not at all; with what `cfg` says of the net. Raises OSError.

    They are made in memory: HDF5 that meets a full disk prints pages of errors, and may crash when its file is closed.
    """
    memory = _Memory()
    model.save_weights(memory)
    if cfg is not None:
        import h5py

        with h5py.File(memory, "r+") as file:
            file.attrs["manyfaces"] = json.dumps(net_of(cfg))
    write_whole(path, memory.getvalue())


def load_weights(model, path, cfg=None):
    """Weights of a whole detector from `path`; InputError where they are missing, broken or of another net.

    cfg: the config of the model, which is compared with the one that the weights were saved with.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such weights file")
    try:
        import h5py

        with h5py.File(path, "r") as file:
            saved = json.loads(file.attrs.get("manyfaces", "{}"))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: no whole weights file ({reason[:200]}); copy or train it again") from None
    now = net_of(cfg) if cfg is not None else {}
    for key in now:
        if key in saved and saved[key] != now[key]:
            raise InputError(f"{path}: these weights were trained with {key} {saved[key]!r}, the config has "
                             f"{now[key]!r}; use the config that they were trained with")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of each layer before it raises
            model.load_weights(path)
    except Exception as error:  # Keras and h5py raise many kinds, none of them part of an interface
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: these weights are of another net than the config describes ({reason[:200]}); use "
                         f"the config that they were trained with") from None


def net_of(cfg):
    """Dict key -> value of what the config says of the net."""
    values = json.loads(json.dumps(dict(flat_items(cfg))))
    return {key: values[key] for key in keys_with("net")}
