"""Work beside the steps of a training, in threads: a selection on a copy of the net, and the writing of checkpoints."""

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


def helps(devices: MirroredDevices | ShardedDevices) -> bool:
    """Whether the steps leave the processor free: on a CPU they and the other work would share the same cores."""
    return devices.kind != "CPU"


def may_be_late(train: EasyDict) -> bool:
    """Whether there is a selection whose result does not decide the next step."""
    return bool(train.SELECT) and train.SCHEDULE != "plateau" and not train.STOP_AFTER


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

    def close(self, wait: bool = False) -> None:
        """No more work. What runs is left alone, or waited for."""
        self._thread.shutdown(wait=wait, cancel_futures=True)


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
