"""How a shipped detector is trained on: chosen by the sizes of the faces, the number of photographs and the machine.

The photographs are all that there is, so the recipe protects what the net knows: a low rate with a cosine, frozen batch
normalisation in the backbone, a moving average, and few steps. The result is blended with the shipped weights
(blend.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets.roidb import Record
from .photos import HELD, TRAIN

if TYPE_CHECKING:
    from easydict import EasyDict

RATE = 6e-4
EPOCHS = 40
"""So often each photograph is shown, where that takes LEAST steps or more and the time allows it."""
LEAST = 300
"""Steps; fewer do not change a net enough to measure."""
SELECTIONS = 4
"""How often the photographs held out are scored while it trains, for the curves; they choose no checkpoint."""
FILL = 0.85
"""Fraction of the time budget for training; the rest is for tests, export and pictures."""


def overrides(records: Sequence[Record], cfg: EasyDict, scale: float = 1.0, gpu: bool = False) -> list[Any]:
    """[KEY, VALUE, ...] for a shipped config to train on photographs; all but the number of steps.

    Args:
        records: the images to train on.
        cfg: config of the shipped weights.
        scale: of the photographs when they are scored.
        gpu: whether there is one; without it a step is small.
    """
    changes: dict[str, Any] = {
        "NET.WEIGHTS": "", "NET.FROZEN_BN": True,
        "TRAIN.DATASETS": TRAIN, "TRAIN.DATASET_WEIGHTS": [], "TRAIN.SELECT": HELD, "TRAIN.SELECT_BY": "AP",
        "TRAIN.SELECT_HEIGHTS": [0], "TRAIN.SELECT_IMAGES": 0, "TRAIN.CROWDS": 0.0, "TRAIN.EVENTS": 0.0,
        "TRAIN.MAX_FACES": 0,
        "TRAIN.EPOCHS": 0, "TRAIN.BATCH": 32 if gpu else 16, "TRAIN.MODE": "joint", "TRAIN.OPTIMIZER": "adamw",
        "TRAIN.RATE": RATE, "TRAIN.RATE_BATCH": 0, "TRAIN.SCHEDULE": "cosine", "TRAIN.FINAL_RATE": 0.01,
        "TRAIN.STOP_AFTER": 0.0, "TRAIN.IMAGES_EVERY": 0, "TRAIN.LOG_EVERY": 10,
        "TRAIN.DETERMINISTIC": True, "AUGMENT.CLEAN_STEPS": 0, "AUGMENT.MOSAIC": 0.0, "LOADER.CACHE_MB": 600}
    if cfg.AUGMENT.KIND == "crop" and list(cfg.TEST.SCALES) == [1.0]:
        changes |= crops(records, scale, gpu)
    return [word for pair in changes.items() for word in pair]


def crops(records: Sequence[Record], scale: float = 1.0, gpu: bool = False) -> dict[str, Any]:
    """How crops are cut for a net that scores images at one scale: most of them near that scale.

    Some are scaled so that a face gets any size up to that of the crop: without them the net forgets sizes that the
    photographs lack.
    """
    boxes = np.concatenate([record.boxes[~record.ignore] for record in records])
    sizes = scale * np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    usual, large = np.percentile(sizes, (75, 95))
    side = 320 if usual < 100 else 640
    lowest = min(0.6, 0.6 * side / large)  # with which the large faces are whole in a crop, too
    return {"AUGMENT.SIZE": side, "AUGMENT.SIZES": [side, 640] if gpu and side < 640 else [],
            "AUGMENT.SCALES": [round(scale * float(lowest), 3), round(2 * scale, 3)],
            "AUGMENT.FACE_SIZES": [8, 0.9 * side], "AUGMENT.FACE_PROBABILITY": 0.3 if large < 0.6 * side else 0.6,
            "AUGMENT.BACKGROUND": 0.15, "AUGMENT.BLUR": 0.1, "AUGMENT.COLOUR": 0.3, "AUGMENT.TURN": 0.0,
            "AUGMENT.COVER": 0.0, "AUGMENT.MIN_FACE": 5}


def wanted_steps(images: int, batch: float) -> int:
    """Number of steps that show each of the images EPOCHS times, and LEAST at least; batch: the mean over its sizes."""
    return max(LEAST, round(EPOCHS * images / batch))


def affordable(steps: int, seconds: float, minutes: float) -> int:
    """That number, or what the time budget allows.

    Args:
        steps: the wanted number.
        seconds: of a step.
        minutes: the budget.

    Examples:
        >>> affordable(1620, 0.2, 30), affordable(1620, 2.0, 30)
        (1620, 765)
    """
    return max(SELECTIONS, min(steps, int(60 * minutes * FILL / seconds)))


def lengths(steps: int) -> list[Any]:
    """[KEY, VALUE, ...] that depend on the number of steps."""
    momentum = min(0.999, round(1 - min(0.1, 5 / steps), 4))
    return ["TRAIN.STEPS", steps, "TRAIN.SELECT_EVERY", -(-steps // SELECTIONS), "TRAIN.EMA", momentum,
            "TRAIN.WARMUP", max(1, min(50, steps // 10)), "TRAIN.SAVE_EVERY", max(10, min(100, steps // 10))]
