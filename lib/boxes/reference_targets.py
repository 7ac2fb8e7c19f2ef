"""NumPy twin of the anchor targets: which anchor learns which face (SSH, section 3.2; Faster R-CNN, section 3.1.2)."""

import numpy as np

from ..errors import InputError
from .checks import as_boxes, check_fraction, same_length
from .levels import as_level
from .reference import anchor_grid, areas, intersections, overlaps64

BLOCK = 1 << 20  # overlaps held at once: 8 MB, where all of a 1600 x 1200 image with 700 faces would be 440 MB


def check_targets(levels, boxes, ignore, image_size, positive, negative, best, border, ignore_overlap):
    """The arguments of anchor_targets in one form, shared with the compiled twin; InputError for what cannot be."""
    levels = [as_level(level, border) for level in levels]
    boxes = as_boxes(boxes)
    ignore = np.ascontiguousarray(ignore, dtype=bool)
    same_length(boxes, ignore, ("boxes", "ignore"))
    if not np.isfinite(boxes).all():
        row = int(np.flatnonzero(~np.isfinite(boxes).all(axis=1))[0])
        raise InputError(f"boxes: box {row} is {boxes[row].tolist()}, expected finite numbers")
    positive = check_fraction(positive, "positive", open_low=True)
    negative = check_fraction(negative, "negative", high=positive)
    best = None if best is None else check_fraction(best, "best")
    ignore_overlap = check_fraction(ignore_overlap, "ignore_overlap", open_low=True)
    width, height = (float(side) for side in image_size)
    return levels, boxes, ignore, (width, height), positive, negative, best, ignore_overlap


def anchor_targets(levels, boxes, ignore, image_size, positive=0.35, negative=0.3, best=0.2, border=None,
                   ignore_overlap=0.5):
    """Label every anchor of a pyramid of levels: 1 = learns a face, 0 = background, -1 = neither.

    levels: sequence of boxes.Level, or of tuples (height, width, stride, sizes[, ratios[, border]]); their anchors are
        taken one level after the other, within a level in the order of anchor_grid. `border` is that of levels that
        name none: pixels by which an anchor may leave the image, None = any.
    boxes: (N, 4) float32 in pixels; ignore: (N,) bool, True for regions where nothing is to be learned, the others
        are faces. image_size: (width, height) in pixels.
    positive, negative: an anchor's highest overlap with a face makes it 1 at >= positive, 0 at < negative.
    best: each face's best anchor is 1 for that face from this overlap on (above 0 in any case), even where another
        face overlaps the anchor more; None: no such rule, 0: every face that meets an anchor has one.
        Where two faces have the same best anchor, the one that overlaps it more gets it.
    ignore_overlap: background anchors become -1 when an ignore region covers this fraction of them, or has an overlap
        >= negative with them.

    Ties go to the lowest index, of face or of anchor. Anchors beyond the border are -1 and nobody's best.
    Returns labels (A,) int8 and matched (A,) int32: row of boxes where the label is 1, -1 elsewhere.
    Raises InputError (a ValueError) for wrong shapes, thresholds out of order, boxes that are not finite.
    """
    levels, boxes, ignore, (width, height), positive, negative, best, ignore_overlap = check_targets(
        levels, boxes, ignore, image_size, positive, negative, best, border, ignore_overlap)
    anchors = [anchor_grid(*level[:5]) for level in levels]
    leave = np.concatenate([beyond(grid, level.border, width, height)
                            for grid, level in zip(anchors, levels, strict=True)] or [np.zeros(0, bool)])
    anchors = np.concatenate(anchors or [np.zeros((0, 4), np.float32)])
    faces = np.flatnonzero(~ignore).astype(np.int32)

    highest, face, best_overlap, best_anchor = match(anchors, boxes[faces], leave)
    labels = np.where(highest >= positive, 1, np.where(highest < negative, 0, -1)).astype(np.int8)
    if best is not None:
        # Written from the weakest claim to the strongest, so that the strongest stays; among equals the lowest face.
        for g in np.lexsort((-np.arange(len(faces)), best_overlap)):
            if best_overlap[g] > 0 and best_overlap[g] >= best:
                labels[best_anchor[g]], face[best_anchor[g]] = 1, g
    labels[regions_hide(anchors, boxes[ignore], negative, ignore_overlap) & (labels == 0)] = -1
    labels[leave] = -1
    matched = np.full(len(anchors), -1, dtype=np.int32)
    matched[labels == 1] = faces[face[labels == 1]]
    return labels, matched


def beyond(anchors, border, width, height):
    """(A,) bool: the anchors that leave the image by more than border pixels."""
    if border is None:
        return np.zeros(len(anchors), dtype=bool)
    anchors = anchors.astype(np.float64)
    return (anchors[:, :2] < -border).any(axis=1) | (anchors[:, 2] > width + border) | (anchors[:, 3] > height + border)


def match(anchors, faces, leave):
    """Highest overlap and its face for each anchor; the same, with its anchor inside the border, for each face."""
    highest, face = np.zeros(len(anchors)), np.zeros(len(anchors), dtype=np.intp)
    best_overlap, best_anchor = np.zeros(len(faces)), np.zeros(len(faces), dtype=np.intp)
    for part in blocks(len(anchors), len(faces)):
        table = overlaps64(anchors[part], faces)  # (B, G)
        face[part] = table.argmax(axis=1)
        highest[part] = table.max(axis=1)
        table[leave[part]] = 0
        top = table.argmax(axis=0)
        value = table[top, np.arange(len(faces))]
        better = value > best_overlap  # strictly: the lowest anchor keeps a tie
        best_overlap[better], best_anchor[better] = value[better], top[better] + part.start
    return highest, face, best_overlap, best_anchor


def regions_hide(anchors, regions, negative, ignore_overlap):
    """(A,) bool: anchors that an ignore region overlaps or covers enough."""
    hidden = np.zeros(len(anchors), dtype=bool)
    for part in blocks(len(anchors), len(regions)):
        covered = intersections(anchors[part], regions) / areas(anchors[part])[:, None]
        hidden[part] = ((overlaps64(anchors[part], regions) >= negative) | (covered >= ignore_overlap)).any(axis=1)
    return hidden


def blocks(rows, columns):
    """Slices over the rows of a table, BLOCK elements each; none when a side is empty."""
    step = max(1, BLOCK // max(columns, 1))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)] if columns else []
