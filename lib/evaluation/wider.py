"""The evaluation protocol of WIDER FACE, as its MATLAB tools carry it out, and the same on a roidb.

Its peculiarities: sides are one pixel longer than the boxes (+1); a prediction belongs to the box that it overlaps
most among all boxes, counted or not, and has no second choice; scores are stretched to 0..1 over the whole set and cut
at 1,000 thresholds. Each setting (easy, medium, hard) lists the faces that count; the others are ignored.

A set is matched once (`match_wider`); then a curve can be drawn for any choice of counted faces (`curve_of`).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import InputError
from .curve import curve_of
from .files.ground_truth import SETTINGS
from .files.warnings import prediction_warnings
from .matching import best_boxes

THRESHOLDS = 1000


@dataclass
class Matches:
    """A set of predictions matched with its boxes (match_wider). P predictions, G boxes, S settings.

    images: list of GroundTruth (or Record), those looked at. rows (P, 5) float64 x y w h score, image by image, in
    falling score (equal ones in the file's order); image (P,) intp: the number of each one's image. boxes (G, 4)
    float64 x y w h, owner (G,) intp: likewise. counted (G, S) bool: the faces that count in each setting, faces:
    setting -> how many. best (P,) intp: the box that a prediction overlaps most, if by IoU 0.5 or more, else -1;
    first (P,) bool: the first of its image to reach its box. stretched (P,) float64: the scores, moved so that those
    of the whole set fill 0..1. every_score (Q,) float64: all scores of the set, also of images without any box, where
    the protocol looks at no prediction.
    """

    images: list
    rows: np.ndarray
    image: np.ndarray
    boxes: np.ndarray
    owner: np.ndarray
    counted: np.ndarray
    faces: dict
    best: np.ndarray
    first: np.ndarray
    stretched: np.ndarray
    every_score: np.ndarray

    @cached_property
    def ranks(self):
        """What every curve needs: the predictions by falling score over all images, (P,); how many of them each of the
        1,000 thresholds lets in, and how many each distinct score."""
        order = np.argsort(-self.rows[:, 4])
        falling, thresholds = -self.stretched[order], 1 - np.arange(1, THRESHOLDS + 1) / THRESHOLDS
        levels = 1 + np.flatnonzero(np.diff(self.rows[order, 4], append=np.nan))
        return order, np.searchsorted(falling, -thresholds, side="right"), levels


def match_wider(predictions, ground_truth, subset=False, iou=0.5):
    """Matches of a set of predictions by the official rules.

    predictions: event -> name -> (N, 5) x y w h score (read_predictions); ground_truth: list of GroundTruth. An image
    without predictions is skipped, but its faces count; with subset only the images that have an entry in
    `predictions` are looked at. Raises InputError when no entry has a ground truth.
    """
    pairs = [(predictions.get(image.event, {}).get(image.name), image) for image in ground_truth]
    if not any(found is not None for found, _ in pairs):
        example = f"{ground_truth[0].event}/{ground_truth[0].name}" if ground_truth else "none"
        raise InputError(f"none of the {sum(map(len, predictions.values()))} predicted images is in the ground truth, "
                         f"whose images look like {example}; is this the folder that holds the event folders?")
    if subset:
        pairs = [(found, image) for found, image in pairs if found is not None]
    none, images = np.zeros((0, 5)), [image for _, image in pairs]
    every = np.concatenate([none, *(found for found, _ in pairs if found is not None)])
    if not np.isfinite(every).all():
        bad = next(image for found, image in pairs if found is not None and not np.isfinite(found).all())
        raise InputError(f"{bad.event}/{bad.name}: a prediction is not finite; expected numbers x y w h score")
    # The official tools pass over an image without any box: nothing there is a false positive. The scores there do
    # take part in the stretching, though.
    rows = [found if found is not None and len(image.boxes) else none for found, image in pairs]
    counted = {s: [image.counted[s] for image in images] for s in SETTINGS}
    return _match(images, rows, [image.boxes for image in images], counted, every[:, 4], iou)


def _match(images, rows, boxes, counted, every, iou):
    """Matches. rows, boxes and the values of counted: lists, an array an image; every: all scores."""
    image = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
    owner = np.repeat(np.arange(len(boxes)), [len(part) for part in boxes])
    rows = np.concatenate([np.zeros((0, 5)), *rows])
    boxes = np.concatenate([np.zeros((0, 4)), *boxes])
    flags = np.column_stack([np.concatenate([np.zeros(0, bool), *parts]) for parts in counted.values()])
    rising = (rows[1:, 4] > rows[:-1, 4]) & (image[1:] == image[:-1])
    for number in np.unique(image[1:][rising]):  # mostly none: detectors write their boxes by score
        part = slice(*np.searchsorted(image, (number, number + 1)))
        rows[part] = rows[part][np.argsort(-rows[part, 4], kind="stable")]  # equal scores stay in the file's order
    best = best_boxes(rows, image, boxes, owner, iou)
    matched = np.flatnonzero(best >= 0)[::-1]
    reached = np.full(len(boxes), -1)
    reached[best[matched]] = matched  # the last to be assigned, the first of its image, stays
    first = np.zeros(len(best), bool)
    first[reached[reached >= 0]] = True
    faces = dict(zip(counted, flags.sum(axis=0).tolist(), strict=True))
    return Matches(images, rows, image, boxes, owner, flags, faces, best, first, _stretched(rows[:, 4], every), every)


def _stretched(values, scores):
    """values, moved so that all scores fill 0..1; all equal scores become 1 (in MATLAB they are 0/0)."""
    if not len(scores):
        return values
    low, high = scores.min(), scores.max()
    return (values - low) / (high - low) if high > low else np.ones(len(values))


def evaluate_wider(predictions, ground_truth, subset=False, iou=0.5):
    """The official average precision: result_of what match_wider finds, and with the same arguments."""
    return result_of(match_wider(predictions, ground_truth, subset, iou), predictions)


def result_of(matches, predictions):
    """Average precision and what there is to say of a set of predictions that match_wider matched.

    Returns a dict: easy, medium, hard (AP, floats), exact (setting -> AP without bins), images, predictions (looked
    at), faces (setting -> counted faces), unknown (entries of `predictions` that have no ground truth and are not
    looked at) and warnings (list of str: prediction_warnings).
    """
    files = [predictions.get(image.event, {}).get(image.name) for image in matches.images]
    curves = {s: curve_of(matches, matches.counted[:, k]) for k, s in enumerate(SETTINGS)}
    return {s: curve.ap for s, curve in curves.items()} | {
        "exact": {s: curve.exact for s, curve in curves.items()}, "images": len(matches.images),
        "predictions": len(matches.every_score), "faces": matches.faces,
        "unknown": sum(map(len, predictions.values())) - sum(found is not None for found in files),
        "warnings": prediction_warnings(matches, files)}


def average_precision(detections, records, iou=0.5):
    """The same protocol on a roidb: all faces count that are not ignored. A float; for choosing checkpoints.

    detections: for each Record an (N, 5) array x1 y1 x2 y2 score, or an object with boxes (N, 4) and scores (N,).
    Other than in the official files, an image without faces is looked at: a detection there is a false positive.
    """
    rows, boxes, counted = [], [], []
    for found, record in zip(detections, records, strict=True):
        rows.append(_corners_to_sides(as_rows(found)))
        boxes.append(_corners_to_sides(record.boxes.astype(np.float64)))
        counted.append(~record.ignore)
    every = np.concatenate([np.zeros(0), *(found[:, 4] for found in rows)])
    matches = _match(records, rows, boxes, {"all": counted}, every, iou)
    return curve_of(matches, matches.counted[:, 0]).ap


def as_rows(found):
    """Detections as (N, 5) float64 x1 y1 x2 y2 score."""
    if hasattr(found, "boxes"):
        found = np.column_stack([np.asarray(found.boxes).reshape(-1, 4), np.asarray(found.scores).reshape(-1)])
    return np.asarray(found, np.float64).reshape(-1, 5)


def _corners_to_sides(rows):
    return np.concatenate([rows[:, :2], rows[:, 2:4] - rows[:, :2], rows[:, 4:]], axis=1)
