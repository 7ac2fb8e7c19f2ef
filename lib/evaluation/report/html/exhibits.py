"""The worst examples of each kind of error. crops.py cuts them out of their images.

Among the missed faces those come first that should have been easiest; the false positives are in falling score.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ...curve import Matches
from ..analysis import ATTRIBUTE_LABELS, found_at, setting_faces, working_score
from ..error_kinds import NEAR

CONTEXT = 2.5
"""A crop's side, in longer sides of what it shows."""
SMALLEST = 40
"""Least side of a crop, px of the image: what is around a tiny face tells more than its size."""
A_BACKGROUND = 3
"""Errors per image in the gallery of the background, so that one image does not fill it."""


@dataclass
class Exhibit:
    """One crop.

    Attributes:
        image: event/name.
        window: (x, y, side) in px of the image.
        lines: the caption.
        boxes: (kind, x y w h in px, text), drawn in this order. kind is truth, ignored (a box that does not count),
            wrong, or other (the prediction that found the face).
        alt: one sentence for readers who cannot see the crop.
        jpeg: the crop, or None where the image could not be read.
        problem: why not.
    """

    image: str
    window: tuple[float, float, float]
    lines: list[str]
    boxes: list[tuple[str, list[float], str]]
    alt: str
    jpeg: bytes | None = None
    problem: str = ""


def galleries(matches: Matches, errors: dict[str, dict], setting: str = "hard", most: int = 24,
              others: Sequence[tuple[str, Matches]] = (),
              paths: Collection[str] | None = None) -> dict[str, list[Exhibit]]:
    """The exhibits of each kind of error, without their crops (add_crops).

    Args:
        matches: of match_wider.
        errors: of error_kinds, for the same setting.
        setting: one of SETTINGS.
        most: exhibits per kind.
        others: (name, matches) of methods that were evaluated on the same images. The caption of a missed face has the
            score that each of them gives it.
        paths: of image_paths: only examples of these images; None: of all.
    """
    counted = setting_faces(matches, setting)
    numbers = {_name(matches, number): number for number in range(len(matches.images))}
    there = np.array([paths is None or name in paths for name in numbers], bool)
    shown = {"missed": _missed(matches, setting, counted, there[matches.owner], most, others)}
    for kind in errors.keys() - shown:
        shown[kind] = [_false_positive(matches, kind, numbers[example["image"]], example, counted)
                       for example in _spread(errors[kind]["examples"], numbers, there)[:most]]
    return {kind: shown[kind] for kind in errors}


def _spread(examples, numbers, there):
    """Examples whose image is there: the first of several errors at one face, and a few of an image's background."""
    kept, seen = [], {}
    for example in examples:
        if not there[numbers[example["image"]]]:
            continue
        key = (example["image"], example["face"] and tuple(example["face"]))
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= (1 if example["face"] else A_BACKGROUND):
            kept.append(example)
    return kept


def easiest_first(matches: Matches, faces: np.ndarray) -> np.ndarray:
    """Faces in the order of how easy they should be.

    Those of easy come before those of medium and hard, then those with the fewest difficulties (blur, occlusion, pose,
    illumination, expression as labelled), then the tallest.

    Args:
        matches: of match_wider.
        faces: (N,) indices.
    """
    level = matches.counted[faces].sum(axis=1)
    difficulty = np.zeros(len(matches.boxes), int)
    for name in set(ATTRIBUTE_LABELS) - {"invalid"}:
        if matches.images and all(name in image.attributes for image in matches.images):
            difficulty += np.concatenate([image.attributes[name] for image in matches.images])
    return faces[np.lexsort([-matches.boxes[faces, 3], difficulty[faces], -level])]


def _missed(matches, setting, counted, there, most, others):
    """First the faces that no prediction finds, then those found with a score below the working point only."""
    score = found_at(matches)
    never = np.flatnonzero(there & counted & (score == -np.inf))
    late = np.flatnonzero(there & counted & (score > -np.inf) & (score < working_score(matches, setting)))
    chosen = np.concatenate([easiest_first(matches, never), easiest_first(matches, late)])[:most]
    others = [(name, found_at(other)) for name, other in others]
    return [_missed_face(matches, face, counted, score[face], [(name, scores[face]) for name, scores in others])
            for face in chosen.tolist()]


def _missed_face(matches, face, counted, score, others):
    image, box = int(matches.owner[face]), matches.boxes[face]
    labels = [labels[int(value)] for name, labels in ATTRIBUTE_LABELS.items()
              if 0 < (value := _label(matches, image, name, face)) < len(labels)]
    lines = ["not found" if score == -np.inf else f"score only {score:.3g}", _size(box)]
    rows, boxes = matches.rows[matches.image == image], _truth(matches, image, counted, face)
    near = ious(box, rows[:, :4])
    if score > -np.inf:
        row = matches.rows[matches.first & (matches.best == face)][0]
        boxes.append(("other", row[:4].tolist(), f"{row[4]:.3g}"))
    elif near.max(initial=0) >= NEAR:
        nearest = rows[near.argmax()]
        boxes.append(("wrong", nearest[:4].tolist(), f"{nearest[4]:.3g}"))
        lines.append(f"nearest: IoU {near.max():.2f}, score {nearest[4]:.3g}")
    lines += [", ".join(labels)] if labels else []
    lines += [f"{name}: {'not found' if other == -np.inf else f'{other:.3g}'}" for name, other in others]
    return Exhibit(_name(matches, image), _window(box), lines, boxes,
                   f"Missed face, {_size(box)}, at {_place(box)} in {_name(matches, image)}")


def _label(matches, image, name, face):
    values = matches.images[image].attributes.get(name)
    return 0 if values is None else values[face - np.searchsorted(matches.owner, image)]


def _false_positive(matches, kind, image, example, counted):
    box, face = np.array(example["box"]), example["face"]
    lines = [f"score {example['score']:.3g}", _size(box)]
    boxes, around = _truth(matches, image, counted), box
    if face is not None:
        around = _union(box, np.array(face))
        lines.append(f"IoU {ious(box, np.array([face]))[0]:.2f}")
    if kind == "duplicate":
        first = np.flatnonzero((matches.image == image) & matches.first & (matches.best >= 0))
        first = first[(matches.boxes[matches.best[first]] == face).all(axis=1)]
        boxes += [("other", matches.rows[p, :4].tolist(), f"{matches.rows[p, 4]:.3g}") for p in first[:1]]
    boxes.append(("wrong", box.tolist(), f"{example['score']:.3g}"))
    return Exhibit(example["image"], _window(around), lines, boxes,
                   f"False positive ({kind}) with score {example['score']:.3g}, {_size(box)}, at {_place(box)} in "
                   f"{example['image']}")


def _name(matches, image):
    return f"{matches.images[image].event}/{matches.images[image].name}"


def _truth(matches, image, counted, face=None):
    """All boxes of an image for drawing, the face in question last."""
    every = np.flatnonzero(matches.owner == image).tolist()
    every.sort(key=lambda g: (g == face, counted[g]))
    return [("truth" if counted[g] or g == face else "ignored", matches.boxes[g].tolist(), "") for g in every]


def ious(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,) float64: IoU of a box (4,) with boxes (N, 4), x y w h in px, with the +1 of the protocol."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[:2] + box[2:], boxes[:, :2] + boxes[:, 2:])
    common = np.maximum(high - low + 1, 0).prod(axis=1)
    return common / np.maximum((box[2:] + 1).prod() + (boxes[:, 2:] + 1).prod(axis=1) - common, 1e-9)


def _union(a, b):
    low, high = np.minimum(a[:2], b[:2]), np.maximum(a[:2] + a[2:], b[:2] + b[2:])
    return np.concatenate([low, high - low])


def _window(box):
    side = np.ceil(max(CONTEXT * max(box[2], box[3]), SMALLEST))
    # In whole px, so that the image is not shifted against the boxes.
    return float(np.rint(box[0] + (box[2] - side) / 2)), float(np.rint(box[1] + (box[3] - side) / 2)), float(side)


def _size(box):
    return f"{box[2]:.0f} × {box[3]:.0f} px"


def _place(box):
    return f"x {box[0]:.0f}, y {box[1]:.0f}"
