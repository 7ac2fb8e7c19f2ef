"""The callback interface of a training: a `Tracker` is told what happens, and cannot change or end it.

CSV files, TensorBoard, curves.png with run.html, MLflow and Weights & Biases are trackers. So is what you pass to
`Trainer(cfg, trackers=[...])`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import printable
from ...progress import print_line

KINDS = ("train", "select", "speed")
"""What values are of: a training's steps, its selections, its pace."""


@dataclass(frozen=True)
class Run:
    """The training that a tracker records.

    Attributes:
        name: NAME of the config.
        folder: OUTPUT_DIR/NAME.
        config: value of each key, such as TRAIN.RATE.
        step: step of the checkpoint that it resumes from, 0 for a new training.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]
    step: int = 0


class Tracker:
    """Base of all trackers. Each method does nothing, so a tracker defines only those that it needs.

    The training calls them in its own thread, after the step is done.
    """

    def start(self, run: Run) -> None:
        """The training begins, or continues."""

    def scalars(self, kind: str, values: Mapping[str, float], step: int) -> None:
        """Values by name.

        Args:
            kind: `train` (losses, norm, rate), `speed` (images per second, waits) or `select` (AP, losses).
            values: by name; all calls of a kind have the same names.
            step: number of steps that are done.
        """

    def images(self, kind: str, pictures: Mapping[str, np.ndarray], step: int) -> None:
        """Pictures with detections, (H, W, 3) uint8 RGB, by caption; kind: `train` or `select`."""

    def artifact(self, path: Path) -> None:
        """A file of the run was written: weights, checkpoint, curves."""

    def end(self, status: str) -> None:
        """The training has ended; status: `done`, `stopped` (it can be resumed) or `failed`."""


class Trackers(Tracker):
    """Passes each call to several trackers. One that fails is reported once and gets no more calls.

    Args:
        trackers: in the order of the calls.
    """

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self.trackers = list(trackers)

    def start(self, run: Run) -> None:
        self._each("start", run)

    def scalars(self, kind: str, values: Mapping[str, float], step: int) -> None:
        self._each("scalars", kind, values, step)

    def images(self, kind: str, pictures: Mapping[str, np.ndarray], step: int) -> None:
        self._each("images", kind, pictures, step)

    def artifact(self, path: Path) -> None:
        self._each("artifact", path)

    def end(self, status: str) -> None:
        self._each("end", status)

    def _each(self, call, *arguments):
        for tracker in list(self.trackers):
            try:
                getattr(tracker, call)(*arguments)
            except Exception as error:  # whatever it is, a training of hours must not end for it
                self.trackers.remove(tracker)
                print_line(f"warning: {type(tracker).__name__}.{call} failed ({in_words(error)}); the training "
                           f"continues without this tracker")


def in_words(error: BaseException) -> str:
    """An error of any library on one line, with its type."""
    text = printable(" ".join(str(error).split()))
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
