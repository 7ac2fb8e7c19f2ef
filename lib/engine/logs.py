"""The logs of a training: CSV rows and TensorBoard."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..inference.detector import Detector


class CsvLog:
    """A CSV file with a row per step, or per some steps.

    Args:
        path: the file. Its folder is made.
        step: step of the checkpoint that a run resumes from. Rows of later steps are removed, so that no step is there
            twice.
    """

    def __init__(self, path: str | os.PathLike, step: int = 0) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            with open(self.path, newline="", encoding="utf-8") as file:
                header, *rows = list(csv.reader(file)) or [[]]
            rows = [row for row in rows if row and row[0].isdigit() and int(row[0]) <= step]
            with open(self.path, "w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([header, *rows] if rows else [])

    def write(self, step: int, row: Mapping[str, float]) -> None:
        """Append a row; a new file gets the names of the values as its header."""
        fresh = not self.path.exists() or self.path.stat().st_size == 0
        try:
            with open(self.path, "a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                if fresh:
                    writer.writerow(["step", *row])
                writer.writerow([step, *(f"{value:.6g}" for value in row.values())])
        except OSError:
            pass  # a full disk is reported by the writer of the checkpoint


class TensorBoard:
    """Scalars and pictures for TensorBoard. Without tensorboardX, which writes them, it does nothing.

    Args:
        folder: folder of the event files.
        step: step of the checkpoint that a run resumes from. Earlier events of later steps are hidden.
    """

    def __init__(self, folder: str | os.PathLike, step: int = 0) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            SummaryWriter = None
        self.make, self.folder, self.writers = SummaryWriter, str(folder), {}
        self.purged = step + 1 if step else None

    def _writer(self, run):
        if run not in self.writers:
            self.writers[run] = self.make(f"{self.folder}/{run}", purge_step=self.purged)
        return self.writers[run]

    def scalars(self, run: str, values: Mapping[str, float], step: int) -> None:
        """Write scalars by name; run: `train` or `select`, a line of its own in each chart."""
        if self.make:
            for name, value in values.items():
                self._writer(run).add_scalar(name, value, step)

    def images(self, images: np.ndarray, detector: Detector, step: int, count: int = 4) -> None:
        """Write the first images of a batch, with the detections drawn."""
        if not self.make:
            return
        from ..drawing import draw

        for i, image in enumerate(images[:count]):
            drawn = draw(image, detector.detect(np.ascontiguousarray(image), [1.0], False), 0.3)
            self._writer("train").add_image(f"detections/{i}", drawn, step, dataformats="HWC")

    def close(self) -> None:
        """Close the event files."""
        for writer in self.writers.values():
            writer.close()
