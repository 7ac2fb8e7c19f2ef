"""Frames of a camera or stream: a thread reads all of them and keeps the newest; a lost connection is made again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from ...datasets.images import ImageError
from .address import Address
from .capture import PATIENCE, check_opened, ending, opened
from .reader import Frame, VideoEnded
from .timing import Timing

LOST = 60.0  # seconds without a frame after which a camera or stream is given up
FAILURES = 50  # failed reads in a row after which a stream is lost: some packets may be damaged
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0  # seconds between two attempts; they double
LOOK = 0.1  # seconds after which a wait looks whether Ctrl-C was pressed


class LiveFrames:
    """Iterates over the newest frames of a camera or stream.

    Args:
        address: the Address.
        note: takes a line when the connection is lost, and when it is back.
        lost: seconds without a frame after which a stream that was there is given up; None: LOST.
        patience: seconds that a stream has to answer; half of it between two of its frames.
        max_pixels: largest number of pixels of a frame; 0: any.

    Attributes:
        header: of the usual rate, without a number of frames.
        damaged: number of failed reads between good frames.
        skipped: number of frames that came while the one before was in work.
        complete: the program ended it.
        warning: empty.
    """

    def __init__(self, address: Address, note: Callable[[str], object], lost: float | None = None,
                 patience: float = PATIENCE, max_pixels: int = 0):
        self.address, self.note, self.patience, self.max_pixels = address, note, patience, max_pixels
        self.lost = LOST if lost is None else lost
        self.header = Timing()
        self.damaged, self.skipped, self.complete, self.warning = 0, 0, True, ""
        self._news = threading.Condition()
        self._stop = threading.Event()
        self._newest: tuple[np.ndarray, float, int] | None = None  # BGR
        self._error: Exception | None = None
        self._received, self._began, self._last = 0, 0.0, 0.0

    def __iter__(self) -> Iterator[Frame]:
        """Yield the newest frame each time, until the iterator is closed.

        Raises:
            ImageError: there is no frame.
            VideoEnded: the stream is lost.
        """
        thread = threading.Thread(target=self._run, name=f"frames of {self.address.name}", daemon=True)
        thread.start()
        try:
            while True:
                with self._news:
                    while self._newest is None and self._error is None:
                        self._news.wait(LOOK)
                    newest, self._newest = self._newest, None
                if newest is None:
                    self.complete = False
                    assert self._error is not None
                    raise self._error
                image, seconds, number = newest
                yield Frame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), seconds, number)
        finally:
            self._stop.set()
            thread.join(1.0)  # it may wait for a stream, which has its own time limit

    def _run(self):
        """The thread: read and connect until it is stopped."""
        try:
            wait = FIRST_WAIT
            while not self._stop.is_set():
                before = self._received
                try:
                    self._connected()
                except ImageError:
                    if not self._received:
                        raise
                if self._stop.is_set():
                    return
                now, name = time.perf_counter(), self.address.name
                if not self._received:
                    raise ImageError(f"{name}: holds no frame that can be decoded")
                if now - self._last > self.lost:
                    raise VideoEnded(f"{name}: lost after {self._received:,} frames, at "
                                     f"{self._last - self._began:.1f} s; no frame came for {self.lost:g} s")
                if self._received > before:
                    wait = FIRST_WAIT
                    self.note(f"{name}: lost after {self._received:,} frames, at {now - self._began:.1f} s; connecting "
                              f"again for up to {self.lost:g} s")
                self._stop.wait(min(wait, max(0.0, self._last + self.lost - now)))
                wait = min(2 * wait, LONGEST_WAIT)
        except Exception as error:  # it belongs to the thread that iterates
            with self._news:
                self._error = error
                self._news.notify()

    def _connected(self):
        """Read from one connection until it is lost."""
        failed, again, began = 0, self._received > 0, time.perf_counter()
        with opened(self.address, self.patience) as capture:
            check_opened(capture, self.address, self.max_pixels, time.perf_counter() - began)
            while failed < FAILURES and not self._stop.is_set():
                image, began = None, time.perf_counter()
                with ending():
                    image = capture.read()[1]
                if image is None:
                    failed += 1
                    if time.perf_counter() - began > self.patience / 3:  # it waited for nothing
                        return
                    continue
                if again:
                    self.note(f"{self.address.name}: is back after {time.perf_counter() - self._last:.1f} s")
                again = False
                self.damaged, failed = self.damaged + failed, 0
                self._publish(image)

    def _publish(self, image):
        self._last = time.perf_counter()
        if not self._received:
            self._began = self._last
        with self._news:
            self.skipped += self._newest is not None
            self._newest = image, self._last - self._began, self._received
            self._received += 1
            self._news.notify()
