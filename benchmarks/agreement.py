"""Whether two detectors find the same faces: boxes paired one to one, and what separates those that have no partner."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from manyfaces.boxes import overlaps

IOU, SCORE, POINTS = 0.95, 0.01, 1.0  # a pair agrees from this overlap on, within this score and these px a landmark


@dataclass
class Agreement:
    """Counts over images. alone: boxes of either side without a partner at IOU."""

    images: int = 0
    first: int = 0
    second: int = 0
    paired: int = 0
    agreed: int = 0
    scores: float = 0.0  # largest difference among pairs
    points: float = 0.0  # px, the same

    @property
    def part(self):
        """Agreed boxes over those of the side that has more."""
        return self.agreed / max(self.first, self.second, 1)

    def add(self, first, second):
        """Count an image's two Detections, both with landmarks; returns the indices of those that did not agree."""
        self.images, self.first, self.second = self.images + 1, self.first + len(first), self.second + len(second)
        iou = overlaps(first.boxes, second.boxes) if len(first) and len(second) else np.zeros((len(first), len(second)))
        rows, columns = linear_sum_assignment(-iou)
        near = iou[rows, columns] >= IOU
        rows, columns = rows[near], columns[near]
        scores = np.abs(first.scores[rows] - second.scores[columns])
        points = np.linalg.norm(first.landmarks[rows] - second.landmarks[columns], axis=2).max(axis=1, initial=0)
        agreed = (scores <= SCORE) & (points <= POINTS)
        self.paired, self.agreed = self.paired + len(rows), self.agreed + int(agreed.sum())
        self.scores = max(self.scores, float(scores.max(initial=0)))
        self.points = max(self.points, float(points.max(initial=0)))
        rows, columns = rows[agreed], columns[agreed]
        return np.setdiff1d(np.arange(len(first)), rows), np.setdiff1d(np.arange(len(second)), columns)
