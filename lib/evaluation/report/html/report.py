"""A report as one HTML file that shows where a detector is weak, or how several differ.

The figures are those of `manyfaces evaluate wider`. method.py makes them, sections.py words them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ....errors import InputError
from ....files import write_whole
from ....progress import Progress
from . import sections
from .crops import add_crops, image_paths, images_of
from .exhibits import galleries
from .method import Method
from .page import base_style, document
from .svg import colour_style

ALL_CROPS = 240
"""About this many crops fit into 2.5 MB; several methods share them."""
MOST, LEAST = 24, 6
"""Crops of one kind of error of one method."""


def write_report(methods: Sequence[Method], path: str | os.PathLike, images: str | os.PathLike | None = None,
                 subset: bool = False, setting: str = "hard", most: int | None = None) -> dict[str, int]:
    """Write the page atomically.

    Args:
        methods: one or more, of method.examine.
        path: the file to write.
        images: folder of the images, whose event/name.jpg the crops are cut from; None: no galleries.
        subset: as in method.examine.
        setting: as in method.examine.
        most: crops of one kind of error of a method; None: 24, fewer for many methods.

    Returns:
        `bytes`, `crops` (shown), `lost` (crops whose image cannot be read).

    Raises:
        InputError: there is no method, or the folder has none of the images.
        OSError: the file cannot be written.
    """
    if not methods:
        raise InputError("a report needs at least one method")
    exhibits = []
    if images is not None:
        if most is None:
            most = max(LEAST, min(MOST, ALL_CROPS // (len(methods) * len(methods[0].errors))))
        paths, exhibits = image_paths(images, methods[0].matches), []
        for method in methods:
            others = [(other.name, other.matches) for other in methods if other is not method and _alike(method, other)]
            method.galleries = galleries(method.matches, method.errors, setting, most, others, paths)
            method.absent = sum(f"{image.event}/{image.name}" not in paths for image in method.matches.images)
            exhibits += [exhibit for kind in method.galleries.values() for exhibit in kind]
        with Progress(images_of(exhibits), "images") as progress:
            add_crops(exhibits, paths, progress.advance)
    title = f"Face detection report: {', '.join(method.name for method in methods)}"
    body = sections.page(methods, setting, subset, images is not None)
    style = base_style()
    data = document(title, style + colour_style(), body)
    write_whole(path, data)
    return {"bytes": len(data), "crops": sum(exhibit.jpeg is not None for exhibit in exhibits),
            "lost": sum(exhibit.jpeg is None for exhibit in exhibits)}


def _alike(method, other):
    """Whether two methods were evaluated on the same images, so that their faces have the same numbers."""
    one, two = ([(image.event, image.name) for image in m.matches.images] for m in (method, other))
    return one == two
