"""Crowds made of small data sets: sheets of many images, each shrunk, with all their faces.

Selection images with three faces each say nothing about what a detector's limits (TEST.TOP, TEST.KEEP) cost where there
are hundreds. A sheet of theirs does, and leaves the test images alone.
"""

import cv2
import numpy as np

from ...errors import InputError
from ...files import write_whole
from ..images import read_image
from ..roidb import Record, Roidb, scaled

GREY = 127
EVENT = "crowds"


def write_crowds(records, folder, sheets=24, columns=4, side=320, seed=0):
    """Write `sheets` JPEG files to folder/crowds; returns their Roidb (landmarks and attributes stay behind).

    records: of a roidb; those without a face are left out. Each sheet has columns * columns of them, drawn without
    repetition, each scaled down or up until its longer side is `side` px and put in the upper left of its cell.
    The same seed gives the same sheets. Raises InputError where there are too few images with a face.
    """
    records = [record for record in records if len(record.boxes)]
    if len(records) < columns * columns:
        raise InputError(f"{len(records)} images with a face: expected at least {columns * columns} for {columns} x "
                         f"{columns} on a sheet; take fewer columns or more images")
    rng, made = np.random.default_rng(seed), []
    for number in range(sheets):
        sheet = np.full((columns * side, columns * side, 3), GREY, np.uint8)
        chosen = [records[i] for i in rng.permutation(len(records))[:columns * columns]]
        boxes = [_paste(record, sheet, cell // columns * side, cell % columns * side, side)
                 for cell, record in enumerate(chosen)]
        name = f"{EVENT}/{number:04d}.jpg"
        encoded = cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
        write_whole(f"{folder}/{name}", encoded.tobytes(), sync=False)
        boxes, ignore = np.concatenate(boxes), np.concatenate([record.ignore for record in chosen])
        made.append(Record(str(folder), name, sheet.shape[1], sheet.shape[0], boxes,
                           np.full((len(boxes), 5, 2), np.nan, np.float32), ignore))
    return Roidb(made, source=f"{sheets} sheets of {columns} x {columns} images, {side} px each, seed {seed}")


def _paste(record, sheet, top, left, side):
    """Puts the record's image at (top, left) of the sheet (in place); returns its boxes there, float32 (N, 4)."""
    image = read_image(record.path)
    record, image = scaled(record, image, side / max(image.shape[:2]))
    sheet[top:top + record.height, left:left + record.width] = image
    return record.boxes + np.float32([left, top] * 2)
