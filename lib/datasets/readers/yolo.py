"""YOLO text: for each image, in a parallel folder, a .txt with a line `class cx cy w h` a face.

The four numbers are fractions of the image's width and height. An image without a .txt has no face.
"""

import os
from functools import partial

from ...errors import InputError
from ..roidb import IMAGE_EXTENSIONS, image_name
from ..text import floats, read_lines
from .builder import RoidbBuilder

# Annotation tools round: a box on the border may reach past 1 by the last digit.
_SLACK = 1e-3
# Lists that the same tools put into the folder of the labels.
_NO_LABELS = ("classes.txt", "train.txt", "val.txt", "test.txt")


def read_yolo(labels, images=None, missing="error", classes=None):
    """Read the folder `labels` for the images below `images`; classes: numbers that are faces, None = all."""
    if images is None:
        raise InputError("yolo labels are fractions of the image size: the folder of the images is needed (--images)")
    if not os.path.isdir(labels):
        raise InputError(f"{labels}: no such folder of .txt labels")
    builder = RoidbBuilder(labels, images, missing)
    found = {image_name(path): path for path in _below(images, IMAGE_EXTENSIONS)}
    texts = {path[:-4]: path for path in _below(labels, (".txt",)) if path not in _NO_LABELS}
    if not texts:
        raise InputError(f"{labels}: holds no .txt label")
    for name in sorted(found.keys() | texts.keys()):
        path = os.path.join(labels, texts.get(name, name + ".txt"))
        image = found.get(name) or builder.find(name)
        builder.add(image, partial(_boxes, path if name in texts else None, classes), path)
    return builder.finish()


def _boxes(path, classes, size):
    """The boxes of one .txt (None: there is none) in an image of this size."""
    lines = enumerate(read_lines(path), 1) if path else ()
    boxes = [_box(line, size, f"{path}, line {number}", classes) for number, line in lines if line]
    return [box for box in boxes if box]


def _below(folder, extensions):
    """Paths below the folder, with "/", of the files with one of these extensions."""
    return sorted(os.path.relpath(os.path.join(at, file), folder).replace(os.sep, "/")
                  for at, _, files in os.walk(folder) for file in files if file.lower().endswith(extensions))


def _box(line, size, where, classes):
    values = floats(line, where)
    if len(values) != 5:
        raise InputError(f"{where}: expected `class cx cy w h`, found {len(values)} numbers")
    kind, cx, cy, w, h = values
    if not all(-_SLACK <= value <= 1 + _SLACK for value in (cx, cy, w, h)):
        raise InputError(f"{where}: expected fractions of the image between 0 and 1, found {line[:60]!r}")
    if classes is not None and int(kind) not in classes:
        return None
    width, height = size
    return (cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height
