"""Compares an exported file with Keras on real images: how far its maps, or its faces, differ from those of Keras."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ..boxes import overlaps
from ..constants import FILL
from ..datasets.folders import find_images
from ..datasets.images import ImageError, read_image
from ..errors import InputError
from ..inference.detector import Detector

if TYPE_CHECKING:
    from easydict import EasyDict

    from ..inference.base import BaseDetector
    from ..inference.detector import Run
    from ..nets.family import Family

# Of a float32 map, as a fraction of its largest value where that is over 1: rounding grows with what is summed.
# Maps of an SSH with values up to 15 are off by 1e-4 in Keras itself, compared with Keras in float64.
LIMIT = 1e-4
HALF_LIMIT = 1e-2  # of weights rounded to float16 after batch normalisation was folded into them
ALONE = 0.01  # fraction of the faces without a partner: near a threshold, or in NMS, a rounding decides
NEAR = 0.01  # fraction of the larger side of a face: its partner is within this distance
IMAGES = 8  # first ones of a folder
SIDE = 1024  # px, longer side of an image of the comparison


def check_images(folder: str | os.PathLike | None = None) -> list[np.ndarray]:
    """Images (H, W, 3) uint8 RGB: the first of a folder, or two portraits and a crowd made of them."""
    if folder is not None:
        found = _first_readable(folder)
    else:
        from ..datasets.toy.data_set import portrait_collage
        from ..datasets.toy.portraits import portraits

        try:
            found = [portrait.image for portrait in portraits()] + [portrait_collage(800, 600, seed=0)]
        except InputError as error:
            raise InputError(f"{error}; or give --images DIR, images to compare the exported model with Keras on") \
                from None
    return [within(image) for image in found]


def _first_readable(folder):
    """Up to IMAGES images of a folder; InputError where none can be read."""
    found: list[np.ndarray] = []
    for name in find_images(folder):
        try:
            found.append(read_image(f"{folder}/{name}"))
        except ImageError:
            continue
        if len(found) == IMAGES:
            break
    if not found:
        raise InputError(f"{folder}: none of its images can be read, nothing to compare the exported model on")
    return found


def within(image: np.ndarray, side: int = SIDE) -> np.ndarray:
    """The image, made smaller where its longer side is over `side` px."""
    factor = side / max(image.shape[:2])
    return image if factor >= 1 else cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def compare_maps(family: Family, run: Run, session: Run, cfg: EasyDict,
                 images: Sequence[np.ndarray]) -> dict[str, Any]:
    """Compare the maps of an exported file with those of Keras.

    Each batch is an image and its mirror, so the file is shown to take batches.

    Args:
        family, run: as in Detector, of Keras.
        session: the net of the exported file.

    Returns:
        differences: output -> largest absolute difference; difference: the largest of them; error: the largest
            difference as a fraction of its map's largest value, where that is over 1; worst: that output's name;
            shapes; recall and faces as in `agreement`.

    Raises:
        InputError: the file gives other outputs or shapes.
    """
    differences, scales, shapes = {}, {}, {}
    for image in images:
        batch = _sized(cfg, family, np.stack([image, image[:, ::-1]]))
        expected, found = run(batch), session(batch)
        if set(expected) != set(found):
            raise InputError(f"the exported model gives {', '.join(sorted(found))}, expected "
                             f"{', '.join(sorted(expected))}")
        for name, values in expected.items():
            other = np.asarray(found[name])
            if other.shape != values.shape:
                raise InputError(f"the exported model gives {name} of shape {other.shape}, Keras {values.shape}")
            worst = float(np.abs(values - other).max(initial=0))
            differences[name] = max(differences.get(name, 0.0), worst if np.isfinite(worst) else np.inf)
            scales[name] = max(scales.get(name, 1.0), float(np.abs(values).max(initial=0)))
            shapes[name] = batch.shape[1:3], values.shape
    errors = {name: difference / scales[name] for name, difference in differences.items()}
    result = _summed(differences, errors) | {"shapes": shapes}
    return result | agreement(Detector(family, run, cfg), Detector(family, session, cfg), images)


def _summed(differences, errors):
    return {"difference": max(differences.values()), "differences": differences, "error": max(errors.values()),
            "worst": max(errors, key=errors.get)}


def _sized(cfg, family, batch):
    """The batch as Detector gives it to the net: TEST.SIZE where the config has one, sides padded to the multiple."""
    if cfg.TEST.SIZE:
        return np.stack([cv2.resize(np.ascontiguousarray(image), tuple(cfg.TEST.SIZE)) for image in batch])
    multiple = family.multiple
    pads = [(0, -side % multiple) for side in batch.shape[1:3]]
    return np.pad(batch, ((0, 0), *pads, (0, 0)), constant_values=FILL)


def compare_faces(family: Family, run: Run, session: Run, cfg: EasyDict,
                  images: Sequence[np.ndarray]) -> dict[str, Any]:
    """Compare the faces of a file that gives faces with those of the Detector on Keras; arguments as in compare_maps.

    Returns:
        As compare_maps. differences holds scores, boxes and landmarks of faces that both have (boxes and points in px
        divided by the larger side of their face), and faces: the fraction of all faces that only one of both has. The
        last one is an error where it is over ALONE.
    """
    from ..runtimes.faces import Faces

    keras, exported = Detector(family, run, cfg), Detector(Faces(cfg), session, cfg)
    differences, alone, total = {"scores": 0.0, "boxes": 0.0}, 0, 0
    for image in images:
        first, second = keras.detect(image, threshold=0), exported.detect(image, threshold=0)
        total += len(first) + len(second)
        both, mates = _alike(first.boxes, second.boxes)
        alone += len(first) + len(second) - 2 * len(both)
        first, second = first.take(both), second.take(mates)
        sides = _sides(first.boxes)
        gaps = {"scores": first.scores - second.scores, "boxes": (first.boxes - second.boxes) / sides}
        if first.landmarks is not None:
            gaps["landmarks"] = (first.landmarks - second.landmarks).reshape(len(first), 10) / sides
        for name, values in gaps.items():
            differences[name] = max(differences.get(name, 0.0), float(np.abs(values).max(initial=0)))
    differences["faces"] = alone / max(1, total)
    errors = differences | {"faces": differences["faces"] if differences["faces"] > ALONE else 0.0}
    return _summed(differences, errors) | agreement(keras, exported, images)


def _alike(boxes, others):
    """Indices (N,) of boxes, and of the nearest other boxes where these are within NEAR; no other is taken twice.

    The corners are compared, not the IoU: a box that was clipped to nothing has no IoU with itself.
    """
    if not len(boxes) or not len(others):
        return np.zeros((2, 0), np.intp)
    distance = np.abs(boxes[:, None] - others[None]).max(axis=2) / _sides(boxes)
    mates = distance.argmin(axis=1)
    near = np.flatnonzero(distance[np.arange(len(boxes)), mates] < NEAR)
    _, once = np.unique(mates[near], return_index=True)
    return near[once], mates[near[once]]


def _sides(boxes):
    """Larger side of each box, (N, 1) px, at least 1."""
    return np.maximum(1, (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0))[:, None]


def agreement(keras: BaseDetector, exported: BaseDetector, images: Sequence[np.ndarray]) -> dict[str, Any]:
    """Count how many faces of one detector another one finds.

    A face is found at IoU 0.5, with a score of at least half of DEMO_SCORE, by a face of its own; the highest IoUs
    choose first. A box that was clipped to nothing has no IoU and does not count.

    Returns:
        faces: number of those that Keras shows (DEMO_SCORE and more); recall: the fraction of them that is found.
    """
    shown, hits = 0, 0
    for image in images:
        first, second = keras.detect(image, threshold=0), exported.detect(image, threshold=0)
        extent = np.prod(first.boxes[:, 2:] - first.boxes[:, :2], axis=1)
        first = first.take((first.scores >= keras.cfg.TEST.DEMO_SCORE) & (extent > 0))
        second = second.take(second.scores >= keras.cfg.TEST.DEMO_SCORE / 2)
        shown += len(first)
        iou = overlaps(first.boxes, second.boxes)
        while iou.size and iou.max() >= 0.5:
            row, column = np.unravel_index(iou.argmax(), iou.shape)
            hits += 1
            iou[row], iou[:, column] = 0, 0
    return {"faces": shown, "recall": hits / shown if shown else 1.0}
