"""NumPy twin of the anchor targets: which anchor learns which face.

Source: SSH, section 3.2; Faster R-CNN, section 3.1.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from .checks import BOOL, as_array, as_boxes, as_number, as_numbers, check_finite, same_length
from .levels import MOST_ANCHORS, Level, as_level
from .reference import anchor_grid, areas, intersections, overlaps64

BLOCK = 1 << 20  # IoUs in memory at once: 8 MB; all those of a 1600 x 1200 image with 700 faces would be 440 MB


def check_targets(
    levels: Sequence[Level | tuple], boxes: ArrayLike, ignore: ArrayLike, image_size: tuple[float, float],
    positive: float, negative: float, best: float | None, border: float | None, ignore_overlap: float,
) -> tuple[list[Level], np.ndarray, np.ndarray, tuple[float, float], float, float, float | None, float]:
    """Check the arguments of anchor_targets and convert them; shared with the compiled twin.

    Args:
        levels: see anchor_targets, as for the other arguments.

    Returns:
        levels as Level, boxes (N, 4) float32, ignore (N,) bool, (width, height) float, then the thresholds as float:
            positive, negative, best (or None) and ignore_overlap.

    Raises:
        InputError: a shape or a number is wrong, or a box is not finite.
    """
    if not isinstance(levels, (tuple, list)):
        raise InputError(f"levels: found an object of type {type(levels).__name__}, expected a list of levels")
    checked = [as_level(level, border) for level in levels]
    if (total := sum(level.count for level in checked)) > MOST_ANCHORS:
        raise InputError(f"levels: found {total} anchors, expected at most {MOST_ANCHORS}")
    boxes = as_boxes(boxes)
    ignore = as_array(ignore, "ignore", None, dtype=BOOL)
    same_length(boxes, ignore, ("boxes", "ignore"))
    check_finite(boxes)
    positive = as_number(positive, "positive", 0, 1, open_low=True)
    negative = as_number(negative, "negative", 0, positive)
    best = None if best is None else as_number(best, "best", 0, 1)
    ignore_overlap = as_number(ignore_overlap, "ignore_overlap", 0, 1, open_low=True)
    width, height = as_numbers(image_size, "image_size", 2, 0)
    return checked, boxes, ignore, (width, height), positive, negative, best, ignore_overlap


def anchor_targets(
    levels: Sequence[Level | tuple], boxes: ArrayLike, ignore: ArrayLike, image_size: tuple[float, float],
    positive: float = 0.35, negative: float = 0.3, best: float | None = 0.2, border: float | None = None,
    ignore_overlap: float = 0.5,
) -> tuple[np.ndarray, np.ndarray]:
    """Label every anchor of a pyramid of levels: 1 = learns a face, 0 = background, -1 = neither.

    Ties go to the lowest index, of face or of anchor. Anchors beyond the border are labelled -1, and are no face's
    best anchor.

    Args:
        levels: boxes.Level, or tuples (height, width, stride, sizes[, ratios[, border]]). Their anchors are numbered
            level by level, within a level in the order of anchor_grid.
        boxes: (N, 4) float32 x1 y1 x2 y2 in px.
        ignore: (N,) bool, True for a region where nothing is learned; the other boxes are faces.
        image_size: (width, height) in px.
        positive: an anchor whose highest IoU with a face is >= positive is labelled 1.
        negative: an anchor whose highest IoU with a face is < negative is labelled 0.
        best: each face's best anchor is labelled 1 for that face if their IoU is > 0 and >= best, even where the
            anchor's IoU with another face is higher. If two faces have the same best anchor, the face with the higher
            IoU gets it. None: no such rule.
        border: px by which an anchor may leave the image, for the levels that state none; None = any.
        ignore_overlap: background anchors become -1 when an ignore region covers this fraction of their area, or their
            IoU with it is >= negative.

    Returns:
        labels (A,) int8, and matched (A,) int32: the row of `boxes` where the label is 1, -1 elsewhere.

    Raises:
        InputError: a shape is wrong, a threshold is out of range or out of order, or a box is not finite.
    """
    levels, boxes, ignore, (width, height), positive, negative, best, ignore_overlap = check_targets(
        levels, boxes, ignore, image_size, positive, negative, best, border, ignore_overlap)
    grids = [anchor_grid(*level[:5]) for level in levels]
    leave = np.concatenate([beyond(grid, level.border, width, height)
                            for grid, level in zip(grids, levels, strict=True)] or [np.zeros(0, bool)])
    anchors = np.concatenate(grids or [np.zeros((0, 4), np.float32)])
    faces = np.flatnonzero(~ignore).astype(np.int32)

    highest, face, best_overlap, best_anchor = match(anchors, boxes[faces], leave)
    labels = np.where(highest >= positive, 1, np.where(highest < negative, 0, -1)).astype(np.int8)
    if best is not None:
        # From the lowest IoU to the highest, so that the highest is written last; of equals, the lowest face is last.
        for g in np.lexsort((-np.arange(len(faces)), best_overlap)):
            if best_overlap[g] > 0 and best_overlap[g] >= best:
                labels[best_anchor[g]], face[best_anchor[g]] = 1, g
    labels[regions_hide(anchors, boxes[ignore], negative, ignore_overlap) & (labels == 0)] = -1
    labels[leave] = -1
    matched = np.full(len(anchors), -1, dtype=np.int32)
    matched[labels == 1] = faces[face[labels == 1]]
    return labels, matched


def beyond(anchors: np.ndarray, border: float | None, width: float, height: float) -> np.ndarray:
    """(A,) bool: the anchors that leave the image by more than `border` px."""
    if border is None:
        return np.zeros(len(anchors), dtype=BOOL)
    anchors = anchors.astype(np.float64)
    return (anchors[:, :2] < -border).any(axis=1) | (anchors[:, 2] > width + border) | (anchors[:, 3] > height + border)


def match(anchors: np.ndarray, faces: np.ndarray,
          leave: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Highest IoU and its face per anchor; highest IoU and its anchor per face.

    Args:
        anchors: (A, 4) float32 px.
        faces: (G, 4) float32 px.
        leave: (A,) bool, anchors beyond the border: they are not the best anchor of a face.

    Returns:
        IoU (A,) and face (A,) of each anchor, then IoU (G,) and anchor (G,) of each face.
    """
    highest, face = np.zeros(len(anchors)), np.zeros(len(anchors), dtype=np.intp)
    best_overlap, best_anchor = np.zeros(len(faces)), np.zeros(len(faces), dtype=np.intp)
    for rows in blocks(len(anchors), len(faces)):
        table = overlaps64(anchors[rows], faces)  # (B, G)
        face[rows] = table.argmax(axis=1)
        highest[rows] = table.max(axis=1)
        table[leave[rows]] = 0
        top = table.argmax(axis=0)
        value = table[top, np.arange(len(faces))]
        better = value > best_overlap  # not >=: of equals, the lowest anchor stays
        best_overlap[better], best_anchor[better] = value[better], top[better] + rows.start
    return highest, face, best_overlap, best_anchor


def regions_hide(anchors: np.ndarray, regions: np.ndarray, negative: float, ignore_overlap: float) -> np.ndarray:
    """(A,) bool: anchors whose IoU with an ignore region, or whose covered fraction, reaches its threshold."""
    hidden = np.zeros(len(anchors), dtype=BOOL)
    for rows in blocks(len(anchors), len(regions)):
        covered = intersections(anchors[rows], regions) / areas(anchors[rows])[:, None]
        hidden[rows] = ((overlaps64(anchors[rows], regions) >= negative) | (covered >= ignore_overlap)).any(axis=1)
    return hidden


def blocks(rows: int, columns: int) -> list[slice]:
    """Slices of the rows of a table, of BLOCK elements each; none when a side is empty."""
    step = max(1, BLOCK // max(columns, 1))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)] if columns else []
