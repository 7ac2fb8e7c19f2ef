"""Landmarks of a detector on a roidb's faces: of what it finds there itself, and in the labelled boxes."""

import numpy as np

from ..boxes import overlaps
from ..datasets.images import read_image
from ..errors import InputError
from ..evaluation.landmarks import landmark_errors, measurable
from ..progress import Progress

OVERLAP = 0.5  # with the labelled box, from which a detection is of that face


def measure_landmarks(detector, roidb):
    """Errors of all measurable faces, as evaluation.landmarks has them; a list of dicts, one a face, in their order.

    image, face: the record's name and the face's number in it. detected: of the detection that overlaps the face's box
    most among those worth showing (TEST.DEMO_SCORE); None where none overlaps it by OVERLAP. given: of the landmarks
    in the labelled box, where the family can say them without finding the face first (MTCNN), else None.
    Raises InputError where nothing is measurable, or the detector gives no landmarks.
    """
    rows = []
    with Progress(len(roidb), "images") as progress:
        for record in roidb.records:
            faces = np.flatnonzero(measurable(record))
            if len(faces):
                image = read_image(record.path)
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
    """(N, 5, 2) landmarks of the detections that overlap the boxes (N, 4) most; NaN where none does by OVERLAP."""
    faces = detector.detect(image).above()
    points = np.full((len(boxes), 5, 2), np.nan)
    if len(faces):
        if faces.landmarks is None:
            raise InputError(f"{detector}: finds no landmarks; expected a detector that does, such as MTCNN's or SSH's "
                             f"with NET.LANDMARKS")
        shared = overlaps(faces.boxes, boxes)
        best = shared.argmax(axis=0)
        near = shared[best, np.arange(len(boxes))] >= OVERLAP
        points[near] = faces.landmarks[best[near]]
    return points


def _number(error):
    return float(error) if np.isfinite(error) else None
