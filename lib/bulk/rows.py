"""The rows of the output: their columns, and the Parquet file of a part."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..detections import Detections

_NUMBER = pa.float32()
SCHEMA = pa.schema([
    ("path", pa.string()),
    ("width", pa.int32()),  # px, upright and at full size
    ("height", pa.int32()),
    ("boxes", pa.list_(pa.list_(_NUMBER, 4))),  # x1 y1 x2 y2 in px
    ("scores", pa.list_(_NUMBER)),
    ("landmarks", pa.list_(pa.list_(pa.list_(_NUMBER, 2), 5))),  # x y in px; null: the detector gives none
    ("model", pa.string()),
    ("error", pa.string()),  # null: the image was read; else all other columns but path and model are null
])


@dataclass
class Row:
    """One image.

    Attributes:
        path: the id.
        size: (width, height) px; None where it could not be read.
        faces: Detections, or why there are none.
    """

    path: str
    size: tuple[int, int] | None
    faces: Detections | str


@dataclass
class Part:
    """A part as it comes from a worker.

    Attributes:
        number: of the part.
        data: bytes of its Parquet file.
        images, faces, errors: numbers of rows, of faces, and of rows with an error.
    """

    number: int
    data: bytes
    images: int
    faces: int
    errors: int


def as_part(number: int, rows: Sequence[Row], model: str) -> Part:
    """The rows as a Part; numbers keep every bit."""
    found = [row.faces if isinstance(row.faces, Detections) else None for row in rows]
    counts = np.array([len(faces) if faces else 0 for faces in found])
    offsets = np.concatenate([[0], np.cumsum(counts)])
    read = [faces for faces in found if faces is not None]
    no_result = np.array([faces is None for faces in found], bool)
    no_points = np.array([faces is None or faces.landmarks is None for faces in found], bool)
    points = [faces.landmarks for faces in read if faces.landmarks is not None]
    point_counts = np.where(no_points, 0, counts)
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(faces.boxes for faces in read)])
    scores = np.concatenate([np.zeros(0, np.float32), *(faces.scores for faces in read)])
    landmarks = np.concatenate([np.zeros((0, 5, 2), np.float32), *points])
    pairs = pa.FixedSizeListArray.from_arrays(pa.array(landmarks.ravel(), _NUMBER), 2)
    table = pa.Table.from_arrays([
        pa.array([row.path for row in rows], pa.string()),
        pa.array([row.size[0] if row.size else None for row in rows], pa.int32()),
        pa.array([row.size[1] if row.size else None for row in rows], pa.int32()),
        _lists(offsets, no_result, pa.FixedSizeListArray.from_arrays(pa.array(boxes.ravel(), _NUMBER), 4)),
        _lists(offsets, no_result, pa.array(scores, _NUMBER)),
        _lists(np.concatenate([[0], np.cumsum(point_counts)]), no_points, pa.FixedSizeListArray.from_arrays(pairs, 5)),
        pa.array([model] * len(rows), pa.string()),
        pa.array([None if isinstance(row.faces, Detections) else row.faces for row in rows], pa.string()),
    ], schema=SCHEMA)
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    return Part(number, file.getvalue(), len(rows), int(counts.sum()), int(no_result.sum()))


def _lists(offsets, empty, values):
    """Lists of `values`, null where `empty`."""
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, mask=pa.array(empty))


def detections_of(row: dict, threshold: float) -> Detections:
    """The Detections of a row without an error, as pyarrow's to_pylist gives it."""
    return Detections(np.array(row["boxes"], np.float32), np.array(row["scores"], np.float32),
                      None if row["landmarks"] is None else np.array(row["landmarks"], np.float32), {}, threshold)
