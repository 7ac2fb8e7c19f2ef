"""FDDB's ellipse lists (see fddb_text.py). The box of a face is the smallest upright one around its ellipse.

Source: FDDB-folds/FDDB-fold-NN-ellipseList.txt of the data set.
"""

import os

from ..fddb_text import ellipse_boxes, fold_files, read_ellipses
from ..roidb import Roidb
from .builder import RoidbBuilder


def read_fddb(labels: str | os.PathLike, images: str | os.PathLike | None = None, missing: str = "error") -> Roidb:
    """Read ellipse lists. The boxes are not clipped: some ellipses leave their image.

    Args:
        labels: one FDDB-fold-NN-ellipseList.txt, or a folder, of which all are read.
        images: folder of the images, None when they are not at hand.
        missing: "error" or "skip" images that are missing or unreadable.

    Raises:
        InputError: names the file and line that is wrong.
    """
    builder = RoidbBuilder(labels, images, missing)
    paths = fold_files(labels).values() if os.path.isdir(labels) else [os.fspath(labels)]
    for path in paths:
        for block in read_ellipses(path):
            builder.add(builder.find(block.name, block.where), ellipse_boxes(block.rows), block.where)
    return builder.finish()
