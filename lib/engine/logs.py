"""The logs of a training: CSV rows and TensorBoard.

A log that cannot be written, as on a full disk, does not stop the training: it is reported once, and later rows are
tried again. A row is in its file completely or not at all.
"""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..files import append_whole
from .events import EventFile

if TYPE_CHECKING:
    from ..inference.detector import Detector


class _Log:
    """Base of the logs: writes that may fail."""

    def __init__(self) -> None:
        self.failed = False

    def _try(self, write: Callable[[], Any]) -> None:
        try:
            write()
        except OSError as error:
            if not self.failed:
                self.failed = True
                report(f"warning: {error.filename}: cannot be written ({error.strerror or error}); the training "
                       f"continues, and this log lacks what cannot be written")


def report(line: str) -> None:
    """Print a line on stderr, if that can be written: it may be a file on the same full disk."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        pass


class CsvLog(_Log):
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


class TensorBoard(_Log):
    """Scalars and pictures for TensorBoard.

    Args:
        folder: folder of the event files.
        step: step of the checkpoint that a run resumes from. Earlier events of later steps are hidden.
    """

    def __init__(self, folder: str | os.PathLike, step: int = 0) -> None:
        super().__init__()
        self.folder, self.files = Path(folder), {}
        self.purged = step + 1 if step else None

    def _file(self, run: str) -> EventFile:
        if run not in self.files:
            self.files[run] = EventFile(self.folder / run, self.purged)
        return self.files[run]

    def scalars(self, run: str, values: Mapping[str, float], step: int) -> None:
        """Write scalars by name; run: `train` or `select`, a line of its own in each chart."""
        self._try(lambda: self._file(run).scalars(values, step))

    def images(self, images: np.ndarray, detector: Detector, step: int, count: int = 4) -> None:
        """Write the first images of a batch, with the detections drawn."""
        from ..drawing import draw

        for i, image in enumerate(images[:count]):
            drawn = draw(image, detector.detect(np.ascontiguousarray(image), [1.0], False), 0.3)
            self._try(lambda: self._file("train").image(f"detections/{i}", drawn, step))  # noqa: B023 (called at once)
