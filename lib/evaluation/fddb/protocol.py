"""FDDB's protocol: discrete and continuous ROC over ten folds.

For each distinct score of an image, its detections with that score or more are matched one to one with its ellipses, so
that the total IoU of the masks is greatest. A pair counts 1 where its IoU is over 0.5 (discrete), or its IoU
(continuous). At a threshold t of the whole set an image contributes the matching for its own lowest score of t or more,
so all images of all folds form one curve with a point for each distinct score.

The continuous curve has the false positives of the discrete one: detections that are in no pair over 0.5. The report
leaves that open; the benchmark's program counts so. A matched pair of IoU 0.4 is thus 0.4 of a true positive and also a
false positive.

Source: Jain and Learned-Miller, UM-CS-2010-009, section 6, and the authors' evaluation program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...errors import InputError
from .ellipses import mask_ious
from .files import Fold
from .roc import FddbResult, Roc

IOU = 0.5
"""A pair with a higher IoU is a true positive; exactly half is not enough."""
# Of matchings of equal total IoU the one with more pairs over 0.5 is taken: such a pair weighs this much more.
_TIE = 1e-9


def evaluate_fddb(detections: Mapping[str, np.ndarray], folds: Sequence[Fold], sizes: Mapping[str, tuple[int, int]],
                  progress: Callable[[], object] | None = None) -> FddbResult:
    """Both ROC curves of one set of detections.

    Args:
        detections: of read_detections. In an image without detections nothing is found.
        folds: of read_fddb.
        sizes: of read_sizes.
        progress: called after each image.

    Raises:
        InputError: the folds do not have an image of the detections.
    """
    unknown = sorted(set(detections) - {name for fold in folds for name in fold.faces})
    if unknown:
        raise InputError(f"{len(unknown)} of {len(detections)} images with detections are not in the annotations, the "
                         f"first is {unknown[0]!r}")
    per_fold, rocs = [], {}
    for fold in folds:
        events = []
        for name, ellipses in fold.faces.items():
            rows = detections.get(name)
            if rows is not None and len(rows):
                events.append(image_events(mask_ious(ellipses, rows, sizes[name]), rows[:, -1]))
            if progress:
                progress()
        faces = sum(map(len, fold.faces.values()))
        per_fold.append((events, len(fold.faces), faces))
        rocs[fold.number] = _join(events, len(fold.faces), faces)
    whole = _join([event for events, _, _ in per_fold for event in events],
                  sum(images for _, images, _ in per_fold), sum(faces for _, _, faces in per_fold))
    missing = sum(name not in detections for fold in folds for name in fold.faces)
    return FddbResult(whole, rocs, missing)


def image_events(ious: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """What each distinct score of an image adds when the threshold falls to it.

    Args:
        ious: (G, D) float64, of G faces with D detections.
        scores: (D,).

    Returns:
        (K, 4) float64: the score, falling; detections; pairs over 0.5; IoU in pairs. The sum of the rows up to k is the
        matching for that score and more.
    """
    order = np.argsort(-scores, kind="stable")
    scores, ious = scores[order], ious[:, order]
    last = np.flatnonzero(np.diff(scores, append=np.nan) != 0)  # of each group of equal scores
    touched = ious > 0
    # A face whose detections touch no other face takes the one with the highest IoU, whatever happens elsewhere.
    alone = ~touched[:, touched.sum(axis=0) > 1].any(axis=1)
    best = np.maximum.accumulate(ious[alone], axis=1)[:, last]
    totals = np.stack([last + 1.0, (best > IOU).sum(axis=0), best.sum(axis=0)], axis=1)  # (K, 3)
    for group in _groups(touched[~alone]):
        rows = np.flatnonzero(~alone)[group]
        totals[:, 1:] += _match_falling(ious[rows], last)
    return np.column_stack([scores[last], np.diff(totals, axis=0, prepend=0)])


def _groups(touched):
    """Lists of faces (rows of touched (G, D)) that share detections, directly or through other faces."""
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


def _match_falling(ious, last):
    """(K, 2): pairs over 0.5 and IoU in pairs, of the matching of the first last[k] + 1 columns of (G, D).

    The matching is solved again only where a detection enters that touches one of the faces.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import

    columns = np.flatnonzero(ious.any(axis=0))
    weights = ious[:, columns] + _TIE * (ious[:, columns] > IOU)
    ious, counts = ious[:, columns], np.searchsorted(columns, last, side="right")
    totals, known, values = np.zeros((len(last), 2)), 0, (0.0, 0.0)
    for k, count in enumerate(counts.tolist()):
        if count != known:
            pairs = ious[linear_sum_assignment(weights[:, :count], maximize=True)]
            known, values = count, ((pairs > IOU).sum(), pairs.sum())
        totals[k] = values
    return totals


def _join(events, images, faces):
    """The Roc of several images: their events (K, 4) added up along falling scores."""
    rows = np.concatenate(events) if events else np.zeros((0, 4))
    rows = rows[np.argsort(-rows[:, 0], kind="stable")]
    last = np.flatnonzero(np.diff(rows[:, 0], append=np.nan) != 0)
    totals = np.cumsum(rows[:, 1:], axis=0)[last]
    detections, discrete = np.rint(totals[:, :2]).astype(np.int64).T
    return Roc(rows[last, 0], detections - discrete, discrete / max(1, faces), totals[:, 2] / max(1, faces), images,
               faces, int(detections[-1]) if len(detections) else 0)
