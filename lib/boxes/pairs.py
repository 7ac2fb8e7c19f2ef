"""Boxes taken in pairs, for measures that sum over images."""

import numpy as np


def paired_areas(first, second):
    """Intersections and unions of box n of `first` with box n of `second`.

    first, second: (N, 4) x1 y1 x2 y2 in any unit. Returns two (N,) float64 in the square of it; a box with x2 < x1 or
    y2 < y1 has no area.

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


def summed_overlaps(found, truths):
    """One box an image against its true ones: summed intersections over summed unions, for two choices of the true one.

    found: (N, 4) x1 y1 x2 y2; truths: list of N arrays (M, 4), M >= 1. Returns (first, nearest): against the first true
    box of each image, and against the one with the highest IoU (the first of equals). 0 without images.
    """
    sums = np.zeros((2, 2))  # first and nearest; intersections and unions
    for box, boxes in zip(found, truths, strict=True):
        shared, joint = paired_areas(np.broadcast_to(box, np.shape(boxes)), boxes)
        nearest = np.argmax(shared / np.maximum(joint, 1e-12))
        sums += [[shared[0], joint[0]], [shared[nearest], joint[nearest]]]
    return tuple(float(shared / joint) if joint else 0.0 for shared, joint in sums)
