"""Speed of the parts that run for every image, compared with peers that do the same job.

A section is a module of this package with `run(...) -> list[Table]`. All its arguments have defaults. SECTIONS names
the sections and imports none, so that a section's peers are needed only when it runs. Milliseconds differ from machine
to machine; the ratios within one run hardly differ.
"""

import importlib

from manyfaces.errors import InputError

from .timing import Table, as_csv

__all__ = ["SECTIONS", "Table", "as_csv", "run_section"]

SECTIONS = {
    "nms": "NMS of the candidates of a crowd in an image pyramid",
    "targets": "anchor targets of a crowded image",
    "loader": "the images of a training, from file to batch, stage by stage and as a whole",
    "detectors": "our detectors and the peers, whole call, with AP; images and peers of ../shared",
    "mtcnn": "our cascade, facenet-pytorch and the mtcnn package: agreement, time per step, AP",
    "backbones": "every backbone under Tiny Faces and SSH: ms per megapixel by runtime, memory, parameters, GMAC",
    "hosts": "what a training on several hosts sends over the network per step, counted from the nets",
    "memory": "peak memory of a process that detects in one large image, cut into tiles",
    "bulk": "`manyfaces bulk` beside a plain loop: processor time, rate, memory, by engine and number of images",
    "tracks": "ids of a made-up clip of moving portraits against the truth: IDF1, switches, time, by detector and rate",
    "service": "`manyfaces serve`: rate, latency and processor time beside a plain loop; memory, attacks, stops",
    "wider": "the WIDER protocol on a folder of predictions or a made-up one, and what lossy predictions cost",
}


def run_section(name: str, **options) -> list[Table]:
    """Run one section.

    Args:
        name: a key of SECTIONS.
        options: arguments of the section's `run`.

    Returns:
        The list of its Tables.

    Raises:
        InputError: SECTIONS does not have the name.
    """
    if name not in SECTIONS:
        raise InputError(f"section: found {name!r}, expected one of {', '.join(SECTIONS)}")
    return importlib.import_module(f".{name}", __name__).run(**options)
