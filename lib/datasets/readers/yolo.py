"""YOLO text: one .txt per image in a parallel folder, with one line `class cx cy w h` per face.

The four numbers are fractions of the image's width and height. An image without a .txt has no face.

Source: Ultralytics YOLO detection data set format, and Darknet before it.
"""

import os
from collections.abc import Collection
from functools import partial

from ...errors import InputError
from ..roidb import IMAGE_EXTENSIONS, Roidb, image_name
from ..text import floats, read_lines
from .builder import RoidbBuilder

# Annotation tools round: a box on the border may exceed 1 in the last digit.
_SLACK = 1e-3
# Lists that annotation tools put into the folder of the labels.
_NO_LABELS = ("classes.txt", "train.txt", "val.txt", "test.txt")


def read_yolo(labels: str | os.PathLike, images: str | os.PathLike | None = None, missing: str = "error",
              classes: Collection[int] | None = None) -> Roidb:
    """Read a folder of labels.

    Args:
        labels: folder of the .txt files.
        images: folder of the images, which is needed here.
        missing: "error" or "skip" images that are missing or unreadable.
        classes: class numbers that are faces. None: all.

    Raises:
        InputError: names the file and line that is wrong; also when `images` is None.
    """
    if images is None:
        raise InputError("yolo labels are fractions of the image size: the folder of the images is needed (--images)")
    if not os.path.isdir(labels):
        raise InputError(f"{labels}: no such folder of .txt labels")
    builder = RoidbBuilder(labels, images, missing)
    paths = {image_name(path): path for path in _below(images, IMAGE_EXTENSIONS)}
    texts = {path[:-4]: path for path in _below(labels, (".txt",)) if path not in _NO_LABELS}
    if not texts:
        raise InputError(f"{labels}: holds no .txt label")
    for name in sorted(paths.keys() | texts.keys()):
        path = os.path.join(labels, texts.get(name, name + ".txt"))
        image = paths.get(name) or builder.find(name)
        builder.add(image, partial(_boxes, path if name in texts else None, classes), path)
    return builder.finish()


def _boxes(path, classes, size):
    """The boxes x1 y1 x2 y2 in px of one .txt (None: there is none) in an image of `size`."""
    lines = enumerate(read_lines(path), 1) if path else ()
    boxes = [_box(line, size, f"{path}, line {number}", classes) for number, line in lines if line]
    return [box for box in boxes if box]


def _below(folder, extensions):
    """Sorted paths below the folder, with "/", of the files with one of these extensions."""
    return sorted(os.path.relpath(os.path.join(at, file), folder).replace(os.sep, "/")
                  for at, _, files in os.walk(folder) for file in files if file.lower().endswith(extensions))


def _box(line, size, where, classes):
    """The box of one line; None when its class is not a face."""
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
