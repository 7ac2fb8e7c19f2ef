"""What a training writes of itself: CSV rows and TensorBoard."""

import csv
from pathlib import Path

import numpy as np


class CsvLog:
    """Rows by step. A resumed run first drops the rows after its checkpoint, so that no step stands twice."""

    def __init__(self, path, step=0):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            with open(self.path, newline="", encoding="utf-8") as file:
                header, *rows = list(csv.reader(file)) or [[]]
            rows = [row for row in rows if row and row[0].isdigit() and int(row[0]) <= step]
            with open(self.path, "w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([header, *rows] if rows else [])

    def write(self, step, row):
        fresh = not self.path.exists() or self.path.stat().st_size == 0
        try:
            with open(self.path, "a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                if fresh:
                    writer.writerow(["step", *row])
                writer.writerow([step, *(f"{value:.6g}" for value in row.values())])
        except OSError:
            pass  # a full disk: the checkpoint's writer reports it


class TensorBoard:
    """Scalars and pictures for TensorBoard; nothing where tensorboardX, which writes them, is not installed.

    step: of the checkpoint that a run resumes from; what an earlier part of it wrote for later steps is hidden.
    """

    def __init__(self, folder, step=0):
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            SummaryWriter = None
        self.make, self.folder, self.writers = SummaryWriter, str(folder), {}
        self.purged = step + 1 if step else None

    def _writer(self, part):
        if part not in self.writers:
            self.writers[part] = self.make(f"{self.folder}/{part}", purge_step=self.purged)
        return self.writers[part]

    def scalars(self, part, values, step):
        if self.make:
            for name, value in values.items():
                self._writer(part).add_scalar(name, value, step)

    def images(self, images, detector, step, count=4):
        """The first images of a batch with what the detector finds in them."""
        if not self.make:
            return
        from ..drawing import draw

        for i, image in enumerate(images[:count]):
            drawn = draw(image, detector.detect(np.ascontiguousarray(image), [1.0], False), 0.3)
            self._writer("train").add_image(f"detections/{i}", drawn, step, dataformats="HWC")

    def close(self):
        for writer in self.writers.values():
            writer.close()
