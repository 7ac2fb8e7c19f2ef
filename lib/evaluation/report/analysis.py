"""Recall and AP by height, attribute and event, and operating points: what is behind the three numbers of WIDER FACE.

All of it uses one matching (match_wider) and its rules. The working point is the score threshold with 1,000 false
positives of the setting, the point at which face detectors are usually quoted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..by_height import COARSE_EDGES, height_bins
from ..curve import Curve, Matches, area_under_curve, curve_of
from ..files.ground_truth import SETTINGS

WORKING_POINT = 1000
"""False positives of a setting over the whole set."""
ATTRIBUTE_LABELS = {  # the labels of the annotation in words, in the order of their numbers
    "blur": ("clear", "normal blur", "heavy blur"),
    "occlusion": ("no occlusion", "partial occlusion", "heavy occlusion"),
    "pose": ("typical pose", "atypical pose"),
    "illumination": ("normal illumination", "extreme illumination"),
    "expression": ("typical expression", "exaggerated expression"),
    "invalid": ("valid", "invalid"),
}
BREAKDOWNS = ("heights", *ATTRIBUTE_LABELS, "events")
LEFT_OUT = "left out of the settings"


def setting_faces(matches: Matches, setting: str) -> np.ndarray:
    """(G,) bool: the faces that count in a setting."""
    return matches.counted[:, SETTINGS.index(setting)]


def curves(matches: Matches, settings: Sequence[str] = SETTINGS) -> dict[str, Curve]:
    """The curve of each setting, as the plots take them."""
    return {setting: curve_of(matches, setting_faces(matches, setting)) for setting in settings}


def judged(matches: Matches, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The predictions that find a counted face, and the false positives. One on a box that does not count is neither.

    Args:
        matches: of match_wider; P predictions, G boxes.
        counted: (G,) bool.

    Returns:
        right and wrong, each (P,) bool.
    """
    free = matches.best < 0
    proposal = free.copy()
    proposal[~free] = counted[matches.best[~free]]
    right = proposal & matches.first
    return right, proposal & ~right


def found_at(matches: Matches) -> np.ndarray:
    """(G,) float64: the score at which each box is found; -inf where no prediction reaches it."""
    score = np.full(len(matches.boxes), -np.inf)
    reached = matches.first & (matches.best >= 0)
    score[matches.best[reached]] = matches.rows[reached, 4]
    return score


def operating_points(matches: Matches, setting: str = "hard",
                     false_positives: Sequence[int] = (10, 100, 1000)) -> list[dict]:
    """Recall and score threshold at which at most a given number of false positives is let in.

    The threshold is the lowest that is allowed. Predictions of equal score enter together.

    Args:
        matches: of match_wider.
        setting: one of SETTINGS.
        false_positives: the numbers, over the whole set.

    Returns:
        Per number a dict with `false_positives` (asked for), `reached` (at the threshold), `score` (the lowest raw
        score that is let in: keep score >= this), `recall`, `precision`. Where already the highest score lets too
        many in, `reached` and `recall` are 0, `score` and `precision` None.
    """
    counted = setting_faces(matches, setting)
    right, wrong = judged(matches, counted)
    shown = np.flatnonzero(right | wrong)
    scores, at = np.unique(-matches.rows[shown, 4], return_inverse=True)
    rights = np.cumsum(np.bincount(at, right[shown], len(scores)))
    wrongs = np.cumsum(np.bincount(at, wrong[shown], len(scores)))
    points = []
    for limit in false_positives:
        last = int(np.searchsorted(wrongs, limit, side="right")) - 1
        point = {"false_positives": int(limit), "reached": 0, "score": None, "recall": 0.0, "precision": None}
        if last >= 0:
            point |= {"reached": int(wrongs[last]), "score": float(-scores[last]),
                      "recall": float(rights[last] / max(counted.sum(), 1)),
                      "precision": float(rights[last] / (rights[last] + wrongs[last]))}
        points.append(point)
    return points


def working_score(matches: Matches, setting: str = "hard", false_positives: int = WORKING_POINT) -> float:
    """The raw score threshold of the working point; inf where already the highest score lets more in."""
    score = operating_points(matches, setting, (false_positives,))[0]["score"]
    return np.inf if score is None else score


def curve_of_part(matches: Matches, counted: np.ndarray, looked_at: np.ndarray | None = None) -> Curve:
    """curve_of, faster where few predictions take part: the others are dropped first. The arguments are the same."""
    free = matches.best < 0
    keep = free if looked_at is None else free & looked_at
    keep[~free] = counted[matches.best[~free]]
    if 2 * np.count_nonzero(keep) > len(keep):
        return curve_of(matches, counted, looked_at)
    kept = {name: getattr(matches, name)[keep] for name in ("rows", "image", "best", "first", "stretched")}
    return curve_of(replace(matches, **kept), counted)


def analyse(matches: Matches, setting: str = "hard") -> dict[str, list[dict]]:
    """Recall and AP of subsets of a set. The rows of each list do not depend on the method.

    Args:
        matches: of match_wider.
        setting: one of SETTINGS.

    Returns:
        Lists of rows that JSON can hold: heights, blur, occlusion, pose, illumination, expression, invalid (each empty
        where the ground truth has no such attribute) and events, in the order of the ground truth. A row has

        - `label`, `faces`: its name, and its number of faces. The figures are None where there are none.
        - `population`: whose faces: those that count in `setting`; or "left out of the settings" in the two rows that
          no setting counts: under 10 px (all boxes not marked invalid whose sides are above 0) and invalid (all such
          boxes).
        - `recall`: found at any score.
        - `working_recall`: found at the working point of `setting`, one threshold for all rows.
        - `ap`: by the official rules with only these faces counted. Which predictions without a box are false positives
          of a row: for a height those of this height, for an event those in its images, for an attribute all, because a
          false positive has none. So an attribute's AP compares methods, but it is low for a rare label.
        - `normalised_ap` (attributes only): comparable among rows, as if each had as many faces as the setting.
        - `low`, `high` (heights only): the bin, low <= h < high in px; `high` of the last is None.

    Source: Hoiem et al., Diagnosing Error in Object Detectors, ECCV 2012 (`normalised_ap`).
    """
    rows = _Rows(matches, setting)
    return {"heights": rows.by_height(), **{name: rows.by_attribute(name) for name in ATTRIBUTE_LABELS},
            "events": rows.by_event()}


class _Rows:
    """The rows of one set, with what they share."""

    def __init__(self, matches, setting):
        self.matches, self.setting, self.counted = matches, setting, setting_faces(matches, setting)
        self.score, self.working = found_at(matches), working_score(matches, setting)
        self.sound = (matches.boxes[:, 2:] > 0).all(axis=1)

    def by_height(self):
        invalid, rows = self.labels("invalid"), []
        of_box, of_row = self.matches.boxes[:, 3], self.matches.rows[:, 3]
        for low, high in height_bins(COARSE_EDGES):
            # Negative heights belong to the first bin.
            inside, looked_at = ((heights < high) & ((heights >= low) | (low == 0)) for heights in (of_box, of_row))
            if low:
                row = self.row(f"{low} px and more" if high == np.inf else f"{low} to {high} px", inside, looked_at)
            else:
                valid = self.sound if invalid is None else self.sound & (invalid == 0)
                row = self.row(f"under {high} px", inside & valid, looked_at, LEFT_OUT)
            rows.append(row | {"low": low, "high": None if high == np.inf else high})
        return rows

    def by_attribute(self, name):
        labels = self.labels(name)
        if labels is None:
            return []
        return [self.row(label, (labels == number) & self.sound, None, LEFT_OUT) if label == "invalid" else
                self.row(label, labels == number, None) for number, label in enumerate(ATTRIBUTE_LABELS[name])]

    def by_event(self):
        names = [image.event for image in self.matches.images]
        numbers = {event: number for number, event in enumerate(dict.fromkeys(names))}
        event = np.array([numbers[name] for name in names], np.intp)
        of_box, of_row = event[self.matches.owner], event[self.matches.image]
        return [self.row(name, of_box == number, of_row == number) for name, number in numbers.items()]

    def labels(self, name):
        """(G,) int: an attribute of each box; None where an image has no such attribute."""
        labels = [image.attributes.get(name) for image in self.matches.images]
        return None if not labels or any(values is None for values in labels) else np.concatenate(labels)

    def row(self, label, inside, looked_at, population=None):
        """inside: (G,) bool; looked_at: (P,) bool, or None for an attribute: all predictions, and normalised_ap."""
        faces = inside if population == LEFT_OUT else inside & self.counted
        total = int(faces.sum())
        row = {"label": label, "faces": total, "population": population or self.setting, "recall": None,
               "working_recall": None, "ap": None} | ({"normalised_ap": None} if looked_at is None else {})
        if total:
            curve, score = curve_of_part(self.matches, faces, looked_at), self.score[faces]
            row |= {"recall": float(np.mean(score > -np.inf)), "working_recall": float(np.mean(score >= self.working)),
                    "ap": curve.ap}
            if looked_at is None:
                row["normalised_ap"] = normalised_ap(curve, int(self.counted.sum()))
        return row


def normalised_ap(curve: Curve, faces: int) -> float:
    """The AP of a curve as if its set had `faces` faces: the false positives stay, the found faces are scaled."""
    found = curve.recall * curve.faces
    wrong = np.divide(found, curve.precision, out=np.zeros_like(found), where=curve.precision > 0) - found
    scaled = curve.recall * faces
    return area_under_curve(curve.recall, np.divide(scaled, scaled + wrong, out=np.zeros_like(found),
                                                    where=scaled > 0))
