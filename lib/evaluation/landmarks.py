"""Landmark error: the distance of five points from the labelled ones, as a fraction of the distance between the eyes.

The error of a face is the mean over its five points of the distance in px from the labelled point, divided by the
distance in px between the labelled left and right eye. The error of a set is the mean over its faces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..datasets.roidb import Record

FAILURE = 0.1
"""A face with a larger error counts as failed."""


def landmark_errors(found: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """The errors of faces.

    Args:
        found: (N, 5, 2) px, left eye and right eye first.
        labelled: (N, 5, 2) px, in the same order.

    Returns:
        (N,) float64; NaN for a face with a NaN point.

    Examples:
        >>> labelled = np.float64([[[0, 0], [40, 0], [20, 20], [5, 40], [35, 40]]])
        >>> landmark_errors(labelled + [3, 4], labelled).tolist()  # 5 px off, eyes 40 px apart
        [0.125]
    """
    labelled = np.asarray(labelled, np.float64)
    distances = np.linalg.norm(np.asarray(found, np.float64) - labelled, axis=2)
    return distances.mean(axis=1) / eye_distances(labelled)


def eye_distances(landmarks: np.ndarray) -> np.ndarray:
    """(N,) px between the first two of (N, 5, 2) points."""
    return np.linalg.norm(landmarks[:, 0] - landmarks[:, 1], axis=1)


def measurable(record: Record) -> np.ndarray:
    """(N,) bool: faces that are not ignored and have all five points, with the eyes 1 px apart or more.

    In a full profile both eyes may be labelled at one place: then there is nothing to divide by.
    """
    points = record.landmarks.astype(np.float64)
    return ~record.ignore & np.isfinite(points).all(axis=(1, 2)) & (np.nan_to_num(eye_distances(points)) >= 1)


def error_summary(errors: ArrayLike) -> dict:
    """The figures of a set of faces.

    Args:
        errors: (N,), of landmark_errors; NaN is left out.

    Returns:
        `faces` (number of errors), `error` (their mean), `median`, `failed` (the fraction over FAILURE). All but
        `faces` are None without faces.
    """
    finite = np.asarray(errors, np.float64)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return {"faces": 0, "error": None, "median": None, "failed": None}
    return {"faces": len(finite), "error": float(finite.mean()), "median": float(np.median(finite)),
            "failed": float((finite > FAILURE).mean())}
