"""What kind of errors a method makes, and what mending each kind would bring.

After TIDE (Bolya et al.: TIDE, A General Toolbox for Identifying Object Detection Errors, ECCV 2020), for one class and
under the rules of the WIDER protocol, so that the kinds are exactly what that protocol counts as wrong.
"""

from dataclasses import replace

import numpy as np

from ..curve import curve_of
from ..matching import best_boxes
from .analysis import WORKING_POINT, found_at, judged, setting_faces, working_score

KINDS = {  # kind -> what it is
    "missed": "faces that no prediction finds",
    "localisation": "wrong: overlaps a box by 0.1 to 0.5",
    "duplicate": "wrong: on a face that a higher score has found",
    "background": "wrong: overlaps no box by 0.1",
}
# Less overlap than this is no attempt at the face (TIDE's background threshold).
NEAR = 0.1


def error_kinds(matches, setting="hard", false_positives=WORKING_POINT, files=10, examples=50):
    """The errors in a setting by kind: missed, localisation, duplicate, background.

    matches: of match_wider. Each false positive is of exactly one kind: duplicate, when it lies on a counted face that
    is taken; else localisation, when its best overlap with any box is 0.1 to 0.5, else background. Predictions on
    boxes that do not count are no errors. Returns a dict kind -> dict that JSON can hold:

    count: at any score, so that the kinds of false positives sum to all of them, and missed and found to all faces;
    working_count: the same at the working point: of the predictions that the score threshold with `false_positives`
    false positives lets in; and the faces that those do not find;
    cost: the AP gained if this kind alone were mended: duplicates and background gone; each localisation error on its
    box (then counted, gone where the face has been found with a higher score, ignored where the box does not count);
    missed faces no longer asked for. The costs do not sum to what mending all would bring;
    files: the files with most errors at the working point, at most `files` dicts with image (event/name) and count;
    examples: at most `examples` dicts with image, box (x y w h), score and face (the box that a localisation error or
    a duplicate is near; else None): false positives by falling score, missed faces from the tallest down (score None).
    """
    counted, score = setting_faces(matches, setting), found_at(matches)
    _, wrong = judged(matches, counted)
    near = _near(matches, wrong)
    taken, close = matches.best >= 0, near >= 0
    kinds = {"localisation": wrong & ~taken & close, "duplicate": wrong & taken, "background": wrong & ~taken & ~close}
    missed = counted & (score == -np.inf)
    working = working_score(matches, setting, false_positives)
    let_in = matches.rows[:, 4] >= working
    ap = curve_of(matches, counted).ap

    tall = np.flatnonzero(missed)
    tall = tall[np.argsort(-matches.boxes[tall, 3], kind="stable")][:examples]
    working_missed = counted & (score < working)
    found = {"missed": {
        "count": int(missed.sum()), "working_count": int(working_missed.sum()),
        # Where nothing at all is found, finding the faces would leave nothing wrong.
        "cost": curve_of(matches, counted & ~missed).ap - ap if (counted & ~missed).any() else float(missed.any()),
        "files": _files(matches, matches.owner[working_missed], files),
        "examples": [_example(matches, matches.owner[g], matches.boxes[g]) for g in tall]}}
    for kind, errors in kinds.items():
        mended = _relocated(matches, errors, near) if kind == "localisation" else _without(matches, errors)
        top = np.flatnonzero(errors)
        top = top[np.argsort(-matches.rows[top, 4], kind="stable")][:examples]
        found[kind] = {
            "count": int(errors.sum()), "working_count": int((errors & let_in).sum()),
            "cost": curve_of(mended, counted).ap - ap, "files": _files(matches, matches.image[errors & let_in], files),
            "examples": [_example(matches, matches.image[p], matches.rows[p], near[p]) for p in top]}
    return {kind: found[kind] for kind in KINDS}


def _near(matches, wrong):
    """The box that each false positive overlaps most, if by 0.1 or more, else -1: (P,) intp."""
    near = matches.best.copy()
    free = np.flatnonzero(wrong & (near < 0))
    near[free] = best_boxes(matches.rows[free], matches.image[free], matches.boxes, matches.owner, NEAR)
    return near


def _without(matches, gone, **changed):
    """Matches without some predictions. The range of the scores stays, so no other threshold moves."""
    part = {name: changed.get(name, getattr(matches, name))[~gone]
            for name in ("rows", "image", "best", "first", "stretched")}
    return replace(matches, **part)


def _relocated(matches, errors, near):
    """Matches in which the errors lie on the box they are near; of two on one box the lower score is gone."""
    best = np.where(errors, near, matches.best)
    first = np.zeros(len(best), bool)
    on = np.flatnonzero(best >= 0)
    first[on[np.unique(best[on], return_index=True)[1]]] = True
    return _without(matches, (errors | matches.first) & ~first, best=best, first=first)


def _files(matches, images, most):
    """The most frequent of the image numbers, as a list of dicts; of equals the first in the ground truth."""
    counts = np.bincount(images, minlength=len(matches.images))
    ranked = np.argsort(-counts, kind="stable")[:most]
    return [{"image": _name(matches, i), "count": int(counts[i])} for i in ranked if counts[i]]


def _example(matches, image, row, face=-1):
    return {"image": _name(matches, image), "box": row[:4].tolist(), "score": float(row[4]) if len(row) > 4 else None,
            "face": matches.boxes[face].tolist() if face >= 0 else None}


def _name(matches, image):
    return f"{matches.images[image].event}/{matches.images[image].name}"
