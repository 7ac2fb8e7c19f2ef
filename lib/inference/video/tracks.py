"""Faces followed from frame to frame: the association of ByteTrack, over Detections.

A face keeps its id while its box overlaps with where its track expects it. No picture is compared, so a face that was
away for longer than the memory gets a new id.

Source: arXiv 2110.06864 (ByteTrack), algorithm 1; the motion is that of SORT, arXiv 1602.00763, with the noise of
DeepSORT, arXiv 1703.07402. Differences: motion is by true time, since frames may be skipped; every face has an id at
once, also one that was seen only once; boxes are compared with a margin (BUFFER), since heads are small and fast
(arXiv 2211.14317, section 3.2).
"""

from __future__ import annotations

import numpy as np

from ...detections import Detections
from ...errors import InputError

LOW = 0.1  # lowest score of a face that can continue a track
RATE = 30.0  # frames per second; velocities and noise are per such a frame
MEMORY = 1.0  # seconds that a lost track waits for its face
LONGEST_STEP = 2.0  # seconds between two frames after which no face is known again
BUFFER = 0.3  # fraction of a box's sides that is added at each end of it before boxes are compared
USUAL = 15.0  # frames, over which a track's usual speed and size are averaged
UNCERTAIN = 2.0  # standard deviations of a track's place that are added as well: they grow while it is lost
MOST_MARGIN = 1.5  # fraction of a box's sides that all of this may add at each end
FIRST_IOU, SECOND_IOU, NEW_IOU = 0.2, 0.5, 0.3  # least IoU: good faces, weak ones, tracks of one frame
POSITION, VELOCITY = 1 / 20, 1 / 100  # standard deviations, as fractions of the box's height; heads turn fast


class Tracker:
    """Gives ids to the faces of a video.

    Args:
        threshold: lowest score of a face that begins a track.

    Attributes:
        count: number of tracks so far that have more than one frame; false faces often have one only.

    Raises:
        InputError: SciPy, which assigns faces to tracks, is missing.
    """

    def __init__(self, threshold: float):
        try:
            from scipy.optimize import linear_sum_assignment
        except ImportError:
            raise InputError("tracking needs SciPy: pip install 'manyfaces[track]'") from None
        self.threshold, self.low, self._assign = threshold, min(LOW, threshold), linear_sum_assignment
        self.count, self._given = 0, 0
        self._seconds: float | None = None
        self._ids = np.zeros(0, np.int64)
        self._hits = np.zeros(0, np.int64)
        self._seen = np.zeros(0)  # seconds of the last hit
        self._motion = Motion()

    def update(self, faces: Detections, seconds: float) -> Detections:
        """Give ids to the faces of the next frame.

        Args:
            faces: the faces from `low` on.
            seconds: time of the frame.

        Returns:
            The faces with ids: those from `threshold` on, and weaker ones that continue a track.
        """
        step = 0.0 if self._seconds is None else max(0.0, seconds - self._seconds)
        tracked = self._seen == self._seconds if self._seconds is not None else np.zeros(0, bool)
        waits = (tracked & (step <= LONGEST_STEP)) | (seconds - self._seen <= MEMORY)
        self._forget(waits)
        tracked = tracked[waits]
        self._motion.predict(step * RATE, tracked)
        self._seconds = seconds
        expected = self._motion.boxes()
        good = faces.scores >= np.float32(self.threshold)
        fresh = self._hits == 1
        ids = np.full(len(faces), -1, np.int64)
        rows = np.full(len(faces), -1)
        iou = _iou(faces.boxes, expected, self._motion.margins())
        free = np.ones(len(self._ids), bool)
        for which, tracks, least, weight in ((good, ~fresh, FIRST_IOU, faces.scores), (~good, tracked & ~fresh,
                                             SECOND_IOU, None), (good, fresh, NEW_IOU, None)):
            chosen, columns = np.flatnonzero(which & (rows < 0)), np.flatnonzero(tracks & free)
            values = iou[np.ix_(chosen, columns)]
            if weight is not None:
                values = values * weight[chosen, None]
            for i, j in zip(*self._assign(-values), strict=True):
                if values[i, j] >= least:
                    rows[chosen[i]], free[columns[j]] = columns[j], False
        hit = np.flatnonzero(rows >= 0)
        self._motion.correct(rows[hit], faces.boxes[hit])
        ids[hit] = self._ids[rows[hit]]
        self._hits[rows[hit]] += 1
        self.count += int((self._hits[rows[hit]] == 2).sum())
        self._seen[rows[hit]] = seconds
        self._forget((self._hits > 1) | ~free)
        new = np.flatnonzero(good & (rows < 0))
        ids[new] = np.arange(self._given + 1, self._given + len(new) + 1)
        self._given += len(new)
        self._ids = np.append(self._ids, ids[new])
        self._hits = np.append(self._hits, np.ones(len(new), np.int64))
        self._seen = np.append(self._seen, np.full(len(new), seconds))
        self._motion.add(faces.boxes[new])
        faces = faces.take(slice(None))
        faces.ids = ids
        return faces.take(ids >= 0)

    def _forget(self, kept):
        self._ids, self._hits, self._seen = self._ids[kept], self._hits[kept], self._seen[kept]
        self._motion.keep(kept)


def _iou(boxes, expected, margins):
    """IoU (N, M) of boxes (N, 4) and expected ones (M, 4) px, both with the margins (M, 2) px at each end."""
    low = np.maximum(boxes[:, None, :2], expected[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], expected[None, :, 2:])
    shared = np.prod(np.maximum(high - low + 2 * margins, 0), axis=2)
    sides = [each[..., 2:] - each[..., :2] + 2 * margins for each in (boxes[:, None], expected[None])]
    return shared / np.maximum(np.prod(sides[0], axis=2) + np.prod(sides[1], axis=2) - shared, 1e-9)


class Motion:
    """Kalman filters of constant velocity, one for each of x, y, width and height of each track.

    The noise of DeepSORT is independent in the four values, so four filters of two numbers are the whole filter.
    """

    def __init__(self) -> None:
        self.value = np.zeros((0, 4))  # centre and size, px
        self.speed = np.zeros((0, 4))  # px per frame
        self.usual = np.zeros((0, 4))  # speed of the centre and size, averaged over USUAL frames
        self.cov = np.zeros((3, 0, 4))  # variance of value, covariance, variance of speed

    def predict(self, step: float, tracked: np.ndarray) -> None:
        """Move all tracks on by `step` frames.

        Those that are not `tracked` (N,) get the size and speed that they usually had: the box of a face that goes
        behind something shrinks, and its centre slows down.
        """
        now = np.hstack([self.speed[:, :2], self.value[:, 2:]])
        self.usual += (1 - np.exp(-step / USUAL)) * (now - self.usual) * tracked[:, None]
        self.speed[~tracked, :2], self.value[~tracked, 2:] = self.usual[~tracked, :2], self.usual[~tracked, 2:]
        self.speed[~tracked, 2:] = 0
        self.value = self.value + step * self.speed
        self.value[:, 2:] = np.maximum(self.value[:, 2:], 1)
        value, mixed, speed = self.cov
        height = self.value[:, 3:]
        self.cov = np.stack([value + 2 * step * mixed + step**2 * speed + step * (POSITION * height) ** 2,
                             mixed + step * speed, speed + step * (VELOCITY * height) ** 2])

    def correct(self, tracks: np.ndarray, boxes: np.ndarray) -> None:
        """Take the boxes (M, 4) px for the tracks (M,)."""
        value, mixed, speed = self.cov[:, tracks]
        total = value + (POSITION * self.value[tracks, 3:]) ** 2
        error = _centre_and_size(boxes) - self.value[tracks]
        self.value[tracks] += value / total * error
        self.speed[tracks] += mixed / total * error
        self.cov[:, tracks] = value * (1 - value / total), mixed * (1 - value / total), speed - mixed**2 / total

    def add(self, boxes: np.ndarray) -> None:
        """Begin a track at each box (M, 4) px."""
        value = _centre_and_size(boxes)
        first = np.stack([np.broadcast_to((scale * value[:, 3:]) ** 2, value.shape)
                          for scale in (2 * POSITION, 0, 10 * VELOCITY)])
        self.value, self.speed = np.vstack([self.value, value]), np.vstack([self.speed, np.zeros_like(value)])
        self.usual = np.vstack([self.usual, np.hstack([np.zeros((len(value), 2)), value[:, 2:]])])
        self.cov = np.concatenate([self.cov, first], axis=1)

    def keep(self, kept: np.ndarray) -> None:
        """Drop the tracks that are not `kept` (N,) bool."""
        self.value, self.speed, self.usual = self.value[kept], self.speed[kept], self.usual[kept]
        self.cov = self.cov[:, kept]

    def margins(self) -> np.ndarray:
        """(N, 2) px by which boxes may miss their track: BUFFER of its sides, and the uncertainty of its place."""
        sides = self.value[:, 2:]
        return np.minimum(BUFFER * sides + UNCERTAIN * np.sqrt(self.cov[0, :, :2]), MOST_MARGIN * sides)

    def boxes(self) -> np.ndarray:
        """(N, 4) px x1 y1 x2 y2."""
        half = self.value[:, 2:] / 2
        return np.hstack([self.value[:, :2] - half, self.value[:, :2] + half])


def _centre_and_size(boxes):
    boxes = boxes.astype(np.float64)
    return np.hstack([(boxes[:, :2] + boxes[:, 2:]) / 2, np.maximum(boxes[:, 2:] - boxes[:, :2], 1)])
