"""Landmarks of a track without their trembling: the 1-euro filter.

Source: Casiez, Roussel and Vogel, "1 Euro Filter", CHI 2012. A low-pass filter whose cutoff grows with the speed: a
face at rest does not tremble, and a fast one is not behind. Speeds are in face heights per second, so that near and far
faces are treated alike.
"""

from __future__ import annotations

import numpy as np

from ...detections import Detections

CUTOFF = 1.0  # Hz, of a face at rest
BETA = 10.0  # Hz that one face height per second adds
SPEED_CUTOFF = 1.0  # Hz, of the speed itself
FORGOTTEN = 1.0  # seconds after which a face that returns starts from scratch


class Smoother:
    """Smooths the landmarks of faces with ids, each track by itself; boxes stay as they are."""

    def __init__(self) -> None:
        self._tracks: dict[int, tuple[float, np.ndarray, np.ndarray]] = {}  # id: seconds, points, px per second

    def update(self, faces: Detections, seconds: float) -> Detections:
        """The faces of the next frame with smoothed landmarks.

        Args:
            faces: the faces, with ids.
            seconds: time of the frame.
        """
        if faces.landmarks is None or faces.ids is None:
            return faces
        faces = faces.take(slice(None))
        assert faces.landmarks is not None and faces.ids is not None
        faces.landmarks = faces.landmarks.copy()
        self._tracks = {key: old for key, old in self._tracks.items() if seconds - old[0] <= FORGOTTEN}
        for place, key in enumerate(faces.ids.tolist()):
            points = faces.landmarks[place].astype(np.float64)
            if old := self._tracks.get(key):
                height = max(1.0, float(faces.boxes[place, 3] - faces.boxes[place, 1]))
                points, speed = _filtered(points, seconds, old, height)
            else:
                speed = np.zeros_like(points)
            self._tracks[key] = seconds, points, speed
            faces.landmarks[place] = points
        return faces


def _filtered(points, seconds, old, height):
    """Smoothed points (5, 2) px and their speed; a point that was or is unknown (NaN) is taken as it is."""
    before, last, speed = old
    step = seconds - before
    if step <= 0:
        return points, speed
    change = (points - last) / step
    speed = np.where(np.isfinite(change), speed + _weight(SPEED_CUTOFF, step) * (change - speed), 0.0)
    cutoff = CUTOFF + BETA * np.linalg.norm(speed, axis=1, keepdims=True) / height
    smooth = last + _weight(cutoff, step) * (points - last)
    return np.where(np.isfinite(smooth), smooth, points), speed


def _weight(cutoff, step):
    """The weight of the new value after `step` seconds."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * step))
