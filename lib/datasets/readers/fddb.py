"""FDDB's ellipse lists (see fddb_text.py); a face's box is the upright one that just holds its ellipse."""

import os

from ..fddb_text import ellipse_boxes, fold_files, read_ellipses
from .builder import RoidbBuilder


def read_fddb(labels, images=None, missing="error"):
    """Read one FDDB-fold-NN-ellipseList.txt, or all those in the folder `labels`; images have no extension there.

    The boxes are not clipped: some ellipses leave their image.
    """
    builder = RoidbBuilder(labels, images, missing)
    paths = fold_files(labels).values() if os.path.isdir(labels) else [os.fspath(labels)]
    for path in paths:
        for block in read_ellipses(path):
            builder.add(builder.find(block.name), ellipse_boxes(block.rows), block.where)
    return builder.finish()
