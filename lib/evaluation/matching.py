"""Which box does each prediction belong to: for all images of a set at once.

A whole set has tens of millions of pairs of a prediction and a box, and nearly none of them overlap. Boxes that
overlap by `iou` or more have left edges that are close together, so the boxes are sorted by their left edge and each
prediction looks only at the few in its reach; the result is that of looking at all.
"""

import numpy as np

# Predictions that are looked at together: bounds the memory that the candidate pairs take.
_BLOCK = 100_000


def best_boxes(predictions, images, boxes, owners, iou, extra=1.0):
    """The box of the same image that each prediction overlaps most, if by `iou` or more.

    predictions (P, >=4) and boxes (G, 4): float64 x y w h, whose sides count as `extra` pixels longer (1 in WIDER
    FACE's protocol, 0 for continuous boxes); images (P,) and owners (G,): the number of the image of each. iou: in
    (0, 1].
    Returns (P,) intp: indices into boxes, -1 = none. Of boxes that are overlapped equally the first is taken.
    """
    best = np.full(len(predictions), -1, np.intp)
    if not len(predictions) or not len(boxes):
        return best
    # One sorted axis for the left edges of all images, each image on a stretch of its own.
    low = min(predictions[:, 0].min(), boxes[:, 0].min())
    reach = np.maximum(predictions[:, 2] + extra, 0) / iou
    stretch = 2 * (max(predictions[:, 0].max(), boxes[:, 0].max()) - low + reach.max()) + 4
    edges = owners * stretch + (boxes[:, 0] - low)
    order = np.argsort(edges, kind="stable")
    # An overlap of `iou` covers that part of either width w and v: then v <= w / iou, the left edge of the box lies at
    # most w (1 - iou) to the right of ours and at most v (1 - iou) to its left. A pixel more absorbs the rounding.
    ours = images * stretch + (predictions[:, 0] - low)
    start = np.searchsorted(edges[order], ours - reach * (1 - iou) - 1)
    end = np.searchsorted(edges[order], ours + reach * iou * (1 - iou) + 1, side="right")
    for block in range(0, len(best), _BLOCK):
        part = slice(block, block + _BLOCK)
        counts = end[part] - start[part]
        row = np.repeat(np.arange(len(counts)), counts)
        offset = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        column = order[start[part][row] + offset]
        overlap = _overlaps(predictions[part][row], boxes[column], extra)
        enough = overlap >= iou
        row, column, overlap = row[enough], column[enough], overlap[enough]
        # In this order the first entry of each row is its largest overlap, and of those the first box.
        ranked = np.lexsort((column, -overlap, row))
        winner = ranked[np.diff(row[ranked], prepend=-1) > 0]
        best[part][row[winner]] = column[winner]
    return best


def _overlaps(a, b, extra):
    """IoU (N,) of pairs of x y w h boxes."""
    width = np.minimum(a[:, 0] + a[:, 2], b[:, 0] + b[:, 2]) - np.maximum(a[:, 0], b[:, 0]) + extra
    height = np.minimum(a[:, 1] + a[:, 3], b[:, 1] + b[:, 3]) - np.maximum(a[:, 1], b[:, 1]) + extra
    both = np.maximum(width, 0) * np.maximum(height, 0)
    union = (a[:, 2] + extra) * (a[:, 3] + extra) + (b[:, 2] + extra) * (b[:, 3] + extra) - both
    # Sides below zero make no sense, and their area must not look like a small one.
    return np.divide(both, union, out=np.zeros_like(both), where=(both > 0) & (union > 0))
