"""Frames of a file, with their true times; damage is counted, and an early end is an error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import cv2
import numpy as np

from ...datasets.images import ImageError
from .address import Address
from .capture import PATIENCE, check_opened, ending, opened
from .timing import LONGEST_GAP, Timing, ends_early, header_of

LONGEST_SKIP = 1.0  # seconds of a file after which a frame is given although it is late
MOST_DAMAGED = 300  # failed reads in a row that are damage; more are the end. At the end one takes microseconds


class VideoEnded(ImageError):
    """A video ended too early, after at least one frame; those before were good."""


class Frame(NamedTuple):
    """A frame.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        seconds: when it is shown: its time stamp; of a camera or stream the time since the first frame.
        number: of the frame, from 0; skipped ones count, damaged ones do not.
    """

    image: np.ndarray
    seconds: float
    number: int


class FileFrames:
    """Iterates over the frames of a file.

    Args:
        address: the Address.
        realtime: give a frame when it is due, and skip those that are late.
        max_pixels: largest number of pixels of a frame; 0: any.
        clock: seconds, and a function that waits some; for tests.

    Attributes:
        header: what the header says, known from the first frame on.
        damaged: number of frames that could not be decoded so far, by the gaps in time around them.
        skipped: number of frames that were late.
        complete: the end was reached.
        warning: what is odd about the end, empty for nothing.
    """

    def __init__(self, address: Address, realtime: bool = False, max_pixels: int = 0,
                 clock: tuple[Callable[[], float], Callable[[float], None]] = (time.perf_counter, time.sleep)):
        self.address, self.realtime, self.max_pixels, self.clock = address, realtime, max_pixels, clock
        self.header = Timing()
        self.damaged, self.skipped, self.complete, self.warning = 0, 0, False, ""

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames.

        Raises:
            ImageError: there is no frame.
            VideoEnded: the file ends before the time or the number of frames that its header names.
        """
        number, seconds, failed, began, given, asked = 0, 0.0, 0, None, 0.0, time.perf_counter()
        with opened(self.address) as capture:
            check_opened(capture, self.address, self.max_pixels, time.perf_counter() - asked)
            self.header = header = header_of(capture, self.address)
            while failed <= MOST_DAMAGED:
                image, stamp, late, asked = None, 0.0, False, time.perf_counter()
                with ending():
                    if capture.grab():
                        stamp = _after(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, seconds, number, 1 / header.rate)
                        late = (began is not None and self.clock[0]() - began > stamp + 1 / header.rate
                                and stamp - given < LONGEST_SKIP)
                        image = None if late else capture.retrieve()[1]
                if image is None and not late:
                    failed += 1
                    if not self.address.is_path and time.perf_counter() - asked > PATIENCE / 3:
                        break  # it waited for a server in vain
                    continue
                if failed and number:  # the decoder may lose more frames than it reports: those that need a lost one
                    failed = max(failed, round((stamp - seconds) * header.rate) - 1)
                self.damaged, failed, seconds, number = self.damaged + failed, 0, stamp, number + 1
                if image is None:
                    self.skipped += 1
                    continue
                if self.realtime:
                    began = self.clock[0]() - seconds if began is None else began
                    self.clock[1](max(0.0, began + seconds - self.clock[0]()))
                given = seconds
                yield Frame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), seconds, number - 1)
        if not number:
            raise ImageError(f"{self.address.name}: holds no frame that can be decoded")
        if ends_early(self.address, header, number, seconds):
            raise VideoEnded(f"{self.address.name}: ends after frame {number:,} of {header.count:,}, at {seconds:.2f} "
                             f"of {header.duration:.2f} s; is it cut short?")
        self.complete = True
        if not header.all_given(number) and not header.reached(seconds):
            self.warning = (f"{self.address.name}: its picture ends at {seconds:.2f} s, where its header names "
                            f"{header.duration:.2f} s; its sound may be longer, or it was trimmed, or it is damaged")
        if self.damaged and header.counted and header.count is not None:
            self.damaged = max(1, header.count - number)


def _after(stamp, seconds, number, step):
    """The time of a frame. A damaged stamp is replaced, so that time never stands still or runs back."""
    valid = stamp >= 0 if not number else 0 < stamp - seconds < LONGEST_GAP
    return stamp if valid else seconds + step if number else 0.0
