"""Readers of annotation files, one module per format. Each returns a Roidb.

All are called as `reader(labels, images=None, missing="error")`:

- `labels`: the annotation file; a folder for voc and yolo, a file or a folder for fddb.
- `images`: folder of the images. None when they are not at hand: width and height are then 0 (coco: those of the file),
  which is enough for statistics. yolo needs the images.
- `missing`: "error" raises InputError for an image that is missing, unreadable, or of another size than the
  annotation says; "skip" counts it as dropped.

Those in WITH_CLASSES also take `classes`: the names of the objects that are faces, for yolo also their numbers. None:
the only class, or among several the one named "face"; otherwise an InputError lists the classes.
"""

from collections.abc import Callable

from ..roidb import Roidb
from .coco import read_coco
from .fddb import read_fddb
from .formats import find_format
from .landmarks import read_landmarks
from .retinaface import read_retinaface
from .ssh import read_ssh
from .voc import read_voc
from .wider import read_wider
from .yolo import read_yolo

READERS: dict[str, Callable[..., Roidb]] = {
    "wider": read_wider, "retinaface": read_retinaface, "ssh": read_ssh, "voc": read_voc, "coco": read_coco,
    "yolo": read_yolo, "fddb": read_fddb, "landmarks": read_landmarks}
WITH_CLASSES = ("voc", "coco", "yolo")
AUTO = "auto"  # the format that find_format recognises

__all__ = ["AUTO", "READERS", "WITH_CLASSES", "find_format"]
