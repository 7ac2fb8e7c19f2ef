"""A model that has decoding and NMS inside it: what stands in for its family, and how its output is cut into images."""

import numpy as np

from ..detections import Detections
from ..nets.family import Family

OUTPUTS = ("boxes", "scores", "image")  # and landmarks


class Faces(Family):
    """The family of a model that gives faces: `decode` only names what is there.

    Its NMS is over one image at one scale; Detector's own runs over all scales of an image after it.
    """

    multiple = 1  # boxes are clipped to the input inside the model, so nothing may be padded outside

    def decode(self, outputs, size):
        """Detections of one image; boxes were clipped to (width, height) px inside."""
        return Detections(outputs["boxes"], outputs["scores"], outputs.get("landmarks"))


def by_image(outputs, images):
    """Rows of all images (N, ...) -> dict of lists of arrays, one an image; `image` (N,) says whose a row is."""
    whose = np.asarray(outputs["image"])
    rows = [np.flatnonzero(whose == number) for number in range(images)]
    return {name: [values[index] for index in rows] for name, values in outputs.items() if name != "image"}
