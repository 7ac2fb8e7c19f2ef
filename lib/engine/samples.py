"""Pictures of a few selection images with what the net finds there at the moment."""

from __future__ import annotations

import cv2
import numpy as np

from ..boxes import overlaps
from ..datasets.roidb import Record
from ..detections import Detections
from ..drawing import draw

LONGEST = 640  # px of a picture's longer side
FOUND = 0.5  # IoU from which a detection has found a face


def sample_picture(image: np.ndarray, detections: Detections, record: Record, score: float) -> tuple[str, np.ndarray]:
    """Draw the detections of one image, and in white the faces that none of them found.

    Args:
        image: (H, W, 3) uint8 RGB.
        detections: of the whole image.
        record: its faces.
        score: lowest score of a detection that is drawn.

    Returns:
        A caption with the counts, and the picture.
    """
    detections = detections.above(score)
    faces = record.boxes[~record.ignore]
    ious = overlaps(np.ascontiguousarray(faces, np.float32), detections.boxes)
    missed = faces[~(ious >= FOUND).any(1)] if len(faces) else faces
    scale = min(1.0, LONGEST / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image.copy()
    for x1, y1, x2, y2 in np.round(missed * scale).astype(int).tolist():
        cv2.rectangle(small, (x1, y1), (x2, y2), (0, 0, 0), 3)
        cv2.rectangle(small, (x1, y1), (x2, y2), (255, 255, 255), 1)
    points = None if detections.landmarks is None else detections.landmarks * scale
    picture = draw(small, Detections(detections.boxes * scale, detections.scores, points), score)
    found = len(faces) - len(missed)
    return (f"{record.name}: {found:,} of {len(faces):,} faces found, {len(detections):,} detections of score "
            f"{score:g} or more", picture)
