"""Batches are sent to the devices ahead of the step that needs them, and the wait for them is measured."""

import threading
import time

import numpy as np
import pytest

from manyfaces.engine.beside import SentAhead


class Batches:
    """A loader whose batches take some time; `made` are the steps begun, `closed` says whether it was told to end."""

    def __init__(self, seconds=0.0, broken=None):
        self.seconds, self.broken, self.made, self.closed = seconds, broken, [], False

    def run(self, start, stop):
        try:
            for step in range(start, stop):
                self.made.append(step)
                time.sleep(self.seconds)
                if step == self.broken:
                    raise ValueError("broken")
                yield step, {"images": np.full(2, step, np.uint8), "labels": np.full(2, -step),
                             "names": [f"{step}"] * 2}
        finally:
            self.closed = True


def test_each_batch_comes_once_in_order_with_what_was_sent():
    loader, sent_by = Batches(), set()

    def send(batch):
        sent_by.add(threading.current_thread().name)
        return {name: value.tolist() for name, value in batch.items()}

    seen = list(SentAhead(loader, send).run(3, 7))
    assert [step for step, *_ in seen] == [3, 4, 5, 6] == loader.made and loader.closed
    for step, names, images, targets in seen:
        assert names == [f"{step}"] * 2 and images.tolist() == [step] * 2
        assert {name: value.tolist() for name, value in targets.items()} == {"labels": [-step] * 2}
        assert targets.on_devices == {"images": [step] * 2, "labels": [-step] * 2}
    assert threading.current_thread().name not in sent_by, "the step does not wait for the copy"
    assert list(SentAhead(loader, send).run(3, 3)) == []


def test_the_next_batch_is_sent_while_a_step_runs_and_no_other():
    loader, sent = Batches(), []
    batches = SentAhead(loader, lambda batch: sent.append(int(batch["images"][0]))).run(0, 9)
    next(batches)
    until(lambda: sent == [0, 1])
    time.sleep(0.02)
    assert sent == [0, 1], "one batch ahead, not all"
    batches.close()
    assert loader.closed


def until(done, seconds=5.0):
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.001)


def test_a_broken_batch_is_an_error_at_its_step():
    batches = SentAhead(Batches(broken=2), dict).run(0, 5)
    assert [next(batches)[0], next(batches)[0]] == [0, 1]
    with pytest.raises(ValueError, match="broken"):
        next(batches)


@pytest.mark.parametrize("batch, step, waited", [(0.03, 0.0, 0.03), (0.03, 0.02, 0.01)])
def test_waits_are_the_time_in_which_no_step_runs(batch, step, waited):
    """A batch that is made and sent while the step before it runs costs nothing; the rest of its time is waited for."""
    ahead, count = SentAhead(Batches(batch), dict), 8
    began = time.perf_counter()
    for _ in ahead.run(0, count):
        time.sleep(step)
    spent = time.perf_counter() - began
    idle = spent - count * step
    assert count * waited * 0.9 < ahead.waited and ahead.waited < idle + 1e-3
