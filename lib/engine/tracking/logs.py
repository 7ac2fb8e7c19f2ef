"""The logs that each training writes: CSV rows and TensorBoard.

A log that cannot be written, as on a full disk, does not stop the training: it is reported once, and later rows are
tried again. A row is in its file completely or not at all.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...files import append_whole
from ...progress import print_line
from .events import EventFile
from .tracker import KINDS, Run, Tracker


class Log(Tracker):
    """Base of what writes files: a write that fails is reported once and tried again the next time."""

    def __init__(self) -> None:
        self.failed = False

    def _try(self, write: Callable[[], Any]) -> None:
        try:
            write()
        except OSError as error:
            if not self.failed:
                self.failed = True
                print_line(f"warning: {error.filename}: cannot be written ({error.strerror or error}); the training "
                           f"continues, and this log lacks what cannot be written")


class CsvLog(Log):
    """A CSV file with a row per step, or per some steps.

    Args:
        path: the file. Its folder is made.
        step: step of the checkpoint that a run resumes from. Rows of later steps are cut off, so that no step is there
            twice.
    """

    def __init__(self, path: str | os.PathLike, step: int = 0) -> None:
        super().__init__()
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._try(lambda: self._cut(step))

    def _cut(self, step):
        """Steps ascend, so what goes is the end of the file. To cut it off needs no room on the disk."""
        header, *lines = self.path.read_bytes().splitlines(keepends=True) or [b""]
        kept = 0
        for line in lines:
            first = line.split(b",")[0]
            if not line.endswith(b"\n") or not first.isdigit() or int(first) > step:
                break
            kept += len(line)
        size = len(header) + kept if kept else 0  # the header of a new file names the values of its first row
        if size != self.path.stat().st_size:
            os.truncate(self.path, size)

    def write(self, step: int, row: Mapping[str, float]) -> None:
        """Append a row; a new file gets the names of the values as its header."""
        self._try(lambda: self._append(["step", *row], [step, *(f"{value:.6g}" for value in row.values())]))

    def _append(self, header: Iterable, row: Iterable) -> None:
        fresh = not self.path.exists() or self.path.stat().st_size == 0
        text = io.StringIO(newline="")
        csv.writer(text).writerows([header, row] if fresh else [row])
        append_whole(self.path, text.getvalue().encode())


class CsvLogs(Tracker):
    """A CSV file per kind of values in the folder of the run: train.csv, select.csv, speed.csv."""

    def start(self, run: Run) -> None:
        self.logs = {kind: CsvLog(run.folder / f"{kind}.csv", run.step) for kind in KINDS}

    def scalars(self, kind: str, values: Mapping[str, float], step: int) -> None:
        self.logs[kind].write(step, values)


class TensorBoard(Log):
    """Scalars and pictures for TensorBoard, in the folder `tensorboard` of the run.

    Earlier events of steps after the one that a run resumes from are hidden.
    """

    def start(self, run: Run) -> None:
        self.folder, self.files = run.folder / "tensorboard", {}
        self.purged = run.step + 1 if run.step else None

    def _file(self, kind: str) -> EventFile:
        if kind not in self.files:
            self.files[kind] = EventFile(self.folder / kind, self.purged)
        return self.files[kind]

    def scalars(self, kind: str, values: Mapping[str, float], step: int) -> None:
        """Write scalars by name; each kind is a line of its own in each chart."""
        self._try(lambda: self._file(kind).scalars(values, step))

    def images(self, kind: str, pictures: Mapping[str, np.ndarray], step: int) -> None:
        """Write the pictures of training samples. Those of the selection are in run.html, and many."""
        if kind == "train":
            for name, picture in pictures.items():
                self._try(lambda: self._file(kind).image(name, picture, step))  # noqa: B023 (called at once)
