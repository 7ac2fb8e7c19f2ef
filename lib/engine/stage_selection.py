"""Selection while a stage of MTCNN trains: measures on the samples of the selection images (FOLDER/select/)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from easydict import EasyDict

from ..cascade.stages import STAGES
from ..data_layer.mtcnn.batches import samples_folder
from ..data_layer.mtcnn.folder import SampleFolder
from ..data_layer.mtcnn.tfrecords import KINDS, VALUES
from ..errors import InputError
from ..evaluation.curve import area_under_curve

if TYPE_CHECKING:
    from ..nets.mtcnn import StageNet

MEASURES = ("quality", "AP", "accuracy", "recall", "iou")  # higher is better; TRAIN.SELECT_BY names one
BATCH = 768  # samples per call of the net
EYES = slice(0, 2), slice(2, 4)  # of the ten landmark values


class StageSelection:
    """The samples of the selection, and how a net performs on them.

    Args:
        cfg: the whole config.
        family: the stage.
        run: images (B, side, side, 3) uint8 -> maps by name.

    Raises:
        InputError: samples are missing, or TRAIN.SELECT_BY is not one of MEASURES.
    """

    def __init__(self, cfg: EasyDict, family: StageNet, run: Callable[[np.ndarray], Mapping]) -> None:
        self.cfg, self.family, self.run = cfg, family, run
        self.samples: dict[str, np.ndarray] | None = None
        self.pictures: dict[str, np.ndarray] = {}  # a stage has no whole images
        if not cfg.TRAIN.SELECT:
            return
        if cfg.TRAIN.SELECT_BY not in MEASURES:
            raise InputError(f"TRAIN.SELECT_BY is {cfg.TRAIN.SELECT_BY!r}, expected one of {', '.join(MEASURES)} for "
                             f"{family.name}")
        shards = SampleFolder(samples_folder(cfg)).open("select")
        labelled = [(KINDS[kind], rows) for kind, arrays in shards.items() for rows in arrays]
        labels = {label for label, _ in labelled}
        if not {KINDS["positive"], KINDS["negative"]} <= labels:
            raise InputError(f"{samples_folder(cfg)}: its selection has no positives or no negatives; name more images "
                             f"in TRAIN.SELECT, or leave it empty")
        samples = {name: np.concatenate([rows[name] for _, rows in labelled]) for name in VALUES}
        samples["label"] = np.concatenate([np.full(len(rows), label, np.int32) for label, rows in labelled])
        # Shuffled, because losses are mined among neighbouring samples.
        order = np.random.default_rng(0).permutation(len(samples["label"]))
        self.samples = {name: values[order] for name, values in samples.items()}

    def evaluate(self) -> dict[str, float]:
        """Score the net on all samples; returns the measures of `stage_measures`, `loss`, and the losses by name."""
        assert self.samples is not None  # TRAIN.SELECT names a set
        targets = {key: value for key, value in self.samples.items() if key != "image"}
        images = self.samples["image"]
        calls = [self.run(images[first : first + BATCH]) for first in range(0, len(images), BATCH)]
        outputs = {key: np.concatenate([maps[key].reshape(len(maps[key]), -1) for maps in calls]) for key in calls[0]}
        threshold = self.cfg.CASCADE.THRESHOLDS[STAGES.index(self.family.name)]
        losses = {name: float(np.mean(np.asarray(value))) for name, value in
                  self.family.losses(targets, outputs).items()}
        return {**stage_measures(targets, outputs, threshold), "loss": sum(losses.values()), **losses}


def stage_measures(targets: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray],
                   threshold: float) -> dict[str, float]:
    """Return the measures of a stage over N samples.

    Args:
        targets: label (N,), box (N, 4), landmarks (N, 10).
        outputs: scores (N, 2) logits, boxes (N, 4), and landmarks (N, 10) if the stage has them.
        threshold: score from which the stage keeps a crop.

    Returns:
        `AP`: of positives against negatives.
        `accuracy`: fraction of both on the right side of 0.5.
        `recall`, `passed`: fractions of positives and of negatives that are kept at the threshold.
        `iou`: mean IoU of positives and parts with their face after regression; `iou_gain`: minus that of the crop.
        `landmark_error`: mean error of a landmark as a fraction of the distance between the eyes.
        `quality`: AP + iou + max(0, 1 - landmark_error), without the last term if there are no landmarks.
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
        # The eyes of a profile may coincide in the image; the distance is at least a tenth of the crop.
        result["landmark_error"] = float((distance / np.maximum(eyes, 0.1)).mean())
        quality += max(0.0, 1 - result["landmark_error"])
    return {"quality": quality, **result}


def _average_precision(score, face):
    """Area under precision and recall; samples of equal score count together."""
    order = np.argsort(-score, kind="stable")
    score, face = score[order], face[order]
    last = np.flatnonzero(np.diff(score, append=-np.inf))  # of each group of equal scores
    hits = np.cumsum(face)[last]
    return area_under_curve(hits / face.sum(), hits / (last + 1))


def _overlaps(first, second):
    """(N,) IoU of boxes given as offsets (N, 4): of their corners from those of a square, in sides of the square."""
    a, b = first + [0, 0, 1, 1], second + [0, 0, 1, 1]
    shared = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0).prod(axis=1)
    areas = [np.maximum(box[:, 2:] - box[:, :2], 0).prod(axis=1) for box in (a, b)]
    return shared / np.maximum(areas[0] + areas[1] - shared, 1e-9)
