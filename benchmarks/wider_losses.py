"""AP that is lost when predictions are rounded, cut or thinned before the evaluation, measured on given predictions."""

import numpy as np

from manyfaces.evaluation.curve import curve_of
from manyfaces.evaluation.files.ground_truth import SETTINGS, GroundTruth
from manyfaces.evaluation.wider import match_wider

from .timing import Table


def losses(predictions, truth):
    """Measure AP of the predictions as they are and after each loss.

    Args:
        predictions: event -> name -> (N, 5) x y w h score.
        truth: list of GroundTruth.

    Returns:
        A Table of AP in % by the official rules.
    """
    table = [_row(name, {event: {key: change(rows) for key, rows in files.items()}
                         for event, files in predictions.items()}, truth) for name, change in LOSSES.items()]
    # The official code takes sides of w + 1 and h + 1 px. Boxes that are 1 px smaller give the areas without the + 1.
    shorter = {event: {key: rows - [0, 0, 1, 1, 0] for key, rows in files.items()}
               for event, files in predictions.items()}
    boxes = [GroundTruth(image.event, image.name, image.boxes - [0, 0, 1, 1], image.counted) for image in truth]
    table.append(_row("overlap without the +1", shorter, boxes))
    return Table("What losses cost", ("AP in %", *SETTINGS, *(f"exact {s}" for s in SETTINGS)), table)


def _row(name, predictions, truth):
    matches = match_wider(predictions, truth)
    curves = [curve_of(matches, matches.counted[:, k]) for k in range(len(SETTINGS))]
    return [name, *(f"{100 * curve.ap:.2f}" for curve in curves), *(f"{100 * curve.exact:.2f}" for curve in curves)]


def _scores(change):
    return lambda rows: np.column_stack([rows[:, :4], change(rows[:, 4])])


def _saturated(scores):
    """As if the logits were four times as large."""
    odds = np.clip(scores, 1e-9, 1 - 1e-9)
    odds = (odds / (1 - odds)) ** 4
    return odds / (1 + odds)


def _best(count):
    return lambda rows: rows[np.argsort(-rows[:, 4], kind="stable")[:count]]


LOSSES = {
    "as they are": lambda rows: rows,
    "boxes cut to whole numbers": lambda rows: np.column_stack([np.trunc(rows[:, :4]), rows[:, 4]]),
    "scores from 0.1 on": lambda rows: rows[rows[:, 4] >= 0.1],
    "scores from 0.3 on": lambda rows: rows[rows[:, 4] >= 0.3],
    "scores from 0.5 on": lambda rows: rows[rows[:, 4] >= 0.5],
    "scores with 3 digits": _scores(lambda scores: scores.round(3)),
    "scores with 2 digits": _scores(lambda scores: scores.round(2)),
    "scores with 1 digit": _scores(lambda scores: scores.round(1)),
    "scores saturated, logits x 4": _scores(_saturated),
    "at most 750 boxes an image": _best(750),
    "at most 100 boxes an image": _best(100),
}
