"""The annotation list of the SSH TensorFlow reproduction: one image per line, without extension, then its faces.

`0--Parade/x 449.0 330.0 570.0 478.0 ...`: x1 y1 x2 y2 per face. The corners are inclusive pixels, so the continuous box
ends 1 px later: a face 122 px wide from 449 has x2 = 570 in the file and 571 here.
"""

import os

import numpy as np

from ...errors import InputError
from ..roidb import Roidb
from ..text import named_numbers
from .builder import RoidbBuilder


def read_ssh(labels: str | os.PathLike, images: str | os.PathLike | None = None, missing: str = "error") -> Roidb:
    """Read the list. The extension of each image is looked up in `images` (.jpg when they are not at hand).

    Args:
        labels: the list.
        images: folder of the images, None when they are not at hand.
        missing: "error" or "skip" images that are missing or unreadable.

    Raises:
        InputError: names the file and line that is wrong.
    """
    builder = RoidbBuilder(labels, images, missing)
    for where, image, values in named_numbers(labels):
        if len(values) % 4:
            raise InputError(f"{where}: expected four numbers per face after {image}, found {len(values)} numbers")
        boxes = np.array(values, np.float64).reshape(-1, 4)
        boxes[:, 2:] += 1
        builder.add(builder.find(image, where), boxes, where)
    return builder.finish()
