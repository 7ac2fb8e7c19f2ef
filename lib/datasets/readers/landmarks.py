"""The landmark list of CNN_FacePoint, such as `trainImageList.txt`: one image with one face and five points per line.

`file left right top bottom lex ley rex rey nx ny lmx lmy rmx rmy`, in px: the box is two x and then two y. The points
are left eye, right eye, nose, left and right mouth corner; left is the image's left. `file` may have backslashes.
Other faces of such an image are not labelled, so the rest of the image is not background.

Source: Sun, Wang and Tang, CVPR 2013 (CNN_FacePoint).
"""

import os

import numpy as np

from ...errors import InputError
from ..roidb import Roidb
from ..text import named_numbers
from .builder import RoidbBuilder


def read_landmarks(labels: str | os.PathLike, images: str | os.PathLike | None = None, missing: str = "error") -> Roidb:
    """Read a landmark list.

    Args:
        labels: the list.
        images: folder of the images, None when they are not at hand.
        missing: "error" or "skip" images that are missing or unreadable.

    Raises:
        InputError: names the file and line that is wrong.
    """
    builder = RoidbBuilder(labels, images, missing)
    for where, image, values in named_numbers(labels):
        if len(values) != 14:
            raise InputError(f"{where}: expected left right top bottom and five points x y after {image}, found "
                             f"{len(values)} numbers")
        left, right, top, bottom = values[:4]
        builder.add(image, [[left, top, right, bottom]], where, landmarks=np.reshape(values[4:], (1, 5, 2)))
    return builder.finish()
