"""FDDB's protocol: discrete and continuous ROC over ten folds (Jain and Learned-Miller, UM-CS-2010-009, section 6).

For each distinct score of an image its detections with that score or more are matched one to one with its ellipses,
so that the total overlap of the masks is greatest. A pair counts 1 where its overlap is over 0.5 (discrete), or as much
as it overlaps (continuous). At a threshold t of the whole set an image has what it has for its own least score of t or
more, so all images, and all folds, join in one curve with a point for each distinct score.

The continuous curve has the false positives of the discrete one: detections that are in no pair over 0.5. The report
leaves that open; the benchmark's program counts so, and a matched pair of overlap 0.4 is there 0.4 of a true positive
and a false positive as well.
"""

import numpy as np

from ...errors import InputError
from .ellipses import mask_overlaps
from .roc import FddbResult, Roc

OVERLAP = 0.5  # to be exceeded
# Of matchings of equal total overlap the one with more pairs over 0.5 is taken: such a pair weighs so much more.
_TIE = 1e-9


def evaluate_fddb(detections, folds, sizes, progress=None):
    """Both ROCs of one set of detections.

    detections: image name -> (N, 5) x y w h score or (N, 6) major minor angle cx cy score (read_detections); folds
    (read_fddb); sizes: image name -> (width, height) px (read_sizes). progress: called after each image. An image
    without detections is one in which nothing was found. Returns a FddbResult; raises InputError for an image that the
    folds do not have.
    """
    unknown = sorted(set(detections) - {name for fold in folds for name in fold.faces})
    if unknown:
        raise InputError(f"{len(unknown)} of {len(detections)} images with detections are not in the annotations, the "
                         f"first is {unknown[0]!r}")
    parts, result = [], {}
    for fold in folds:
        events = []
        for name, ellipses in fold.faces.items():
            rows = detections.get(name)
            if rows is not None and len(rows):
                events.append(image_events(mask_overlaps(ellipses, rows, sizes[name]), rows[:, -1]))
            if progress:
                progress()
        faces = sum(map(len, fold.faces.values()))
        parts.append((events, len(fold.faces), faces))
        result[fold.number] = _join(events, len(fold.faces), faces)
    whole = _join([event for events, *_ in parts for event in events], sum(part[1] for part in parts),
                  sum(part[2] for part in parts))
    missing = sum(name not in detections for fold in folds for name in fold.faces)
    return FddbResult(whole, result, missing)


def image_events(overlaps, scores):
    """What each distinct score of an image adds as the threshold falls to it: (K, 4) float64.

    overlaps (G, D), scores (D,). Columns: the score, falling; detections; pairs over 0.5; overlap in pairs. A sum down
    to row k is what the matching for scores of that and more has.
    """
    order = np.argsort(-scores, kind="stable")
    scores, overlaps = scores[order], overlaps[:, order]
    last = np.flatnonzero(np.diff(scores, append=np.nan) != 0)  # of each group of equal scores
    touched = overlaps > 0
    # A face whose detections touch no other face takes the one that overlaps it most, whatever happens elsewhere.
    alone = ~touched[:, touched.sum(axis=0) > 1].any(axis=1)
    best = np.maximum.accumulate(overlaps[alone], axis=1)[:, last]
    totals = np.stack([last + 1.0, (best > OVERLAP).sum(axis=0), best.sum(axis=0)], axis=1)  # (K, 3)
    for group in _groups(touched[~alone]):
        rows = np.flatnonzero(~alone)[group]
        totals[:, 1:] += _match_falling(overlaps[rows], last)
    return np.column_stack([scores[last], np.diff(totals, axis=0, prepend=0)])


def _groups(touched):
    """Faces, rows of touched (G, D), in groups that share detections, directly or over others: lists of indices."""
    left, groups = set(range(len(touched))), []
    while left:
        group, reach = [], [left.pop()]
        while reach:
            face = reach.pop()
            group.append(face)
            near = [other for other in left if (touched[face] & touched[other]).any()]
            left.difference_update(near)
            reach += near
        groups.append(sorted(group))
    return groups


def _match_falling(overlaps, last):
    """(K, 2): pairs over 0.5 and overlap in pairs, of the matching of the first last[k] + 1 columns of (G, D).

    The matching is solved again only where a detection came that touches one of the faces.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import

    columns = np.flatnonzero(overlaps.any(axis=0))
    weights = overlaps[:, columns] + _TIE * (overlaps[:, columns] > OVERLAP)
    overlaps, counts = overlaps[:, columns], np.searchsorted(columns, last, side="right")
    totals, known, values = np.zeros((len(last), 2)), 0, (0.0, 0.0)
    for k, count in enumerate(counts.tolist()):
        if count != known:
            pairs = overlaps[linear_sum_assignment(weights[:, :count], maximize=True)]
            known, values = count, ((pairs > OVERLAP).sum(), pairs.sum())
        totals[k] = values
    return totals


def _join(events, images, faces):
    """The Roc of several images: their events (K, 4) added up along falling scores."""
    rows = np.concatenate(events) if events else np.zeros((0, 4))
    rows = rows[np.argsort(-rows[:, 0], kind="stable")]
    last = np.flatnonzero(np.diff(rows[:, 0], append=np.nan) != 0)
    totals = np.cumsum(rows[:, 1:], axis=0)[last]
    found, discrete = np.rint(totals[:, :2]).astype(np.int64).T
    return Roc(rows[last, 0], found - discrete, discrete / max(1, faces), totals[:, 2] / max(1, faces), images, faces,
               int(found[-1]) if len(found) else 0)
