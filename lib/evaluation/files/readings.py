"""Signs that boxes are written otherwise than as x y w h in px: as corners, around a centre, as fractions, reversed.

A file of corners is read without an error, and gives an AP that is quietly low.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..matching import best_boxes

BEYOND = 0.1  # fraction of an image's side by which a box must leave it to count; a face at the edge does so by less
OFTEN, MANY = 0.1, 5  # fraction and number of boxes from which a sign is reported
IMAGES, BOXES = 200, 50  # images, and boxes of each, that the readings are compared on: a small fraction of a second
READINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "corners x1 y1 x2 y2": lambda box: np.concatenate([box[:, :2], box[:, 2:] - box[:, :2]], axis=1),
    "a centre with w h": lambda box: np.concatenate([box[:, :2] - box[:, 2:] / 2, box[:, 2:]], axis=1),
}


def reading_warnings(files: Sequence[np.ndarray | None], faces: Sequence[np.ndarray] | None = None,
                     sizes: Sequence[tuple[int, int]] | None = None) -> list[str]:
    """What in the boxes of a set of predictions looks as if they were not x y w h in px.

    Args:
        files: per image (N, 5) x y w h score, best first, or None.
        faces: per image (M, 4) x y w h in px of the true faces; None: not known.
        sizes: per image (width, height) px, 0 where not known; None: not known.

    Returns:
        One sentence per sign.
    """
    filled = [rows[:, :4] for rows in files if rows is not None and len(rows)]
    if sum(map(len, filled)) >= MANY and all(np.abs(boxes).max() <= 1.5 for boxes in filled):
        return ["all coordinates are below 1.5: expected x y w h in px, not as fractions of the image's sides"]
    warnings = list(_negative([boxes[:, 2:] for boxes in filled]))
    if sizes is not None and filled:
        image = np.repeat(np.arange(len(files)), [0 if rows is None else len(rows) for rows in files])
        warnings += _beyond(np.concatenate(filled), np.array(sizes, np.float64)[image])
    if faces is not None and (better := _better_reading(files, faces)):
        warnings.append(better)
    return warnings


def _negative(sides):
    """Boxes whose right or lower edge comes first. sides: per image (N, 2) px."""
    every = np.concatenate([np.zeros((0, 2)), *sides])
    if every.min(initial=0) < 0:
        negative = (every < 0).any(axis=1).sum()
        yield f"{negative:,} of {len(every):,} boxes have a negative width or height: expected x y w h"


def _beyond(boxes, sizes):
    """Boxes that reach beyond their images. sizes: (N, 2) px, that of the image of each box."""
    known = sizes.min(axis=1) > 0
    boxes, limits = boxes[known], (1 + BEYOND) * sizes[known]
    beyond = (boxes[:, :2] + boxes[:, 2:] > limits).any(axis=1)
    if beyond.sum() < max(MANY, OFTEN * len(boxes)):
        return
    corners = (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (boxes[:, 2:] <= limits).all(axis=1)
    what = ("as corners x1 y1 x2 y2 they would not: expected x y w h" if corners.mean() > 0.95 else
            "expected x y w h in px of the image at its full size")
    yield f"{beyond.sum():,} of {len(boxes):,} boxes reach beyond their images: {what}"


def _better_reading(files, faces):
    """A sentence where another reading finds far more faces, in a part of the set; else None."""
    both = [n for n, rows in enumerate(files) if rows is not None and len(rows) and len(faces[n])]
    both = [both[k] for k in np.unique(np.linspace(0, len(both) - 1, min(IMAGES, len(both))).round().astype(int))]
    if not both:
        return None
    boxes = np.concatenate([files[n][:BOXES, :4] for n in both])
    image = np.repeat(np.arange(len(both)), [min(BOXES, len(files[n])) for n in both])
    truth = np.concatenate([faces[n] for n in both])
    owner = np.repeat(np.arange(len(both)), [len(faces[n]) for n in both])

    def found(rows):
        best = best_boxes(rows, image, truth, owner, 0.5, extra=0.0)
        return len(np.unique(best[best >= 0]))

    usual = found(boxes)
    for name, read in READINGS.items():
        if (other := found(read(boxes))) >= 2 * usual + MANY:
            return (f"in {len(both):,} of the images the boxes find {usual:,} of {len(truth):,} faces; read as {name} "
                    f"they would find {other:,}: expected x y w h")
    return None
