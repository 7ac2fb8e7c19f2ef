"""Whether two detectors find the same faces: pairs their boxes one to one and counts the pairs that agree."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from manyfaces.boxes import overlaps

IOU, SCORE, POINTS = 0.95, 0.01, 1.0  # a pair agrees from this IoU on, within this score and these px per landmark


@dataclass
class Agreement:
    """Counts over images.

    Attributes:
        images: number of images.
        first: boxes of the first detector.
        second: boxes of the second detector.
        paired: pairs of boxes with at least IOU.
        agreed: pairs whose scores and landmarks agree too.
        scores: largest difference of scores in a pair.
        points: largest distance of landmarks in a pair, px.
    """

    images: int = 0
    first: int = 0
    second: int = 0
    paired: int = 0
    agreed: int = 0
    scores: float = 0.0
    points: float = 0.0

    @property
    def part(self):
        """Agreed pairs as a fraction of the boxes of the detector that has more."""
        return self.agreed / max(self.first, self.second, 1)

    def add(self, first, second):
        """Count one image.

        Args:
            first: Detections of the first detector, with landmarks.
            second: Detections of the second detector, with landmarks.

        Returns:
            Two arrays: indices of the boxes of first and of second that do not agree.
        """
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
