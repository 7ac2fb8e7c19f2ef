"""Signs that prediction files have lost something, and the cost of such losses.

An average precision does not show rounded boxes or cut scores, but is lower for them. The quoted costs were measured
with the official protocol on one set of real detections, once unchanged and once with the loss.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..curve import Matches, curve_of
from .ground_truth import SETTINGS
from .readings import reading_warnings

AS_IT_WAS = "87.9 / 82.4 / 65.1"
WHOLE_BOXES, UNSORTED = "86.5 / 81.4 / 64.1", "47.6 / 56.2 / 53.7"
THRESHOLD, SATURATED = "84.6 / 77.5 / 57.9", "77.4 / 75.8 / 61.9"
FEW = 100  # with fewer predictions nothing is concluded


def prediction_warnings(matches: Matches, files: Sequence[np.ndarray | None]) -> list[str]:
    """What looks lost in a set of predictions.

    Args:
        matches: of match_wider.
        files: what was matched: for each of matches.images its (N, 5) array x y w h score, or None where it has no
            file.

    Returns:
        A text per sign, with what it cost another detector (easy / medium / hard AP in %).
    """
    warnings = list(_missing(matches, files))
    filled = [rows_of_file for rows_of_file in files if rows_of_file is not None and len(rows_of_file)]
    if not filled:
        return [*warnings, "there is no prediction at all"]
    sizes, scores = np.array(list(map(len, filled))), matches.every_score
    image = np.repeat(np.arange(len(filled)), sizes)
    warnings += reading_warnings(files, [image_of_set.boxes for image_of_set in matches.images])
    low, high = scores.min(), scores.max()
    if low == high:
        # The other signs in scores would only repeat this.
        return [*warnings, f"all {len(scores):,} scores are equal ({low:g}): each counts as 1, where the official "
                           "tools divide 0 by 0 and find nothing"]
    if low < 0 or high > 1:
        warnings.append(f"scores run from {low:.3g} to {high:.3g}: expected 0 to 1. They are stretched to 0..1 here, "
                        "as by the official tools, and thresholds of scores need to be chosen for them")
    if len(scores) < FEW:
        return warnings
    if all(map(_whole, filled)):
        warnings.append("all boxes are whole numbers: write them as floats. "
                        + _elsewhere("boxes cut by int()", WHOLE_BOXES))
    if low >= 0.3 and high <= 1:
        warnings.append(f"no score is under {low:.2g}: keep detections from 0.02 on. "
                        + _elsewhere("a score threshold of 0.5", THRESHOLD))
    warnings += _scores(matches, len(scores))
    rising = (scores[1:] > scores[:-1]) & (image[1:] == image[:-1])
    if rising.any():
        warnings.append(f"{len(np.unique(image[1:][rising])):,} of {len(files):,} files are not sorted by score: they "
                        "are sorted here, as by the official tools. "
                        + _elsewhere("a port that does not sort", UNSORTED))
    return warnings + list(_capped(matches, sizes))


def _elsewhere(loss, after):
    """A sentence about the set that the costs were measured on, which is not the one that is examined."""
    return f"In a test with another detector, {loss} lowered AP (easy / medium / hard) from {AS_IT_WAS} to {after}"


def _whole(rows):
    return (rows[:, :4] == np.rint(rows[:, :4])).all()


def _missing(matches, files):
    missing = [index for index, rows in enumerate(files) if rows is None]
    if missing:
        lost = matches.counted[np.isin(matches.owner, missing)].sum(axis=0)
        there = len(files) - len(missing)
        yield (f"only {there:,} of {len(files):,} images have a prediction file: the faces of the others are missed, "
               f"{_fractions(lost, matches)} of those that count. --subset evaluates only the {there:,} images")


def _scores(matches, count):
    distinct = len(matches.falling[1])
    if distinct <= min(1001, count / 2):
        yield (f"only {distinct:,} distinct scores for {count:,} predictions: equal scores enter together. Write 5 "
               "digits or more. Rounding to two digits costs 0.2 to 0.3 points, to one digit 2 points")
    # Of the detections that find a face, the fraction in the first of the 1,000 steps from the highest score down.
    fraction = np.mean(matches.stretched[matches.first] >= 0.999) if matches.first.any() else 0
    if fraction >= 0.4:
        exact = " / ".join(f"{100 * curve_of(matches, matches.counted[:, k]).exact:.1f}" for k in range(len(SETTINGS)))
        yield (f"{fraction:.0%} of the detections that find a face score within a thousandth of the highest: their "
               f"order is lost in the first threshold. {_elsewhere('strongly saturated scores', SATURATED)}. Without "
               f"thresholds these predictions score {exact}")


def _capped(matches, sizes):
    most = int(sizes.max())
    faces = np.stack([np.bincount(matches.owner[counts], minlength=len(matches.images))
                      for counts in matches.counted.T], axis=1)
    beyond = np.maximum(faces - most, 0).sum(axis=0)
    if (sizes == most).sum() >= 3 and beyond.any():
        yield (f"no file has more than {most:,} boxes, and {(sizes == most).sum():,} files have exactly that many: "
               f"{_fractions(beyond, matches)} of the faces that count cannot be found. Keep 750 boxes per image or "
               "more")


def _fractions(counts, matches):
    """Counts of faces in each setting as percentages of those that count: "1.0% / 2.0% / 3.0%"."""
    return " / ".join(f"{count / max(1, total):.1%}"
                      for count, total in zip(counts, matches.faces.values(), strict=True))
