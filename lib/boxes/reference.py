"""NumPy twins of the compiled box functions: IoU, anchor grids and box transforms.

They state the rules, and are used where nothing could be compiled. Arithmetic is float64 from float32 coordinates, so
a compiled twin that does the same operations in the same order gives the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from .checks import as_array, as_boxes, as_number, as_numbers, check_finite, same_length
from .levels import anchor_sides, check_grid, grid_lines

# Largest logarithm of a decoded side over the anchor's side: an extreme output gives a large box, not an infinite one.
MAX_LOG_SCALE = math.log(1000.0 / 16)
MOST_VARIANCE = 1e6


def areas(boxes: np.ndarray) -> np.ndarray:
    """(N,) float64 areas of (N, 4) float32 boxes; 0 where a side is not positive."""
    boxes = boxes.astype(np.float64)
    return np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)


def intersections(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, K) float64 intersection areas of (N, 4) and (K, 4) float32 boxes."""
    boxes, others = boxes.astype(np.float64), others.astype(np.float64)
    wide = np.minimum(boxes[:, None, 2], others[:, 2]) - np.maximum(boxes[:, None, 0], others[:, 0])
    high = np.minimum(boxes[:, None, 3], others[:, 3]) - np.maximum(boxes[:, None, 1], others[:, 1])
    return np.maximum(wide, 0) * np.maximum(high, 0)


def overlaps64(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, K) float64 IoU of (N, 4) and (K, 4) float32 boxes; 0 where they do not intersect."""
    common = intersections(boxes, others)
    union = areas(boxes)[:, None] + areas(others) - common
    return np.divide(common, union, out=np.zeros_like(common), where=common > 0)


def check_overlaps(boxes: ArrayLike, others: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Check the arguments of overlaps and convert them; shared with the compiled twin."""
    boxes, others = as_boxes(boxes), as_boxes(others, "others")
    check_finite(boxes)
    check_finite(others, "others")
    return boxes, others


def overlaps(boxes: ArrayLike, others: ArrayLike) -> np.ndarray:
    """IoU of every box with every other one.

    Areas are continuous: (x2 - x1) * (y2 - y1). A box whose width or height is <= 0 has IoU 0 with every box.

    Args:
        boxes: (N, 4) float32 x1 y1 x2 y2 in px.
        others: (K, 4) float32 x1 y1 x2 y2 in px.

    Returns:
        (N, K) float32, 0..1.

    Raises:
        InputError: an array has another shape, or a corner is not finite.
    """
    return overlaps64(*check_overlaps(boxes, others)).astype(np.float32)


def anchor_grid(height: int, width: int, stride: float, sizes: Sequence[float] | Sequence[Sequence[float]] | np.ndarray,
                ratios: Sequence[float] | np.ndarray = (1.0,)) -> np.ndarray:
    """Anchors of a feature map.

    The centre of cell (row, column) is ((column + 0.5) * stride, (row + 0.5) * stride).

    Args:
        height: rows of cells.
        width: columns of cells.
        stride: px between two cells.
        sizes: (N,) square roots of the areas in px, or (N, 2) pairs (width, height) in px; see anchor_sides.
        ratios: (R,) height / width.

    Returns:
        (height * width * N * R, 4) float32 x1 y1 x2 y2 in px, ordered by row, column, size, then ratio.

    Raises:
        InputError: a number is out of range, or `sizes` has another shape.

    Source: Faster R-CNN, section 3.1.1.

    Examples:
        >>> anchor_grid(1, 2, 8, [16])
        array([[-4., -4., 12., 12.],
               [ 4., -4., 20., 12.]], dtype=float32)
    """
    sides = anchor_sides(sizes, ratios)
    height, width, stride = check_grid(height, width, stride, len(sides))
    left, right = grid_lines(width, stride, sides[:, 0])
    top, bottom = grid_lines(height, stride, sides[:, 1])
    grid = np.empty((height, width, len(sides), 4), dtype=np.float32)
    grid[..., 0], grid[..., 2] = left.T, right.T  # (W, T) along every row
    grid[..., 1], grid[..., 3] = top.T[:, None], bottom.T[:, None]  # (H, 1, T)
    return grid.reshape(-1, 4)


def centres_sides(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres (N, 2) and sides (N, 2), float64, of (N, 4) boxes."""
    boxes = boxes.astype(np.float64)
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes[:, :2] + 0.5 * sides, sides


def positive_sides(boxes: np.ndarray, name: str) -> None:
    """Raise InputError that names the first of the (N, 4) boxes with a side that is not positive and finite."""
    bad = np.flatnonzero(~((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]) & np.isfinite(boxes).all(axis=1)))
    if len(bad):
        raise InputError(f"{name}: box {bad[0]} is {boxes[bad[0]].tolist()}, expected x1 < x2 and y1 < y2")


def encode_boxes(boxes: ArrayLike, anchors: ArrayLike, variances: Sequence[float] = (0.1, 0.2)) -> np.ndarray:
    """Offsets that move each anchor onto its box; decode_boxes is the inverse.

    Args:
        boxes: (N, 4) float32 x1 y1 x2 y2 in px, every side > 0.
        anchors: (N, 4) float32 x1 y1 x2 y2 in px, every side > 0.
        variances: unit of the offsets of the centre, and unit of the logarithms of the sides.

    Returns:
        (N, 4) float32: dx, dy in units of variances[0] * the anchor's side; dw, dh in units of variances[1] nats.

    Raises:
        InputError: a shape is wrong, the lengths differ, or a side is not positive.

    Source: SSH, section 3.2; Faster R-CNN, equation 2.
    """
    boxes, anchors, variances = check_coded(as_boxes(boxes), anchors, variances, "boxes")
    positive_sides(boxes, "boxes")
    positive_sides(anchors, "anchors")
    centres, sides = centres_sides(boxes)
    anchor_centres, base = centres_sides(anchors)
    moved = (centres - anchor_centres) / base / variances[0]
    scaled = np.log(sides / base) / variances[1]
    return np.concatenate([moved, scaled], axis=1).astype(np.float32)


def decode_boxes(deltas: ArrayLike, anchors: ArrayLike, variances: Sequence[float] = (0.1, 0.2)) -> np.ndarray:
    """Boxes from the offsets of anchors; the inverse of encode_boxes.

    A decoded side is at most 1000 / 16 times the anchor's side.

    Args:
        deltas: (N, 4) float32 offsets as from encode_boxes.
        anchors: (N, 4) float32 x1 y1 x2 y2 in px.
        variances: the variances that the offsets were encoded with.

    Returns:
        (N, 4) float32 x1 y1 x2 y2 in px.

    Raises:
        InputError: a shape is wrong, or the lengths differ.
    """
    deltas, anchors, variances = check_coded(as_array(deltas, "deltas", None, 4), anchors, variances, "deltas")
    anchor_centres, base = centres_sides(anchors)
    deltas = deltas.astype(np.float64)
    centres = anchor_centres + deltas[:, :2] * variances[0] * base
    halves = 0.5 * base * np.exp(np.minimum(deltas[:, 2:] * variances[1], MAX_LOG_SCALE))
    return np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32)


def encode_landmarks(landmarks: ArrayLike, anchors: ArrayLike, variance: float = 0.1) -> np.ndarray:
    """Offsets of landmarks from the centre of their anchor; decode_landmarks is the inverse.

    Args:
        landmarks: (N, P, 2) float32 x y in px (P = 5 for a face). NaN = not labelled; it stays NaN.
        anchors: (N, 4) float32 x1 y1 x2 y2 in px, every side > 0.
        variance: unit of the offsets.

    Returns:
        (N, 2 * P) float32, x0 y0 x1 y1 ... in units of variance * the anchor's width and height.

    Raises:
        InputError: a shape is wrong, the lengths differ, or an anchor has no area.
    """
    landmarks, anchors, variance = check_points(as_landmarks(landmarks), anchors, variance, "landmarks")
    positive_sides(anchors, "anchors")
    centres, base = centres_sides(anchors)
    moved = (landmarks.astype(np.float64) - centres[:, None]) / base[:, None] / variance
    return moved.reshape(len(anchors), 2 * moved.shape[1]).astype(np.float32)


def decode_landmarks(deltas: ArrayLike, anchors: ArrayLike, variance: float = 0.1) -> np.ndarray:
    """Landmarks from the offsets of anchors; the inverse of encode_landmarks.

    Args:
        deltas: (N, 2 * P) float32 offsets as from encode_landmarks.
        anchors: (N, 4) float32 x1 y1 x2 y2 in px.
        variance: the variance that the offsets were encoded with.

    Returns:
        (N, P, 2) float32 x y in px.

    Raises:
        InputError: a shape is wrong, the lengths differ, or a row of `deltas` is not made of pairs.
    """
    deltas, anchors, variance = check_points(as_array(deltas, "deltas", None, None), anchors, variance, "deltas")
    if deltas.shape[1] % 2:
        raise InputError(f"deltas: found {deltas.shape[1]} numbers per row, expected pairs x y")
    centres, base = centres_sides(anchors)
    points = deltas.astype(np.float64).reshape(len(deltas), deltas.shape[1] // 2, 2)
    return (centres[:, None] + points * variance * base[:, None]).astype(np.float32)


def as_landmarks(landmarks: ArrayLike) -> np.ndarray:
    """Convert landmarks to a contiguous (N, P, 2) float32 array; InputError for another shape."""
    landmarks = as_array(landmarks, "landmarks")
    if landmarks.ndim != 3 or landmarks.shape[2] != 2:
        raise InputError(f"landmarks: found an array of shape {landmarks.shape}, expected (N, points, 2)")
    return landmarks


def check_coded(rows: np.ndarray, anchors: ArrayLike, variances: Sequence[float],
                name: str) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Check what codes (N, 4) `rows` relative to anchors; shared with the compiled twins."""
    anchors = as_boxes(anchors, "anchors")
    same_length(rows, anchors, (name, "anchors"))
    return rows, anchors, as_numbers(variances, "variances", 2, 0, MOST_VARIANCE, open_low=True)


def check_points(rows: np.ndarray, anchors: ArrayLike, variance: float,
                 name: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Check what codes `rows` of points relative to anchors; shared with the compiled twins."""
    anchors = as_boxes(anchors, "anchors")
    same_length(rows, anchors, (name, "anchors"))
    return rows, anchors, as_number(variance, "variance", 0, MOST_VARIANCE, open_low=True)
