"""What is in a roidb, as a dict and as a table for people."""

import numpy as np

from ..constants import HEIGHT_EDGES


def statistics(roidb):
    """Counts of a roidb: images, faces, ignored and why, landmarks, heights by bin, dropped and why.

    Returns a dict of plain values. "faces" counts the boxes that were kept, "annotated" those and the dropped ones;
    "heights" covers the faces that are not ignored, in the bins between 0 and HEIGHT_EDGES (px).
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
        "ignored": int(ignore.sum()), "ignored by reason": _reasons(records),
        "faces with landmarks": int(np.any(np.isfinite(landmarks), axis=(1, 2)).sum()),
        "median height": float(np.median(heights)) if len(heights) else None,
        "heights": dict(zip(names, map(int, counts), strict=True)),
    }


def _reasons(records):
    reasons = {}
    for record in records:
        left = record.ignore
        for key in ("invalid", "difficult"):
            marked = left & (record.attributes.get(key, np.zeros(len(left))) == 1)
            if marked.any():
                reasons[key] = reasons.get(key, 0) + int(marked.sum())
                left = left & ~marked
        if left.any():
            reasons["other"] = reasons.get("other", 0) + int(left.sum())
    return reasons


def statistics_table(roidb):
    """The statistics as lines of text, ready to print."""
    found = statistics(roidb)
    faces = max(found["faces"], 1)
    lines = [f"source   {found['source']}",
             f"images   {found['images']:>8,}   {found['images without faces']:,} without faces"
             + (f", {found['images of unknown size']:,} of unknown size" if found["images of unknown size"] else ""),
             f"faces    {found['faces']:>8,}   kept of {found['annotated']:,} annotated; "
             f"{found['faces with landmarks']:,} with landmarks"]
    lines += [f"dropped  {count:>8,}   {reason}" for reason, count in sorted(found["dropped"].items())]
    lines += [f"ignored  {count:>8,}   {reason}" for reason, count in sorted(found["ignored by reason"].items())]
    if found["median height"] is not None:
        lines.append(f"height   {found['median height']:>8.1f}   px, the median of the faces that are not ignored")
        lines += [f"  {name:>9} px {count:>8,}   {'#' * round(40 * count / faces)}"
                  for name, count in found["heights"].items()]
    return "\n".join(lines)
