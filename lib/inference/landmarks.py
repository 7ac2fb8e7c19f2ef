"""Errors of a detector's landmarks on the faces of a roidb: as detected, and in the labelled boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..boxes import overlaps
from ..datasets.images import ImageError, read_image
from ..errors import InputError
from ..evaluation.landmarks import landmark_errors, measurable
from ..progress import Progress

if TYPE_CHECKING:
    from ..datasets.roidb import Roidb
    from .base import BaseDetector

OVERLAP = 0.5  # IoU with the labelled box from which a detection is of that face


def measure_landmarks(detector: BaseDetector, roidb: Roidb) -> list[dict[str, Any]]:
    """Measure all faces with five landmarks, as in evaluation.landmarks.

    An image that cannot be read is reported in a warning line, and its faces are left out.

    Returns:
        One dict per face, in the order of the roidb. image, face: name of the record and number of the face in it.
        detected: error of the detection with the largest IoU with the face's box, among those worth showing
        (TEST.DEMO_SCORE); None where no IoU reaches OVERLAP. given: error of the landmarks in the labelled box, where
        the detector can predict them without finding the face first (MTCNN); else None.

    Raises:
        InputError: nothing is measurable, or the detector gives no landmarks.
    """
    rows = []
    with Progress(len(roidb), "images") as progress:
        for record in roidb.records:
            faces = np.flatnonzero(measurable(record))
            if len(faces):
                try:
                    image = read_image(record.path, limit=detector.cfg.TEST.MAX_FILE_PIXELS)
                except ImageError as error:
                    progress.note(f"warning: {error}; left out")
                    progress.advance()
                    continue
                boxes, labelled = record.boxes[faces], record.landmarks[faces]
                detected = landmark_errors(_detected(detector, image, boxes), labelled)
                points = detector.landmarks_in(image, boxes)
                given = np.full(len(faces), np.nan) if points is None else landmark_errors(points, labelled)
                rows += [{"image": record.name, "face": int(face), "given": _number(one), "detected": _number(other)}
                         for face, one, other in zip(faces, given, detected, strict=True)]
            progress.advance()
    if not rows:
        raise InputError(f"{roidb.source}: none of its {len(roidb):,} images has a face with five landmarks")
    return rows


def _detected(detector, image, boxes):
    """(N, 5, 2) landmarks of the detections with the largest IoU with the boxes (N, 4); NaN where no IoU reaches
    OVERLAP.
    """
    faces = detector.detect(image)
    points = np.full((len(boxes), 5, 2), np.nan)
    if len(faces):
        if faces.landmarks is None:
            raise InputError(f"{detector}: finds no landmarks; expected a detector that does, such as MTCNN or SSH "
                             f"with NET.LANDMARKS")
        iou = overlaps(faces.boxes, boxes)
        best = iou.argmax(axis=0)
        near = iou[best, np.arange(len(boxes))] >= OVERLAP
        points[near] = faces.landmarks[best[near]]
    return points


def _number(error):
    return float(error) if np.isfinite(error) else None
