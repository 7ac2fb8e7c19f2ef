"""WIDER FACE's prediction files, `event/name.txt`: the image, the number of faces, then `x y w h score` per face."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np

from ...datasets.text import is_number
from ...errors import InputError
from ...files import write_whole
from ..matching import parse_faces

Predictions = dict[str, dict[str, np.ndarray]]
"""Event ("" for none) -> image name without extension -> (N, 5) float64 x y w h score in px."""


@dataclass
class Skipped:
    """What a lenient reading left out.

    Attributes:
        files: number of files without a usable head.
        lines: number of lines that are no face.
        counts: number of files whose count of faces was wrong.
        messages: one sentence for each.
    """

    files: int = 0
    lines: int = 0
    counts: int = 0
    messages: list[str] = field(default_factory=list)


def read_predictions(folder: str | os.PathLike, skipped: Skipped | None = None) -> Predictions:
    """Read every .txt below a folder.

    Args:
        folder: of event/name.txt; the event is the path of the file's folder below it.
        skipped: makes the reading lenient: malformed files and lines are left out and counted there.

    Returns:
        The faces, in the order of each file.

    Raises:
        InputError: the folder or its prediction files are missing; or a file is malformed and `skipped` is None, with
            file and line.
    """
    folder = os.fspath(folder)
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder of predictions")
    predictions = {}
    for at, folders, files in os.walk(folder):
        folders.sort()
        event = os.path.relpath(at, folder).replace(os.sep, "/")
        texts = {name[:-4]: os.path.join(at, name) for name in sorted(files) if name.endswith(".txt")}
        read = {name: read_prediction_file(path, skipped) for name, path in texts.items()}
        faces = {name: rows for name, rows in read.items() if rows is not None}
        if faces:
            predictions["" if event == "." else event] = faces
    if not predictions:
        raise InputError(f"{folder}: holds no prediction file (.txt)")
    return predictions


def read_prediction_file(path: str | os.PathLike, skipped: Skipped | None = None) -> np.ndarray | None:
    """Read the faces of one file.

    Args:
        path: the file.
        skipped: as in read_predictions.

    Returns:
        (N, 5) float64, x y w h score in px; None where a lenient reading finds no usable head.

    Raises:
        InputError: the file cannot be read, or as in read_predictions.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            data = file.readall()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    faces = parse_faces(data)
    return _line_by_line(path, data.splitlines(), skipped) if faces is None else faces


def _line_by_line(path, lines, skipped):
    """The faces of a file in which something is unusual, and usually wrong."""
    while lines and not lines[-1].strip():
        lines.pop()
    count = lines[1].strip() if len(lines) > 1 else b""
    if not count.isdigit() or len(lines[0].split()) == 5 and _is_face(lines[0].split()):
        message = f"{path}, line 2: expected an image name on line 1 and the number of faces, found {_shown(count)}"
        return _skip(skipped, message, "files")
    faces = []
    for number, row in enumerate(map(bytes.split, lines[2:]), 3):
        if _is_face(row):
            faces.append(list(map(float, row)))
        else:
            _skip(skipped, f"{path}, line {number}: expected `x y w h score`, found {_shown(b' '.join(row))}", "lines")
    if count.lstrip(b"0") != str(len(lines) - 2 or "").encode():  # as text: it may be too long for a number
        message = f"{path}, line 2: says {count[:20].decode()} faces, but {len(lines) - 2} lines follow"
        _skip(skipped, message, "counts")
    return np.array(faces, np.float64).reshape(-1, 5)


def _is_face(row):
    return len(row) == 5 and all(map(is_number, row))


def _skip(skipped, message, kind):
    if skipped is None:
        raise InputError(message + " (--lenient skips what is malformed)")
    setattr(skipped, kind, getattr(skipped, kind) + 1)
    skipped.messages.append(message)


def _shown(data):
    return repr(data[:60].decode("utf-8", "replace"))


def write_prediction_file(path: str | os.PathLike, image: str, boxes: np.ndarray, scores: np.ndarray) -> None:
    """Write the faces of one image. Nine digits restore every float32.

    Args:
        path: the file to write.
        image: the first line.
        boxes: (N, 4) float32, x1 y1 x2 y2 in px.
        scores: (N,) float32.
    """
    boxes, scores = np.asarray(boxes, np.float32).reshape(-1, 4), np.asarray(scores, np.float32)
    rows = np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2], scores])
    lines = [image, str(len(rows)), *(" ".join(f"{value:.9g}" for value in row) for row in rows.tolist())]
    write_whole(path, ("\n".join(lines) + "\n").encode(), sync=False)
