"""Average precision at one IoU, as Pascal VOC defines it, for data sets without a protocol of their own.

Boxes are continuous. Precision and recall are taken at every score, without bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..datasets.roidb import Record
from ..errors import POSITIVE_FRACTION, check_number
from .curve import area_under_curve
from .matching import best_boxes
from .wider import as_rows


def ap50(detections: Sequence, records: Sequence[Record], heights: tuple[float, float] = (0, np.inf),
         iou: float = 0.5) -> dict:
    """AP of the faces that are not ignored and whose height lies in [low, high).

    Each detection, in falling order of score, belongs to the face with which it has the highest IoU. The first on a
    face is right, a further one wrong. Faces that are ignored or of another height are neither: detections on them are
    left out, and so are detections of another height that are on no face.

    Args:
        detections: per record an (N, 5) array x1 y1 x2 y2 score in px, or an object with boxes (N, 4) and scores (N,).
        records: the faces, one Record per image.
        heights: (low, high) in px.
        iou: lowest IoU of a detection with its face, 0..1.

    Returns:
        `ap` (float; 0 without faces), `faces` (counted), `found` (of them), `detections` (counted).

    Source: The Pascal Visual Object Classes Challenge 2010 development kit, average precision.
    """
    return ap_of(match_faces(detections, records, iou), heights)


@dataclass
class Match:
    """Detections of a set on its faces, in falling order of score: D detections, F faces.

    Attributes:
        rows: (D, 5) float64, x y w h score in px.
        best: (D,) intp, the face of each detection; -1: none.
        first: (D,) bool, the detection is the first on its face.
        heights: (F,) px, of all faces of the set.
        ignored: (F,) bool, of all faces of the set.
    """

    rows: np.ndarray
    best: np.ndarray
    first: np.ndarray
    heights: np.ndarray
    ignored: np.ndarray

    def of_faces(self, flags: np.ndarray) -> np.ndarray:
        """(D,) bool: the flag of each detection's face, from (F,) flags; False where it has none."""
        return np.append(flags, False)[self.best]


def match_faces(detections: Sequence, records: Sequence[Record], iou: float = 0.5) -> Match:
    """Assign each detection to the face of its image with which it has the highest IoU, if that is `iou` or more.

    Args:
        detections: as in ap50.
        records: as in ap50.
        iou: 0..1.
    """
    check_number(iou, "iou", POSITIVE_FRACTION)
    rows_of, boxes_of = [np.zeros((0, 5))], [np.zeros((0, 4))]
    heights_of, ignored_of = [np.zeros(0)], [np.zeros(0, bool)]
    found, faces = [], []  # their number in each image
    for rows_of_image, record in zip(detections, records, strict=True):
        rows_of.append(as_rows(rows_of_image))
        boxes_of.append(record.boxes)
        heights_of.append(record.boxes[:, 3] - record.boxes[:, 1])
        ignored_of.append(record.ignore)
        found.append(len(rows_of[-1]))
        faces.append(len(record.boxes))
    rows, boxes = np.concatenate(rows_of), np.concatenate(boxes_of)
    owners = np.repeat(np.arange(len(faces)), faces)
    order = np.argsort(-rows[:, 4], kind="stable")
    rows, images = rows[order], np.repeat(np.arange(len(found)), found)[order]
    for array in (rows, boxes):
        array[:, 2:4] -= array[:, :2]  # x1 y1 x2 y2 to x y w h
    best = best_boxes(rows, images, boxes, owners, iou, extra=0.0)
    matched = np.flatnonzero(best >= 0)
    first = np.zeros(len(best), bool)
    first[matched[np.unique(best[matched], return_index=True)[1]]] = True
    return Match(rows, best, first, np.concatenate(heights_of), np.concatenate(ignored_of))


def ap_of(match: Match, heights: tuple[float, float] = (0, np.inf)) -> dict:
    """The figures of ap50 from a Match: one matching serves all bins of heights.

    Args:
        match: of match_faces.
        heights: (low, high) in px.
    """
    counted = ~match.ignored & (match.heights >= heights[0]) & (match.heights < heights[1])
    tall = match.rows[:, 3]
    judged = np.where(match.best >= 0, match.of_faces(counted), (tall >= heights[0]) & (tall < heights[1]))
    right = np.cumsum(match.first[judged])
    total, found = int(counted.sum()), int(right[-1]) if len(right) else 0
    ap = area_under_curve(right / total, right / np.arange(1, len(right) + 1)) if total else 0.0
    return {"ap": ap, "faces": total, "found": found, "detections": len(right)}
