"""A selection that runs beside the training, in a thread, on a copy of the net."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from easydict import EasyDict

from ..inference.detector import Detector
from ..nets import backend

if TYPE_CHECKING:
    import keras

    from ..nets.devices import MirroredDevices, ShardedDevices
    from ..nets.family import Family


def gains(train: EasyDict, devices: MirroredDevices | ShardedDevices) -> bool:
    """Whether a selection should run beside the steps.

    Not where its result decides the next step, and not on a CPU, where steps and selection would share the same cores.
    """
    waited_for = train.SCHEDULE == "plateau" or train.STOP_AFTER
    return bool(train.SELECT) and devices.kind != "CPU" and not waited_for


class Beside:
    """One selection at a time. Its result is taken between two steps.

    Attributes:
        net: the copy, with the weights that `begin` found.
        detector: runs it.
    """

    def __init__(self, family: Family, cfg: EasyDict) -> None:
        self.net = family.build()
        self.detector = Detector(family, backend.runner(self.net), cfg)
        self._thread = ThreadPoolExecutor(1, "selection")
        self._work: Future | None = None
        self._then: Callable[[Any], None] = lambda result: None

    @property
    def busy(self) -> bool:
        """Whether there is a selection whose result was not taken."""
        return self._work is not None

    def begin(self, source: keras.Model, evaluate: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Copy the weights of `source` and start; `then` gets the result in the thread that takes it."""
        assert not self.busy
        self.net.set_weights(source.get_weights())  # by way of NumPy: the next step may take over the memory of the net
        self._work, self._then = self._thread.submit(evaluate), then

    def take(self, wait: bool = False) -> None:
        """Take the result, if there is one; wait: wait for it.

        Raises:
            Exception: whatever the selection raised.
        """
        if self._work is not None and (wait or self._work.done()):
            work, self._work = self._work, None
            self._then(work.result())

    def close(self) -> None:
        """No more selections. One that runs is left alone."""
        self._thread.shutdown(wait=False, cancel_futures=True)
