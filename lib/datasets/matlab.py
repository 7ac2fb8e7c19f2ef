"""Reads the numbers, texts and cells of MATLAB 5 files (.mat), with every length checked before it is used.

These are the types that WIDER FACE's annotations and Tiny Faces' templates have.

Source: MATLAB MAT-File Format, The MathWorks, chapter 1.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections.abc import Collection

import numpy as np

from ..errors import InputError
from ..texts import read_bytes

_MOST_BYTES = 1 << 27  # of all variables together, inflated: WIDER FACE's largest file has 0.1 of it
_MOST_ARRAYS = 1 << 20
_DEEPEST = 16  # cells within cells
_MATRIX, _COMPRESSED = 14, 15
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16"}
_CELL, _CHAR = 1, 4
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_OTHERS = {2: "a struct", 3: "an object", 5: "a sparse array", 16: "a function", 17: "an opaque object"}
_PADDING = 56  # bytes: the tag of an array can be read together with its head, also at the end
_LOGICAL, _COMPLEX = 0x200, 0x800


def read_mat(path: str | os.PathLike, variables: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Read variables of a .mat file.

    Args:
        path: the file.
        variables: names of the wanted ones; others are passed over. Empty: all.

    Returns:
        Name -> array, in the types and shapes that MATLAB shows: numbers; cells as object arrays of arrays; a text of
        M rows as an array of M strings.

    Raises:
        InputError: the file is missing, damaged, too large or no MATLAB 5 file, or a wanted variable of another type.
    """
    data = read_bytes(path, "MATLAB file")
    try:
        return _variables(data, set(variables))
    except (struct.error, zlib.error, ValueError, LookupError, OverflowError, MemoryError) as error:
        raise InputError(f"{path}: not a MATLAB file, or damaged ({error})") from None


def _variables(data: bytes, wanted: set[str]) -> dict[str, np.ndarray]:
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if data[:10] == b"MATLAB 7.3" or data[:8] == b"\x89HDF\r\n\x1a\n":
        raise ValueError("it is of version 7.3, which is HDF5; save it with -v7 in MATLAB")
    if order is None or struct.unpack_from(order + "H", data, 124)[0] != 0x0100:
        raise ValueError("expected a header of version 5")
    found, at, room = {}, 128, _MOST_BYTES
    while at < len(data):
        kind, length = struct.unpack_from(order + "II", data, at)
        at += 8
        if length > len(data) - at:
            raise ValueError(f"a variable of {length:,} bytes, but {len(data) - at:,} are left")
        payload = data[at : at + length]
        at += length + (-length % 8 if kind != _COMPRESSED else 0)
        if kind == _COMPRESSED:
            if wanted and _name(zlib.decompressobj().decompress(payload, 4096), order) not in wanted:
                continue
            inflater = zlib.decompressobj()
            payload = inflater.decompress(payload, room)
            if not inflater.eof:
                raise ValueError(f"more than {_MOST_BYTES:,} bytes when inflated" if len(payload) == room
                                 else "a variable that is cut short")
        elif kind == _MATRIX:
            payload = struct.pack(order + "II", kind, length) + payload
        else:
            continue
        if wanted and _name(payload, order) not in wanted:
            continue
        room -= len(payload)
        name, array = _Reader(payload + bytes(_PADDING), order).variable()
        found[name] = array
    return found


def _name(payload, order):
    """Name of the variable whose first bytes these are; None where they are no variable."""
    try:
        return _Reader(payload, order).head(8)[2]
    except (struct.error, ValueError, LookupError):
        return None


def _is_usual(head):
    """Whether the 32-bit words of a head are those of two dimensions and no name."""
    return head[0] == 6 and head[1] == 8 and head[4] == 5 and head[5] == 8 and head[8] == 1 and head[9] == 0


class _Reader:
    """The arrays in the bytes of one variable, of which each part begins at a multiple of 8."""

    def __init__(self, data: bytes, order: str) -> None:
        self.data, self.order, self.arrays = data, order, 0
        self.waiting: list[tuple[np.ndarray, int, int, int]] = []  # cell array, index, first and last byte
        self.utf_16 = "utf-16-le" if order == "<" else "utf-16-be"
        self.tag = struct.Struct(order + "II")

    def variable(self) -> tuple[str, np.ndarray]:
        kind, length = self.tag.unpack_from(self.data, 0)
        if kind != _MATRIX or length > len(self.data) - 8 - _PADDING:
            raise ValueError("a variable that is not an array")
        name, array = self.head(8)[2], self.array(8, 8 + length, 0)
        self.fill()
        return name, array

    def part(self, at: int) -> tuple[int, int, int, int]:
        """Type, first and last byte of the part at `at`, and where the next one begins."""
        kind, length = self.tag.unpack_from(self.data, at)
        if kind >> 16:  # up to four bytes are in the tag itself
            kind, length, begin, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        else:
            begin, after = at + 8, at + 8 + length + -length % 8
        if begin + length > len(self.data) or (begin == at + 4 and length > 4):
            raise ValueError(f"a part of {length:,} bytes at byte {at:,}, but {len(self.data) - begin:,} are left")
        return kind, begin, begin + length, after

    def head(self, at: int) -> tuple[int, tuple[int, ...], str, int]:
        """Class and flags, shape and name of the array at `at`, and where its content begins."""
        kind, begin, end, at = self.part(at)
        if (kind, end - begin) != (6, 8):
            raise ValueError("an array without flags")
        flags, = struct.unpack_from(self.order + "I", self.data, begin)
        kind, begin, end, at = self.part(at)
        sides = (end - begin) // 4
        if kind != 5 or not 2 <= sides <= 32:
            raise ValueError("an array without dimensions")
        shape = struct.unpack_from(f"{self.order}{sides}i", self.data, begin)
        if min(shape) < 0:
            raise ValueError(f"an array of shape {shape}")
        kind, begin, end, at = self.part(at)
        if kind not in (1, 2, 16):
            raise ValueError("an array without a name")
        return flags, shape, self.data[begin:end].decode("utf-8"), at

    def array(self, at: int, end: int, depth: int) -> np.ndarray:
        """The array whose parts are the bytes from `at` to `end`."""
        if at == end:  # an empty cell
            return np.zeros((0, 0))
        flags, shape, _, at = self.head(at)
        kind, count = flags & 0xFF, math.prod(shape)
        if kind in _OTHERS or kind not in (_CELL, _CHAR, *_CLASSES) or flags & _COMPLEX:
            found = _OTHERS.get(kind, "complex numbers" if flags & _COMPLEX else f"class {kind}")
            raise ValueError(f"{found}, expected numbers, text and cells")
        if kind == _CELL:
            return self.cells(at, end, shape, count, depth)
        stored, begin, stop, _ = self.part(at)
        if stop > end:
            raise ValueError("content beyond its array")
        return self.content(flags, shape, count, stored, begin, stop)

    def content(self, flags: int, shape: tuple[int, ...], count: int, stored: int, begin: int, stop: int) -> np.ndarray:
        """Numbers or text from the bytes `begin` to `stop`."""
        if flags & 0xFF == _CHAR:
            return self.text(shape, count, stored, begin, stop)
        dtype = self.dtype(stored)
        if count * dtype.itemsize != stop - begin:
            raise ValueError(f"an array of shape {shape} with {stop - begin:,} bytes")
        values = np.frombuffer(self.data, dtype, count, begin) if count else np.zeros(0)
        return values.astype(bool if flags & _LOGICAL else _CLASSES[flags & 0xFF]).reshape(shape, order="F")

    def dtype(self, stored: int) -> np.dtype:
        if stored not in _STORED:
            raise ValueError(f"numbers of type {stored}")
        return np.dtype(self.order + _STORED[stored])

    def text(self, shape, count, stored, begin, stop):
        if stored not in _TEXTS:
            raise ValueError(f"a text of type {stored}")
        encoding = _TEXTS[stored]
        text = self.data[begin:stop].decode(self.utf_16 if encoding == "utf-16" else encoding)
        if len(shape) != 2 or len(text) != count:
            raise ValueError(f"a text of shape {shape} with {len(text)} characters")
        rows = [text[row :: shape[0]] for row in range(shape[0])]
        return np.array(rows if shape[1] else [], dtype=f"U{max(shape[1], 1)}")

    def cells(self, at: int, end: int, shape: tuple[int, ...], count: int, depth: int) -> np.ndarray:
        """A cell array: `count` arrays, one after the other. Numbers are left out until `fill` is called."""
        self.arrays += count
        if depth == _DEEPEST or self.arrays > _MOST_ARRAYS or count * 8 > end - at:
            raise ValueError(f"{count:,} cells in {end - at:,} bytes, {depth} deep")
        cells = np.empty(count, object)
        unpack, numbers, wait = struct.Struct(self.order + "14I").unpack_from, _CLASSES, self.waiting.append
        for index in range(count):
            kind, length, *head = unpack(self.data, at)
            at += 8
            if kind != _MATRIX or length > end - at:
                raise ValueError(f"a cell of {length:,} bytes at byte {at:,}, but {end - at:,} are left")
            kind = head[2] & 0xFF
            if length >= 48 and kind in numbers:
                wait((cells, index, at, at + length))
            elif kind == _CHAR and head[10] < 1 << 16 and 48 + head[11] <= length and _is_usual(head):
                cells[index] = self.text((head[6], head[7]), head[6] * head[7], head[10], at + 48, at + 48 + head[11])
            else:
                cells[index] = self.array(at, at + length, depth + 1)
            at += length + -length % 8
        return cells.reshape(shape, order="F")

    def fill(self) -> None:
        """Read the numbers that `cells` left out.

        Thousands of small arrays are most of a file. They have the same form: two dimensions and no name. So their
        heads are read together, and then the contents of all arrays of one type.
        """
        begins = np.array([place for _, _, place, _ in self.waiting], np.int64)
        stops = np.array([end for _, _, _, end in self.waiting], np.int64)
        usual = np.zeros(len(begins), bool)
        if len(begins) and not (begins % 4).any():
            words = np.frombuffer(self.data, self.order + "u4", len(self.data) // 4)
            head = words[begins[:, None] // 4 + np.arange(12)].astype(np.int64)
            flags, shapes, small = head[:, 2], head[:, 6:8], head[:, 10] >> 16
            first = begins + np.where(small, 44, 48)
            last = first + np.where(small, small, head[:, 11])
            usual = ((head[:, [0, 1, 4, 5, 8, 9]] == (6, 8, 5, 8, 1, 0)).all(axis=1) & (flags & _COMPLEX == 0)
                     & (shapes < 1 << 24).all(axis=1) & (last <= stops) & (small <= 4))
            kinds = np.where(usual, flags & 0xFFFF | (head[:, 10] & 0xFFFF) << 16, -1)
            for kind in set(kinds.tolist()) - {-1}:
                rows = np.flatnonzero(kinds == kind)
                self._fill(rows, kind & 0xFFFF, kind >> 16, shapes[rows], first[rows], last[rows])
        for row in np.flatnonzero(~usual):
            cells, index, at, end = self.waiting[row]
            cells[index] = self.array(at, end, _DEEPEST)

    def _fill(self, rows, flags, stored, shapes, first, last):
        """Convert the numbers of all arrays of one type together; each array is a piece of the result."""
        high, wide = shapes.T
        dtype, counts = self.dtype(stored), high * wide
        wrong = counts * dtype.itemsize != last - first
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(f"an array of {int(high[row])} x {int(wide[row])} with {last[row] - first[row]:,} bytes")
        data = b"".join([self.data[a:b] for a, b in zip(first.tolist(), last.tolist(), strict=True)])
        values = np.frombuffer(data, dtype).astype(bool if flags & _LOGICAL else _CLASSES[flags & 0xFF])
        column, begin = values[:, None], 0
        for row, end, shape in zip(rows.tolist(), counts.cumsum().tolist(), shapes[:, ::-1].tolist(), strict=True):
            cells, index, _, _ = self.waiting[row]
            # MATLAB stores columns.
            cells[index] = column[begin:end] if shape[0] == 1 else values[begin:end].reshape(shape).T
            begin = end
