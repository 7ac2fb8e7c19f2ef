"""Average precision at one overlap, as Pascal VOC defines it, for data sets without a protocol of their own.

Boxes are continuous; precision and recall are taken at every score, without bins.
"""

from dataclasses import dataclass

import numpy as np

from .curve import area_under_curve
from .matching import best_boxes
from .wider import as_rows


def ap50(detections, records, heights=(0, np.inf), iou=0.5):
    """AP of the faces that are not ignored and whose height in pixels lies in [heights[0], heights[1]).

    detections: for each Record an (N, 5) array x1 y1 x2 y2 score, or an object with boxes and scores. Each detection,
    in falling order of score, belongs to the face that it overlaps most: the first to reach a face is right, a further
    one wrong. Faces that are ignored or of another height are neither: detections on them are left out, and so are
    detections of another height that lie on no face at all. Returns a dict: ap (float; 0 without faces), faces
    (counted), found (of them) and detections (counted).
    """
    match = match_faces(detections, records, iou)
    counted = ~match.ignored & (match.heights >= heights[0]) & (match.heights < heights[1])
    tall = match.rows[:, 3]
    looked_at = np.where(match.best >= 0, match.of_faces(counted), (tall >= heights[0]) & (tall < heights[1]))
    right = np.cumsum(match.first[looked_at])
    total, found = int(counted.sum()), int(right[-1]) if len(right) else 0
    ap = area_under_curve(right / total, right / np.arange(1, len(right) + 1)) if total else 0.0
    return {"ap": ap, "faces": total, "found": found, "detections": len(right)}


@dataclass
class Match:
    """Detections of a set on its faces, in falling order of score.

    rows (D, 5): x y w h score; best (D,): the face that each belongs to, -1: none; first (D,) bool: it is the first on
    that face. heights (F,) px and ignored (F,) bool: of all faces of the set.
    """

    rows: np.ndarray
    best: np.ndarray
    first: np.ndarray
    heights: np.ndarray
    ignored: np.ndarray

    def of_faces(self, flags):
        """(D,) bool: the flag of each detection's face, of (F,) flags; False where it has none."""
        return np.append(flags, False)[self.best]


def match_faces(detections, records, iou=0.5):
    """Match of a set: each detection belongs to the face of its image that it overlaps most, by iou or more.

    detections, records: as ap50 takes them.
    """
    rows, boxes, heights, ignored = [np.zeros((0, 5))], [np.zeros((0, 4))], [np.zeros(0)], [np.zeros(0, bool)]
    images, owners = [], []
    for found, record in zip(detections, records, strict=True):
        rows.append(as_rows(found))
        boxes.append(record.boxes)
        heights.append(record.boxes[:, 3] - record.boxes[:, 1])
        ignored.append(record.ignore)
        images.append(len(rows[-1]))
        owners.append(len(boxes[-1]))
    rows, boxes, heights, ignored = map(np.concatenate, (rows, boxes, heights, ignored))
    owners = np.repeat(np.arange(len(owners)), owners)
    order = np.argsort(-rows[:, 4], kind="stable")
    rows, images = rows[order], np.repeat(np.arange(len(images)), images)[order]
    for array in (rows, boxes):
        array[:, 2:4] -= array[:, :2]  # x1 y1 x2 y2 to x y w h
    best = best_boxes(rows, images, boxes, owners, iou, extra=0.0)
    matched = np.flatnonzero(best >= 0)
    first = np.zeros(len(best), bool)
    first[matched[np.unique(best[matched], return_index=True)[1]]] = True
    return Match(rows, best, first, heights, ignored)
