"""Crowds made of other data sets: sheets of many small images, with all their faces.

Selection images have few faces each. They do not show what a detector's limits (TEST.TOP, TEST.KEEP) cost in an image
with hundreds. A sheet of them does, without the use of test images.
"""

import os
from collections.abc import Iterable

import cv2
import numpy as np

from ...errors import InputError
from ...files import write_whole
from ..images import ImageError, read_image
from ..roidb import Record, Roidb, scaled

GREY = 127  # grey level of empty places on a sheet
EVENT = "crowds"


def write_crowds(records: Iterable[Record], folder: str | os.PathLike, sheets: int = 24, columns: int = 4,
                 side: int = 320, seed: int = 0) -> Roidb:
    """Write sheets of images as JPEG files to folder/crowds. The same seed gives the same sheets.

    Args:
        records: images to choose from; those without a face are left out.
        folder: the sheets' root folder.
        sheets: number of sheets.
        columns: a sheet has columns x columns images, drawn without repetition.
        side: px of a cell. Each image is scaled until its longer side is `side`, and put in the upper left of its cell.
        seed: seeds the draw.

    Returns:
        The sheets with their boxes and ignore flags, without landmarks and attributes.

    Raises:
        InputError: when there are too few images with a face.
    """
    records = [record for record in records if len(record.boxes)]
    if len(records) < columns * columns:
        raise InputError(f"{len(records)} images with a face: expected at least {columns * columns} for {columns} x "
                         f"{columns} on a sheet; take fewer columns or more images")
    rng, made = np.random.default_rng(seed), []
    for number in range(sheets):
        sheet = np.full((columns * side, columns * side, 3), GREY, np.uint8)
        chosen, pasted = [], []
        for record in (records[i] for i in rng.permutation(len(records))):
            cell = len(chosen)
            try:
                pasted.append(_paste(record, sheet, cell // columns * side, cell % columns * side, side))
            except ImageError:
                continue  # the next one takes its cell
            chosen.append(record)
            if len(chosen) == columns * columns:
                break
        else:
            raise InputError(f"only {len(chosen)} images with a face can be read: expected at least "
                             f"{columns * columns} for {columns} x {columns} on a sheet; take fewer columns")
        boxes = np.concatenate(pasted)
        ignore = np.concatenate([record.ignore for record in chosen])
        name = f"{EVENT}/{number:04d}.jpg"
        encoded = cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
        write_whole(f"{folder}/{name}", encoded.tobytes(), sync=False)
        made.append(Record(str(folder), name, sheet.shape[1], sheet.shape[0], boxes,
                           np.full((len(boxes), 5, 2), np.nan, np.float32), ignore))
    return Roidb(made, source=f"{sheets} sheets of {columns} x {columns} images, {side} px each, seed {seed}")


def _paste(record, sheet, top, left, side):
    """Draw the record's image at (top, left) px of the sheet, in place; (N, 4) float32 boxes on the sheet."""
    image = read_image(record.path)
    record, image = scaled(record, image, side / max(image.shape[:2]))
    sheet[top:top + record.height, left:left + record.width] = image
    return record.boxes + np.array([left, top] * 2, np.float32)
