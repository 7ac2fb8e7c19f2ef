"""The engine for one machine: processes of multiprocessing."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..progress import print_line
from .sources.items import Item
from .stop import Stop
from .worker import Job, Worker

if TYPE_CHECKING:
    from .plan import Plan
    from .rows import Part

PATIENCE = 5  # times that workers may end in a row before one of them has begun a part
_worker: Worker | None = None  # of this process


def local_parts(job: Job, plan: Plan, workers: int, stop: Stop) -> Generator[Part, None, None]:
    """Yield the parts of a plan that are to be done, in the order in which they are finished.

    A worker that is killed is replaced, and what was in work is done again. After a stop signal nothing is begun.

    Raises:
        InputError: a worker cannot open the detector, or workers end before they have begun anything.
    """
    waiting, traces = deque(plan.todo), [_trace(job.tries)]
    while waiting and not stop.asked:
        before = set(multiprocessing.active_children())
        pool = ProcessPoolExecutor(min(workers, len(waiting)), multiprocessing.get_context("spawn"), _follow_parent)
        running: dict[Future, int] = {}
        try:
            while (waiting and not stop.asked) or running:
                while waiting and not stop.asked and len(running) < 2 * workers:
                    running[_submit(pool, job, waiting[0], plan.items(waiting[0]))] = waiting[0]
                    waiting.popleft()  # only now: submitting to processes that have ended raises
                for future in wait(running, 0.2, FIRST_COMPLETED).done:
                    part = future.result()
                    del running[future]
                    yield part
                if stop.expired:
                    return
            pool.shutdown()
        except BrokenProcessPool:
            if stop.asked:
                return
            done = [future for future in running if future.done() and not future.exception()]
            for future in done:
                running.pop(future)
                yield future.result()
            waiting.extendleft(sorted(running.values(), reverse=True))
            traces.append(_trace(job.tries))
            if len(traces) > PATIENCE and len(set(traces[-PATIENCE - 1:])) == 1:
                raise InputError(f"the worker processes ended {PATIENCE} times before they began an image; is there "
                                 f"memory for {workers}? Give fewer --workers") from None
            print_line(f"note: a worker process ended; the {len(running)} parts that were in work are done again")
        finally:
            for child in set(multiprocessing.active_children()) - before:
                child.kill()
            pool.shutdown(cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, job: Job, number: int, items: Sequence[Item]) -> Future:
    """Submit a part. The processes that this starts inherit that Ctrl-C is blocked: it is for the driver alone."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        return pool.submit(_part, job, number, items)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(_part, job, number, items)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _part(job: Job, number: int, items: Sequence[Item]) -> Part:
    global _worker
    if _worker is None:
        _worker = Worker(job)
    return _worker.part(number, items)


def _follow_parent():
    """End this process when the driver ends, however that is: nobody would take its parts."""
    def follow():
        parent = multiprocessing.parent_process()
        if parent:
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _trace(tries: str) -> tuple[int, int]:
    """What changes when a worker begins or finishes a part."""
    sizes = [path.stat().st_size for path in Path(tries).glob("*")] if os.path.isdir(tries) else []
    return len(sizes), sum(sizes)
