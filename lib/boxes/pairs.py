"""Boxes compared in pairs, for measures that are summed over images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def paired_areas(first: ArrayLike, second: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Intersection and union areas of box n of `first` with box n of `second`.

    A box with x2 < x1 or y2 < y1 has no area.

    Args:
        first: (N, 4) x1 y1 x2 y2, in any unit.
        second: (N, 4) boxes in the same unit.

    Returns:
        Intersections (N,) and unions (N,), float64, in the square of that unit.

    Examples:
        >>> shared, joint = paired_areas([[0, 0, 4, 2], [0, 0, 1, 1]], [[2, 0, 6, 2], [5, 5, 6, 6]])
        >>> shared.tolist(), joint.tolist()
        ([4.0, 0.0], [12.0, 2.0])
    """
    first, second = (np.asarray(boxes, np.float64).reshape(-1, 4) for boxes in (first, second))
    shared = _areas(np.concatenate([np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])],
                                   axis=1))
    return shared, _areas(first) + _areas(second) - shared


def _areas(boxes):
    return np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)


def summed_overlaps(predicted: Sequence[ArrayLike], truths: Sequence[ArrayLike]) -> tuple[float, float]:
    """Summed intersections over summed unions of one box per image with a true box of that image.

    Args:
        predicted: (N, 4) x1 y1 x2 y2, one box per image.
        truths: N arrays (M, 4), M >= 1: the true boxes of each image, in the same unit.

    Returns:
        Two ratios, 0..1: with the first true box of each image, and with the true box of the highest IoU (the first
            one of equals). Both are 0 without images.
    """
    sums = np.zeros((2, 2))  # rows: first, nearest; columns: intersections, unions
    for box, boxes in zip(predicted, truths, strict=True):
        shared, joint = paired_areas(np.broadcast_to(box, np.shape(boxes)), boxes)
        nearest = np.argmax(shared / np.maximum(joint, 1e-12))
        sums += [[shared[0], joint[0]], [shared[nearest], joint[nearest]]]
    with_first, with_nearest = (float(shared / joint) if joint else 0.0 for shared, joint in sums)
    return with_first, with_nearest
