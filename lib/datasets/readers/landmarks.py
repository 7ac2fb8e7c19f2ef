"""The list of CNN_FacePoint (Sun, Wang and Tang, CVPR 2013), as `trainImageList.txt`: one face with five points a line.

`file left right top bottom lex ley rex rey nx ny lmx lmy rmx rmy`: the box comes as two x and two y, the points are
left eye, right eye, nose, left and right mouth corner as seen in the image. The file may be written with backslashes.
Other faces of such an image are not labelled: what lies beside the face is not background.
"""

import numpy as np

from ...errors import InputError
from ..text import named_numbers
from .builder import RoidbBuilder


def read_landmarks(labels, images=None, missing="error"):
    """Read the list: each image has one face."""
    builder = RoidbBuilder(labels, images, missing)
    for where, image, values in named_numbers(labels):
        if len(values) != 14:
            raise InputError(f"{where}: expected left right top bottom and five points x y after {image}, found "
                             f"{len(values)} numbers")
        left, right, top, bottom = values[:4]
        builder.add(image, [[left, top, right, bottom]], where, landmarks=np.reshape(values[4:], (1, 5, 2)))
    return builder.finish()
