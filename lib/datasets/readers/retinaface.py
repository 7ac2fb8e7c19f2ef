"""RetinaFace's `label.txt`: WIDER's faces with five landmarks.

A line `# image`, then a line a face: `x y w h`, five times `x y visibility` (-1 = not labelled), and the blur score.
The landmarks stand in our order. All that follows the box may be absent.
"""

import numpy as np

from ...errors import InputError
from ..text import floats, read_lines
from .builder import RoidbBuilder


def read_retinaface(labels, images=None, missing="error"):
    """Read label.txt. It does not say which faces are invalid: tools/build_roidb.py --attributes adds that."""
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
        raise InputError(f"{where}: expected 4 numbers (a box) or 20 (landmarks and blur besides), found {len(values)}")
    return values[:19] + [-1.0] * (19 - len(values))


def _add(builder, image, faces, where):
    faces = np.array(faces, np.float64).reshape(-1, 19)
    points = faces[:, 4:].reshape(-1, 5, 3)
    # A point outside the image may have one negative coordinate; only -1 -1 says that there is none.
    labelled = ~np.all(points[:, :, :2] == -1, axis=2, keepdims=True)
    builder.add(image, np.concatenate([faces[:, :2], faces[:, :2] + faces[:, 2:4]], axis=1), where,
                landmarks=np.where(labelled, points[:, :, :2], np.nan))
