"""A row of a table of detectors: how the detector is opened, in this process or in one of its own."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from manyfaces.errors import InputError

from . import machine, peers

if TYPE_CHECKING:
    from manyfaces.inference.base import BaseDetector


def everything(detector: BaseDetector) -> Callable:
    """Its `detect` with all faces from TEST.SCORE on, as AP needs them."""
    return functools.partial(detector.detect, threshold=0)


def ours(name: str, runtime: str | None = None, precision: str | None = None) -> Callable:
    """Whatever Detector.load opens."""
    from manyfaces.inference.detector import Detector

    return everything(Detector.load(name, runtime=runtime, precision=precision))


OPENERS: dict[str, Callable] = {"ours": ours, "yunet": peers.yunet, "ultralight": peers.ultralight}


@dataclass(frozen=True)
class Entry:
    """A detector that is not opened yet.

    Attributes:
        opener: key of OPENERS.
        arguments: of that function; JSON values.
        runtime: the one that it runs in, as machine.packages_of takes it.
    """

    opener: str
    arguments: tuple = ()
    runtime: str | None = None

    def open(self) -> Callable:
        """The function image -> Detections; InputError where a file or a package is missing."""
        return OPENERS[self.opener](*self.arguments)

    @property
    def packages(self) -> tuple[str, ...]:
        """What its time depends on: keys of machine.PACKAGES."""
        return machine.packages_of(self.runtime)

    def text(self) -> str:
        """The entry for another process."""
        return json.dumps([self.opener, self.arguments, self.runtime])

    @staticmethod
    def of(text: str) -> Entry:
        """The entry that `text` gave."""
        opener, arguments, runtime = json.loads(text)
        return Entry(opener, tuple(arguments), runtime)


def open_all(entries: dict) -> tuple[dict, dict[object, str]]:
    """Open each entry.

    Args:
        entries: dict name -> Entry.

    Returns:
        Dict name -> function image -> Detections, and dict name -> reason of those that cannot run here.
    """
    detectors, reasons = {}, {}
    for name, entry in entries.items():
        try:
            detectors[name] = entry.open()
        except InputError as error:
            reasons[name] = str(error)
    return detectors, reasons


def given(words: list[str]) -> dict[str, Entry]:
    """Entries of "NAME=FILE" or "NAME=FILE@RUNTIME", by NAME.

    Raises:
        InputError: there is no "=".
    """
    entries = {}
    for text in words:
        name, equals, model = text.partition("=")
        if not (name and equals and model):
            raise InputError(f"--also {text!r}: expected NAME=FILE, such as SCRFD-2.5G=scrfd.onnx")
        entries[name] = model_entry(model)
    return entries


def model_entry(text: str) -> Entry:
    """The Entry of "FILE" or "FILE@RUNTIME"; without a runtime it is the one that Detector.load would take."""
    from manyfaces import runtimes
    from manyfaces.runtimes.files import CascadeFiles

    path, at, runtime = text.rpartition("@")
    if not at or runtime not in runtimes.RUNTIMES:
        there = [name for name in runtimes.readers(text) if name in runtimes.installed()]
        first = "openvino" if CascadeFiles.exported(text) else None  # see runtimes.cascade.open_cascade
        path, runtime = text, first if first in there else next(iter(there), None)
    return Entry("ours", (path, runtime), runtime)
