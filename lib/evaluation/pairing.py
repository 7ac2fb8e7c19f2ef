"""Prediction files and the images of a ground truth, paired by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from .files.predictions import Predictions


def pair_by_name(predictions: Predictions, names: Sequence[str],
                 source: str) -> tuple[list[np.ndarray | None], int]:
    """The prediction file of each image. The file of the image 0--Parade/x.jpg is 0--Parade/x.txt.

    Args:
        predictions: of read_predictions.
        names: the images, without extension.
        source: where the names come from, for messages.

    Returns:
        Per image (P, 5) float64 x y w h score in px, or None where it has no file; and the number of files without an
        image.

    Raises:
        InputError: no file belongs to any of the images.
    """
    by_name = {f"{event}/{name}" if event else name: rows for event, files in predictions.items()
               for name, rows in files.items()}
    files = [by_name.get(name) for name in names]
    known = sum(rows is not None for rows in files)
    if not known:
        raise InputError(f"none of the {len(by_name)} predicted images is in {source}; they look like "
                         f"{next(iter(by_name), 'none')}, expected such as {names[0] if names else 'none'}")
    return files, len(by_name) - known


def rows_or_none(files: Sequence[np.ndarray | None]) -> list[np.ndarray]:
    """The same list with an empty array for each image without a file."""
    return [np.zeros((0, 5)) if rows is None else rows for rows in files]
