"""What is added to an annotation: attributes of another one, and ignored regions where a detector finds more faces.

RetinaFace's landmark file is an annotation of WIDER's images that has landmarks, but no attributes.
"""

from dataclasses import replace

import numpy as np

from ..errors import InputError
from .roidb import Record, Roidb


def add_attributes(roidb: Roidb, other: Roidb, overlap: float = 0.7) -> tuple[Roidb, dict[str, int]]:
    """Add the attributes and ignore flags of the faces in `other` to the same faces in `roidb`.

    Faces of one image are paired one to one, highest IoU first. The boxes and landmarks of `roidb` stay as they are.
    Ignored faces of `other` without a partner are added as ignore regions.

    Args:
        roidb: the annotation that is extended. It is not changed.
        other: an annotation of the same images, with attributes.
        overlap: lowest IoU of a pair, 0..1.

    Returns:
        A new Roidb, and the number of faces by "matched", "unmatched" (their attributes are -1) and "added".

    Raises:
        InputError: when an image of `roidb` is not in `other`.
    """
    by_name = {record.name: record for record in other.records}
    missing = [record.name for record in roidb.records if record.name not in by_name]
    if missing:
        raise InputError(f"{other.source}: has no {missing[0]!r}; {len(missing)} of the {len(roidb)} images of "
                         f"{roidb.source} are not in it")
    counts = {"matched": 0, "unmatched": 0, "added": 0}
    records = [_merged(record, by_name[record.name], overlap, counts) for record in roidb.records]
    source = f"{roidb.source} with attributes of {other.source}"
    return replace(roidb, records=records, dropped=dict(roidb.dropped), source=source), counts


def ignoring(record: Record, boxes: np.ndarray, overlap: float = 0.2) -> Record:
    """A record with ignored regions where boxes lie on no face and no ignored region of it.

    Args:
        record: stays as it is.
        boxes: (N, 4) px, what a detector found.
        overlap: from this IoU on with one of the record's boxes a box is left out.

    Returns:
        A record whose last boxes are the new regions, without landmarks and attributes.
    """
    new = np.asarray(boxes, np.float32).reshape(-1, 4)
    if len(record.boxes):
        new = new[_iou(new, record.boxes).max(axis=1) < overlap]
    return replace(
        record, boxes=np.concatenate([record.boxes, new]),
        ignore=np.concatenate([record.ignore, np.ones(len(new), bool)]),
        landmarks=np.concatenate([record.landmarks, np.full((len(new), 5, 2), np.nan, np.float32)]),
        attributes={key: np.concatenate([values, np.full(len(new), -1)]).astype(np.int32)
                    for key, values in record.attributes.items()})


def _merged(record, other, lowest, counts):
    partner = _partners(_iou(record.boxes, other.boxes), lowest)
    matched = partner >= 0
    taken = np.zeros(len(other.boxes), bool)
    taken[partner[matched]] = True
    extra = np.flatnonzero(other.ignore & ~taken)
    counts["matched"] += int(matched.sum())
    counts["unmatched"] += int((~matched).sum())
    counts["added"] += len(extra)
    attributes = {key: np.concatenate([values, np.full(len(extra), -1)]) for key, values in record.attributes.items()}
    for key, values in other.attributes.items():
        attributes[key] = np.concatenate([_of_partners(values, partner, -1), values[extra]]).astype(np.int32)
    return type(record)(
        record.root, record.image, record.width, record.height,
        np.concatenate([record.boxes, other.boxes[extra]]),
        np.concatenate([record.landmarks, other.landmarks[extra]]),
        np.concatenate([record.ignore | _of_partners(other.ignore, partner, False), other.ignore[extra]]), attributes)


def _of_partners(values, partner, default):
    """The value of each face's partner, `default` where it has none."""
    result = np.full(len(partner), default, dtype=np.asarray(values).dtype)
    result[partner >= 0] = values[partner[partner >= 0]]
    return result


def _partners(iou, lowest):
    """(N,) the column that each row is paired with, or -1: best pair first, each row and column once."""
    partner = np.full(len(iou), -1, np.intp)
    rows, columns = np.nonzero(iou >= lowest)
    used = set()
    for pair in np.argsort(-iou[rows, columns], kind="stable"):
        row, column = int(rows[pair]), int(columns[pair])
        if partner[row] < 0 and column not in used:
            partner[row] = column
            used.add(column)
    return partner


def _iou(boxes, others):
    """(N, K) IoU in float64."""
    a, b = boxes[:, None].astype(np.float64), others[None].astype(np.float64)
    sides = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0)
    both = sides[..., 0] * sides[..., 1]
    union = np.prod(a[..., 2:] - a[..., :2], axis=-1) + np.prod(b[..., 2:] - b[..., :2], axis=-1) - both
    return both / union
