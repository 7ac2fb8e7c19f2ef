"""AP and recall at IoU 0.5 of prediction files on a roidb, for all faces and by the faces' height."""

import numpy as np

from .pairing import pair_by_name, rows_or_none
from .tables import SMALL
from .voc import ap50, match_faces

HEIGHTS = (10, 16, 20, 32, 64, 128, 256)
RECALL_HEIGHTS = (10, 15, 20, 30, 60, 120)


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
    corners, records, missing, unknown = _pairs(predictions, roidb, subset)
    every, small = ap50(corners, records), ap50(corners, records, heights=(0, SMALL))
    heights = []
    for low, high in height_bins(edges):
        part = ap50(corners, records, heights=(low, high))
        heights.append({"low": low, "high": high if np.isfinite(high) else None, "faces": part["faces"],
                        "found": part["found"], "ap50": part["ap"]})
    return {"ap50": every["ap"], "ap50_small": small["ap"], "faces": every["faces"], "small": small["faces"],
            "ignored": int(sum(record.ignore.sum() for record in records)), "images": len(records),
            "detections": int(sum(map(len, corners))), "missing": missing, "unknown": unknown, "heights": heights}


def recall_by_height(predictions, roidb, precision=0.9, score=0.02, subset=False, edges=RECALL_HEIGHTS):
    """Recall by the faces' height, at the lowest score that keeps a precision over the set, and at a given score.

    predictions, roidb, subset: as evaluate_by_height has them, and so is which face a detection belongs to (voc.py).
    Detections of equal score enter together; those on ignored faces are left out. Returns a dict: images, faces,
    missing, unknown, and points, a list of two dicts: asked ("precision" or "score"), score (None where no score keeps
    the precision: nothing is found then), precision (None without detections), recall (None without faces) and heights,
    a list of dicts low, high (None: no end), faces, found, recall (None without faces).
    """
    corners, records, missing, unknown = _pairs(predictions, roidb, subset)
    match = match_faces(corners, records)
    counts = (match.best < 0) | match.of_faces(~match.ignored)  # (D,)
    scores, right = match.rows[counts, 4], match.first[counts]
    ends = np.flatnonzero(np.append(scores[:-1] != scores[1:], len(scores) > 0))  # the last of each score
    precisions = np.cumsum(right)[ends] / (ends + 1)
    found_with = np.full(len(match.heights), -np.inf)  # the score, of each face
    found_with[match.best[match.first]] = match.rows[match.first, 4]

    def point(asked, lowest, last):
        found, heights = ~match.ignored & (found_with >= lowest), []
        for low, high in height_bins(edges):
            part = ~match.ignored & (match.heights >= low) & (match.heights < high)
            heights.append({"low": low, "high": high if np.isfinite(high) else None,
                            **_recall(part.sum(), (part & found).sum())})
        total = _recall((~match.ignored).sum(), found.sum())
        return {"asked": asked, "score": float(lowest) if np.isfinite(lowest) else None,
                "precision": float(precisions[last]) if last >= 0 else None, "recall": total["recall"],
                "heights": heights}

    kept = np.flatnonzero(precisions >= precision)
    last = kept[-1] if len(kept) else -1
    points = [point("precision", scores[ends[last]] if last >= 0 else np.inf, last),
              point("score", score, np.count_nonzero(scores[ends] >= score) - 1)]
    return {"images": len(records), "faces": int((~match.ignored).sum()), "missing": missing, "unknown": unknown,
            "points": points}


def _recall(faces, found):
    return {"faces": int(faces), "found": int(found), "recall": float(found / faces) if faces else None}


def _pairs(predictions, roidb, subset):
    """(list of (P, 5) x1 y1 x2 y2 score, their records, images without a file, files without an image)."""
    rows, unknown = pair_by_name(predictions, [record.name for record in roidb.records], roidb.source)
    missing = sum(found is None for found in rows)
    records = [record for record, found in zip(roidb.records, rows, strict=True) if found is not None or not subset]
    rows = [found for found in rows if found is not None] if subset else rows_or_none(rows)
    return [np.column_stack([r[:, :2], r[:, :2] + r[:, 2:4], r[:, 4]]) for r in rows], records, missing, unknown
