"""The protocols of `manyfaces evaluate`, one module each.

A module has `add_arguments(parser)` and `evaluate(options)`, which prints and returns an exit code or None. A new
protocol is a module and a line here.
"""

from importlib import import_module
from types import ModuleType

COMMANDS = {  # name -> its line in --help
    "wider": "the official protocol and ground truth of WIDER FACE",
    "fddb": "discrete and continuous ROC over the ten folds of FDDB",
    "coco": "COCO's AP on any COCO annotation, with 1,000 detections per image",
    "voc": "AP at IoU 0.5 on Pascal VOC's XML, by the height of the faces",
    "roidb": "AP at IoU 0.5 on a roidb, all faces and those under 20 px",
    "heights": "recall by the height of the faces on a roidb, of several detectors",
    "landmarks": "error of a detector's five landmarks on a roidb, as a fraction of the distance between the eyes",
    "best_box": "IoU of the best box of each image that has few faces, on a roidb",
}


def command(name: str) -> ModuleType:
    """Import the module of a protocol."""
    return import_module(f".{name}", __name__)
