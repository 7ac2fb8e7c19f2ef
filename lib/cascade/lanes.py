"""The cascade's work in parallel: levels, strips and batches of crops, each of them a task of one thread.

A small net on small inputs that stay in the cache of one core takes less processor time than one call of all cores on
everything. So a runtime that can do so offers lanes (`net.lanes`, the number of calls that may run at once). The
cascade gives its work to as many threads. All cascades of a process share them.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor


def cores() -> int:
    """Number of processor cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not every system has it
        return os.cpu_count() or 1


def side_by_side(function: Callable, items: Sequence, lanes: int) -> list:
    """Call function(item) for every item, `lanes` calls at a time, and return the results in order.

    The function must not call side_by_side itself.
    """
    if lanes < 2 or len(items) < 2:
        return [function(item) for item in items]
    return list(_pool(lanes, os.getpid()).map(function, items))


@functools.lru_cache
def _pool(lanes, _process):
    """Threads that stay alive, since runtimes keep memory per thread; a forked process makes its own."""
    return ThreadPoolExecutor(lanes, thread_name_prefix="cascade")
