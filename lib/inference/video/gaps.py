"""Boxes to hide in a video: also between two frames in which a track was found, and around them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ...detections import Detections
from .tracks import MEMORY

HELD = 0.5  # seconds that a box stays hidden before its track is found first, and after any frame in which it was found
MOST_BYTES = 500_000_000  # of frames that wait; more are passed on early, so that gaps are bridged only in part


@dataclass
class _Waiting:
    image: np.ndarray
    seconds: float
    boxes: list[np.ndarray] = field(default_factory=list)


class Bridge:
    """Delays frames by as long as a track may be lost, so that a face is hidden in the frames where it was missed.

    A box of a track is hidden in the frames between two in which it was found (interpolated), in those of HELD seconds
    before the first one, and in those of HELD seconds after each.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._frames: deque[_Waiting] = deque()
        self._held: list[tuple[float, np.ndarray]] = []  # seconds and boxes of the frames of the last HELD seconds
        self._seen: dict[int, tuple[float, np.ndarray]] = {}  # id: seconds and box (4,) of the last hit

    def add(self, image: np.ndarray, faces: Detections, seconds: float) -> Iterator[tuple[np.ndarray, np.ndarray,
                                                                                         float]]:
        """Take a frame (H, W, 3) with its faces, which have ids; yield the frames that are ready.

        Yields:
            (image, boxes (M, 4) px to hide in it, seconds)
        """
        assert faces.ids is not None
        now = _Waiting(image, seconds)
        found = dict(zip(faces.ids.tolist(), faces.boxes, strict=True))
        for key, box in found.items():
            then, old = self._seen.get(key, (seconds - HELD, box))  # a new track: held before its first box
            for frame in self._frames:
                if then <= frame.seconds < seconds:
                    frame.boxes.append(old + (box - old) * np.float32((frame.seconds - then) / (seconds - then)))
        self._held = [(then, boxes) for then, boxes in self._held if seconds - then <= HELD] + [(seconds, faces.boxes)]
        now.boxes += [box for _, boxes in self._held for box in boxes]
        self._seen = {key: old for key, old in self._seen.items() if seconds - old[0] <= MEMORY}
        self._seen |= {key: (seconds, box) for key, box in found.items()}
        self._frames.append(now)
        while self._frames and (seconds - self._frames[0].seconds > MEMORY
                                or len(self._frames) * image.nbytes > self.most_bytes):
            yield self._next()

    def rest(self) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
        """Yield the frames that still wait, as `add` does."""
        while self._frames:
            yield self._next()

    def _next(self):
        frame = self._frames.popleft()
        return frame.image, np.array(frame.boxes, np.float32).reshape(-1, 4), frame.seconds
