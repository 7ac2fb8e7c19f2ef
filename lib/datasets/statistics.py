"""Counts what is in a roidb, as a dict and as a table to print."""

import numpy as np

from ..constants import HEIGHT_EDGES
from ..errors import printable, shortened
from .roidb import Roidb

MOSTLY_OUTSIDE = 0.5  # fraction of a box inside its image, below which it is an ignore region
_SLACK = 1.01  # px beyond the border of the image that come from rounding


def inside(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Compute which fraction of the area of each box is inside an image.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 in px, with area.
        size: (width, height) of the image in px.

    Returns:
        (N,) float64, 0..1.
    """
    boxes = boxes.astype(np.float64)
    visible = np.maximum(np.minimum(boxes[:, 2:], size) - np.maximum(boxes[:, :2], 0), 0)
    return np.prod(visible / np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-9), axis=1)


def statistics(roidb: Roidb) -> dict:
    """Count the images and faces of a roidb.

    Returns:
        Plain values by name. "faces" counts the boxes that were kept, "annotated" also the dropped ones. "ignored by
        reason" and "dropped" are dicts reason -> count, "classes" is a dict class -> count. "partly outside" counts the
        faces that leave their image by more than 1 px but are not mostly outside. "heights" is a dict bin -> count over
        the faces that are not ignored, its bins start at 0 and end at HEIGHT_EDGES (px). "median height" is in px, None
        without faces.
    """
    records = roidb.records
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(r.boxes for r in records)])
    ignore = np.concatenate([np.zeros(0, bool), *(r.ignore for r in records)])
    landmarks = np.concatenate([np.zeros((0, 5, 2), np.float32), *(r.landmarks for r in records)])
    heights = (boxes[:, 3] - boxes[:, 1])[~ignore]
    counts, _ = np.histogram(heights, [0, *HEIGHT_EDGES, np.inf])
    dropped_faces = sum(count for reason, count in roidb.dropped.items() if reason.startswith("faces"))
    names = [f"{low}-{high}" for low, high in zip((0, *HEIGHT_EDGES), (*HEIGHT_EDGES, ""), strict=True)]
    return {
        "source": roidb.source, "images": len(records),
        "images without faces": sum(len(r.boxes) == 0 for r in records),
        "images of unknown size": sum(r.width == 0 for r in records),
        "annotated": len(boxes) + dropped_faces, "faces": len(boxes), "dropped": dict(roidb.dropped),
        "classes": dict(roidb.classes),
        "ignored": int(ignore.sum()), "ignored by reason": _reasons(records),
        "partly outside": sum(_partly_outside(record) for record in records),
        "faces with landmarks": int(np.any(np.isfinite(landmarks), axis=(1, 2)).sum()),
        "median height": float(np.median(heights)) if len(heights) else None,
        "heights": dict(zip(names, map(int, counts), strict=True)),
    }


def _reasons(records):
    """Dict reason -> number of ignored faces; a face counts for the first reason that applies."""
    reasons = {}
    for record in records:
        left = record.ignore
        if not left.any():
            continue
        marks = {key: record.attributes.get(key, np.zeros(len(left))) == 1 for key in ("invalid", "difficult")}
        if record.width:
            marks["mostly outside their image"] = inside(record.boxes, (record.width, record.height)) < MOSTLY_OUTSIDE
        for key, marked in marks.items():
            if (left & marked).any():
                reasons[key] = reasons.get(key, 0) + int((left & marked).sum())
                left = left & ~marked
        if left.any():
            reasons["other"] = reasons.get("other", 0) + int(left.sum())
    return reasons


def _partly_outside(record):
    if not record.width or not len(record.boxes):
        return 0
    beyond = np.maximum(-record.boxes[:, :2], record.boxes[:, 2:] - (record.width, record.height)).max(axis=1) > _SLACK
    return int((beyond & (inside(record.boxes, (record.width, record.height)) >= MOSTLY_OUTSIDE)).sum())


def statistics_table(roidb: Roidb) -> str:
    """Format the statistics as lines of text, ready to print."""
    counts = statistics(roidb)
    faces = max(counts["faces"], 1)
    lines = [f"source   {printable(counts['source'])}",
             f"images   {counts['images']:>8,}   {counts['images without faces']:,} without faces"
             + (f", {counts['images of unknown size']:,} of unknown size" if counts["images of unknown size"] else ""),
             f"faces    {counts['faces']:>8,}   kept of {counts['annotated']:,} annotated; "
             f"{counts['faces with landmarks']:,} with landmarks"]
    lines += [f"class    {count:>8,}   {printable(name)}{'' if name in roidb.taken else ', left out'}"
              for name, count in sorted(counts["classes"].items(), key=lambda item: -item[1])]
    lines += [f"dropped  {count:>8,}   {reason}" for reason, count in sorted(counts["dropped"].items())]
    lines += [f"ignored  {count:>8,}   {reason}" for reason, count in sorted(counts["ignored by reason"].items())]
    if counts["partly outside"]:
        lines.append(f"partly   {counts['partly outside']:>8,}   faces leave their image by more than 1 px; kept")
    if counts["median height"] is not None:
        lines.append(f"height   {counts['median height']:>8.1f}   px, median of the faces that are not ignored")
        lines += [f"  {name:>9} px {count:>8,}   {'#' * round(40 * count / faces)}"
                  for name, count in counts["heights"].items()]
    return "\n".join([*lines, *(f"note     {shortened(printable(note))}" for note in roidb.notes)])
