"""Carries WIDER's attributes over to faces of another annotation of the same images, such as RetinaFace's landmarks."""

import numpy as np

from ..errors import InputError
from .roidb import Roidb


def add_attributes(roidb, other, overlap=0.7):
    """The roidb with the attributes and ignore flags of the same faces in `other`.

    Faces of one image are the same when their IoU is at least `overlap`; pairs are formed best first, one to one.
    Faces of `other` that have no partner and are ignored there join as ignore regions. Returns a new Roidb and a dict
    of counts: matched, unmatched (attributes -1) and added.
    """
    by_name = {record.name: record for record in other.records}
    missing = [record.name for record in roidb.records if record.name not in by_name]
    if missing:
        raise InputError(f"{other.source}: has no {missing[0]!r}; {len(missing)} of the {len(roidb)} images of "
                         f"{roidb.source} are not in it")
    counts = {"matched": 0, "unmatched": 0, "added": 0}
    records = [_merged(record, by_name[record.name], overlap, counts) for record in roidb.records]
    return Roidb(records, dict(roidb.dropped), f"{roidb.source} with attributes of {other.source}"), counts


def _merged(record, other, overlap, counts):
    partner = _partners(_overlaps(record.boxes, other.boxes), overlap)
    matched = partner >= 0
    taken = np.zeros(len(other.boxes), bool)
    taken[partner[matched]] = True
    extra = np.flatnonzero(other.ignore & ~taken)
    counts["matched"] += int(matched.sum())
    counts["unmatched"] += int((~matched).sum())
    counts["added"] += len(extra)
    attributes = {key: np.concatenate([values, np.full(len(extra), -1)]) for key, values in record.attributes.items()}
    for key, values in other.attributes.items():
        attributes[key] = np.concatenate([_picked(values, partner, -1), values[extra]]).astype(np.int32)
    return type(record)(
        record.root, record.image, record.width, record.height,
        np.concatenate([record.boxes, other.boxes[extra]]),
        np.concatenate([record.landmarks, other.landmarks[extra]]),
        np.concatenate([record.ignore | _picked(other.ignore, partner, False), other.ignore[extra]]), attributes)


def _picked(values, partner, default):
    found = np.full(len(partner), default, dtype=np.asarray(values).dtype)
    found[partner >= 0] = values[partner[partner >= 0]]
    return found


def _partners(overlaps, least):
    """For each row the column it is paired with, or -1: best pair first, each row and column once."""
    partner = np.full(len(overlaps), -1, np.intp)
    rows, columns = np.nonzero(overlaps >= least)
    used = set()
    for at in np.argsort(-overlaps[rows, columns], kind="stable"):
        row, column = int(rows[at]), int(columns[at])
        if partner[row] < 0 and column not in used:
            partner[row] = column
            used.add(column)
    return partner


def _overlaps(boxes, others):
    """(N, K) IoU in float64."""
    a, b = boxes[:, None].astype(np.float64), others[None].astype(np.float64)
    sides = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0)
    both = sides[..., 0] * sides[..., 1]
    union = np.prod(a[..., 2:] - a[..., :2], axis=-1) + np.prod(b[..., 2:] - b[..., :2], axis=-1) - both
    return both / union
