"""YOLO text: one .txt per image in a parallel folder, with one line per face (yolo_rows.py). No .txt means no face.

The names of the classes are those of data.yaml or classes.txt, where there is one.

Source: Ultralytics YOLO detection, segmentation and pose data set formats, and Darknet before them.
"""

import os
from collections import Counter
from collections.abc import Collection
from functools import partial

import numpy as np

from ...errors import InputError
from ..classes import chosen_classes
from ..folders import files_below
from ..roidb import IMAGE_EXTENSIONS, Roidb
from .builder import RoidbBuilder
from .yolo_names import read_names
from .yolo_rows import Row, Shape, read_rows, row_boxes, row_landmarks, row_shapes


def read_yolo(labels: str | os.PathLike, images: str | os.PathLike | None = None, missing: str = "error",
              classes: Collection[int | str] | None = None) -> Roidb:
    """Read a folder of labels. A .txt without an image that is no label, such as classes.txt, is passed over.

    Args:
        labels: folder of the .txt files.
        images: folder of the images, which is needed here.
        missing: "error" or "skip" images that are missing or unreadable.
        classes: numbers or names of the classes that are faces. None: the only class, or among several "face".

    Raises:
        InputError: names the file and line that is wrong, or lists the classes to choose from; also when `images` is
            None, or when one label has several images.
    """
    if images is None:
        raise InputError("yolo labels are fractions of the image size: the folder of the images is needed (--images)")
    if not os.path.isdir(labels):
        raise InputError(f"{labels}: no such folder of .txt labels")
    builder = RoidbBuilder(labels, images, missing)
    names, points = read_names(labels, images)
    rows = _read_all(labels, builder)
    if not rows:
        raise InputError("; ".join([f"{labels}: holds no .txt label", *builder.notes[:1]]))
    every = [row for found in rows.values() for row in found]
    shapes = row_shapes(every, points)
    builder.classes = Counter(names.get(row.kind, str(row.kind)) for row in every)
    builder.taken = chosen_classes(builder.classes, None if classes is None else {
        names.get(int(word), str(word)) if str(word).isdecimal() else str(word) for word in classes}, os.fspath(labels))
    polygons = [row.where for row in every if shapes[len(row.values)] is Shape.POLYGON]
    if polygons:
        builder.notes.append(f"{len(polygons):,} polygons are read as their bounding boxes, the first is {polygons[0]}")
    unread: list[str] = []
    for name in sorted(builder.pictures.keys() | rows.keys()):
        where = os.path.join(labels, f"{name}.txt")
        if name not in rows:
            for image in builder.pictures[name]:
                if image.lower().endswith(IMAGE_EXTENSIONS):
                    builder.add(image, np.zeros((0, 4)), where)
                else:
                    unread.append(f"{os.path.join(builder.root, image)}: left out, OpenCV does not read "
                                  f"{os.path.splitext(image)[1]} files; convert it to JPEG")
            continue
        faces = [row for row in rows[name] if names.get(row.kind, str(row.kind)) in builder.taken]
        image = builder.one_of(builder.pictures.get(name, [name + ".jpg"]), where)
        builder.add(image, partial(row_boxes, faces, shapes), where, partial(row_landmarks, faces, shapes))
    builder.pass_over(unread, "pictures")
    return builder.finish()


def _read_all(labels: str | os.PathLike, builder: RoidbBuilder) -> dict[str, list[Row]]:
    """The rows by name of the image. Files that are no labels are noted."""
    rows, strays = {}, []
    for path in files_below(labels, (".txt",)):
        found = read_rows(os.path.join(labels, path), path[:-4] in builder.pictures)
        if found is None:
            strays.append(path)
        else:
            rows[path[:-4]] = found
    builder.pass_over([f"{os.path.join(labels, path)}: passed over, it has no image and holds no label"
                       for path in strays], ".txt files")
    return rows
