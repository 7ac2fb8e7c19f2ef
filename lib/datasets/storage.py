"""Pickles that hold nothing but plain values, and are read without running code.

A pickle can name any importable function and call it while it is read. Arrays are therefore stored as
(dtype, shape, bytes), the file needs no name at all, and the unpickler refuses every one it meets.
"""

import pickle

import numpy as np

from ..errors import InputError
from ..files import write_whole

_DTYPES = ("float32", "float64", "int32", "int64", "uint8", "bool")


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        raise InputError(f"it asks for {module}.{name}, and only plain values are read: "
                         "this file was not written by manyfaces and may be harmful")

    def persistent_load(self, pid):
        raise InputError("it refers to an object outside of itself")


def pack(array):
    """The array as a tuple of plain values."""
    array = np.ascontiguousarray(array)
    if array.dtype.name not in _DTYPES:
        raise TypeError(f"cannot store an array of {array.dtype}, expected one of {', '.join(_DTYPES)}")
    return array.dtype.name, list(array.shape), array.tobytes()


def unpack(packed):
    """The array of a tuple made by pack; a writable copy. Raises ValueError when the parts do not fit."""
    name, shape, data = packed
    if name not in _DTYPES:
        raise ValueError(f"array of unknown type {name!r}")
    return np.frombuffer(data, np.dtype(name)).reshape(shape).copy()


def save_plain(value, path):
    """Pickle plain values to `path`: whole or not at all."""
    write_whole(path, pickle.dumps(value, protocol=4))


def load_plain(path, hint):
    """Read a pickle of plain values; InputError names the file when it is absent, damaged or asks for more."""
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
        raise InputError(f"{path}: damaged or no pickle ({type(error).__name__}: {error}); {hint}") from None
