"""Annotation files to roidb, one module a format.

Each reader is called as reader(labels, images, missing="error"): labels is the annotation file (voc, yolo, fddb: a
folder), images the folder of the images or None when they are not at hand (sizes are then 0, good for statistics only),
and missing="skip" counts images that are absent or unreadable instead of raising InputError.
"""

from .coco import read_coco
from .fddb import read_fddb
from .landmarks import read_landmarks
from .retinaface import read_retinaface
from .ssh import read_ssh
from .voc import read_voc
from .wider import read_wider
from .yolo import read_yolo

READERS = {"wider": read_wider, "retinaface": read_retinaface, "ssh": read_ssh, "voc": read_voc, "coco": read_coco,
           "yolo": read_yolo, "fddb": read_fddb, "landmarks": read_landmarks}
