"""What every runtime does to images before the model sees them."""

import numpy as np

from ..constants import FILL
from ..errors import InputError


def as_input(images, facts):
    """Images (B, H, W, 3) RGB 0..255, uint8 or float, as the sidecar's input says: its type, size and multiple.

    A float image is rounded where the model takes uint8. What lacks to the multiple (1 for a model that pads itself) is
    filled with grey at the right and at the bottom. Raises InputError for other shapes.
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
