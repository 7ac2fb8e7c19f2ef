"""FDDB's results: the two ROC curves of a set and of its folds, and the figures that are quoted from them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

POINTS = (100, 1000)
"""False positives in the whole set at which results are quoted."""
CURVE = 2000
"""False positives up to which the curve is written to JSON and drawn."""


@dataclass
class Roc:
    """Both curves of a set: one point for each distinct score, along falling thresholds.

    Attributes:
        thresholds: (T,) float64, scores.
        false_positives: (T,) int64.
        discrete: (T,) float64, true positive rate.
        continuous: (T,) float64, true positive rate.
        images: number of images.
        faces: number of faces.
        detections: number of detections.
    """

    thresholds: np.ndarray
    false_positives: np.ndarray
    discrete: np.ndarray
    continuous: np.ndarray
    images: int
    faces: int
    detections: int

    def at(self, limit: float) -> dict:
        """The best rates with at most `limit` false positives.

        Returns:
            `discrete` and `continuous`: the best rate of each curve; `threshold`: the highest with that discrete rate,
            None where there is none; `false_positives`: at that threshold.
        """
        allowed = np.flatnonzero(self.false_positives <= limit)
        if not len(allowed):
            return {"discrete": 0.0, "continuous": 0.0, "threshold": None, "false_positives": 0}
        best = allowed[np.argmax(self.discrete[allowed])]
        return {"discrete": float(self.discrete[best]), "continuous": float(self.continuous[allowed].max()),
                "threshold": float(self.thresholds[best]), "false_positives": int(self.false_positives[best])}

    def steps(self, limit: int = CURVE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The best rates with at most this many false positives, at each distinct number up to `limit`.

        Returns:
            false_positives (N,) int64, rising; discrete and continuous (N,) float64.
        """
        order = np.argsort(self.false_positives, kind="stable")
        order = order[self.false_positives[order] <= limit]
        positives = self.false_positives[order]
        rates = [np.maximum.accumulate(rate[order]) for rate in (self.discrete, self.continuous)]
        last = np.flatnonzero(np.diff(positives, append=limit + 1))
        return positives[last], rates[0][last], rates[1][last]


@dataclass
class FddbResult:
    """The curves of a set of detections.

    Attributes:
        roc: over all images.
        folds: number of the fold -> Roc.
        missing: number of images without an entry among the detections.
    """

    roc: Roc
    folds: dict[int, Roc] = field(default_factory=dict)
    missing: int = 0

    def fold_limit(self, number: int, limit: float) -> float:
        """The false positives that a fold may have where the whole set may have `limit`: its share by images."""
        return limit * self.folds[number].images / max(1, self.roc.images)

    def summary(self) -> dict:
        """All figures, ready for JSON; the curve up to 2,000 false positives.

        Returns:
            `discrete` and `continuous`: rates of the whole set at 100 and 1,000 false positives; `folds`: the same for
            each fold, at its share of them; `mean` and `spread` (standard deviation) over the folds; the counts.
        """
        points = {str(limit): self.roc.at(limit) for limit in POINTS}
        folds = [{"fold": number, "images": roc.images, "faces": roc.faces, "detections": roc.detections}
                 | _rates({str(limit): roc.at(self.fold_limit(number, limit)) for limit in POINTS})
                 for number, roc in self.folds.items()]
        every = {(kind, str(limit)): [fold[kind][str(limit)] for fold in folds]
                 for kind in ("discrete", "continuous") for limit in POINTS}
        positives, discrete, continuous = self.roc.steps()
        return {"images": self.roc.images, "faces": self.roc.faces, "detections": self.roc.detections,
                "missing": self.missing, **_rates(points), "points": points,
                "mean": _nested(every, np.mean), "spread": _nested(every, _deviation), "folds": folds,
                "curve": {"false_positives": positives.tolist(), "discrete": discrete.tolist(),
                          "continuous": continuous.tolist()}}


def _rates(points):
    return {kind: {limit: point[kind] for limit, point in points.items()} for kind in ("discrete", "continuous")}


def _nested(every, function):
    nested = {}
    for (kind, limit), values in every.items():
        nested.setdefault(kind, {})[limit] = float(function(values)) if values else 0.0
    return nested


def _deviation(values):
    return np.std(values, ddof=1) if len(values) > 1 else 0.0
