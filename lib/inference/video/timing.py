"""Time of a video file: what its header and its time stamps say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .address import EXTENSIONS, Address
from .capture import ending, opened
from .containers import is_cut_short

COUNTED = (".mp4", ".m4v", ".mov", ".avi")  # their headers count the frames; others name a duration
USUAL_RATE = 25.0  # frames per second, where a header names no usable rate
MOST_RATE = 60.0  # frames per second of the drawn video of a recording whose frames come unevenly
LOST_TAIL = 0.5  # seconds of packets behind the last frame from which on frames are missing at the end
LONGEST_GAP = 3600.0  # seconds that a frame may stay; a larger step of the time stamps is damage


@dataclass(frozen=True)
class Timing:
    """What a video's header and time stamps say.

    Attributes:
        rate: frames per second on average.
        count: number of frames; None: not known.
        counted: the header counts the frames; False: `count` follows from the duration.
        pace: constant number of frames per second that shows every frame. It is higher than `rate` where some frames
            stay longer than others, as in recordings of a screen.
    """

    rate: float = USUAL_RATE
    count: int | None = None
    counted: bool = False
    pace: float = USUAL_RATE

    @property
    def duration(self) -> float | None:
        """Seconds; None: not known."""
        return None if self.count is None else self.count / self.rate

    def all_given(self, frames: int) -> bool:
        """Whether the header counts the frames, and this many are all of them."""
        return self.counted and self.count is not None and frames >= self.count

    def reached(self, seconds: float) -> bool:
        """Whether the end is near `seconds`, the time of the last frame."""
        if self.duration is None:
            return True
        room = 0.5 / self.rate if self.counted else max(0.2, self.duration / 20)
        return seconds + 1 / self.rate >= self.duration - room


def ends_early(address: Address, header: Timing, frames: int, seconds: float) -> bool:
    """Whether a video that gave this many frames, the last at `seconds`, has more that were not read.

    Args:
        address: the Address of a file.
        header: its Timing by its header.
        frames: number of frames that were read.
        seconds: time of the last one.
    """
    if header.count is None or header.all_given(frames):
        return False
    if address.is_path and is_cut_short(address.where):
        return True
    if header.reached(seconds):
        return False
    if not address.is_path:
        return header.counted
    # The sound may be longer than the picture, and an edit list may leave frames out. So the packets decide.
    stamps, whole = _stamps(address)
    return not whole or max(stamps, default=0.0) > seconds + LOST_TAIL


def timing(address: Address, limit: int = 0) -> Timing:
    """Read the Timing of a video file; the frames are not decoded.

    Args:
        address: the Address of a file of this machine.
        limit: number of frames, 0: all, whose time stamps decide the pace.
    """
    with opened(address) as capture:
        header = header_of(capture, address)
    return Timing(header.rate, header.count, header.counted, _pace(_stamps(address, limit)[0], header.rate))


def _stamps(address, limit=0):
    """The time stamps of the packets, which are not decoded, and whether OpenCV reached their end without an error."""
    stamps: list[float] = []
    whole = True
    with opened(address) as capture:
        if capture.set(cv2.CAP_PROP_FORMAT, -1):  # packets as they are stored
            whole = False
            with ending():
                while (not limit or len(stamps) < limit) and capture.grab():
                    stamps.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
                whole = True
    return stamps, whole


def header_of(capture: cv2.VideoCapture, address: Address) -> Timing:
    """The Timing of an opened video by its header alone."""
    rate = capture.get(cv2.CAP_PROP_FPS)
    rate = rate if 0.1 <= rate <= 480 else USUAL_RATE
    suffix = Path(address.name).suffix.lower()
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT) if suffix in EXTENSIONS else 0  # others, as raw H.264, name none
    return Timing(rate, int(count) if 0 < count < 1e9 else None, suffix in COUNTED, rate)


def _pace(stamps, rate):
    """The constant rate that shows every frame of a video with these time stamps."""
    steps = np.diff(np.sort(np.array(stamps)))
    steps = steps[(steps > 1e-4) & (steps < LONGEST_GAP)]
    if not len(steps) or np.percentile(steps, 99) < 1.5 * np.percentile(steps, 1):  # even, or with a few lost frames
        return rate
    return float(max(rate, min(MOST_RATE, 1 / np.percentile(steps, 10))))
