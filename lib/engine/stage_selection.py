"""Selection while a stage of MTCNN trains: measures on the samples of the selection images (FOLDER/select/)."""

import numpy as np

from ..cascade.stages import STAGES
from ..data_layer.mtcnn.batches import samples_folder
from ..data_layer.mtcnn.folder import SampleFolder
from ..data_layer.mtcnn.tfrecords import KINDS, VALUES
from ..errors import InputError
from ..evaluation.curve import area_under_curve

MEASURES = ("quality", "AP", "accuracy", "recall", "iou")  # higher is better; TRAIN.SELECT_BY names one
BATCH = 768
EYES = slice(0, 2), slice(2, 4)  # of the ten landmark values


class StageSelection:
    """`evaluate()` gives the measures of `stage_measures` and the losses, over all samples of the selection.

    family: the stage; run: images (B, side, side, 3) uint8 -> dict of its maps. Raises InputError where the samples are
    missing or TRAIN.SELECT_BY is none of MEASURES.
    """

    def __init__(self, cfg, family, run):
        self.cfg, self.family, self.run, self.samples = cfg, family, run, None
        if not cfg.TRAIN.SELECT:
            return
        if cfg.TRAIN.SELECT_BY not in MEASURES:
            raise InputError(f"TRAIN.SELECT_BY is {cfg.TRAIN.SELECT_BY!r}, expected one of {', '.join(MEASURES)} for "
                             f"{family.name}")
        shards = SampleFolder(samples_folder(cfg)).open("select")
        parts = [(KINDS[kind], rows) for kind, arrays in shards.items() for rows in arrays]
        labels = {label for label, _ in parts}
        if not {KINDS["positive"], KINDS["negative"]} <= labels:
            raise InputError(f"{samples_folder(cfg)}: its selection has no positives or no negatives; name more images "
                             f"in TRAIN.SELECT, or leave it empty")
        samples = {name: np.concatenate([rows[name] for _, rows in parts]) for name in VALUES}
        samples["label"] = np.concatenate([np.full(len(rows), label, np.int32) for label, rows in parts])
        # Mixed, because losses are mined among samples that follow one another.
        order = np.random.default_rng(0).permutation(len(samples["label"]))
        self.samples = {name: values[order] for name, values in samples.items()}

    def evaluate(self):
        """Dict of measures, `loss`, and the losses by name."""
        targets = {key: value for key, value in self.samples.items() if key != "image"}
        images = self.samples["image"]
        parts = [self.run(images[first : first + BATCH]) for first in range(0, len(images), BATCH)]
        outputs = {key: np.concatenate([part[key].reshape(len(part[key]), -1) for part in parts]) for key in parts[0]}
        threshold = self.cfg.CASCADE.THRESHOLDS[STAGES.index(self.family.name)]
        losses = {name: float(np.mean(np.asarray(value))) for name, value in
                  self.family.losses(targets, outputs).items()}
        return {**stage_measures(targets, outputs, threshold), "loss": sum(losses.values()), **losses}


def stage_measures(targets, outputs, threshold):
    """Measures of a stage over N samples.

    targets: label (N,), box (N, 4), landmarks (N, 10); outputs: scores (N, 2) logits, boxes (N, 4), landmarks (N, 10)
    or none. Returns dict: `AP` of positives against negatives; `accuracy`: how many of both are on the right side of
    0.5; `recall`: positives at the stage's threshold; `passed`: negatives at it; `iou`: mean overlap of positives and
    parts with their face after regression, `iou_gain`: above that of the crop itself; `landmark_error`: mean distance
    of a landmark in distances of the eyes; `quality`, for the choice of the best weights: AP + iou + 1 -
    landmark_error, 0 instead of 1 - landmark_error where that is negative or there are no landmarks.
    """
    label, logits = targets["label"], np.asarray(outputs["scores"], np.float64)
    score = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    face, background = label == KINDS["positive"], label == KINDS["negative"]
    decided = face | background
    result = {"AP": _average_precision(score[decided], face[decided]),
              "accuracy": float(((score >= 0.5) == face)[decided].mean()),
              "recall": float((score[face] >= threshold).mean()),
              "passed": float((score[background] >= threshold).mean())}
    boxed = face | (label == KINDS["part"])
    before, after = (float(_overlaps(boxes, targets["box"][boxed]).mean()) for boxes in
                     (np.zeros((boxed.sum(), 4)), np.asarray(outputs["boxes"], np.float64)[boxed]))
    result |= {"iou": after, "iou_gain": after - before}
    quality = result["AP"] + after
    turned = label == KINDS["landmark"]
    if turned.any() and "landmarks" in outputs:
        true = targets["landmarks"][turned].astype(np.float64)
        distance = np.linalg.norm((outputs["landmarks"][turned] - true).reshape(-1, 5, 2), axis=2).mean(axis=1)
        eyes = np.linalg.norm(true[:, EYES[0]] - true[:, EYES[1]], axis=1)
        # A profile's eyes may coincide in the image; a tenth of the crop stands for those.
        result["landmark_error"] = float((distance / np.maximum(eyes, 0.1)).mean())
        quality += max(0.0, 1 - result["landmark_error"])
    return {"quality": quality, **result}


def _average_precision(score, face):
    """Area under precision and recall; samples of one score count together."""
    order = np.argsort(-score, kind="stable")
    score, face = score[order], face[order]
    last = np.flatnonzero(np.diff(score, append=-np.inf))  # of each group of equal scores
    found = np.cumsum(face)[last]
    return area_under_curve(found / face.sum(), found / (last + 1))


def _overlaps(first, second):
    """(N,) IoU of offsets (N, 4): of boxes given by their corners from those of a square, in its sides."""
    a, b = first + [0, 0, 1, 1], second + [0, 0, 1, 1]
    shared = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0).prod(axis=1)
    areas = [np.maximum(box[:, 2:] - box[:, :2], 0).prod(axis=1) for box in (a, b)]
    return shared / np.maximum(areas[0] + areas[1] - shared, 1e-9)
