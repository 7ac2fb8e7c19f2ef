"""At which size photographs are scored: small faces are found better in an enlarged image, which takes longer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..datasets.roidb import Record, hash_fraction
from .judge import judge, readable

if TYPE_CHECKING:
    from ..inference.base import BaseDetector

SCALES = (1.0, 1.5, 2.0)
WORTH = 0.01
"""AP that an image of a larger scale must gain."""
PIXELS = 1_000_000
"""No scale enlarges the median photograph beyond this many px, which a CPU scores in a fraction of a second."""
IMAGES = 60
"""Photographs that are scored, of those to train on."""


def choose_scale(detector: BaseDetector, records: Sequence[Record]) -> tuple[float, Mapping[float, float]]:
    """The smallest scale whose AP is within WORTH of the best.

    Args:
        detector: the shipped one. Where its config has other scales than [1.0], or a fixed size, they stay.
        records: the photographs to train on; IMAGES of them are scored.

    Returns:
        The scale, and the AP of each that was scored; empty where there was no choice.
    """
    test = detector.cfg.TEST
    pixels = float(np.median([record.width * record.height for record in records]))
    scales = [scale for scale in SCALES if scale == 1 or pixels * scale**2 <= PIXELS]
    if list(test.SCALES) != [1.0] or len(test.SIZE) or len(scales) == 1:
        return 1.0, {}
    some = sorted((record for record in records if not record.ignore.all()), key=lambda r: hash_fraction(r.name))
    some = readable(some[-IMAGES:], "the choice of the scale")
    scores = {scale: judge(detector, some, scales=[scale]).ap for scale in scales}
    return next(scale for scale in scales if scores[scale] >= max(scores.values()) - WORTH), scores
