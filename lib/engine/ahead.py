"""Batches are sent to the devices ahead of time: the next one while the step before it computes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from ..nets.devices import Sent


class Batches(Protocol):
    """What is asked of a loader: `run(start, stop)` yields (step, batch), a dict of arrays and "names"."""

    def run(self, start: int, stop: int) -> Generator[tuple[int, dict], None, None]:
        """Yield the batches of the steps."""


class SentAhead:
    """The batches of a loader, sent to the devices by a thread, one ahead of the step that is computed.

    Args:
        loader: makes them.
        send: arrays by name -> the same on the devices.

    Attributes:
        waited: seconds that `run` has waited for a batch to be made and sent: the time in which no device computes.
    """

    def __init__(self, loader: Batches, send: Callable[[Mapping[str, Any]], Any]) -> None:
        self.loader, self.send, self.waited = loader, send, 0.0

    def run(self, start: int, stop: int) -> Iterator[tuple[int, list[str], Any, Sent]]:
        """Yield (step, names, images, targets) for start <= step < stop; the targets are Sent, with the images."""
        with contextlib.closing(self.loader.run(start, stop)) as batches, ThreadPoolExecutor(1, "sender") as thread:
            coming = thread.submit(self._next, batches)
            while True:
                began = time.perf_counter()
                batch = coming.result()
                self.waited += time.perf_counter() - began
                if batch is None:
                    return
                coming = thread.submit(self._next, batches)
                yield batch

    def _next(self, batches):
        step, batch = next(batches, (None, None))
        if batch is None:
            return None
        names, sent = batch.pop("names"), self.send(batch)
        return step, names, batch.pop("images"), Sent(batch, sent)
