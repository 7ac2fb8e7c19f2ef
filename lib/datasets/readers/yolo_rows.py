"""The lines of YOLO labels. All coordinates are fractions of the image's width and height.

- `class cx cy w h`: a box.
- The same with five landmarks, `x y` or `x y visibility` each: 15 or 20 numbers. A visibility of 0, and without
  visibility the points 0 0 and -1 -1, mean not labelled. The landmarks are in the order of Record.
- `class x y x y x y ...`: a polygon, which is read as its bounding box. 15 numbers are a polygon of seven corners where
  other lines are polygons too, or where most of the points would be far from their boxes.
"""

import os
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np

from ...errors import InputError
from ..text import floats, is_number, read_lines

# Annotation tools round: a box on the border may exceed 1 in the last digit.
_SLACK = 1e-3
# Lists that annotation tools put among the labels; an empty one looks like the label of an image without faces.
_NO_LABELS = ("classes.txt", "train.txt", "val.txt", "test.txt")
_BOX = 4  # numbers of a box


class Shape(Enum):
    """What the numbers of a line after the class are."""

    BOX = "box"
    POINTS = "box and x y of five landmarks"
    VISIBLE = "box and x y visibility of five landmarks"
    OTHER_POINTS = "box and points that are no landmarks of a face"
    POLYGON = "polygon"


class Row(NamedTuple):
    """A line: its file and number, its class, and the numbers after the class."""

    where: str
    kind: int
    values: list[float]


def read_rows(path: str, has_image: bool) -> list[Row] | None:
    """Read the lines of one .txt.

    Args:
        path: the file.
        has_image: there is an image of this name.

    Returns:
        The lines; None when there is no image, and the file is no label.

    Raises:
        InputError: names the file and line that is wrong.
    """
    try:
        lines = [(number, line) for number, line in enumerate(read_lines(path), 1) if line]
    except InputError:
        if has_image:
            raise
        return None
    if not has_image and not any(_is_label(line) for _, line in lines) and (
            lines or os.path.basename(path).lower() in _NO_LABELS):
        return None
    return [_row(line, f"{path}, line {number}") for number, line in lines]


def _is_label(line):
    fields = line.split()
    return len(fields) > _BOX and all(map(is_number, fields))


def _row(line, where):
    kind, *values = floats(line, where)
    if kind < 0 or kind % 1 or kind >= 2**31:
        raise InputError(f"{where}: expected the number of a class first, found {line[:60]!r}")
    if len(values) in (5, 15) or len(values) == 20 and all(value in (0, 1, 2) for value in values[6:19:3]):
        raise InputError(f"{where}: found a box with {len(values) + 1} numbers; the last one seems to be a score, so "
                         "these are detections and not an annotation. Remove it where they are correct")
    return Row(where, int(kind), values)


def row_shapes(rows: Sequence[Row], points: tuple[int, int] | None) -> dict[int, Shape]:
    """Decide what the rows of a data set are, by their length.

    Args:
        rows: all rows.
        points: number of points and numbers per point that data.yaml says the rows have; None: it says nothing.

    Returns:
        Number of values -> their shape.

    Raises:
        InputError: names the first row that is none of the shapes, or has a value that is no fraction.
    """
    shapes, lengths = {_BOX: Shape.BOX}, {len(row.values) for row in rows}
    if points is not None:
        count, each = points
        known = {2: Shape.POINTS, 3: Shape.VISIBLE}.get(each, Shape.OTHER_POINTS)
        shapes[_BOX + count * each] = known if count == 5 else Shape.OTHER_POINTS
    else:
        shapes[19] = Shape.VISIBLE
        shapes |= {length: Shape.POLYGON for length in lengths if length >= 6 and length % 2 == 0 and length != 14}
        polygons = Shape.POLYGON in shapes.values()
        far = [_is_far(row.values) for row in rows if len(row.values) == 14]
        shapes[14] = Shape.POLYGON if polygons or sum(far) * 2 > len(far) else Shape.POINTS
    for row in rows:
        shape = shapes.get(len(row.values))
        if shape is None:
            expected = ", ".join(str(length + 1) for length in sorted(shapes))
            raise InputError(f"{row.where}: expected `class cx cy w h`, alone or with five landmarks, or a polygon "
                             f"({'numbers: ' + expected if points else '5, 15 or 20 numbers, or an odd number from 7'})"
                             f", found {len(row.values) + 1} numbers")
        fractions = row.values if shape is Shape.POLYGON else row.values[:_BOX]
        if not all(-_SLACK <= value <= 1 + _SLACK for value in fractions) or not all(
                -1 <= value <= 2 for value in row.values):
            raise InputError(f"{row.where}: expected fractions of the image between 0 and 1, found "
                             f"{' '.join(f'{value:g}' for value in row.values)[:60]!r}")
    return shapes


def _is_far(values):
    """Whether most of the five points that follow a box are far from it."""
    x, y, width, height = values[:_BOX]
    points = [point for point in zip(values[4::2], values[5::2], strict=True) if point not in ((0, 0), (-1, -1))]
    return sum(abs(px - x) > width or abs(py - y) > height for px, py in points) * 2 > len(points)


def row_boxes(rows: Sequence[Row], shapes: Mapping[int, Shape], size: tuple[int, int]) -> list[list[float]]:
    """The boxes x1 y1 x2 y2 in px of rows in an image of `size` (width, height) px."""
    width, height = size
    boxes = []
    for row in rows:
        if shapes[len(row.values)] is Shape.POLYGON:
            x, y = row.values[::2], row.values[1::2]
            boxes.append([min(x) * width, min(y) * height, max(x) * width, max(y) * height])
        else:
            cx, cy, w, h = row.values[:_BOX]
            boxes.append([(cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height])
    return boxes


def row_landmarks(rows: Sequence[Row], shapes: Mapping[int, Shape], size: tuple[int, int]) -> np.ndarray:
    """The landmarks of rows, (N, 5, 2) x y in px, NaN = not labelled, in an image of `size` (width, height) px."""
    landmarks = np.full((len(rows), 5, 2), np.nan)
    for landmark, row in zip(landmarks, rows, strict=True):
        shape = shapes[len(row.values)]
        if shape is Shape.VISIBLE:
            points = np.array(row.values[_BOX:]).reshape(5, 3)
            labelled = points[:, 2] > 0
        elif shape is Shape.POINTS:
            points = np.array(row.values[_BOX:]).reshape(5, 2)
            labelled = ~((points == 0).all(axis=1) | (points == -1).all(axis=1))
        else:
            continue
        landmark[labelled] = points[labelled, :2] * size
    return landmarks
