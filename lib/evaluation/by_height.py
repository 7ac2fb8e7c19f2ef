"""AP50 and recall of prediction files on a roidb, for all faces and by face height."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..constants import HEIGHT_EDGES, SMALL_FACE
from ..datasets.roidb import Record, Roidb
from ..errors import POSITIVE_FRACTION, InputError, Range, check_number
from .files.readings import reading_warnings
from .pairing import pair_by_name, rows_or_none
from .voc import ap_of, match_faces
from .wider import average_precision

if TYPE_CHECKING:
    from .files.predictions import Predictions

COARSE_EDGES = tuple(edge for edge in HEIGHT_EDGES if edge != SMALL_FACE)
"""The edges of the tables that follow a protocol of their own: COCO and the breakdown of WIDER FACE."""


def height_bins(edges: Sequence[float] = HEIGHT_EDGES) -> list[tuple[float, float]]:
    """The bins below, between and above the edges.

    Args:
        edges: rising heights in px.

    Returns:
        One (low, high) per bin, in px: low is included, high is not. The last high is infinite.

    Raises:
        InputError: the edges do not rise from above 0.
    """
    if not all(low < high < np.inf for low, high in zip((0, *edges), edges, strict=False)):
        raise InputError(f"edges are {list(edges)}, expected rising heights in px, such as {list(HEIGHT_EDGES)}")
    return list(zip((0, *edges), (*edges, np.inf), strict=True))


def bin_name(low: float, high: float | None) -> str:
    """The name of a bin in a table: "0-10", "10-16", "256-"."""
    return f"{low:g}-{high:g}" if high is not None and np.isfinite(high) else f"{low:g}-"


def evaluate_roidb(predictions: Predictions, roidb: Roidb, subset: bool = False,
                   edges: Sequence[float] = HEIGHT_EDGES) -> dict:
    """AP of prediction files on the images of a roidb.

    An image without a prediction file has no detection, but its faces count. AP50 has continuous boxes and takes
    every score as a threshold.

    Args:
        predictions: of read_predictions.
        roidb: the faces.
        subset: count only the images that have a prediction file.
        edges: heights in px between the bins.

    Returns:
        `ap50` and `ap50_small` (faces under SMALL_FACE px); `wider`: AP by the WIDER protocol with all faces counted;
        the counts `images`, `faces`, `small` (faces), `ignored` (faces), `detections`, `missing` (images without a
        file), `unknown` (files without an image); `heights`: one dict per bin with `low`, `high` (None: no end),
        `faces`, `found`, `ap50`; `warnings`: list of str, of reading_warnings.

    Raises:
        InputError: a number is out of range, or no predicted image is in the roidb.
    """
    corners, records, missing, unknown = _pairs(predictions, roidb, subset)
    match, heights = match_faces(corners, records), []
    every, small = ap_of(match), ap_of(match, (0, SMALL_FACE))
    for low, high in height_bins(edges):
        figures = ap_of(match, (low, high))
        heights.append({"low": low, "high": high if np.isfinite(high) else None, "faces": figures["faces"],
                        "found": figures["found"], "ap50": figures["ap"]})
    return {"ap50": every["ap"], "ap50_small": small["ap"], "wider": average_precision(corners, records),
            "images": len(records), "faces": every["faces"], "small": small["faces"],
            "ignored": int(match.ignored.sum()), "detections": len(match.rows), "missing": missing, "unknown": unknown,
            "heights": heights, "warnings": _warnings(corners, records)}


def recall_by_height(predictions: Predictions, roidb: Roidb, precision: float = 0.9, score: float = 0.02,
                     subset: bool = False, edges: Sequence[float] = HEIGHT_EDGES) -> dict:
    """Recall by face height, at the lowest score that keeps a precision over the set, and at a given score.

    Detections are matched as for AP50. Detections of equal score enter together. Those on ignored faces are left out.

    Args:
        predictions: of read_predictions.
        roidb: the faces.
        precision: the first point is at the lowest score with this precision or more, 0..1.
        score: the second point is at this score.
        subset: count only the images that have a prediction file.
        edges: heights in px between the bins.

    Returns:
        `images`, `faces`, `missing` (images without a file), `unknown` (files without an image), and `points`: two
        dicts with `asked` ("precision" or "score"), `score` (None where no score keeps the precision: nothing is found
        then), `precision` (None without detections), `recall` (None without faces) and `heights`: one dict per bin with
        `low`, `high` (None: no end), `faces`, `found`, `recall` (None without faces); `warnings`: list of str, of
        reading_warnings.

    Raises:
        InputError: a number is out of range, or no predicted image is in the roidb.
    """
    check_number(precision, "precision", POSITIVE_FRACTION)
    check_number(score, "score", Range())
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
            inside = ~match.ignored & (match.heights >= low) & (match.heights < high)
            heights.append({"low": low, "high": high if np.isfinite(high) else None,
                            **_recall(inside.sum(), (inside & found).sum())})
        total = _recall((~match.ignored).sum(), found.sum())
        return {"asked": asked, "score": float(lowest) if np.isfinite(lowest) else None,
                "precision": float(precisions[last]) if last >= 0 else None, "recall": total["recall"],
                "heights": heights}

    kept = np.flatnonzero(precisions >= precision)
    last = kept[-1] if len(kept) else -1
    points = [point("precision", scores[ends[last]] if last >= 0 else np.inf, last),
              point("score", score, np.count_nonzero(scores[ends] >= score) - 1)]
    return {"images": len(records), "faces": int((~match.ignored).sum()), "missing": missing, "unknown": unknown,
            "points": points, "warnings": _warnings(corners, records)}


def _recall(faces, found):
    return {"faces": int(faces), "found": int(found), "recall": float(found / faces) if faces else None}


def _warnings(corners, records):
    """The reading_warnings of (P, 5) x1 y1 x2 y2 score per record."""
    files, faces = ([np.column_stack([boxes[:, :2], boxes[:, 2:4] - boxes[:, :2]]) for boxes in some]
                    for some in (corners, [record.boxes for record in records]))
    return reading_warnings(files, faces, [(record.width, record.height) for record in records])


def _pairs(predictions: Predictions, roidb: Roidb,
           subset: bool) -> tuple[list[np.ndarray], list[Record], int, int]:
    """(list of (P, 5) x1 y1 x2 y2 score, their records, images without a file, files without an image)."""
    files, unknown = pair_by_name(predictions, [record.name for record in roidb.records], roidb.source)
    missing = sum(rows is None for rows in files)
    records = [record for record, rows in zip(roidb.records, files, strict=True) if rows is not None or not subset]
    chosen = [rows for rows in files if rows is not None] if subset else rows_or_none(files)
    corners = [np.column_stack([rows[:, :2], rows[:, :2] + rows[:, 2:4], rows[:, 4]]) for rows in chosen]
    return corners, records, missing, unknown
