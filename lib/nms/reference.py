"""NumPy twins of the compiled non-maximum suppression; they state the rules.

IoU is computed from continuous areas, in float64 from float32 coordinates. A box is suppressed when its IoU with a
better box is > threshold, never when it equals the threshold.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ..boxes.checks import as_array, as_boxes, as_choice, as_number, as_whole, check_finite, same_length
from ..boxes.reference import overlaps64
from ..errors import InputError

METHODS = ("linear", "gaussian")


def check_nms(boxes: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Convert boxes to (N, 4) and scores to (N,) float32; InputError for other shapes, NaN, or infinite corners."""
    boxes, scores = as_boxes(boxes), as_array(scores, "scores", None)
    same_length(boxes, scores, ("boxes", "scores"))
    check_finite(boxes)
    if np.isnan(scores).any():
        raise InputError(f"scores: score {int(np.isnan(scores).argmax())} is NaN, expected a number")
    return boxes, scores


def check_limit(limit: int | None, count: int) -> int:
    """Number of boxes that may be kept: at most `limit`; None = all `count`. InputError for a negative limit."""
    if limit is None:
        return count
    return min(as_whole(limit, "limit", 0, 1 << 62), count)


def nms(boxes: ArrayLike, scores: ArrayLike, threshold: float, limit: int | None = None) -> np.ndarray:
    """Greedy hard suppression: keep the best box, drop the boxes with an IoU > threshold with it, repeat with the rest.

    A box without area has IoU 0 with every box, so it is kept.

    Args:
        boxes: (N, 4) float32 x1 y1 x2 y2 in px.
        scores: (N,) float32, higher is better; equal scores are taken in the order of their index.
        threshold: IoU, 0..1.
        limit: largest number of boxes that are kept; None = no limit.

    Returns:
        (K,) intp indices of the kept boxes, best score first.

    Raises:
        InputError: a shape is wrong, a score is NaN, a corner is not finite, or a number is out of range.
    """
    boxes, scores = check_nms(boxes, scores)
    threshold = as_number(threshold, "threshold", 0, 1)
    limit = check_limit(limit, len(boxes))
    order = np.argsort(-scores, kind="stable")
    left, top, right, bottom = boxes.astype(np.float64).T[:, order]  # best first
    area = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
    alive = np.arange(len(order))
    keep = []
    while len(alive) and len(keep) < limit:
        first, alive = alive[0], alive[1:]
        keep.append(order[first])
        wide = np.minimum(right[first], right[alive]) - np.maximum(left[first], left[alive])
        high = np.minimum(bottom[first], bottom[alive]) - np.maximum(top[first], top[alive])
        common = np.maximum(wide, 0) * np.maximum(high, 0)
        union = area[first] + area[alive] - common
        iou = np.divide(common, union, out=np.zeros_like(common), where=common > 0)
        alive = alive[iou <= threshold]
    return np.array(keep, dtype=np.intp)


def min_nms(boxes: ArrayLike, scores: ArrayLike, threshold: float) -> np.ndarray:
    """Greedy hard suppression as in nms, but by the intersection over the smaller of the two areas instead of the IoU.

    So of two boxes, one inside the other, the lower score is dropped at any size. MTCNN's cascade ends with this `min`
    mode.

    Args:
        boxes: (N, 4) float32 x1 y1 x2 y2 in px.
        scores: (N,) float32, higher is better; equal scores are taken in the order of their index.
        threshold: intersection over the smaller area, 0..1; the lower box is dropped above it.

    Returns:
        (K,) intp indices of the kept boxes, best score first.

    Raises:
        InputError: as in nms.

    Examples:
        >>> boxes, scores = [[0, 0, 40, 40], [10, 10, 20, 20]], [0.9, 0.8]
        >>> min_nms(boxes, scores, 0.7).tolist(), nms(boxes, scores, 0.7).tolist()
        ([0], [0, 1])
    """
    boxes, scores = check_nms(boxes, scores)
    threshold = as_number(threshold, "threshold", 0, 1)
    order = np.argsort(-scores, kind="stable")
    left, top, right, bottom = boxes.astype(np.float64).T
    area = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
    keep = []
    while len(order):
        first, order = order[0], order[1:]
        keep.append(first)
        wide = np.minimum(right[first], right[order]) - np.maximum(left[first], left[order])
        high = np.minimum(bottom[first], bottom[order]) - np.maximum(top[first], top[order])
        common = np.maximum(wide, 0) * np.maximum(high, 0)
        smaller = np.minimum(area[first], area[order])
        order = order[np.divide(common, smaller, out=np.zeros_like(common), where=common > 0) <= threshold]
    return np.array(keep, dtype=np.intp)


def soft_nms(boxes: ArrayLike, scores: ArrayLike, method: str = "linear", threshold: float = 0.3, sigma: float = 0.5,
             min_score: float = 0.001) -> tuple[np.ndarray, np.ndarray]:
    """Soft suppression: a box that overlaps a better one gets a lower score instead of being dropped.

    The best of the remaining boxes is taken each time (of equal scores: the lowest index), until none has min_score.

    Args:
        boxes: (N, 4) float32 x1 y1 x2 y2 in px.
        scores: (N,) float32, finite.
        method: "linear" multiplies a score by (1 - IoU) where the IoU is > threshold; "gaussian" multiplies it by
            exp(-IoU ** 2 / sigma).
        threshold: IoU of the linear method, 0..1.
        sigma: width of the gaussian method, > 0.
        min_score: lowest score that is taken, >= 0.

    Returns:
        (K,) intp indices in the order in which the boxes were taken, and their (K,) float32 new scores.

    Raises:
        InputError: a shape is wrong, a score or a corner is not finite, the method is unknown, or a number is out of
            range.

    Source: Bodla et al., arXiv 1704.04503.
    """
    boxes, scores, threshold, sigma, min_score = check_soft(boxes, scores, method, threshold, sigma, min_score)
    current = scores.astype(np.float64)
    alive = current >= min_score
    taken = []
    while alive.any():
        best = int(np.where(alive, current, -np.inf).argmax())
        if current[best] < min_score:
            break
        taken.append(best)
        alive[best] = False
        iou = overlaps64(boxes[best:best + 1], boxes)[0]
        touched = np.flatnonzero(alive & (iou > (threshold if method == "linear" else 0)))
        if method == "linear":
            current[touched] *= 1 - iou[touched]
        else:  # math.exp instead of np.exp: the compiled twin also calls the C library, so both agree to the bit
            current[touched] *= [math.exp(-(value * value) / sigma) for value in iou[touched]]
    return np.array(taken, dtype=np.intp), current[taken].astype(np.float32)


def check_soft(boxes: ArrayLike, scores: ArrayLike, method: str, threshold: float, sigma: float,
               min_score: float) -> tuple[np.ndarray, np.ndarray, float, float, float]:
    """Check the arguments of soft_nms and convert them; shared with the compiled twin."""
    boxes, scores = check_nms(boxes, scores)
    if not np.isfinite(scores).all():
        raise InputError(f"scores: score {int((~np.isfinite(scores)).argmax())} is infinite, expected a finite number")
    as_choice(method, "method", METHODS)
    # A negative score would rise when multiplied by less than 1.
    return (boxes, scores, as_number(threshold, "threshold", 0, 1), as_number(sigma, "sigma", 0, open_low=True),
            as_number(min_score, "min_score", 0))
