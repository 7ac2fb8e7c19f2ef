"""Prediction files and the images of a ground truth, brought together by their names."""

import numpy as np

from ..errors import InputError


def pair_by_name(predictions, names, source):
    """The predictions of each image, (P, 5) x y w h score, or None where it has no file; and how many are unknown.

    predictions: event -> name -> (P, 5) (read_predictions): the file of the image 0--Parade/x.jpg is 0--Parade/x.txt.
    names: the images, without extension; source: where they come from, for messages. Returns (list, int). Raises
    InputError when no prediction belongs to any of the images.
    """
    flat = {f"{event}/{name}" if event else name: rows for event, files in predictions.items()
            for name, rows in files.items()}
    found = [flat.get(name) for name in names]
    known = sum(rows is not None for rows in found)
    if not known:
        raise InputError(f"none of the {len(flat)} predicted images is in {source}; they look like "
                         f"{next(iter(flat), 'none')}, expected such as {names[0] if names else 'none'}")
    return found, len(flat) - known


def rows_or_none(found):
    """The same list with an empty array for each image without a file."""
    return [np.zeros((0, 5)) if rows is None else rows for rows in found]
