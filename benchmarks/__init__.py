"""Speed of the parts that run once an image, beside the peers that do the same job.

A section is a module of this package with `run(...) -> list[Table]`, whose arguments all have defaults; SECTIONS names
them and imports none, so that a section's peers are needed only where it runs. Milliseconds differ from machine to
machine; the ratios, taken within one run, hardly do.
"""

import importlib

from manyfaces.errors import InputError

from .timing import Table, as_csv

__all__ = ["SECTIONS", "Table", "as_csv", "run_section"]

SECTIONS = {
    "nms": "suppression of pyramid candidates of a crowd",
    "targets": "anchor targets of a crowded image",
    "loader": "a training's images from file to batch, stage by stage and as a whole",
    "detectors": "our detectors beside the peers, whole call, with AP; images and peers of ../shared",
    "mtcnn": "our cascade beside facenet-pytorch and the mtcnn package: agreement, speed by parts, AP",
    "backbones": "every backbone under Tiny Faces and SSH: ms a megapixel by runtime, memory, parameters, GMAC",
    "memory": "peak memory of a process that looks at one large image, which is cut into tiles",
    "wider": "the WIDER protocol on a folder of predictions or on a made-up one, and what losses cost",
}


def run_section(name, **options):
    """The tables of one section; options: arguments of its run. Raises InputError for a name SECTIONS does not have."""
    if name not in SECTIONS:
        raise InputError(f"section: found {name!r}, expected one of {', '.join(SECTIONS)}")
    return importlib.import_module(f".{name}", __name__).run(**options)
