"""Beyond three numbers: recall and AP of parts of a set (by height, attribute and event), and operating points.

All of it reuses one matching (wider.match_wider) and its rules. The working point is the score threshold that lets
1,000 false positives of the setting in, the point at which face detectors are usually quoted.
"""

from dataclasses import replace

import numpy as np

from ..by_height import COARSE_EDGES, height_bins
from ..curve import area_under_curve, curve_of
from ..files.ground_truth import SETTINGS

WORKING_POINT = 1000
# The labels of the annotation in words, in the order of their numbers.
ATTRIBUTE_LABELS = {
    "blur": ("clear", "normal blur", "heavy blur"),
    "occlusion": ("no occlusion", "partial occlusion", "heavy occlusion"),
    "pose": ("typical pose", "atypical pose"),
    "illumination": ("normal illumination", "extreme illumination"),
    "expression": ("typical expression", "exaggerated expression"),
    "invalid": ("valid", "invalid"),
}
BREAKDOWNS = ("heights", *ATTRIBUTE_LABELS, "events")
LEFT_OUT = "left out of the settings"


def setting_faces(matches, setting):
    """The faces that count in a setting, (G,) bool."""
    return matches.counted[:, SETTINGS.index(setting)]


def curves(matches, settings=SETTINGS):
    """The Curve of each setting, a dict: what the plots take."""
    return {setting: curve_of(matches, setting_faces(matches, setting)) for setting in settings}


def judged(matches, counted):
    """(right, wrong), each (P,) bool: the predictions that find a counted face, and the false positives.

    counted: (G,) bool. A prediction on a box that is not counted is neither.
    """
    free = matches.best < 0
    proposal = free.copy()
    proposal[~free] = counted[matches.best[~free]]
    right = proposal & matches.first
    return right, proposal & ~right


def found_at(matches):
    """The score at which each box is found, (G,) float64; -inf for one that no prediction reaches."""
    score = np.full(len(matches.boxes), -np.inf)
    reached = matches.first & (matches.best >= 0)
    score[matches.best[reached]] = matches.rows[reached, 4]
    return score


def operating_points(matches, setting="hard", false_positives=(10, 100, 1000)):
    """Recall and score threshold where at most so many false positives are let in, for each of `false_positives`.

    Returns a list of dicts: false_positives (asked for), reached (had there), score (the lowest raw score that is let
    in: keep score >= this), recall and precision. The threshold is the lowest that is allowed; predictions of equal
    score enter together. Where already the highest score brings too many, reached and recall are 0 and score and
    precision None.
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


def working_score(matches, setting="hard", false_positives=WORKING_POINT):
    """The raw score threshold of the working point; inf where already the highest score brings more."""
    score = operating_points(matches, setting, (false_positives,))[0]["score"]
    return np.inf if score is None else score


def curve_of_part(matches, counted, looked_at=None):
    """wider.curve_of, faster where few predictions take part: the others are dropped before the curve is drawn."""
    free = matches.best < 0
    keep = free if looked_at is None else free & looked_at
    keep[~free] = counted[matches.best[~free]]
    if 2 * np.count_nonzero(keep) > len(keep):
        return curve_of(matches, counted, looked_at)
    part = {name: getattr(matches, name)[keep] for name in ("rows", "image", "best", "first", "stretched")}
    return curve_of(replace(matches, **part), counted)


def analyse(matches, setting="hard"):
    """Recall and AP of the parts of a set; what each list holds does not depend on the method.

    matches: of match_wider. Returns a dict of lists of rows that JSON can hold: heights, blur, occlusion, pose,
    illumination, expression, invalid (each empty where the ground truth lacks the attribute) and events, in the order
    of the ground truth. A row is a dict:

    label, faces: what it is, and how many faces it has; `recall`, `ap` and so on are None where there are none;
    population: whose faces: those that count in `setting`; or "left out of the settings" in the two rows that no
    setting counts: under 10 px (all boxes not marked invalid whose sides are above 0) and invalid (all such boxes);
    recall: found at any score; working_recall: found at the working point of `setting`, one threshold for all rows;
    ap: by the official rules with only these faces counted. Which predictions without a box are false positives of a
    row: for a height those of this height, for an event those in its images, for an attribute all, since a false
    positive has none. So attributes compare among methods, but a rare one is low in each;
    normalised_ap (attributes only): made comparable among rows, as if each had as many faces as the setting (Hoiem et
    al.: Diagnosing Error in Object Detectors, ECCV 2012);
    low, high (heights only): the bin, low <= h < high in pixels; high of the last is None.
    """
    rows = _Rows(matches, setting)
    return {"heights": rows.by_height(), **{name: rows.by_attribute(name) for name in ATTRIBUTE_LABELS},
            "events": rows.by_event()}


class _Rows:
    """Makes the rows of one set: holds what they share."""

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
        """An attribute of each box, (G,) int; None where an image lacks it."""
        found = [image.attributes.get(name) for image in self.matches.images]
        return None if not found or any(part is None for part in found) else np.concatenate(found)

    def row(self, label, inside, looked_at, population=None):
        """inside (G,) bool; looked_at (P,) bool or None: all, as an attribute has it, which brings normalised_ap."""
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


def normalised_ap(curve, faces):
    """The AP of a curve as if its set had `faces` faces: the false positives stay, the found faces are scaled."""
    found = curve.recall * curve.faces
    wrong = np.divide(found, curve.precision, out=np.zeros_like(found), where=curve.precision > 0) - found
    scaled = curve.recall * faces
    return area_under_curve(curve.recall, np.divide(scaled, scaled + wrong, out=np.zeros_like(found),
                                                    where=scaled > 0))
