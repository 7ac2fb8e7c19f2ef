"""NumPy twins of the compiled box functions: overlaps, anchor grids and box transforms.

They are the statement of the rules, and they serve where nothing could be compiled. Arithmetic is float64 from float32
coordinates, so a compiled twin that does the same operations in the same order gives the same bits.
"""

import math

import numpy as np

from ..errors import InputError
from .checks import as_array, as_boxes, same_length
from .levels import anchor_sides, check_grid, grid_lines

# A predicted side is at most this many nats above its anchor's: a wild output becomes a large box, not an infinite one.
MAX_LOG_SCALE = math.log(1000.0 / 16)


def areas(boxes):
    """(N,) float64 areas of (N, 4) float32 boxes; 0 where a side is not positive."""
    boxes = boxes.astype(np.float64)
    return np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)


def intersections(boxes, others):
    """(N, K) float64 common areas of (N, 4) and (K, 4) float32 boxes."""
    boxes, others = boxes.astype(np.float64), others.astype(np.float64)
    wide = np.minimum(boxes[:, None, 2], others[:, 2]) - np.maximum(boxes[:, None, 0], others[:, 0])
    high = np.minimum(boxes[:, None, 3], others[:, 3]) - np.maximum(boxes[:, None, 1], others[:, 1])
    return np.maximum(wide, 0) * np.maximum(high, 0)


def overlaps64(boxes, others):
    """(N, K) float64 intersection over union, 0 where the boxes do not meet."""
    common = intersections(boxes, others)
    union = areas(boxes)[:, None] + areas(others) - common
    return np.divide(common, union, out=np.zeros_like(common), where=common > 0)


def overlaps(boxes, others):
    """Intersection over union of every box with every other, areas continuous: (x2 - x1) * (y2 - y1).

    boxes: (N, 4), others: (K, 4), float32 x1 y1 x2 y2 in pixels. A box whose width or height is <= 0 overlaps nothing.
    Returns (N, K) float32 in 0..1. Raises InputError (a ValueError) for other shapes.
    """
    return overlaps64(as_boxes(boxes), as_boxes(others, "others")).astype(np.float32)


def anchor_grid(height, width, stride, sizes, ratios=(1.0,)):
    """Anchors of a feature map of height x width cells, stride pixels apart (Faster R-CNN, section 3.1.1).

    sizes: square roots of the areas in pixels, or pairs (width, height); ratios: height / width, see anchor_sides. The
    centre of cell (row, col) is ((col + 0.5) * stride, (row + 0.5) * stride).
    Returns (height * width * len(sizes) * len(ratios), 4) float32, by row, column, size, then ratio.

    >>> anchor_grid(1, 2, 8, [16])
    array([[-4., -4., 12., 12.],
           [ 4., -4., 20., 12.]], dtype=float32)
    """
    check_grid(height, width, stride)
    sides = anchor_sides(sizes, ratios)
    left, right = grid_lines(width, stride, sides[:, 0])
    top, bottom = grid_lines(height, stride, sides[:, 1])
    grid = np.empty((height, width, len(sides), 4), dtype=np.float32)
    grid[..., 0], grid[..., 2] = left.T, right.T  # (W, T) along every row
    grid[..., 1], grid[..., 3] = top.T[:, None], bottom.T[:, None]  # (H, 1, T)
    return grid.reshape(-1, 4)


def centres_sides(boxes):
    """Centres (N, 2) and sides (N, 2), float64, of (N, 4) boxes."""
    boxes = boxes.astype(np.float64)
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes[:, :2] + 0.5 * sides, sides


def positive_sides(boxes, name):
    """Refuse boxes that no logarithm of a side, or no division by it, can take."""
    bad = np.flatnonzero(~((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])))
    if len(bad):
        raise InputError(f"{name}: box {bad[0]} is {boxes[bad[0]].tolist()}, expected x1 < x2 and y1 < y2")


def encode_boxes(boxes, anchors, variances=(0.1, 0.2)):
    """Offsets that move each anchor onto its box (SSH, section 3.2; Faster R-CNN, equation 2).

    boxes, anchors: (N, 4) float32 x1 y1 x2 y2 in pixels, every side > 0.
    Returns (N, 4) float32: dx, dy in units of variances[0] anchor sides, dw, dh in units of variances[1] nats.
    Raises InputError (a ValueError) when the lengths differ or a side is not positive.
    """
    boxes, anchors = as_boxes(boxes), as_boxes(anchors, "anchors")
    same_length(boxes, anchors, ("boxes", "anchors"))
    positive_sides(boxes, "boxes")
    positive_sides(anchors, "anchors")
    centres, sides = centres_sides(boxes)
    anchor_centres, base = centres_sides(anchors)
    moved = (centres - anchor_centres) / base / variances[0]
    scaled = np.log(sides / base) / variances[1]
    return np.concatenate([moved, scaled], axis=1).astype(np.float32)


def decode_boxes(deltas, anchors, variances=(0.1, 0.2)):
    """The boxes that offsets make of anchors: the inverse of encode_boxes.

    deltas: (N, 4) float32, anchors: (N, 4) float32 in pixels. A side grows at most by the factor 1000 / 16.
    Returns (N, 4) float32 x1 y1 x2 y2. Raises InputError when the lengths differ.
    """
    deltas, anchors = as_array(deltas, "deltas", None, 4), as_boxes(anchors, "anchors")
    same_length(deltas, anchors, ("deltas", "anchors"))
    anchor_centres, base = centres_sides(anchors)
    deltas = deltas.astype(np.float64)
    centres = anchor_centres + deltas[:, :2] * variances[0] * base
    halves = 0.5 * base * np.exp(np.minimum(deltas[:, 2:] * variances[1], MAX_LOG_SCALE))
    return np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32)


def encode_landmarks(landmarks, anchors, variance=0.1):
    """Offsets of points from their anchor's centre, in units of variance * the anchor's width and height.

    landmarks: (N, P, 2) float32 x y in pixels (P = 5 for a face), NaN where not labelled, which stays NaN.
    anchors: (N, 4) float32, every side > 0. Returns (N, 2 * P) float32, x0 y0 x1 y1 ... Raises InputError when the
    lengths differ or an anchor has no area.
    """
    landmarks, anchors = as_landmarks(landmarks), as_boxes(anchors, "anchors")
    same_length(landmarks, anchors, ("landmarks", "anchors"))
    positive_sides(anchors, "anchors")
    centres, base = centres_sides(anchors)
    moved = (landmarks.astype(np.float64) - centres[:, None]) / base[:, None] / variance
    return moved.reshape(len(anchors), 2 * moved.shape[1]).astype(np.float32)


def decode_landmarks(deltas, anchors, variance=0.1):
    """The points that offsets mean at their anchors: the inverse of encode_landmarks.

    deltas: (N, 2 * P) float32, anchors: (N, 4) float32. Returns (N, P, 2) float32 in pixels. Raises InputError when
    the lengths differ or a row of deltas is not pairs.
    """
    deltas, anchors = as_array(deltas, "deltas", None, None), as_boxes(anchors, "anchors")
    same_length(deltas, anchors, ("deltas", "anchors"))
    if deltas.shape[1] % 2:
        raise InputError(f"deltas: found {deltas.shape[1]} numbers a row, expected pairs x y")
    centres, base = centres_sides(anchors)
    points = deltas.astype(np.float64).reshape(len(deltas), deltas.shape[1] // 2, 2)
    return (centres[:, None] + points * variance * base[:, None]).astype(np.float32)


def as_landmarks(landmarks):
    landmarks = np.ascontiguousarray(landmarks, dtype=np.float32)
    if landmarks.ndim != 3 or landmarks.shape[2] != 2:
        raise InputError(f"landmarks: found an array of shape {landmarks.shape}, expected (N, points, 2)")
    return landmarks
