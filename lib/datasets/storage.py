"""Pickles of plain values, which are read without running code.

A pickle can name any importable function, which is called while the file is read. Arrays are therefore stored as
(dtype, shape, bytes): the file needs no name. A file is checked opcode by opcode before it is unpickled.
"""

import io
import os
import pickle
import pickletools
from typing import BinaryIO

import numpy as np

from ..errors import InputError
from ..files import write_whole

_DTYPES = ("float32", "float64", "int32", "int64", "uint8", "bool")


_DEEPEST = 8  # values within one another
_MOST = 4_000_000  # opcodes: a roidb of 12,880 images has 52,000
# Opcodes of protocols 4 and 5 for plain values, with the bytes of their length or argument.
_CONTENTS = {0x8C: 1, 0x58: 4, 0x8D: 8, 0x43: 1, 0x42: 4, 0x8E: 8}  # text and bytes
_LEAVES = {0x4A: 4, 0x4B: 1, 0x4D: 2, 0x47: 8, 0x4E: 0, 0x88: 0, 0x89: 0}  # numbers, None, True, False
_HEADS = {0x80: 1, 0x95: 8}  # protocol and frame
_EMPTY, _TUPLES = (0x7D, 0x5D, 0x29), {0x85: 1, 0x86: 2, 0x87: 3}
_MARK, _MEMOIZE, _LONG1, _TUPLE, _STOP = 0x28, 0x94, 0x8A, 0x74, 0x2E
_GETS = {0x68: 1, 0x6A: 4}
_INTO = {0x61: 1, 0x73: 2}  # one value into a list, one pair into a dict
_MANY_INTO = (0x65, 0x75)  # all from the last mark


def _check(data: bytes) -> None:
    """Check that a pickle is a tree of plain values, without making any of them.

    So it can neither call anything nor grow: no value is used twice but text and bytes, lengths are those of the file,
    and no depth reaches the recursion of hashes and representations.

    Raises:
        InputError: it asks for something else.
        ValueError: it is cut short, too deep or not written by save_plain.
    """
    at, stack, marks, memo, leaf = 0, [], [], [], True  # stack: the depth of each value
    for _ in range(_MOST):
        code = data[at]
        at += 1
        if code in _CONTENTS:
            size = _CONTENTS[code]
            at += size + int.from_bytes(data[at : at + size], "little")
            stack.append(0)
            leaf = True
        elif code == _MEMOIZE:
            memo.append(leaf)
        elif code in _LEAVES:
            at += _LEAVES[code]
            stack.append(0)
        elif code in _GETS:
            size = _GETS[code]
            if not memo[int.from_bytes(data[at : at + size], "little")]:
                raise ValueError("a list, dict or tuple is used twice")
            at += size
            stack.append(0)
        elif code == _MARK:
            marks.append(len(stack))
        elif code in _EMPTY:
            stack.append(1)
            leaf = False
        elif code in _TUPLES or code == _TUPLE:
            start = marks.pop() if code == _TUPLE else len(stack) - _TUPLES[code]
            stack[start:] = [1 + max(stack[start:], default=0)]
            leaf = False
        elif code in _INTO or code in _MANY_INTO:
            start = marks.pop() if code in _MANY_INTO else len(stack) - _INTO[code]
            stack[start - 1] = max(stack[start - 1], 1 + max(stack[start:], default=0))
            del stack[start:]
        elif code in _HEADS:
            at += _HEADS[code]
        elif code == _LONG1:
            at += 1 + data[at]
            stack.append(0)
        elif code == _STOP:
            return
        else:
            _refuse(data)
        if at > len(data) or stack and stack[-1] > _DEEPEST:
            raise ValueError(f"cut short, or nested more than {_DEEPEST} deep")
    raise ValueError(f"more than {_MOST:,} values")


def _refuse(data):
    """Raise the error of a pickle with other opcodes: what it asks for, where it does."""
    texts = ["", ""]
    for count, (code, argument, _) in enumerate(pickletools.genops(data)):
        if count == _MOST:
            break
        if code.name in ("GLOBAL", "INST", "STACK_GLOBAL"):
            name = ".".join(texts[-2:]) if code.name == "STACK_GLOBAL" else str(argument).replace(" ", ".")
            raise InputError(f"it asks for {name[:100]}, expected plain values only: this file was not written by "
                             f"manyfaces and may be harmful")
        if code.name in ("PERSID", "BINPERSID"):
            raise InputError("it refers to an object outside the file")
        if isinstance(argument, str):
            texts.append(argument)
    raise ValueError("not written by manyfaces")


def check_memo(file: BinaryIO) -> None:
    """Check the next pickle of a file, of any kind, against growing beyond the file; the file stays where it is.

    Raises:
        ValueError: a length is beyond the file, the memo has gaps, or a value is duplicated.
    """
    start, puts = file.tell(), 0
    for code, argument, _ in pickletools.genops(file):
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            if argument is None or argument > puts:
                raise ValueError("its memo has gaps, so it was not written by pickle")
            puts += 1
        elif code.name == "DUP":
            raise ValueError("it duplicates a value, which no pickler does")
    file.seek(start)


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        raise InputError(f"it asks for {module}.{name}, expected plain values only")


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
            data = file.read()
        _check(data)
        return _PlainUnpickler(io.BytesIO(data)).load()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {hint}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except InputError as error:
        raise InputError(f"{path}: refused, {error}") from None
    except Exception as error:  # a damaged pickle raises nearly anything
        raise InputError(f"{path}: damaged or not a pickle ({type(error).__name__}: {error}); {hint}") from None
