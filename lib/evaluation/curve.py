"""The area under a precision-recall curve, as Pascal VOC (2010 and later) defines it; WIDER FACE uses the same."""

from dataclasses import dataclass

import numpy as np


def area_under_curve(recall, precision):
    """All-point average precision: the area under the monotone envelope of the curve.

    recall, precision: (N,) floats along falling thresholds; recall does not fall. Returns a float, 0 for N = 0.
    """
    recall = np.concatenate([[0.0], recall, [1.0]])
    precision = np.concatenate([[0.0], precision, [0.0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope[1:]))


@dataclass
class Curve:
    """recall and precision (1000,) float64 at falling thresholds, ap: the area under them as the protocol computes it,
    exact: the same with every distinct score as a threshold, faces: how many count."""

    recall: np.ndarray
    precision: np.ndarray
    ap: float
    exact: float
    faces: int


def curve_of(matches, counted, looked_at=None):
    """The Curve for any choice of counted faces, (G,) bool; predictions on other faces are left out.

    looked_at (P,) bool: which of the predictions without a box are proposals, such as those of some heights or of some
    images only; None: all.
    """
    counted, (order, bins, levels) = np.asarray(counted, bool), matches.ranks
    matched = np.flatnonzero(matches.best >= 0)
    proposal = np.ones(len(matches.best), bool) if looked_at is None else np.array(looked_at, bool)
    proposal[matched] = counted[matches.best[matched]]
    # Running sums along falling scores replace 1,000 cuts of every image.
    proposals, recalled = np.cumsum(proposal[order]), np.cumsum((proposal & matches.first)[order])
    total = int(counted.sum())
    recall, precision = _points(proposals, recalled, bins, total)
    exact = area_under_curve(*_points(proposals, recalled, levels, total))
    return Curve(recall, precision, area_under_curve(recall, precision), exact, total)


def _points(proposals, recalled, inside, total):
    """Recall and precision where the first `inside` predictions are let in."""
    proposals = np.concatenate([[0], proposals])[inside]
    recalled = np.concatenate([[0], recalled])[inside]
    return recalled / max(total, 1), recalled / np.maximum(proposals, 1)
