"""Work beside the steps of a training, in threads.

The next batch is sent to the devices while the step before it computes. On a card a selection runs on a copy of the
net, and checkpoints are written.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

from easydict import EasyDict

from ..inference.detector import Detector
from ..nets import backend
from ..nets.devices import Sent

if TYPE_CHECKING:
    import keras

    from ..nets.devices import MirroredDevices, ShardedDevices
    from ..nets.family import Family


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


def helps(devices: MirroredDevices | ShardedDevices) -> bool:
    """Whether the steps leave the processor free: on a CPU they and the other work would share the same cores."""
    return devices.kind != "CPU"


class Beside:
    """One piece of work at a time in a thread. Its result is taken between two steps.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)
        self._work: Future | None = None
        self._then: Callable[[Any], None] = lambda result: None

    @property
    def busy(self) -> bool:
        """Whether there is work whose result was not taken."""
        return self._work is not None

    def begin(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Start the work; `then` gets the result in the thread that takes it."""
        assert not self.busy
        self._work, self._then = self._thread.submit(work), then

    def take(self, wait: bool = False) -> None:
        """Take the result, if there is one; wait: wait for it.

        Raises:
            Exception: whatever the work raised.
        """
        if self._work is not None and (wait or self._work.done()):
            work, self._work = self._work, None
            self._then(work.result())

    def close(self) -> None:
        """No more work. What runs is left alone; the process does not end before it."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class SelectionBeside(Beside):
    """A selection beside the steps.

    Attributes:
        net: the copy, with the weights that `copy` found.
        detector: runs it.
    """

    def __init__(self, family: Family, cfg: EasyDict) -> None:
        super().__init__("selection")
        self.net = family.build()
        self.detector = Detector(family, backend.runner(self.net), cfg)

    def copy(self, source: keras.Model) -> None:
        """Take the weights of `source`, by way of NumPy: the next step may take over the memory of the net."""
        self.net.set_weights(source.get_weights())
