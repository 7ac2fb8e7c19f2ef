"""NumPy twins of the compiled non-maximum suppression: the statement of the rules.

An overlap is intersection over union of continuous areas, in float64 from float32 coordinates. A box is suppressed when
its overlap is > threshold, never when it equals it.
"""

import math

import numpy as np

from ..boxes.checks import as_array, as_boxes, check_fraction, same_length
from ..boxes.reference import overlaps64
from ..errors import InputError

METHODS = ("linear", "gaussian")


def check_nms(boxes, scores):
    """Boxes as (N, 4) and scores as (N,) float32; InputError for other shapes, NaN, or infinite corners."""
    boxes, scores = as_boxes(boxes), as_array(scores, "scores", None)
    same_length(boxes, scores, ("boxes", "scores"))
    if not np.isfinite(boxes).all():
        row = int(np.flatnonzero(~np.isfinite(boxes).all(axis=1))[0])
        raise InputError(f"boxes: box {row} is {boxes[row].tolist()}, expected finite numbers")
    if np.isnan(scores).any():
        raise InputError(f"scores: score {int(np.isnan(scores).argmax())} is NaN, expected a number")
    return boxes, scores


def check_limit(limit, count):
    """How many boxes may be kept: `limit` where it is given, all where it is None."""
    if limit is None:
        return count
    if limit < 0:
        raise InputError(f"limit: found {limit}, expected None or a number >= 0")
    return min(int(limit), count)


def nms(boxes, scores, threshold, limit=None):
    """Greedy suppression: keep the best box, drop what overlaps it by more than threshold, go on with what is left.

    boxes: (N, 4) float32 x1 y1 x2 y2 in pixels; scores: (N,) float32, higher is better, equal scores in the order of
    their index. threshold: overlap in 0..1 above which (strictly) the lower box goes. limit: stop after so many.
    A box without area overlaps nothing and stays.
    Returns (K,) intp indices of the kept boxes, best first. Raises InputError (a ValueError) for NaN scores, corners
    that are not finite, wrong shapes or a threshold out of range.
    """
    boxes, scores = check_nms(boxes, scores)
    threshold = check_fraction(threshold, "threshold")
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
        overlap = np.divide(common, union, out=np.zeros_like(common), where=common > 0)
        alive = alive[overlap <= threshold]
    return np.array(keep, dtype=np.intp)


def min_nms(boxes, scores, threshold):
    """Greedy suppression as nms does it, with the intersection over the SMALLER area as the overlap.

    So a box within another goes whatever their sizes: the `min` mode that ends MTCNN's cascade. Arguments and result as
    those of nms.

    >>> boxes, scores = [[0, 0, 40, 40], [10, 10, 20, 20]], [0.9, 0.8]
    >>> min_nms(boxes, scores, 0.7).tolist(), nms(boxes, scores, 0.7).tolist()
    ([0], [0, 1])
    """
    boxes, scores = check_nms(boxes, scores)
    threshold = check_fraction(threshold, "threshold")
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


def soft_nms(boxes, scores, method="linear", threshold=0.3, sigma=0.5, min_score=0.001):
    """Soft suppression: a box that overlaps a better one loses score instead of going (Bodla et al., 1704.04503).

    boxes: (N, 4) float32 in pixels; scores: (N,) float32, finite. method: "linear" multiplies by (1 - overlap) where
    the overlap is > threshold; "gaussian" multiplies by exp(-overlap ** 2 / sigma). The best of what is left is taken
    each time (equal scores: the lowest index) until it scores less than min_score, which is >= 0.
    Returns (K,) intp indices in the order in which they were taken and (K,) float32 new scores.
    Raises InputError (a ValueError) for NaN, wrong shapes, an unknown method or numbers out of range.
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
        overlap = overlaps64(boxes[best:best + 1], boxes)[0]
        touched = np.flatnonzero(alive & (overlap > (threshold if method == "linear" else 0)))
        if method == "linear":
            current[touched] *= 1 - overlap[touched]
        else:  # math.exp and not np.exp: the C library's, which the compiled twin calls too, so they agree to the bit
            current[touched] *= [math.exp(-(value * value) / sigma) for value in overlap[touched]]
    return np.array(taken, dtype=np.intp), current[taken].astype(np.float32)


def check_soft(boxes, scores, method, threshold, sigma, min_score):
    """The arguments of soft_nms in one form, shared with the compiled twin."""
    boxes, scores = check_nms(boxes, scores)
    if not np.isfinite(scores).all():
        raise InputError(f"scores: score {int((~np.isfinite(scores)).argmax())} is infinite, expected a finite number")
    if method not in METHODS:
        raise InputError(f"method: found {method!r}, expected one of {', '.join(METHODS)}")
    if not (sigma > 0 and math.isfinite(sigma)):
        raise InputError(f"sigma: found {sigma}, expected a number > 0")
    if not min_score >= 0:  # scores below 0 would rise when they are multiplied by less than 1
        raise InputError(f"min_score: found {min_score}, expected a number >= 0")
    return boxes, scores, check_fraction(threshold, "threshold"), float(sigma), float(min_score)
