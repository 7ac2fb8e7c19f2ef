"""The kinds of errors that a method makes, and the AP that fixing each kind would gain.

After TIDE (Bolya et al.: TIDE, A General Toolbox for Identifying Object Detection Errors, ECCV 2020), for one class and
under the rules of the WIDER protocol: the kinds are exactly what that protocol counts as wrong.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..curve import Matches, curve_of
from ..matching import best_boxes
from .analysis import WORKING_POINT, found_at, judged, setting_faces, working_score

KINDS = {  # kind -> what it is
    "missed": "faces that no prediction finds",
    "localisation": "wrong: IoU 0.1 to 0.5 with a box",
    "duplicate": "wrong: on a face that a higher score has found",
    "background": "wrong: IoU under 0.1 with every box",
}
NEAR = 0.1
"""With a lower IoU a prediction is no attempt at the face (TIDE's background threshold)."""


def error_kinds(matches: Matches, setting: str = "hard", false_positives: int = WORKING_POINT, files: int = 10,
                examples: int = 50) -> dict[str, dict]:
    """The errors in a setting by kind.

    Each false positive is of exactly one kind. It is a duplicate when it is on a counted face that is taken. Otherwise
    it is a localisation error when its highest IoU with any box is 0.1 to 0.5, else background. Predictions on boxes
    that do not count are no errors.

    Args:
        matches: of match_wider.
        setting: one of SETTINGS.
        false_positives: number of them at the working point.
        files: number of files that are named per kind.
        examples: number of examples per kind.

    Returns:
        For missed, localisation, duplicate and background a dict that JSON can hold:

        - `count`: errors at any score. The kinds of false positives sum to all of them; missed and found sum to all
          faces.
        - `working_count`: the same at the working point, the score threshold with `false_positives` false positives.
        - `cost`: the AP gained if this kind alone were fixed: duplicates and background are removed; a localisation
          error is moved onto its box (then counted, removed where the face is found with a higher score, ignored where
          the box does not count); missed faces no longer count. The costs do not sum to the gain of fixing all.
        - `files`: the files with most errors at the working point: dicts with `image` (event/name) and `count`.
        - `examples`: dicts with `image`, `box` (x y w h in px), `score` and `face` (the box that a localisation error
          or a duplicate is near; else None): false positives by falling score, missed faces from the tallest down
          (`score` is None).
    """
    counted, score = setting_faces(matches, setting), found_at(matches)
    _, wrong = judged(matches, counted)
    near = _near(matches, wrong)
    taken, close = matches.best >= 0, near >= 0
    kinds = {"localisation": wrong & ~taken & close, "duplicate": wrong & taken, "background": wrong & ~taken & ~close}
    missed = counted & (score == -np.inf)
    working = working_score(matches, setting, false_positives)
    let_in = matches.rows[:, 4] >= working
    ap = curve_of(matches, counted, exact=False).ap

    tall = np.flatnonzero(missed)
    tall = tall[np.argsort(-matches.boxes[tall, 3], kind="stable")][:examples]
    working_missed = counted & (score < working)
    result = {"missed": {
        "count": int(missed.sum()), "working_count": int(working_missed.sum()),
        # Where nothing is found at all, finding the faces would leave nothing wrong.
        "cost": (curve_of(matches, counted & ~missed, exact=False).ap - ap if (counted & ~missed).any()
                 else float(missed.any())),
        "files": _files(matches, matches.owner[working_missed], files),
        "examples": [_example(matches, matches.owner[g], matches.boxes[g]) for g in tall]}}
    for kind, errors in kinds.items():
        fixed = _relocated(matches, errors, near) if kind == "localisation" else _without(matches, errors)
        top = np.flatnonzero(errors)
        top = top[np.argsort(-matches.rows[top, 4], kind="stable")][:examples]
        result[kind] = {
            "count": int(errors.sum()), "working_count": int((errors & let_in).sum()),
            "cost": curve_of(fixed, counted, exact=False).ap - ap,
            "files": _files(matches, matches.image[errors & let_in], files),
            "examples": [_example(matches, matches.image[p], matches.rows[p], near[p]) for p in top]}
    return {kind: result[kind] for kind in KINDS}


def _near(matches, wrong):
    """(P,) intp: the box with which each false positive has the highest IoU, if that is 0.1 or more; else -1."""
    near = matches.best.copy()
    free = np.flatnonzero(wrong & (near < 0))
    near[free] = best_boxes(matches.rows[free], matches.image[free], matches.boxes, matches.owner, NEAR)
    return near


def _without(matches, gone, **changed):
    """Matches without some predictions. The range of the scores stays, so the other thresholds do not move."""
    kept = {name: changed.get(name, getattr(matches, name))[~gone]
            for name in ("rows", "image", "best", "first", "stretched")}
    return replace(matches, **kept)


def _relocated(matches, errors, near):
    """Matches in which the errors are on the box they are near; of two on one box the lower score is removed."""
    best = np.where(errors, near, matches.best)
    first = np.zeros(len(best), bool)
    on = np.flatnonzero(best >= 0)
    first[on[np.unique(best[on], return_index=True)[1]]] = True
    return _without(matches, (errors | matches.first) & ~first, best=best, first=first)


def _files(matches, images, most):
    """The most frequent image numbers, as dicts; among equals the first in the ground truth."""
    counts = np.bincount(images, minlength=len(matches.images))
    ranked = np.argsort(-counts, kind="stable")[:most]
    return [{"image": _name(matches, i), "count": int(counts[i])} for i in ranked if counts[i]]


def _example(matches, image, row, face=-1):
    return {"image": _name(matches, image), "box": row[:4].tolist(), "score": float(row[4]) if len(row) > 4 else None,
            "face": matches.boxes[face].tolist() if face >= 0 else None}


def _name(matches, image):
    return f"{matches.images[image].event}/{matches.images[image].name}"
