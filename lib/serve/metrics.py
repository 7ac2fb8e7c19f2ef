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
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from .. import __version__
from .settings import METRICS_FOLDER as FOLDER

TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
disable_created_metrics()  # a second series per counter, which nobody reads


class Metrics:
    """All metrics of a service. The labels have few values: known addresses, codes and names of models."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests by address, status and code.", "route", "status", "code")
        self.seconds = self._histogram("request_seconds", "From the head of a request to the end of its answer.",
                                       "route")
        self.images = self._counter("images", "Images that were searched for faces.", "model")
        self.faces = self._counter("faces", "Faces that were found.", "model")
        self.work = self._histogram("detect_seconds", "Of an image in its thread: decoding, net and NMS.", "model")
        self.dropped = self._counter("dropped", "Requests whose client left before the answer.")
        self.pending = self._gauge("pending_images", "Images that wait or are worked on.")
        self.held = self._gauge("held_bytes", "Bytes of bodies in memory.")
        self.stopping = self._gauge("stopping", "Processes that are shutting down.")
        self.version = self._gauge("version_info", "Processes by version.", "version")
        self.version.labels(__version__).set(1)
        if FOLDER not in os.environ:
            ProcessCollector(registry=self.registry)

    def text(self) -> bytes:
        """All of them, summed over the workers."""
        if FOLDER not in os.environ:
            return generate_latest(self.registry)
        summed = CollectorRegistry()
        MultiProcessCollector(summed)
        return generate_latest(summed)

    def _counter(self, name, text, *labels):
        return Counter(name, text, labels, namespace="manyfaces", registry=self.registry)

    def _histogram(self, name, text, *labels):
        return Histogram(name, text, labels, namespace="manyfaces", registry=self.registry, buckets=_SECONDS)

    def _gauge(self, name, text, *labels):
        return Gauge(name, text, labels, namespace="manyfaces", registry=self.registry, multiprocess_mode="livesum")
