"""WIDER FACE's prediction files, `event/name.txt`: the image, the number of faces, then `x y w h score` per face."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field

import numpy as np

from ...datasets.folders import walk
from ...datasets.roidb import image_name, slashed
from ...datasets.text import is_number
from ...errors import InputError, printable
from ...files import write_whole
from ...texts import decoded, marked_encoding
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
    """Read every .txt below a folder, as datasets.folders.walk does. Texts that are no prediction are passed over.

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
    for event, names in walk(folder):
        faces = {}
        for name in names:
            if name.lower().endswith(".txt"):
                rows = _read_or_pass(os.path.join(folder, *event.split("/"), name), skipped)
                if rows is not None:
                    faces[name[:-4]] = rows
        if faces:
            predictions[event] = faces
    if not predictions:
        raise InputError(f"{folder}: holds no prediction file (.txt)")
    return predictions


def _read_or_pass(path, skipped):
    """The faces of a file; None where it has no usable head, or is another text, which is passed over with a line."""
    data, faces = _content(path)
    if faces is not None:
        return faces
    lines = data.splitlines()
    if _is_other_text(lines, os.path.basename(path)[:-4]):
        print(f"note: {printable(path)}: passed over, it is no prediction (it begins with {_shown(lines[0])})",
              file=sys.stderr, flush=True)
        return None
    return _line_by_line(path, lines, skipped)


def _is_other_text(lines, stem):
    """Whether lines are notes, and not a prediction with faults: no count, no face, and another name on line 1."""
    try:
        head = lines[0].decode().strip() if lines else ""
    except UnicodeDecodeError:
        return False
    if not head or "\0" in head or image_name(os.path.basename(slashed(head))) == stem:
        return False
    return not any(_is_numbers(row) for row in map(bytes.split, lines[:1000]))


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
    data, faces = _content(path)
    return _line_by_line(path, data.splitlines(), skipped) if faces is None else faces


def _content(path):
    """The bytes of a file in UTF-8, and its faces; None where a line is unusual."""
    try:
        with open(path, "rb", buffering=0) as file:
            data = file.readall()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    faces = parse_faces(data)
    if faces is None and marked_encoding(data)[1] != "UTF-8":
        data = decoded(data, path).encode()
        faces = parse_faces(data)
    return data, faces


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
    return len(row) == 5 and _is_numbers(row)


def _is_numbers(row):
    return bool(row) and all(is_number(field.decode("latin-1")) for field in row)


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
        image: the first line, where unprintable characters are escapes.
        boxes: (N, 4) float32, x1 y1 x2 y2 in px.
        scores: (N,) float32.
    """
    boxes, scores = np.asarray(boxes, np.float32).reshape(-1, 4), np.asarray(scores, np.float32)
    rows = np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2], scores])
    lines = [printable(image), str(len(rows)), *(" ".join(f"{value:.9g}" for value in row) for row in rows.tolist())]
    write_whole(path, "\n".join(lines) + "\n", sync=False)
