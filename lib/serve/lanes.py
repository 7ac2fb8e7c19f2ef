"""The queue of images, and the threads that work on them.

A running thread cannot be stopped, so its time is bounded beforehand, by the pixels of an image. What still waits is
dropped at once when its client leaves.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

Work = Callable[[], Any]


class Lanes:
    """Runs calls in `count` threads, first come, first served. All methods belong to the thread of the event loop.

    Args:
        count: calls that run at once.
        room: calls that may wait.
    """

    def __init__(self, count: int, room: int) -> None:
        self.count, self.room = count, room
        self.waiting: deque[tuple[asyncio.Future[Any], Work]] = deque()
        self.running = 0
        self._pool = ThreadPoolExecutor(count, "lane")

    @property
    def pending(self) -> int:
        """Calls that wait or run."""
        return len(self.waiting) + self.running

    def has_room(self, more: int = 1) -> bool:
        """Whether so many more calls may come."""
        return self.pending + more <= self.count + self.room

    def submit(self, work: Work) -> asyncio.Future[Any]:
        """A future of the call. Cancelling it drops the call if it waits, and its result if it runs already."""
        future = asyncio.get_running_loop().create_future()
        row = (future, work)
        self.waiting.append(row)
        future.add_done_callback(functools.partial(self._drop, row))
        self._next()
        return future

    def close(self) -> None:
        """Start nothing more; what runs ends."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _drop(self, row, future):
        if future.cancelled() and row in self.waiting:
            self.waiting.remove(row)

    def _next(self):
        while self.waiting and self.running < self.count:
            future, work = self.waiting.popleft()
            if not future.done():
                self.running += 1
                loop = future.get_loop()
                done = self._pool.submit(work)
                done.add_done_callback(functools.partial(_call_soon, loop, self._ended, future))

    def _ended(self, future: asyncio.Future[Any], done: Future[Any]) -> None:
        self.running -= 1
        error = done.exception()
        if not future.done():
            if error is None:
                future.set_result(done.result())
            else:
                future.set_exception(error)
        self._next()


def _call_soon(loop, function, future, done):
    """From a thread; the loop may have been closed by a second signal."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(function, future, done)
