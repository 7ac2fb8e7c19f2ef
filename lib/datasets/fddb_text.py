"""FDDB's text files: an image, the number of its faces, then a line a face; annotations and detections alike.

Annotations are ellipses, `major_axis_radius minor_axis_radius angle center_x center_y 1`, one list a fold
(FDDB-fold-01-ellipseList.txt to -10-); the angle is that of the major axis against the x axis, in radians, with y
downwards. Images are named without extension, such as 2002/08/11/big/img_591.
"""

import glob
import os
import re
from dataclasses import dataclass
from itertools import chain

import numpy as np

from ..errors import InputError
from .roidb import image_name
from .text import floats, is_number, read_lines

ELLIPSE = "major minor angle cx cy 1"
# Radii and centres beyond this are no faces, and OpenCV, which draws them, counts in 16 bits before the point.
LARGEST = 16_000.0


@dataclass
class Block:
    """One image of a list: its name, its rows (N, K) float64, and where it stands, for messages."""

    name: str
    rows: np.ndarray
    where: str


def read_blocks(path, forms):
    """The images of one file, in its order: a list of Blocks. forms: number of values in a row -> what they are.

    All rows of a file have the same number of values; a file without any has that of the first form.
    Raises InputError with file and line.
    """
    lines = read_lines(path)
    blocks, seen, at, length = [], {}, 0, None
    while at < len(lines):
        if not lines[at]:
            at += 1
            continue
        name, where = image_name(lines[at].replace("\\", "/").removeprefix("./")), f"{path}, line {at + 1}"
        if not name:
            raise InputError(f"{where}: expected an image, found {lines[at]!r}")
        if len(lines[at].split()) > 1 and all(map(is_number, lines[at].split())):
            raise InputError(f"{where}: expected an image, found the face {lines[at][:60]!r}: the count before it is "
                             "too small")
        if name in seen:
            raise InputError(f"{where}: image {name} is listed twice, first in line {seen[name]}")
        seen[name] = at + 1
        count = lines[at + 1] if at + 1 < len(lines) else ""
        if not count.isdecimal() or len(count) > 9:  # longer ones are no numbers of faces, and int() has a limit
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
    """Line by line, for an image of which something is wrong: raises the InputError that says what."""
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


def check_ellipses(block, path):
    """InputError for a block (rows major minor angle cx cy ...) with a radius or a centre that cannot be drawn."""
    wrong = (block.rows[:, :2] < 0).any(axis=1) | (np.abs(block.rows[:, [0, 1, 3, 4]]) > LARGEST).any(axis=1)
    if wrong.any():
        index = int(np.argmax(wrong))
        line = int(block.where.rpartition(" ")[2]) + 2 + index
        raise InputError(f"{path}, line {line}: expected radii of 0 or more and no value beyond {LARGEST:,.0f} px, "
                         f"found the ellipse {' '.join(f'{value:g}' for value in block.rows[index])}")


def read_ellipses(path):
    """The Blocks of an ellipse list, rows (N, 5) major minor angle cx cy. Raises InputError with file and line."""
    blocks = read_blocks(path, {6: ELLIPSE})
    for block in blocks:
        check_ellipses(block, path)
        block.rows = block.rows[:, :5]
    return blocks


def fold_files(folder):
    """Dict fold number -> ellipse list, of those that are in the folder. InputError where there is none."""
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder of FDDB-fold-NN-ellipseList.txt")
    found = {}
    for path in sorted(glob.glob(os.path.join(glob.escape(os.fspath(folder)), "FDDB-fold-*-ellipseList.txt"))):
        number = re.search(r"FDDB-fold-(\d+)-ellipseList\.txt$", path)
        if number:
            found[int(number[1])] = path
    if not found:
        raise InputError(f"{folder}: holds no FDDB-fold-NN-ellipseList.txt")
    return found


def ellipse_boxes(ellipses):
    """(N, 4) float64 x1 y1 x2 y2: the boxes that just hold the ellipses (N, 5) major minor angle cx cy."""
    major, minor, angle, x, y = np.asarray(ellipses, np.float64).reshape(-1, 5).T
    wide = np.hypot(major * np.cos(angle), minor * np.sin(angle))
    high = np.hypot(major * np.sin(angle), minor * np.cos(angle))
    return np.column_stack([x - wide, y - high, x + wide, y + high])
