"""How fast a training is: images per second and the share of the time in which it waits for data."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Protocol


class Waiting(Protocol):
    """What is asked of a loader: the seconds that it has waited for data."""

    waited: float


class Pace:
    """Counts the images and the time between two rows of speed.csv.

    Args:
        loader: its waits are counted.
        seconds: time that the training has taken before it was resumed.
        clock: seconds now.

    Attributes:
        elsewhere: seconds of selections and checkpoints so far.
    """

    def __init__(self, loader: Waiting, seconds: float = 0.0, clock: Callable[[], float] = time.perf_counter) -> None:
        self.loader, self.clock = loader, clock
        self.zero, self.elsewhere = clock() - seconds, 0.0
        self._begin()

    def _begin(self):
        self.images, self.since, self.waited = 0, self.clock(), self.loader.waited

    def add(self, images: int) -> None:
        """Count the images of a step."""
        self.images += images

    @contextlib.contextmanager
    def other_work(self) -> Iterator[None]:
        """Selection and checkpoints do not count as time of the steps around them."""
        began = self.clock()
        try:
            yield
        finally:
            spent = self.clock() - began
            self.since += spent
            self.elsewhere += spent

    @property
    def seconds(self) -> float:
        """Time of the whole training so far, without that of earlier stops."""
        return self.clock() - self.zero

    def row(self) -> dict[str, float]:
        """The values since the row before.

        Returns:
            images_per_second, waits_percent (of the time of the steps), and the seconds of the whole training so far.
        """
        now = self.clock()
        spent = max(now - self.since, 1e-9)
        waits = min(1.0, (self.loader.waited - self.waited) / spent)
        row = {"images_per_second": self.images / spent, "waits_percent": 100 * waits, "seconds": self.seconds}
        self._begin()
        return row
