"""A prediction folder against a roidb, and results as a table."""

import numpy as np

from ..errors import InputError
from .voc import ap50
from .wider import average_precision

# Faces under 20 px are where detectors differ most, and what the crowds of the facemask set are full of.
SMALL = 20


def evaluate_roidb(predictions, roidb, subset=False):
    """AP of prediction files (read_predictions) on the images of a roidb.

    The file of the record 0--Parade/x.jpg is 0--Parade/x.txt. An image without one has no detection, but its faces
    count; with subset only the images that have one are looked at. Returns a dict: ap50 and ap50_small (faces under
    20 px; both continuous boxes, all scores), wider (the WIDER protocol with all faces counted), images, faces,
    small (faces), missing (images without a file) and unknown (files without a record).
    """
    flat = {f"{event}/{name}" if event else name: rows for event, files in predictions.items()
            for name, rows in files.items()}
    known = [record for record in roidb.records if record.name in flat]
    if not known:
        raise InputError(f"none of the {len(flat)} predicted images is in {roidb.source}; they look like "
                         f"{next(iter(flat), 'none')}, expected such as "
                         f"{roidb.records[0].name if roidb.records else 'none'}")
    records = known if subset else roidb.records
    detections = []
    for record in records:
        rows = flat.get(record.name, np.zeros((0, 5))).copy()
        rows[:, 2:4] += rows[:, :2]  # x y w h to x1 y1 x2 y2
        detections.append(rows)
    every, small = ap50(detections, records), ap50(detections, records, heights=(0, SMALL))
    return {"ap50": every["ap"], "ap50_small": small["ap"], "wider": average_precision(detections, records),
            "images": len(records), "faces": every["faces"], "small": small["faces"],
            "missing": len(records) - len(known), "unknown": len(flat) - len(known)}


def print_table(header, rows):
    """Print rows of values under their header, each column as wide as it needs: text to the left, numbers right."""
    cells = [[f"{v:.5f}" if isinstance(v, float) else f"{v:,}" if isinstance(v, int) else str(v) for v in row]
             for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    numbers = [bool(rows) and isinstance(value, (int, float)) for value in (rows[0] if rows else header)]
    for line in [header, *cells]:
        print("  ".join(cell.rjust(width) if number else cell.ljust(width)
                        for cell, width, number in zip(line, widths, numbers, strict=True)).rstrip())
