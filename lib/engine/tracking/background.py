"""Trackers of other packages, kept away from the training: their calls run in a thread of their own.

A tracker may wait for a server, raise anything, or never return. The training only puts its calls into a queue. Where
the tracker cannot keep up, calls are left out; at the end it has a limited time to finish.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from ...progress import print_line
from .tracker import Run, Tracker, in_words

ROOM = 1000  # calls that wait
PICTURES = 4  # of them with pictures, which are large
PATIENCE = 30.0  # seconds that a tracker has at the end


class Background(Tracker):
    """Passes each call to another tracker, in order, in a thread. Whatever happens there is reported once.

    Args:
        name: what messages call the tracker.
        make: makes the tracker, in the thread: importing its package may take seconds.
        patience: seconds that it has at the end.
        room: calls that may wait.
    """

    def __init__(self, name: str, make: Callable[[], Tracker], patience: float = PATIENCE, room: int = ROOM) -> None:
        self.name, self.make, self.patience = name, make, patience
        self.calls: queue.Queue = queue.Queue(room)
        self.thread: threading.Thread | None = None
        self.failed = self.behind = False
        self.pictures = threading.Semaphore(PICTURES)  # both threads count them

    def start(self, run: Run) -> None:
        # A daemon: one that hangs does not keep the process.
        self.thread = threading.Thread(target=self._work, name=f"tracker {self.name}", daemon=True)
        self.thread.start()
        self._put("start", run)

    def scalars(self, kind: str, values: Mapping[str, float], step: int) -> None:
        self._put("scalars", kind, dict(values), step)

    def images(self, kind: str, pictures: Mapping[str, np.ndarray], step: int) -> None:
        if not self.pictures.acquire(blocking=False):
            self._fall_behind()
        elif not self._put("images", kind, dict(pictures), step):
            self.pictures.release()

    def artifact(self, path: Path) -> None:
        self._put("artifact", path)

    def end(self, status: str) -> None:
        if self.thread is None:
            return
        limit = time.monotonic() + self.patience
        for call, arguments in (("end", (status,)), ("", ())):  # where the queue is full, they wait for room
            self._put(call, *arguments, limit=limit)
        self.thread.join(max(0.0, limit - time.monotonic()))
        if self.thread.is_alive() and not self.failed:
            print_line(f"warning: TRAIN.TRACKERS {self.name}: not finished after {self.patience:g} s; it may lack "
                       f"the last values")

    def _put(self, call, *arguments, limit=0.0):
        """Whether the call is in the queue, which has room now or, on the monotonic clock, before the limit."""
        if self.failed:
            return False
        try:
            self.calls.put((call, arguments), timeout=max(0.0, limit - time.monotonic()))
        except queue.Full:
            self._fall_behind()
            return False
        return True

    def _fall_behind(self):
        if not self.behind and not self.failed:
            self.behind = True
            print_line(f"warning: TRAIN.TRACKERS {self.name}: too slow for this training; some values are left "
                       f"out there")

    def _work(self):
        try:
            tracker = self.make()
            while True:
                call, arguments = self.calls.get()
                if not call:
                    return
                getattr(tracker, call)(*arguments)
                if call == "images":
                    self.pictures.release()
        except BaseException as error:  # a package may even try to exit
            self.failed = True
            print_line(f"warning: TRAIN.TRACKERS {self.name}: {in_words(error)}; the training continues without this "
                       f"tracker")
