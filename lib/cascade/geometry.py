"""Boxes in the cascade: windows of P-Net's cells, calibration, squares, and the pixels that are cut out.

There are two conventions, CASCADE.BOXES. `continuous` is that of this package: a box's width is x2 - x1, and crops
extend outside the image where faces do. `inclusive` is that of the authors' MATLAB code and its ports: boxes are whole
pixels counted from 1 that include both ends (so offsets refer to sides that are 1 px longer), and crops end at the
image's border. Weights trained with the second convention find the same faces with either. Only the second one
reproduces facenet-pytorch's numbers digit for digit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .pyramid import CELL, STRIDE, Level

LARGEST = 1 << 16  # px: no face is larger than the largest JPEG; a net's wild guess may be


def cell_boxes(rows: np.ndarray, columns: np.ndarray, which: np.ndarray, levels: Sequence[Level],
               sizes: Sequence[tuple[int, int]], inclusive: bool) -> np.ndarray:
    """Windows of P-Net's cells as boxes in their image.

    Args:
        rows: (N,) int, row of each cell in its level.
        columns: (N,) int, column of each cell in its level.
        which: (N,) int, index into `levels` of each cell.
        levels: levels of one canvas.
        sizes: (width, height) in px per image.
        inclusive: the convention of the boxes.

    Returns:
        (N, 4) float32 x1 y1 x2 y2 in px of the image.
    """
    corner = np.stack([columns, rows], axis=1).astype(np.float32) * STRIDE
    if inclusive:
        scale = np.array([level.scale for level in levels], np.float32)[which, None]
        return np.floor(np.concatenate([(corner + 1) / scale, (corner + CELL) / scale], axis=1))
    grow = np.array([[sizes[level.image][0] / level.width, sizes[level.image][1] / level.height]
                     for level in levels], np.float32)[which]
    return np.concatenate([corner * grow, (corner + CELL) * grow], axis=1)


def calibrate(boxes: np.ndarray, offsets: np.ndarray, longer: int = 0) -> np.ndarray:
    """Move the corners of boxes by the offsets that a net gives.

    Args:
        boxes: (N, 4) float32 px.
        offsets: (N, 4) float32 offsets of x1 y1 x2 y2 in units of the sides.
        longer: px added to the sides before they are used as units: 1 for inclusive boxes.

    Returns:
        (N, 4) float32 px.
    """
    sides = boxes[:, 2:] - boxes[:, :2] + np.float32(longer)
    return boxes + offsets * np.tile(sides, 2)


def square(boxes: np.ndarray, inclusive: bool) -> np.ndarray:
    """Squares with the centre and the longer side of each box, (N, 4) float32 px.

    Continuous squares are rounded to whole pixels.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    longer = sides.max(axis=1, keepdims=True)
    if inclusive:
        corner = boxes[:, :2] + sides * np.float32(0.5) - longer * np.float32(0.5)
        return np.concatenate([corner, corner + longer], axis=1)
    longer = np.maximum(np.rint(longer), 1)
    corner = np.rint((boxes[:, :2] + boxes[:, 2:] - longer) / 2)
    return np.concatenate([corner, corner + longer], axis=1)


def windows(squares: np.ndarray, size: tuple[int, int], inclusive: bool) -> tuple[np.ndarray, np.ndarray]:
    """Whole pixels that are cut out for squares.

    Args:
        squares: (N, 4) float32 px.
        size: (width, height) of the image in px.
        inclusive: the convention of the squares; if set, windows end at the image's border.

    Returns:
        (N, 4) int64 x1 y1 x2 y2 in px, x2 and y2 excluded, and (N,) bool: the window has pixels of the image, and
        no side above LARGEST.
    """
    finite = np.isfinite(squares).all(axis=1)  # a net may give NaN or infinity
    corners = np.where(finite[:, None], squares, 0).clip(-(2**30), 2**30)
    if inclusive:
        corners = np.trunc(corners) - np.array([1, 1, 0, 0], np.float32)
        ends = corners[:, 2:].clip(None, np.array(size, np.float32))
        corners = np.concatenate([corners[:, :2].clip(0), ends], axis=1)
    corners = corners.astype(np.int64)
    inside = ((corners[:, :2] < np.asarray(size)) & (corners[:, 2:] > 0) & (corners[:, 2:] > corners[:, :2])
              & (corners[:, 2:] - corners[:, :2] <= LARGEST)).all(1)
    return corners, inside & finite


def landmarks_of(squares: np.ndarray, points: np.ndarray, inclusive: bool) -> np.ndarray:
    """Landmarks in px from O-Net's output.

    Args:
        squares: (N, 4) float32 px, the crops.
        points: (N, 10) float32 x0 y0 x1 y1 ... from the upper left corner, as fractions of the square's sides.
        inclusive: the convention of the squares.

    Returns:
        (N, 5, 2) float32 x y in px of the image.
    """
    corner, sides = squares[:, None, :2], (squares[:, 2:] - squares[:, :2])[:, None]
    shift = np.float32(inclusive)
    return points.reshape(-1, 5, 2) * (sides + shift) + corner - shift
