"""Pickles of plain values, which are read without running code.

A pickle can name any importable function, which is called while the file is read. Arrays are therefore stored as
(dtype, shape, bytes): the file needs no name, and the unpickler refuses every name.
"""

import os
import pickle

import numpy as np

from ..errors import InputError
from ..files import write_whole

_DTYPES = ("float32", "float64", "int32", "int64", "uint8", "bool")


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        raise InputError(f"it asks for {module}.{name}, expected plain values only: "
                         "this file was not written by manyfaces and may be harmful")

    def persistent_load(self, pid):
        raise InputError("it refers to an object outside the file")


def pack(array: np.ndarray) -> tuple[str, list[int], bytes]:
    """Make plain values of an array: its type, shape and bytes.

    Raises:
        TypeError: for a type that cannot be stored.
    """
    array = np.ascontiguousarray(array)
    if array.dtype.name not in _DTYPES:
        raise TypeError(f"cannot store an array of {array.dtype}, expected one of {', '.join(_DTYPES)}")
    return array.dtype.name, list(array.shape), array.tobytes()


def unpack(packed: tuple[str, list[int], bytes]) -> np.ndarray:
    """Make an array, writable, of what pack returned.

    Raises:
        ValueError: when type, shape and bytes do not fit together.
    """
    name, shape, data = packed
    if name not in _DTYPES:
        raise ValueError(f"array of unknown type {name!r}")
    return np.frombuffer(data, np.dtype(name)).reshape(shape).copy()


def save_plain(value: object, path: str | os.PathLike) -> None:
    """Pickle plain values to `path` atomically."""
    write_whole(path, pickle.dumps(value, protocol=4))


def load_plain(path: str | os.PathLike, hint: str) -> object:
    """Read a pickle of plain values.

    Args:
        path: the file.
        hint: what the user can do when the file is absent or damaged; it ends the message.

    Raises:
        InputError: names the file when it is absent, damaged or contains anything but plain values.
    """
    try:
        with open(path, "rb") as file:
            return _PlainUnpickler(file).load()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {hint}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except InputError as error:
        raise InputError(f"{path}: refused, {error}") from None
    except Exception as error:  # a damaged pickle raises nearly anything
        raise InputError(f"{path}: damaged or not a pickle ({type(error).__name__}: {error}); {hint}") from None
