"""What is done with the rows of a run: counted, drawn, turned into prediction files or JSON lines."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..datasets.images import ImageError
from ..datasets.roidb import leaves_folder
from ..detections import Detections
from ..errors import InputError, shown
from ..files import short_name, whole_file
from ..inference.demo import sources as demo
from ..inference.demo.pictures import DRAWN, Pictures
from ..inference.results import open_results
from ..progress import Progress
from .plan import part_path, read_images, read_run
from .rows import SCHEMA, detections_of
from .sources.items import items_of
from .sources.reading import Reader


class Rows:
    """The rows in a folder.

    Attributes:
        run: what decided them.
        total: number of images of the source.
        parts: files of the finished parts.

    Raises:
        InputError: the folder holds no run.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = Path(folder)
        self.run = read_run(folder)
        self.images = read_images(folder)
        self.total = self.images.num_rows
        count = -(-self.total // self.run["rows"])
        self.parts = [path for path in (part_path(folder, number) for number in range(count)) if path.exists()]

    def tables(self) -> Iterator[pa.Table]:
        """Yield the table of each finished part; InputError where one cannot be read."""
        for path in self.parts:
            try:
                with pq.ParquetFile(path) as file:
                    table = file.read()
                if table.schema.names != SCHEMA.names:
                    raise ValueError(f"its columns are {', '.join(table.schema.names)}")
            except (OSError, ValueError) as error:
                raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]}); delete it, and run "
                                 f"the same `manyfaces bulk` again") from None
            yield table

    def __iter__(self) -> Iterator[tuple[dict[str, Any], Detections | None]]:
        """Yield (row, its Detections or None where it has an error)."""
        for table in self.tables():
            for row in table.to_pylist():
                yield row, None if row["error"] is not None else detections_of(row, self.run["score"])


@dataclass
class Counts:
    """What is in a folder.

    Attributes:
        rows, total: rows that are there, images of the source.
        faces: of all rows.
        with_faces: rows with one face or more.
        reasons: text -> rows with that error, without their names and numbers.
        repeated, foreign: images with more than one row, rows of no image of the source: 0, or the folder was changed.
    """

    rows: int = 0
    total: int = 0
    faces: int = 0
    with_faces: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    foreign: int = 0

    @property
    def errors(self) -> int:
        """Rows with an error."""
        return sum(self.reasons.values())

    @property
    def exact(self) -> bool:
        """Whether each image of the source has one row."""
        return self.rows == self.total and not self.repeated and not self.foreign


def count(rows: Rows) -> Counts:
    """Count the rows, and compare their paths with those of the source."""
    counts, paths = Counts(total=rows.total), []
    for table in rows.tables():
        counts.rows += table.num_rows
        faces = pc.fill_null(pc.list_value_length(table["scores"]), 0)
        counts.faces += pc.sum(faces).as_py() or 0
        counts.with_faces += pc.sum(pc.greater(faces, 0)).as_py() or 0
        paths.append(table["path"].cast(pa.large_string()))
        for path, error in zip(*(table.filter(pc.is_valid(table["error"]))[name].to_pylist()
                                 for name in ("path", "error")), strict=True):
            counts.reasons[re.sub(r"[\d,.]*\d", "#", error.removeprefix(f"{path}: "))[:100]] += 1
    found = pa.chunked_array([chunk for path in paths for chunk in path.chunks], pa.large_string())
    different = pc.count_distinct(found).as_py()
    counts.repeated = counts.rows - different
    counts.foreign = counts.rows - (pc.sum(pc.is_in(found, value_set=rows.images["path"])).as_py() or 0)
    return counts


def draw_sample(rows: Rows, out: str | os.PathLike, number: int, seed: int = 0) -> tuple[int, list[str]]:
    """Draw a random choice of the images that have faces.

    Returns:
        (number of pictures, why others could not be drawn).
    """
    rng, chosen, seen = random.Random(seed), [], 0
    for row, faces in rows:
        if faces is None or not len(faces):
            continue
        seen += 1
        if len(chosen) < number:
            chosen.append((row["path"], faces))
        elif (place := rng.randrange(seen)) < number:  # each image that has been seen is in with the same chance
            chosen[place] = row["path"], faces
    faces_of = dict(chosen)
    wanted = rows.images.filter(pc.is_in(rows.images["path"], value_set=pa.array(list(faces_of), pa.large_string())))
    items = list(items_of(wanted))
    reader = Reader(rows.run["kind"], rows.run["image_column"])
    failed, pictures = [], Pictures(out, DRAWN, rows.run["score"])
    with contextlib.ExitStack() as stack:
        for stored in reader.stored(items, stack):
            place, image, _ = reader.decoded(stored)
            if isinstance(image, ImageError):
                failed.append(str(image))
                continue
            path = items[place].path
            name = f"{place:04d}_{short_name(path.rpartition('/')[2])}"
            picture = pictures.folder / f"{name}.jpg"
            pictures.write_image(demo.Source("image", path, name, image), picture, image, faces_of[path])
    return len(items) - len(failed), failed


def write_json_lines(rows: Rows, path: str | os.PathLike) -> int:
    """Write a line per row as `manyfaces detect --json` does, without times; that of an error has no face and `error`.

    Returns:
        The number of lines.
    """
    lines = 0
    with whole_file(path) as temporary, open(temporary, "w", encoding="utf-8") as file, \
            Progress(None, "lines") as progress:
        for row, faces in rows:
            line = {"source": row["path"], "width": row["width"], "height": row["height"],
                    **({} if faces is not None else {"error": row["error"]}),
                    **(faces or _nothing(rows)).to_dict(), "by": row["model"]}
            file.write(json.dumps(line, allow_nan=False) + "\n")
            lines += 1
            progress.advance()
    return lines


def _nothing(rows):
    return Detections(np.zeros((0, 4)), np.zeros(0), threshold=rows.run["score"])


def write_predictions(rows: Rows, out: str | os.PathLike, file_format: str = "wider",
                      labels: str | os.PathLike | None = None) -> tuple[int, int]:
    """Write predictions as `manyfaces test` does; a file is named by the path below the source.

    Args:
        out, file_format, labels: as in inference.results.open_results.

    Returns:
        (images, of these without a prediction because of an error).

    Raises:
        InputError: two images would have one file, or a name leaves the folder.
    """
    paths = [path for table in rows.tables() for path in table["path"].to_pylist()]
    if not paths:
        raise InputError(f"{rows.folder}: holds no finished part")
    names = dict(zip(paths, _below(paths, rows.run["source"]), strict=True))
    results = open_results(out, list(names.values()), rows.run, file_format=file_format, labels=labels)
    failed = 0
    with Progress(len(paths), "images") as progress:
        for row, faces in rows:
            name = names[row["path"]]
            if faces is None:
                failed += 1
                results.leave_out(name)
            else:
                results.write(name, faces, (row["width"], row["height"]))
            progress.advance()
    results.finish()
    return len(paths), failed


def _below(paths, source):
    """The paths below the source where all are, else below the folder that all are in."""
    top = f"{source.rstrip('/')}/"
    if not all(path.startswith(top) for path in paths):
        folders = [path.split("/")[:-1] for path in (min(paths), max(paths))]
        common = 0
        while common < min(map(len, folders)) and folders[0][common] == folders[1][common]:
            common += 1
        top = "".join(f"{folder}/" for folder in folders[0][:common])
    names = [path[len(top):] for path in paths]
    for path, name in zip(paths, names, strict=True):
        if leaves_folder(name):
            raise InputError(f"{shown(path)}: leaves the folder of the predictions; convert to JSON lines instead")
    return names
