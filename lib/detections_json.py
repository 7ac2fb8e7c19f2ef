"""Detections as JSON and back; `Detections.to_json` describes the format."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .errors import InputError, shown
from .parsing import parse_json

_LARGEST = float(str(np.finfo(np.float32).max))  # the shortest decimals of it are a little more in float64


def as_dict(boxes: np.ndarray, scores: np.ndarray, landmarks: np.ndarray | None, threshold: float,
            ids: np.ndarray | None = None) -> dict[str, Any]:
    """Plain values: threshold, landmarks (whether there are any), and faces, a dict per face.

    Args:
        boxes: (N, 4) float32 px.
        scores: (N,) float32.
        landmarks: (N, 5, 2) float32 px; None: the detector gives none.
        threshold: score from which a face is shown.
        ids: (N,) int64, the track of each face; None: they were not tracked.
    """
    faces = [{"box": _plain(box), "score": _plain(score)} for box, score in zip(boxes, scores, strict=True)]
    if landmarks is not None:
        for face, points in zip(faces, landmarks, strict=True):
            face["landmarks"] = [_plain(point) if np.isfinite(point).all() else None for point in points]
    if ids is not None:
        for face, number in zip(faces, ids.tolist(), strict=True):
            face["id"] = number
    return {"threshold": float(threshold), "landmarks": landmarks is not None, "faces": faces}


def _plain(values):
    """Convert float32 to the shortest decimals that give the same float32, not to their long float64 expansions."""
    if values.ndim:
        return [float(str(value)) for value in values]
    return float(str(values))


def from_dict(source: str | bytes | bytearray | dict) -> tuple[list, list, list | None, float, list | None]:
    """Read and check what as_dict gave.

    Args:
        source: JSON text, or the dict in it.

    Returns:
        Plain lists: boxes (N, 4) px, scores (N,), landmarks (N, 5, 2) px or None; then the threshold, and
        the ids (N,) or None.

    Raises:
        InputError: a key is missing or has a wrong value; it names the key, what was found and what was expected.
    """
    if isinstance(source, (str, bytes, bytearray)):
        try:
            source = parse_json(source)
        except ValueError as error:
            raise InputError(f"Detections.from_json: not JSON ({error}), expected what to_json wrote") from None
    if not isinstance(source, dict) or not isinstance(source.get("faces"), list):
        raise InputError("Detections.from_json: found no list under \"faces\", expected what to_json wrote")
    faces = source["faces"]
    boxes = [_numbers(face, f"faces[{i}]", "box", 4) for i, face in enumerate(faces)]
    scores = [_number(face["score"] if "score" in face else None, f"faces[{i}].score") for i, face in enumerate(faces)]
    points = None
    if source.get("landmarks", any("landmarks" in face for face in faces)):
        points = [_points(face, f"faces[{i}].landmarks") for i, face in enumerate(faces)]
    threshold = _number(source.get("threshold", 0.5), "threshold")
    ids = [_id(face, f"faces[{i}].id") for i, face in enumerate(faces)] if any("id" in face for face in faces) else None
    return boxes, scores, points, threshold, ids


def _id(face, where):
    value = face.get("id")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise InputError(f"Detections.from_json: {where} is {shown(value)}, expected a whole number, as of every face")
    return value


def _numbers(face, where, key, count):
    values = face.get(key) if isinstance(face, dict) else None
    if not isinstance(values, list) or len(values) != count:
        raise InputError(f"Detections.from_json: {where}.{key} is {shown(values)}, expected {count} numbers")
    return [_number(value, f"{where}.{key}") for value in values]


def _number(value, where):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _LARGEST:
        raise InputError(f"Detections.from_json: {where} is {shown(value)}, expected a number")
    return value


def _points(face, where):
    points = face.get("landmarks")
    if not isinstance(points, list) or len(points) != 5:
        raise InputError(f"Detections.from_json: {where} is {shown(points)}, expected five points")
    rows = []
    for point in points:
        if point is not None and (not isinstance(point, list) or len(point) != 2):
            raise InputError(f"Detections.from_json: {where} holds {shown(point)}, expected [x, y] or null")
        rows.append([math.nan] * 2 if point is None else [_number(value, where) for value in point])
    return rows
