"""Landmarks of faces whose boxes are known already, by O-Net alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from easydict import EasyDict
from numpy.typing import ArrayLike

from . import resample
from .cascade import SIDES
from .geometry import landmarks_of, square, windows


def landmarks_in_boxes(onet: Callable, image: np.ndarray, boxes: ArrayLike, cfg: EasyDict) -> np.ndarray:
    """Landmarks that O-Net gives on the squares around boxes; one call, and no box is moved.

    Args:
        onet: function from crops (N, 48, 48, 3) to a dict with `landmarks` (N, 10).
        image: (H, W, 3) uint8 RGB.
        boxes: (N, 4) x1 y1 x2 y2 in px.
        cfg: the CASCADE section of a config, which states how crops are cut.

    Returns:
        (N, 5, 2) float32 x y in px; NaN where a square is outside the image.
    """
    inclusive, side = cfg.BOXES == "inclusive", SIDES["onet"]
    squares = square(np.asarray(boxes, np.float32).reshape(-1, 4), inclusive)
    corners, inside = windows(squares, image.shape[1::-1], inclusive)
    points = np.full((len(squares), 5, 2), np.nan, np.float32)
    if inside.any():
        crops = resample(image, corners[inside], (side, side), cfg.RESAMPLE,
                         dtype=np.uint8 if cfg.ROUND else np.float32)
        offsets = np.asarray(onet(crops)["landmarks"])
        points[inside] = landmarks_of(squares[inside], offsets, inclusive)
    return points
