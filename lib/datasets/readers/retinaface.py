"""RetinaFace's `label.txt`: WIDER's faces with five landmarks.

A line `# image`, then one line per face: `x y w h` in px, five times `x y visibility` (-1 = not labelled), and the blur
score. The landmarks are in the order of Record. Everything after the box may be absent.

Source: the annotations of RetinaFace (arXiv 1905.00641).
"""

import os

import numpy as np

from ...errors import InputError
from ..roidb import Roidb
from ..text import floats, read_lines
from .builder import RoidbBuilder, corners


def read_retinaface(labels: str | os.PathLike, images: str | os.PathLike | None = None,
                    missing: str = "error") -> Roidb:
    """Read label.txt.

    The file does not say which faces are invalid; `manyfaces data build --attributes` adds that.

    Args:
        labels: the label.txt.
        images: folder of the images, None when they are not at hand.
        missing: "error" or "skip" images that are missing or unreadable.

    Raises:
        InputError: names the file and line that is wrong.
    """
    builder = RoidbBuilder(labels, images, missing)
    image, where, faces = None, None, []
    for number, line in enumerate([*read_lines(labels), "#"], 1):
        if line.startswith("#"):
            if image is not None:
                _add(builder, image, faces, where)
            image, where, faces = line[1:].strip(), f"{labels}, line {number}", []
        elif line:
            if not image:
                raise InputError(f"{labels}, line {number}: expected `# image` before the first face, "
                                 f"found {line[:60]!r}")
            faces.append(_face(line, f"{labels}, line {number}"))
    return builder.finish()


def _face(line, where):
    values = floats(line, where)
    if len(values) not in (4, 20):
        raise InputError(f"{where}: expected 4 numbers (a box) or 20 (also landmarks and blur), found {len(values)}")
    return values[:19] + [-1.0] * (19 - len(values))


def _add(builder, image, faces, where):
    faces = np.array(faces, np.float64).reshape(-1, 19)
    points = faces[:, 4:].reshape(-1, 5, 3)
    # A point outside the image may have one negative coordinate; only -1 -1 means that it is not labelled.
    labelled = ~np.all(points[:, :, :2] == -1, axis=2, keepdims=True)
    builder.add(image, corners(faces[:, :4]), where, landmarks=np.where(labelled, points[:, :, :2], np.nan))
