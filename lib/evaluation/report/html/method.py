"""What the report shows of one method, and how it is computed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ....parsing import parse_json_file
from ...curve import Curve, Matches
from ...files.ground_truth import GroundTruth
from ...files.predictions import Predictions
from ...wider import match_wider, result_of
from ..analysis import analyse, curves, operating_points
from ..error_kinds import error_kinds
from .exhibits import Exhibit

EXAMPLES = 5000
"""Errors of one kind that the crops are chosen from."""


@dataclass
class Method:
    """What the report shows of one method.

    Attributes:
        name: of the method.
        settings: how the predictions were made, of read_settings.
        result: of wider.result_of.
        curves: setting -> Curve.
        points: of analysis.operating_points.
        breakdown: of analysis.analyse.
        errors: of error_kinds.
        matches: of match_wider.
        galleries: kind of error -> exhibits.
        absent: number of its images that the folder of images does not have.
        notes: sentences that are shown among the warnings.
    """

    name: str
    settings: dict | None
    result: dict
    curves: dict[str, Curve]
    points: list[dict]
    breakdown: dict[str, list[dict]]
    errors: dict[str, dict]
    matches: Matches
    galleries: dict[str, list[Exhibit]] = field(default_factory=dict)
    absent: int = 0
    notes: list[str] = field(default_factory=list)


def examine(name: str, predictions: Predictions, truth: Sequence[GroundTruth], subset: bool = False,
            setting: str = "hard", settings: dict | None = None, notes: Sequence[str] = ()) -> Method:
    """Evaluate the predictions of a method for the report, without galleries.

    Args:
        name: of the method.
        predictions: of read_predictions.
        truth: of read_ground_truth.
        subset: as in match_wider.
        setting: whose faces the breakdown, the operating points, the errors and the galleries are about.
        settings: of read_settings.
        notes: sentences to show among the warnings.

    Raises:
        InputError: as in match_wider.
    """
    matches = match_wider(predictions, truth, subset)
    result = result_of(matches, predictions)
    return Method(name, settings, result, curves(matches), operating_points(matches, setting),
                  analyse(matches, setting), error_kinds(matches, setting, examples=EXAMPLES), matches,
                  notes=[*notes, *result["warnings"]])


def read_settings(folder: str | os.PathLike) -> tuple[dict | None, list[str]]:
    """The settings.json that `manyfaces test` writes beside predictions.

    Returns:
        The settings, or None; and notes for the reader of the report.
    """
    path = Path(folder, "settings.json")
    try:
        settings = parse_json_file(path)
        if not isinstance(settings, dict):
            raise ValueError
    except FileNotFoundError:
        return None, ["the folder has no settings.json: the scales, score threshold and NMS of these predictions are "
                      "not known, and without them figures do not compare"]
    except (OSError, ValueError):
        return None, ["its settings.json cannot be read: how these predictions were made is not known"]
    return settings, []
