"""The evaluation protocol of WIDER FACE, as its MATLAB tools carry it out, and the same on a roidb.

Its peculiarities: sides are one pixel longer than the boxes (+1); a prediction belongs to the box that it overlaps
most among all boxes, counted or not, and has no second choice; scores are stretched to 0..1 over the whole set and cut
at 1,000 thresholds. Each setting (easy, medium, hard) lists the faces that count; the others are ignored.
"""

import os
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .curve import area_under_curve
from .matching import best_boxes

SETTINGS = ("easy", "medium", "hard")
THRESHOLDS = 1000


@dataclass
class GroundTruth:
    """One image: event, name without extension, boxes (N, 4) float64 x y w h, counted: setting -> (N,) bool."""

    event: str
    name: str
    boxes: np.ndarray
    counted: dict


def read_ground_truth(folder):
    """The images of wider_face_val.mat with the counted faces of wider_{easy,medium,hard}_val.mat: list of GroundTruth.

    Raises InputError when a file is absent or not laid out so.
    """
    faces = _load(folder, "wider_face_val.mat", ("event_list", "file_list", "face_bbx_list"))
    lists = {s: _load(folder, f"wider_{s}_val.mat", ("gt_list",))["gt_list"] for s in SETTINGS}
    images = []
    try:
        for e, event in enumerate(faces["event_list"][:, 0]):
            for i, file in enumerate(faces["file_list"][e, 0][:, 0]):
                boxes = np.asarray(faces["face_bbx_list"][e, 0][i, 0], np.float64).reshape(-1, 4)
                counted = {}
                for setting, cells in lists.items():
                    counted[setting] = np.zeros(len(boxes), bool)
                    counted[setting][np.asarray(cells[e, 0][i, 0], np.intp).ravel() - 1] = True  # MATLAB counts from 1
                images.append(GroundTruth(str(event[0]), str(file[0]), boxes, counted))
    except (IndexError, ValueError, TypeError) as error:
        raise InputError(f"{folder}: the .mat files do not fit each other ({type(error).__name__}: {error})") from None
    return images


def _load(folder, name, variables):
    from scipy.io import loadmat  # slow to import, and only this needs it

    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file; expected the official ground truth, wider_face_val.mat and "
                         "wider_{easy,medium,hard}_val.mat, in one folder")
    try:
        mat = loadmat(path, variable_names=variables)
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise InputError(f"{path}: not a MATLAB file ({error})") from None
    absent = [variable for variable in variables if variable not in mat]
    if absent:
        raise InputError(f"{path}: has no variable {absent[0]}")
    return mat


def evaluate_wider(predictions, ground_truth, subset=False, iou=0.5):
    """The official average precision.

    predictions: event -> name -> (N, 5) x y w h score (read_predictions); ground_truth: list of GroundTruth. An image
    without predictions is skipped, but its faces count; with subset only the images that have an entry in
    `predictions` are looked at. Returns a dict: easy, medium, hard (AP, floats), images, predictions (looked at),
    faces (setting -> counted faces) and unknown (entries of `predictions` that have no ground truth and are not
    looked at). Raises InputError when no entry has a ground truth.
    """
    entries = sum(map(len, predictions.values()))
    pairs = [(predictions.get(image.event, {}).get(image.name), image) for image in ground_truth]
    known = sum(faces is not None for faces, _ in pairs)
    if not known:
        example = f"{ground_truth[0].event}/{ground_truth[0].name}" if ground_truth else "none"
        raise InputError(f"none of the {entries} predicted images is in the ground truth, whose images look like "
                         f"{example}; is this the folder that holds the event folders?")
    if subset:
        pairs = [(faces, image) for faces, image in pairs if faces is not None]
    none = np.zeros((0, 5))
    # The official tools pass over an image without any box: nothing there is a false positive.
    scored = [(faces if faces is not None and len(image.boxes) else none, image.boxes,
               np.column_stack([image.counted[s] for s in SETTINGS]).reshape(-1, len(SETTINGS)))
              for faces, image in pairs]
    # Their scores do take part in the stretching, though.
    every = np.concatenate([none, *(faces for faces, _ in pairs if faces is not None)])[:, 4]
    faces = {s: int(sum(image.counted[s].sum() for _, image in pairs)) for s in SETTINGS}
    precisions = _precisions(scored, every, list(faces.values()), iou)
    return dict(zip(SETTINGS, precisions, strict=True)) | {
        "images": len(pairs), "predictions": len(every), "faces": faces, "unknown": entries - known}


def average_precision(detections, records, iou=0.5):
    """The same protocol on a roidb: all faces count that are not ignored. A float; for choosing checkpoints.

    detections: for each Record an (N, 5) array x1 y1 x2 y2 score, or an object with boxes (N, 4) and scores (N,).
    Other than in the official files, an image without faces is looked at: a detection there is a false positive.
    """
    scored, faces = [], 0
    for found, record in zip(detections, records, strict=True):
        counted = ~record.ignore[:, None]
        scored.append((_corners_to_sides(as_rows(found)), _corners_to_sides(record.boxes.astype(np.float64)), counted))
        faces += int(counted.sum())
    every = np.concatenate([np.zeros(0), *(found[:, 4] for found, _, _ in scored)])
    return _precisions(scored, every, [faces], iou)[0]


def as_rows(found):
    """Detections as (N, 5) float64 x1 y1 x2 y2 score."""
    if hasattr(found, "boxes"):
        found = np.column_stack([np.asarray(found.boxes).reshape(-1, 4), np.asarray(found.scores).reshape(-1)])
    return np.asarray(found, np.float64).reshape(-1, 5)


def _corners_to_sides(rows):
    return np.concatenate([rows[:, :2], rows[:, 2:4] - rows[:, :2], rows[:, 4:]], axis=1)


def _precisions(scored, scores, faces, iou):
    """AP of each setting. scored: per image predictions (P, 5), boxes (G, 4) and counted (G, S); faces: S totals."""
    predictions, boxes = [np.zeros((0, 5))], [np.zeros((0, 4))]
    images, owners, counted = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)], [np.zeros((0, len(faces)), bool)]
    for index, (found, there, flags) in enumerate(scored):
        predictions.append(found)
        boxes.append(there)
        images.append(np.full(len(found), index))
        owners.append(np.full(len(there), index))
        counted.append(flags)
    predictions, boxes, counted = map(np.concatenate, (predictions, boxes, counted))
    images, owners = np.concatenate(images), np.concatenate(owners)
    order = np.lexsort((-predictions[:, 4], images))  # stable: equal scores stay in the file's order
    predictions, images = predictions[order], images[order]

    best = best_boxes(predictions, images, boxes, owners, iou)  # (P,)
    matched = np.flatnonzero(best >= 0)
    first = np.zeros(len(best), bool)
    first[matched[np.unique(best[matched], return_index=True)[1]]] = True
    # A prediction without a box is a proposal in every setting; one on an ignored box in none.
    proposal = np.ones((len(best), len(faces)), bool)
    proposal[matched] = counted[best[matched]]
    # The first threshold that lets a prediction in; a running sum over them replaces 1,000 cuts of every image.
    thresholds = 1 - np.arange(1, THRESHOLDS + 1) / THRESHOLDS
    at = np.searchsorted(-thresholds, -_stretched(predictions[:, 4], scores), side="left")
    precisions = []
    for setting, total in enumerate(faces):
        proposals = np.cumsum(np.bincount(at, proposal[:, setting], THRESHOLDS))
        recalled = np.cumsum(np.bincount(at, proposal[:, setting] & first, THRESHOLDS))
        precision = recalled / np.maximum(proposals, 1)
        precisions.append(area_under_curve(recalled / total, precision) if total else 0.0)
    return precisions


def _stretched(values, scores):
    """values, moved so that all scores fill 0..1; all equal scores become 1."""
    if not len(scores):
        return values
    low, high = scores.min(), scores.max()
    return (values - low) / (high - low) if high > low else np.ones(len(values))
