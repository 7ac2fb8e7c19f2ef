"""Faces in a video, frame by frame: what `detector.video` gives."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...detections import Detections
from ...errors import check_number
from ...progress import print_line
from .address import Address, address_of
from .live import LiveFrames
from .reader import FileFrames
from .smoothing import Smoother
from .tracks import Tracker

if TYPE_CHECKING:
    from ..base import BaseDetector


class VideoFrame(NamedTuple):
    """A frame and its faces.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        seconds: when it is shown: its time stamp; of a camera or stream the time since the first frame.
        faces: its faces, in px of the frame.
    """

    image: np.ndarray
    seconds: float
    faces: Detections


class Video:
    """Iterates over the frames of a video with their faces. `with` and close() end it early and free the source.

    Attributes:
        name: what messages call the source: without a password.
        number: number of the last frame, from 0.
    """

    def __init__(self, frames: FileFrames | LiveFrames, find: Callable[[np.ndarray], Detections],
                 tracker: Tracker | None = None) -> None:
        self.frames, self.find, self.tracker = frames, find, tracker
        self.smoother = Smoother()
        self.name, self.number = frames.address.name, -1
        self._iterator = self._run()

    @property
    def count(self) -> int | None:
        """Number of frames that the header of a file names; None: not known."""
        return self.frames.header.count

    @property
    def damaged(self) -> int:
        """Number of frames that could not be decoded so far."""
        return self.frames.damaged

    @property
    def skipped(self) -> int:
        """Number of frames that were left out to keep up."""
        return self.frames.skipped

    @property
    def complete(self) -> bool:
        """The end of the file was reached, or a camera or stream was closed."""
        return self.frames.complete

    @property
    def warning(self) -> str:
        """What is odd about the end of a file, empty for nothing."""
        return self.frames.warning

    def _run(self) -> Iterator[VideoFrame]:
        frames = iter(self.frames)
        try:
            for image, seconds, number in frames:
                faces = self.find(image)
                if self.tracker:
                    faces = self.smoother.update(self.tracker.update(faces, seconds), seconds)
                self.number = number
                yield VideoFrame(image, seconds, faces)
        finally:
            frames.close()  # type: ignore[attr-defined]  # a generator

    def __iter__(self) -> Iterator[VideoFrame]:
        return self

    def __next__(self) -> VideoFrame:
        return next(self._iterator)

    def close(self) -> None:
        """End it, and free the file, camera or stream."""
        self._iterator.close()  # type: ignore[attr-defined]  # a generator

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_video(detector: BaseDetector, source: str | os.PathLike | int | Address, threshold: float | None = None,
               track: bool = False, realtime: bool = False, note: Callable[[str], object] | None = None,
               find: Callable[..., Detections] | None = None) -> Video:
    """The Video of a source; BaseDetector.video describes the arguments.

    Args:
        detector: finds the faces.
        source: a path, the number of a camera, a URL, or an Address.
        threshold, track, realtime, note: as for BaseDetector.video.
        find: called instead of detector.detect, with an image and `threshold`.
    """
    threshold = detector.cfg.TEST.DEMO_SCORE if threshold is None else check_number(threshold, "threshold")
    tracker = Tracker(threshold) if track else None
    lowest = tracker.low if tracker else threshold
    address = source if isinstance(source, Address) else address_of(source)
    limit = detector.cfg.TEST.MAX_FILE_PIXELS
    frames = (LiveFrames(address, note or print_line, max_pixels=limit) if address.live
              else FileFrames(address, realtime, limit))
    find = find or detector.detect
    return Video(frames, lambda image: find(image, threshold=lowest), tracker)
