"""The cascade's work side by side: levels, strips and batches of crops, each a task of one thread.

A small net in small pieces that stay in the cache of one core takes less processor time than one call of all cores
over everything. So a runtime that can offers lanes (`net.lanes`, the number of calls that may run at once), and the
cascade hands out its work to as many threads, which all cascades of a process share.
"""

import functools
import os
from concurrent.futures import ThreadPoolExecutor


def cores():
    """Number of processor cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def side_by_side(function, items, lanes):
    """List of function(item), in order, `lanes` at a time. The function must not call this again."""
    if lanes < 2 or len(items) < 2:
        return [function(item) for item in items]
    return list(_pool(lanes, os.getpid()).map(function, items))


@functools.lru_cache
def _pool(lanes, _process):
    """Threads that stay, for a runtime keeps what it needs by thread; a forked process makes its own."""
    return ThreadPoolExecutor(lanes, thread_name_prefix="cascade")
