"""The evaluation protocol of WIDER FACE, and the same protocol on a roidb.

Sides are one pixel longer than the boxes (+1). A prediction belongs to one box among all boxes, counted or not, and has
no second choice. Scores are stretched to 0..1 over the whole set and cut at 1,000 thresholds. Each setting (easy,
medium, hard) lists the faces that count; the others are ignored.

There are two arithmetics. `ports`, that of the Python ports, is in float64: a prediction belongs to the box with the
highest IoU. `official` is what MATLAB makes of the official tools and their int32 ground truth (official_matches).

A set is matched once (match_wider). Then curve_of gives a curve for any choice of counted faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets.roidb import Record
from ..errors import POSITIVE_FRACTION, InputError, check_number
from .curve import Matches, curve_of
from .files.ground_truth import SETTINGS, GroundTruth
from .files.warnings import prediction_warnings
from .matching import best_boxes, official_boxes

if TYPE_CHECKING:
    from .files.predictions import Predictions


def match_wider(predictions: Predictions, ground_truth: Sequence[GroundTruth], subset: bool = False,
                iou: float = 0.5) -> Matches[GroundTruth]:
    """Match a set of predictions by the official rules, in the arithmetic of the ports.

    An image without predictions is skipped, but its faces count.

    Args:
        predictions: of read_predictions.
        ground_truth: of read_ground_truth.
        subset: evaluate only the images that have an entry in `predictions`.
        iou: lowest IoU of a prediction with its box, 0..1.

    Raises:
        InputError: no entry has a ground truth, or a prediction is not finite.

    Source: WIDER FACE's official MATLAB evaluation tools.
    """
    pairs = [(predictions.get(image.event, {}).get(image.name), image) for image in ground_truth]
    if not any(rows is not None for rows, _ in pairs):
        example = f"{ground_truth[0].event}/{ground_truth[0].name}" if ground_truth else "none"
        raise InputError(f"none of the {sum(map(len, predictions.values()))} predicted images is in the ground truth, "
                         f"whose images look like {example}; is this the folder that holds the event folders?")
    if subset:
        pairs = [(rows, image) for rows, image in pairs if rows is not None]
    none, images = np.zeros((0, 5)), [image for _, image in pairs]
    rows, image = _joined([none if rows is None else rows for rows, _ in pairs], 5)
    if not np.isfinite(rows).all():
        bad = images[image[np.isfinite(rows).all(axis=1).argmin()]]
        raise InputError(f"{bad.event}/{bad.name}: a prediction is not finite; expected numbers x y w h score")
    every = rows[:, 4].copy()
    # The official tools skip an image without any box: nothing there is a false positive. The scores there do take
    # part in the stretching, though.
    if not all(len(image_of_set.boxes) for image_of_set in images):
        kept = np.array([len(image_of_set.boxes) > 0 for image_of_set in images])[image]
        rows, image = rows[kept], image[kept]
    counted = {s: [image_of_set.counted[s] for image_of_set in images] for s in SETTINGS}
    return _match(images, rows, image, [image_of_set.boxes for image_of_set in images], counted, every, iou)


def _joined(arrays, columns):
    """The rows of all arrays, and the number of the array that each is from."""
    return (np.concatenate([np.zeros((0, columns)), *arrays]),
            np.repeat(np.arange(len(arrays)), [len(array) for array in arrays]))


def _match(images, rows, image, boxes, counted, every, iou):
    """Matches. boxes and the values of counted: lists, one array per image; rows are sorted in place; every: scores."""
    check_number(iou, "iou", POSITIVE_FRACTION)
    boxes, owner = _joined(boxes, 4)
    flags = np.column_stack([np.concatenate([np.zeros(0, bool), *lists]) for lists in counted.values()])
    rising = (rows[1:, 4] > rows[:-1, 4]) & (image[1:] == image[:-1])
    for number in np.unique(image[1:][rising]):  # mostly none: detectors write their boxes by score
        span = slice(*np.searchsorted(image, (number, number + 1)))
        rows[span] = rows[span][np.argsort(-rows[span, 4], kind="stable")]  # equal scores stay in the file's order
    best = best_boxes(rows, image, boxes, owner, iou)
    faces = dict(zip(counted, flags.sum(axis=0).tolist(), strict=True))
    return Matches(images, rows, image, boxes, owner, flags, faces, best, _first(best, len(boxes)),
                   _stretched(rows[:, 4], every), every)


def _first(best, boxes):
    """(P,) bool: the prediction is the first of its image to reach its box."""
    matched = np.flatnonzero(best >= 0)[::-1]
    reached = np.full(boxes, -1)
    reached[best[matched]] = matched  # the last to be assigned, the first of its image, stays
    first = np.zeros(len(best), bool)
    first[reached[reached >= 0]] = True
    return first


def _stretched(values, scores):
    """values, mapped so that all scores fill 0..1. Where all scores are equal they become 1 (0/0 in MATLAB)."""
    if not len(scores):
        return values
    low, high = scores.min(), scores.max()
    return (values - low) / (high - low) if high > low else np.ones(len(values))


def official_matches(matches: Matches[GroundTruth]) -> Matches[GroundTruth]:
    """The same predictions in the arithmetic of the official tools, to the last digit.

    Their ground truth is int32, and so are the corners of the predictions and the quotient of the areas: see
    reference.official_boxes. The scores are stretched in float32.

    Args:
        matches: of match_wider, with its `iou` of 0.5.

    Source: WIDER FACE's official MATLAB evaluation tools, as MATLAB and GNU Octave run them.
    """
    integer = np.array([image.integer for image in matches.images], bool)
    best = official_boxes(matches.rows, matches.image, matches.boxes, matches.owner)
    np.copyto(best, matches.best, where=~integer[matches.image])
    official = replace(matches, best=best, first=_first(best, len(matches.boxes)),
                       stretched=_stretched_in_float32(matches.rows[:, 4], matches.every_score))
    official.falling = matches.falling  # the scores are the same
    return official


def _stretched_in_float32(values, scores):
    """values as norm_score.m maps them; where it divides 0 by 0, -1: no threshold lets them in."""
    limits = np.finfo(np.float32)  # norm_score.m starts from realmin('single') and realmax('single')
    with np.errstate(over="ignore", invalid="ignore"):
        high = np.float32(max(scores.max(initial=limits.tiny), limits.tiny))
        low = np.float32(min(scores.min(initial=limits.max), limits.max))
        stretched = (values.astype(np.float32) - low) / (high - low)
    return stretched.astype(np.float64) if np.isfinite(stretched).all() else np.full(len(values), -1.0)


def evaluate_wider(predictions: Predictions, ground_truth: Sequence[GroundTruth], subset: bool = False,
                   iou: float = 0.5) -> dict:
    """Average precision in both arithmetics: result_of the matches of match_wider, which has the same arguments."""
    return result_of(match_wider(predictions, ground_truth, subset, iou), predictions)


def result_of(matches: Matches[GroundTruth], predictions: Predictions) -> dict:
    """Average precision and warnings for a matched set.

    Args:
        matches: of match_wider.
        predictions: what was matched.

    Returns:
        `ports` and `official` (setting -> AP in that arithmetic); `easy`, `medium`, `hard` (those of `ports`), `exact`
        (setting -> AP of `ports` with every distinct score as a threshold), the counts `images` and `predictions`
        (evaluated), `faces` (setting -> faces that count), `unknown` (entries of `predictions` without a ground truth,
        which are left out), and `warnings` (list of str, of prediction_warnings).
    """
    files = [predictions.get(image.event, {}).get(image.name) for image in matches.images]
    curves = {s: curve_of(matches, matches.counted[:, k]) for k, s in enumerate(SETTINGS)}
    official = official_matches(matches)
    ports = {s: curve.ap for s, curve in curves.items()}
    return ports | {
        "ports": ports,
        "official": {s: curve_of(official, official.counted[:, k], exact=False).ap for k, s in enumerate(SETTINGS)},
        "exact": {s: curve.exact for s, curve in curves.items()}, "images": len(matches.images),
        "predictions": len(matches.every_score), "faces": matches.faces,
        "unknown": sum(map(len, predictions.values())) - sum(rows is not None for rows in files),
        "warnings": prediction_warnings(matches, files)}


def average_precision(detections: Sequence, records: Sequence[Record], iou: float = 0.5,
                      heights: Sequence[float] = (0,)) -> float:
    """AP by the same protocol on a roidb, for choosing checkpoints. All faces count that are not ignored.

    Unlike in the official protocol, an image without faces is evaluated: a detection there is a false positive.

    Args:
        detections: per record an (N, 5) array x1 y1 x2 y2 score in px, or an object with boxes (N, 4) and scores (N,).
        records: the faces, one Record per image.
        iou: lowest IoU of a detection with its face, 0..1.
        heights: px. AP is the mean of one AP per height, which counts the faces from that height on. A height that no
            face has is left out. With (10, 30, 50) the APs are much like hard, medium and easy: a wrong box counts in
            each, however small it is.
    """
    rows, boxes, counted = [], [], {height: [] for height in heights}
    for rows_of_image, record in zip(detections, records, strict=True):
        rows.append(_corners_to_sides(as_rows(rows_of_image)))
        boxes.append(_corners_to_sides(record.boxes.astype(np.float64)))
        tall = record.boxes[:, 3] - record.boxes[:, 1]
        for height in heights:
            counted[height].append(~record.ignore & (tall >= height))
    rows, image = _joined(rows, 5)
    matches = _match(records, rows, image, boxes, counted, rows[:, 4].copy(), iou)
    columns = matches.counted[:, matches.counted.any(axis=0)].T
    return float(np.mean([curve_of(matches, column).ap for column in columns])) if len(columns) else 0.0


def as_rows(detections: Any) -> np.ndarray:
    """Detections of an image, an array or an object with boxes and scores, as (N, 5) float64 x1 y1 x2 y2 score."""
    if hasattr(detections, "boxes"):
        boxes, scores = np.asarray(detections.boxes), np.asarray(detections.scores)
        detections = np.column_stack([boxes.reshape(-1, 4), scores.reshape(-1)])
    return np.asarray(detections, np.float64).reshape(-1, 5)


def _corners_to_sides(rows):
    return np.concatenate([rows[:, :2], rows[:, 2:4] - rows[:, :2], rows[:, 4:]], axis=1)
