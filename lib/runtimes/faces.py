"""A model that has decoding and NMS inside it: its family, and how its output is split by image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..detections import Detections
from ..nets.family import Family


class Faces(Family):
    """The family of a model that gives faces: `decode` only names what the model computed.

    The NMS of the model is over one image at one scale. Detector's NMS runs over all scales of an image after it.
    """

    multiple = 1  # boxes are clipped to the input inside the model, so nothing may be padded outside

    def decode(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int]) -> Detections:
        """Detections of one image; the model has clipped the boxes to (width, height) px."""
        return Detections(outputs["boxes"], outputs["scores"], outputs.get("landmarks"))


def by_image(outputs: Mapping[str, np.ndarray], images: int) -> dict[str, list[np.ndarray]]:
    """Split rows (N, ...) by image.

    Args:
        outputs: `image` (N,) is the number of the image of each row.
        images: number of images in the batch.

    Returns:
        Lists with one array per image, by name, without `image`.
    """
    owners = np.asarray(outputs["image"])
    rows = [np.flatnonzero(owners == number) for number in range(images)]
    return {name: [values[index] for index in rows] for name, values in outputs.items() if name != "image"}
