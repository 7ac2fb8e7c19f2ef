"""Speed of the parts that run once an image, beside the peers that do the same job.

A section is a module of this package with `run() -> list[Table]`; SECTIONS names them and imports none, so that a
section's peers are needed only where it runs. Milliseconds differ from machine to machine; the ratios, taken within one
run, hardly do.
"""

import importlib

from ..errors import InputError
from .timing import Table, as_csv

__all__ = ["SECTIONS", "Table", "as_csv", "run_section"]

SECTIONS = {
    "nms": "suppression of pyramid candidates of a crowd",
    "targets": "anchor targets of a crowded image",
    "loader": "a training's images from file to batch, stage by stage and as a whole",
}


def run_section(name):
    """The tables of one section. Raises InputError for a name that SECTIONS does not have."""
    if name not in SECTIONS:
        raise InputError(f"section: found {name!r}, expected one of {', '.join(SECTIONS)}")
    return importlib.import_module(f".{name}", __name__).run()
