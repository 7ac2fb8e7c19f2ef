"""The annotation list of the SSH TensorFlow reproduction: an image a line, its name without extension, then corners.

`0--Parade/x 449.0 330.0 570.0 478.0 ...`: four numbers a face. The corners are inclusive pixels, so the continuous box
ends one further: a face 122 px wide from 449 has x2 = 570 in the file and 571 here.
"""

import numpy as np

from ...errors import InputError
from ..text import named_numbers
from .builder import RoidbBuilder


def read_ssh(labels, images=None, missing="error"):
    """Read the list; the extension of each image is looked up in `images` (.jpg when they are not at hand)."""
    builder = RoidbBuilder(labels, images, missing)
    for where, image, values in named_numbers(labels):
        if len(values) % 4:
            raise InputError(f"{where}: expected four numbers a face after {image}, found {len(values)} numbers")
        boxes = np.array(values, np.float64).reshape(-1, 4)
        boxes[:, 2:] += 1
        builder.add(builder.find(image), boxes, where)
    return builder.finish()
