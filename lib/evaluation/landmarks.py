"""Landmark error: how far five points lie from the labelled ones, in parts of the distance between the eyes.

The error of a face is the mean over its five points of the distance in px from the labelled point, divided by the
distance in px between the labelled left and right eye. That of a set is the mean over its faces.
"""

import numpy as np

FAILURE = 0.1  # a face with a larger error counts as one that failed


def landmark_errors(found, labelled):
    """(N,) errors of faces: found and labelled (N, 5, 2) px, left eye and right eye first. NaN where a point is.

    >>> labelled = np.float64([[[0, 0], [40, 0], [20, 20], [5, 40], [35, 40]]])
    >>> landmark_errors(labelled + [3, 4], labelled).tolist()  # 5 px off, eyes 40 px apart
    [0.125]
    """
    labelled = np.asarray(labelled, np.float64)
    distances = np.linalg.norm(np.asarray(found, np.float64) - labelled, axis=2)
    return distances.mean(axis=1) / eye_distances(labelled)


def eye_distances(landmarks):
    """(N,) px between the first two of (N, 5, 2) points."""
    return np.linalg.norm(landmarks[:, 0] - landmarks[:, 1], axis=1)


def measurable(record):
    """(N,) bool: faces of a Record that are not ignored, have all five points, and whose eyes are 1 px apart or more.

    In a full profile both eyes may be labelled at one place: then there is nothing to divide by.
    """
    points = record.landmarks.astype(np.float64)
    return ~record.ignore & np.isfinite(points).all(axis=(1, 2)) & (np.nan_to_num(eye_distances(points)) >= 1)


def error_summary(errors):
    """Dict of faces (how many have an error), error (mean), median and failed (part over FAILURE); NaN left out."""
    errors = np.asarray(errors, np.float64)
    errors = errors[np.isfinite(errors)]
    if not len(errors):
        return {"faces": 0, "error": None, "median": None, "failed": None}
    return {"faces": len(errors), "error": float(errors.mean()), "median": float(np.median(errors)),
            "failed": float((errors > FAILURE).mean())}
