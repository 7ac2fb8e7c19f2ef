"""What it costs when predictions lose something before they are evaluated, measured on the predictions at hand."""

import numpy as np

from manyfaces.evaluation.curve import curve_of
from manyfaces.evaluation.files.ground_truth import SETTINGS, GroundTruth
from manyfaces.evaluation.wider import match_wider

from .timing import Table


def losses(predictions, truth):
    """A Table: AP in % by the official rules, of the predictions as they are and after each loss.

    predictions: event -> name -> (N, 5) x y w h score; truth: list of GroundTruth.
    """
    rows = [_row(name, {event: {key: change(found) for key, found in files.items()}
                        for event, files in predictions.items()}, truth) for name, change in LOSSES.items()]
    # Sides of w and h pixels instead of w + 1 and h + 1 are the official ones of boxes a pixel smaller.
    shorter = {event: {key: found - [0, 0, 1, 1, 0] for key, found in files.items()}
               for event, files in predictions.items()}
    boxes = [GroundTruth(image.event, image.name, image.boxes - [0, 0, 1, 1], image.counted) for image in truth]
    rows.append(_row("overlap without the +1", shorter, boxes))
    return Table("What losses cost", ("AP in %", *SETTINGS, *(f"exact {s}" for s in SETTINGS)), rows)


def _row(name, predictions, truth):
    matches = match_wider(predictions, truth)
    curves = [curve_of(matches, matches.counted[:, k]) for k in range(len(SETTINGS))]
    return [name, *(f"{100 * curve.ap:.2f}" for curve in curves), *(f"{100 * curve.exact:.2f}" for curve in curves)]


def _scores(change):
    return lambda found: np.column_stack([found[:, :4], change(found[:, 4])])


def _saturated(scores):
    """As if the logits were four times as large."""
    odds = np.clip(scores, 1e-9, 1 - 1e-9)
    odds = (odds / (1 - odds)) ** 4
    return odds / (1 + odds)


def _best(count):
    return lambda found: found[np.argsort(-found[:, 4], kind="stable")[:count]]


LOSSES = {
    "as they are": lambda found: found,
    "boxes cut to whole numbers": lambda found: np.column_stack([np.trunc(found[:, :4]), found[:, 4]]),
    "scores from 0.1 on": lambda found: found[found[:, 4] >= 0.1],
    "scores from 0.3 on": lambda found: found[found[:, 4] >= 0.3],
    "scores from 0.5 on": lambda found: found[found[:, 4] >= 0.5],
    "scores with 3 digits": _scores(lambda scores: scores.round(3)),
    "scores with 2 digits": _scores(lambda scores: scores.round(2)),
    "scores with 1 digit": _scores(lambda scores: scores.round(1)),
    "scores saturated, logits x 4": _scores(_saturated),
    "at most 750 boxes an image": _best(750),
    "at most 100 boxes an image": _best(100),
}
