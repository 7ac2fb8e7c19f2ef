"""FDDB's results: the two ROC curves of a set, and of its folds, with what is quoted of them."""

from dataclasses import dataclass, field

import numpy as np

POINTS = (100, 1000)  # false positives in the whole set at which results are quoted
CURVE = 2000  # false positives to which the curve is kept in JSON and drawn


@dataclass
class Roc:
    """Both curves of a set: one point for each distinct score, along falling thresholds.

    thresholds, discrete, continuous (T,) float64, the latter two true positive rates; false_positives (T,) int64;
    images, faces, detections: how many there are.
    """

    thresholds: np.ndarray
    false_positives: np.ndarray
    discrete: np.ndarray
    continuous: np.ndarray
    images: int
    faces: int
    detections: int

    def at(self, limit):
        """Where the discrete rate is best with at most `limit` false positives: a dict.

        discrete, continuous: the best rate of each curve; threshold: the highest with that discrete rate, None where
        there is none; false_positives: there.
        """
        allowed = np.flatnonzero(self.false_positives <= limit)
        if not len(allowed):
            return {"discrete": 0.0, "continuous": 0.0, "threshold": None, "false_positives": 0}
        best = allowed[np.argmax(self.discrete[allowed])]
        return {"discrete": float(self.discrete[best]), "continuous": float(self.continuous[allowed].max()),
                "threshold": float(self.thresholds[best]), "false_positives": int(self.false_positives[best])}

    def steps(self, limit=CURVE):
        """Best rates with at most so many false positives, where they change: three equally long arrays.

        false_positives (int64, from 0 or later, the last is `limit` or all there are), discrete, continuous.
        """
        order = np.argsort(self.false_positives, kind="stable")
        order = order[self.false_positives[order] <= limit]
        positives = self.false_positives[order]
        rates = [np.maximum.accumulate(rate[order]) for rate in (self.discrete, self.continuous)]
        last = np.flatnonzero(np.diff(positives, append=limit + 1))
        return positives[last], rates[0][last], rates[1][last]


@dataclass
class FddbResult:
    """The ROC over all images, that of each fold, and how many images have no entry among the detections."""

    roc: Roc
    folds: dict = field(default_factory=dict)  # number -> Roc
    missing: int = 0

    def fold_limit(self, number, limit):
        """The false positives that a fold may have where the whole set may have `limit`: its share by images."""
        return limit * self.folds[number].images / max(1, self.roc.images)

    def summary(self):
        """All figures, ready for JSON; the curve to 2,000 false positives.

        discrete and continuous: rates of the whole set at 100 and 1,000 false positives; folds: the same for each, at
        its share of them; mean and spread (standard deviation) over the folds.
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
