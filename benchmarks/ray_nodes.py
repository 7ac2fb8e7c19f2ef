"""Simulated nodes of Ray on this machine: for the benchmark of `manyfaces bulk`, and for its kills."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

Result = TypeVar("Result")
OBJECTS = 200 * 2 ** 20  # bytes of a node's object store
TRIES = 5  # Ray gives a node 30 s to start, which a busy machine may exceed


def patiently(start: Callable[[], Result]) -> Result:
    """The result of a function that starts a node; it is tried again where the node was not ready in time."""
    for number in range(TRIES):
        try:
            return start()
        except Exception as error:  # Ray raises plain Exception
            if number + 1 == TRIES or "timed out during startup" not in str(error):
                raise
            print("note: a simulated node was not ready in time; tried again", flush=True)
    raise AssertionError


@contextlib.contextmanager
def cluster(slots: int, others: int = 0) -> Iterator[Any]:
    """A cluster (ray.cluster_utils.Cluster).

    Args:
        slots: CPU slots of each node; the first has one more, for Ray's own tasks.
        others: number of nodes beside the first.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    first = {"num_cpus": slots + 1, "include_dashboard": False, "object_store_memory": OBJECTS}
    nodes = patiently(lambda: Cluster(initialize_head=True, head_node_args=first))
    try:
        for _ in range(others):
            add_node(nodes, slots)
        yield nodes
    finally:
        with contextlib.suppress(Exception):  # nodes that were killed cannot be shut down
            nodes.shutdown()


def add_node(nodes: Any, slots: int) -> Any:
    """Add a node to a cluster, and wait until it is known there."""
    node = patiently(lambda: nodes.add_node(num_cpus=slots, object_store_memory=OBJECTS))
    nodes.wait_for_nodes()
    return node
