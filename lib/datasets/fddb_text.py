"""FDDB's text files: an image, the number of its faces, then one line per face. Detections have the same form.

Annotations are ellipses, `major_axis_radius minor_axis_radius angle center_x center_y 1`, in one list per fold
(FDDB-fold-01-ellipseList.txt to -10-). Radii and centre are in px. The angle is from the x axis to the major axis, in
radians, with y downwards. Images are named without extension, such as 2002/08/11/big/img_591.
"""

import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np

from ..errors import InputError
from .roidb import image_name, slashed
from .text import floats, is_number, read_lines

ELLIPSE = "major minor angle cx cy 1"
# px. No face has a larger radius or centre, and OpenCV draws ellipses with 16 bits for the integer part of a number.
LARGEST = 16_000.0


@dataclass
class Block:
    """One image of a list.

    Attributes:
        name: image without extension.
        rows: (N, K) float64, one row per face.
        where: file and line, for messages.
    """

    name: str
    rows: np.ndarray
    where: str


def read_blocks(path: str | os.PathLike, forms: Mapping[int, str]) -> list[Block]:
    """Read the images of one file, in its order. All rows of a file have the same number of values.

    Args:
        path: the text file.
        forms: allowed numbers of values in a row -> their names, for messages. A file without rows has the first.

    Raises:
        InputError: names file and line.
    """
    lines = read_lines(path)
    blocks, seen, at, length = [], {}, 0, None
    while at < len(lines):
        if not lines[at]:
            at += 1
            continue
        name, where = image_name(slashed(lines[at])), f"{path}, line {at + 1}"
        if not name:
            raise InputError(f"{where}: expected an image, found {lines[at]!r}")
        if len(lines[at].split()) > 1 and all(map(is_number, lines[at].split())):
            raise InputError(f"{where}: expected an image, found the face {lines[at][:60]!r}: the count before it is "
                             "too small")
        if name in seen:
            raise InputError(f"{where}: image {name} is listed twice, first in line {seen[name]}")
        seen[name] = at + 1
        count = lines[at + 1] if at + 1 < len(lines) else ""
        if not count.isdecimal() or len(count) > 9:  # int() refuses thousands of digits
            raise InputError(f"{path}, line {at + 2}: expected the number of faces of {name}, found {count[:60]!r}")
        first, at = at + 2, at + 2 + int(count)
        fields = [line.split() for line in lines[first:at]]
        if length is None and fields and len(fields[0]) in forms:
            length = len(fields[0])
        rows = _fast(fields, length) if len(fields) == int(count) else None
        if rows is None:
            rows = _slowly(path, lines, first, int(count), forms, length, name)
        blocks.append((name, rows, where))
    length = length or next(iter(forms))
    return [Block(name, rows if len(rows) else np.zeros((0, length)), where) for name, rows, where in blocks]


def _fast(fields, length):
    """The rows (N, length) when every field is a finite number and every row is full, else None."""
    if not fields:
        return np.zeros((0, length or 0))
    if set(map(len, fields)) != {length}:
        return None
    try:
        rows = np.array(list(map(float, chain.from_iterable(fields)))).reshape(-1, length)
    except ValueError:
        return None
    return rows if np.isfinite(rows).all() else None


def _slowly(path, lines, first, count, forms, length, name):
    """Read an image with a wrong row again, line by line, to raise the InputError that names it."""
    known = " or ".join(f"`{form}`" for form in forms.values())
    for number in range(count):
        line = lines[first + number] if first + number < len(lines) else ""
        where = f"{path}, line {first + number + 1}"
        if not line:
            raise InputError(f"{where}: expected face {number + 1} of {count} of {name}, found the end or an empty "
                             "line; the count may be wrong")
        if len(line.split()) not in forms:
            raise InputError(f"{where}: expected {known} (face {number + 1} of {count} of {name}), found {line[:60]!r}")
        if len(floats(line, where)) != length:
            raise InputError(f"{where}: expected `{forms[length]}` as in the lines before, found {line[:60]!r}")
    raise AssertionError(f"{path}: nothing is wrong with {name}")


def check_ellipses(block: Block, path: str | os.PathLike) -> None:
    """Check that the ellipses of a block can be drawn.

    Args:
        block: rows major minor angle cx cy, and more.
        path: the file of the block.

    Raises:
        InputError: names the line of the first radius or centre out of range.
    """
    wrong = (block.rows[:, :2] < 0).any(axis=1) | (np.abs(block.rows[:, [0, 1, 3, 4]]) > LARGEST).any(axis=1)
    if wrong.any():
        index = int(np.argmax(wrong))
        line = int(block.where.rpartition(" ")[2]) + 2 + index
        raise InputError(f"{path}, line {line}: expected radii of 0 or more and no value beyond {LARGEST:,.0f} px, "
                         f"found the ellipse {' '.join(f'{value:g}' for value in block.rows[index])}")


def read_ellipses(path: str | os.PathLike) -> list[Block]:
    """Read an ellipse list; rows are (N, 5), major minor angle cx cy. Raises InputError with file and line."""
    blocks = read_blocks(path, {6: ELLIPSE})
    for block in blocks:
        check_ellipses(block, path)
        block.rows = block.rows[:, :5]
    return blocks


def fold_files(folder: str | os.PathLike) -> dict[int, str]:
    """Find the ellipse lists in a folder: fold number -> path. Raises InputError when there is none."""
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder of FDDB-fold-NN-ellipseList.txt")
    paths = {}
    for path in sorted(glob.glob(os.path.join(glob.escape(os.fspath(folder)), "FDDB-fold-*-ellipseList.txt"))):
        number = re.search(r"FDDB-fold-(\d+)-ellipseList\.txt$", path)
        if number:
            paths[int(number[1])] = path
    if not paths:
        raise InputError(f"{folder}: holds no FDDB-fold-NN-ellipseList.txt")
    return paths


def ellipse_boxes(ellipses: np.ndarray) -> np.ndarray:
    """Compute the smallest upright boxes around ellipses.

    Args:
        ellipses: (N, 5), major minor angle cx cy in px and radians.

    Returns:
        (N, 4) float64, x1 y1 x2 y2 in px.
    """
    major, minor, angle, x, y = np.asarray(ellipses, np.float64).reshape(-1, 5).T
    wide = np.hypot(major * np.cos(angle), minor * np.sin(angle))
    high = np.hypot(major * np.sin(angle), minor * np.cos(angle))
    return np.column_stack([x - wide, y - high, x + wide, y + high])
