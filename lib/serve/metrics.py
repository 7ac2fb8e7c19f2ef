"""Metrics in the text format of Prometheus, by its own client, which also sums those of several processes.

With several workers each writes its values to a file of its own (PROMETHEUS_MULTIPROC_DIR, set by `workers.py` before
this module is imported), and whichever worker is asked sums the files.
"""

from __future__ import annotations

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
    multiprocess,
)

from .. import __version__

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """All metrics of a service. The labels have few values: known addresses, codes and names of models."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        facts = {"registry": self.registry, "namespace": "manyfaces"}
        live = {**facts, "multiprocess_mode": "livesum"}
        self.requests = Counter("requests", "Requests by address, status and code.", ["route", "status", "code"],
                                **facts)
        self.seconds = Histogram("request_seconds", "Time of a request, from its head to the end of its answer.",
                                 ["route"], buckets=_SECONDS, **facts)
        self.images = Counter("images", "Images that were searched for faces.", ["model"], **facts)
        self.faces = Counter("faces", "Faces that were found.", ["model"], **facts)
        self.work = Histogram("detect_seconds", "Time of an image in its thread: decoding, net and NMS.", ["model"],
                              buckets=_SECONDS, **facts)
        self.dropped = Counter("dropped", "Requests whose client left before the answer.", **facts)
        self.pending = Gauge("pending_images", "Images that wait or are worked on.", **live)
        self.held = Gauge("held_bytes", "Bytes of bodies in memory.", **live)
        self.stopping = Gauge("stopping", "1 while the service shuts down.", **{**facts, "multiprocess_mode": "livemax"})
        self.version = Gauge("version_info", "1; the label is the version.", ["version"],
                             **{**facts, "multiprocess_mode": "livemax"})
        self.version.labels(__version__).set(1)
        if FOLDER not in os.environ:
            ProcessCollector(registry=self.registry)

    def text(self) -> bytes:
        """All of them, summed over the workers."""
        if FOLDER not in os.environ:
            return generate_latest(self.registry)
        summed = CollectorRegistry()
        multiprocess.MultiProcessCollector(summed)
        return generate_latest(summed)
