"""What every runtime does to images before the model sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..constants import FILL
from ..errors import InputError


def as_input(images: np.ndarray, facts: Mapping[str, Any]) -> np.ndarray:
    """Bring images to the type, size and multiple that a model takes.

    A float image is rounded where the model takes uint8. Sides are filled to the multiple with grey at the right and at
    the bottom (the multiple is 1 for a model that pads itself).

    Args:
        images: (B, H, W, 3) RGB 0..255, uint8 or float.
        facts: the sidecar.

    Raises:
        InputError: the images have another shape.
    """
    want, images = facts["input"], np.asarray(images)
    if images.ndim != 4 or images.shape[3] != 3:
        raise InputError(f"images have the shape {images.shape}, expected (B, H, W, 3)")
    for axis, side in ((1, "height"), (2, "width")):
        if want[side] is not None and images.shape[axis] != want[side]:
            raise InputError(f"images have the {side} {images.shape[axis]}, {facts['file']} takes {want[side]} only")
    if images.dtype != want["type"]:
        if want["type"] == "uint8":
            images = np.clip(np.rint(images), 0, 255)
        images = images.astype(want["type"])
    height, width = (-side % want["multiple"] for side in images.shape[1:3])
    if not height and not width:
        return np.ascontiguousarray(images)
    return np.pad(images, ((0, 0), (0, height), (0, width), (0, 0)), constant_values=FILL)
