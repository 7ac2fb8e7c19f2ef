"""AP at IoU 0.5 of prediction files on a roidb, for all faces and by the faces' height; for Pascal VOC's data sets."""

import numpy as np

from .pairing import pair_by_name, rows_or_none
from .report import SMALL
from .voc import ap50

HEIGHTS = (10, 16, 20, 32, 64, 128, 256)


def height_bins(edges):
    """The bins below, between and above the edges, in pixels: list of (low, high), low included, high not."""
    return list(zip((0, *edges), (*edges, np.inf), strict=True))


def bin_name(low, high):
    """What a table calls a bin: "0-10", "10-16", "256-"."""
    return f"{low:g}-{high:g}" if high is not None and np.isfinite(high) else f"{low:g}-"


def evaluate_by_height(predictions, roidb, subset=False, edges=HEIGHTS):
    """AP50 (ap50: continuous boxes, every score, no bins) of read_predictions on the records of a roidb.

    An image without a prediction file has no detection, but its faces count; with subset only the images that have one
    are looked at. Returns a dict: ap50, ap50_small (faces under 20 px), faces, small, ignored, images, detections,
    missing (images without a file), unknown (files without an image) and heights: a list of dicts low, high (None: no
    end), faces, found, ap50.
    """
    rows, unknown = pair_by_name(predictions, [record.name for record in roidb.records], roidb.source)
    missing = sum(found is None for found in rows)
    records = [record for record, found in zip(roidb.records, rows, strict=True) if found is not None or not subset]
    rows = [found for found in rows if found is not None] if subset else rows_or_none(rows)
    corners = [np.column_stack([r[:, :2], r[:, :2] + r[:, 2:4], r[:, 4]]) for r in rows]
    every, small = ap50(corners, records), ap50(corners, records, heights=(0, SMALL))
    heights = []
    for low, high in height_bins(edges):
        part = ap50(corners, records, heights=(low, high))
        heights.append({"low": low, "high": high if np.isfinite(high) else None, "faces": part["faces"],
                        "found": part["found"], "ap50": part["ap"]})
    return {"ap50": every["ap"], "ap50_small": small["ap"], "faces": every["faces"], "small": small["faces"],
            "ignored": int(sum(record.ignore.sum() for record in records)), "images": len(records),
            "detections": int(sum(map(len, rows))), "missing": missing, "unknown": unknown, "heights": heights}
