"""What families with anchors share: the table of their modules, targets, losses and decoding.

A family is a subclass that names its modules and builds the net. An image goes build -> decode, a training sample
encode -> losses. Outputs and targets are named by the module: `m1_scores`, `m1_boxes`, `m1_labels`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..boxes import anchor_grid, anchor_targets, decode_boxes, decode_landmarks, encode_boxes, encode_landmarks
from ..boxes.levels import anchor_sides, grid_lines
from ..detections import Detections
from .family import DetectionModule, Family

if TYPE_CHECKING:
    import keras
    from easydict import EasyDict


@dataclass(frozen=True)
class Module(DetectionModule):
    """One feature map with its anchors.

    Attributes:
        sizes: of the anchors, px: square roots of their areas, or pairs (width, height).
        ratios: height / width.
        border: px by which an anchor may leave the image and still be trained; None: any.
        multiple: px, multiples of which the net pads height and width to.
    """

    sizes: tuple
    ratios: tuple = (1.0,)
    border: float | None = None
    multiple: int = 1

    @property
    def anchors(self) -> int:
        """Anchors per cell."""
        return len(self.sizes) * len(self.ratios)

    def level(self, width: int, height: int) -> tuple:
        """Feature map and anchors as `anchor_targets` takes them, for an image of width x height px."""
        rows, columns = (-(-side // self.multiple) * self.multiple for side in (height, width))
        return -(-rows // self.stride), -(-columns // self.stride), self.stride, self.sizes, self.ratios, self.border


class AnchorFamily(Family):
    """A family whose modules have anchors. A subclass sets `modules` and defines `build`."""

    modules: Sequence[Module]

    def __init__(self, cfg: EasyDict, modules: Sequence[Module]) -> None:
        super().__init__(cfg)
        self.modules = modules

    # -------------------------------------------------------------- targets

    def encode(self, sample: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Make the targets of one sample, per module with A anchors in the order of `anchor_grid`.

        Args:
            sample: as in Family.encode.

        Returns:
            `MODULE_labels` (A,) int8: 1 face, 0 background, -1 left out; `MODULE_boxes` (A, 4) float32; with
            NET.LANDMARKS `MODULE_landmarks` (A, 10) float32 and `MODULE_landmark_mask` (A,) float32. Offsets that do
            not count are 0. With TARGETS.BALANCE `MODULE_weights` (A,) float32.
        """
        cfg = self.cfg.TARGETS
        height, width = sample["image"].shape[:2]
        levels = [module.level(width, height) for module in self.modules]
        labels, matched = anchor_targets(levels, sample["boxes"], sample["ignore"], (width, height), cfg.POSITIVE,
                                         cfg.NEGATIVE, cfg.BEST, cfg.IGNORE_OVERLAP)
        weights = balanced_weights(labels, matched, cfg.BALANCE) if cfg.BALANCE else None
        targets, start = {}, 0
        for module, level in zip(self.modules, levels, strict=True):
            end = start + level[0] * level[1] * module.anchors
            own = slice(start, end)
            if cfg.MASK_PADDING and "picture" in sample:
                padded = reaching_out(level, sample["picture"], (width, height))
                labels[own][padded & (labels[own] == 0)] = -1
            targets |= self._encode_module(module, level, labels[own], matched[own], sample)
            if weights is not None:
                targets[f"{module.name}_weights"] = weights[own]
            start = end
        return targets

    def _encode_module(self, module, level, labels, matched, sample):
        variances = self.cfg.TARGETS.VARIANCES
        faces = np.flatnonzero(labels == 1)
        anchors = anchors_at(faces, level)
        boxes = np.zeros((len(labels), 4), np.float32)
        boxes[faces] = encode_boxes(sample["boxes"][matched[faces]], anchors, variances)
        targets = {f"{module.name}_labels": np.asarray(labels, np.int8), f"{module.name}_boxes": boxes}
        if self.cfg.NET.LANDMARKS:
            points = encode_landmarks(sample["landmarks"][matched[faces]], anchors, variances[0])
            known = np.isfinite(points).all(axis=1)
            landmarks, mask = np.zeros((len(labels), 10), np.float32), np.zeros(len(labels), np.float32)
            landmarks[faces[known]] = points[known]
            mask[faces[known]] = 1
            targets |= {f"{module.name}_landmarks": landmarks, f"{module.name}_landmark_mask": mask}
        return targets

    # --------------------------------------------------------------- losses

    def losses(self, targets: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
        """Losses (B,) by name: `MODULE_class`, `MODULE_box`, and with NET.LANDMARKS `MODULE_landmark`."""
        from keras import ops

        loss, losses = self.cfg.LOSS, {}
        labels = {m.name: ops.cast(targets[f"{m.name}_labels"], "int32") for m in self.modules}
        positives = sum(ops.sum(ops.cast(each == 1, "float32"), axis=-1) for each in labels.values())
        for module in self.modules:
            own = self._module_losses(module.name, labels[module.name], targets, outputs,
                                      ops.maximum(positives, loss.MIN_POSITIVES))
            losses |= {f"{module.name}_{kind}": value for kind, value in own.items()}
        return losses

    def _module_losses(self, name, labels, targets, outputs, positives):
        """Losses (B,) of one module: normalised by its mined anchors (ohem), or by the positives of the image (others).
        """
        from keras import ops

        from . import losses as terms

        loss, variances = self.cfg.LOSS, self.cfg.TARGETS.VARIANCES
        batch, anchors = ops.shape(labels)
        weights = targets.get(f"{name}_weights", 1.0)
        logits = ops.reshape(outputs[f"{name}_scores"], (batch, anchors))
        offsets = ops.reshape(outputs[f"{name}_boxes"], (batch, anchors, 4))
        faces = ops.cast(labels == 1, "float32")
        if loss.CLASS == "ohem":
            mined = ops.stop_gradient(terms.mine_hard_examples(logits, labels, loss.OHEM_BATCH, loss.OHEM_POSITIVE,
                                                               loss.OHEM_FILL))
            number = ops.maximum(ops.sum(mined, axis=-1), 1.0)
            result = {"class": ops.sum(mined * weights * terms.cross_entropy(logits, faces), axis=-1) / number}
            faces = faces * mined
        elif loss.CLASS == "mined":
            number = positives
            mined = ops.stop_gradient(terms.mine_hard_negatives(logits, labels, loss.MINED_RATIO * number))
            result = {"class": ops.sum(mined * weights * terms.cross_entropy(logits, faces), axis=-1) / number}
        elif loss.CLASS == "quality":
            number = positives
            overlaps = ops.stop_gradient(terms.box_overlaps(offsets, targets[f"{name}_boxes"], variances))
            result = {"class": terms.quality_focal_loss(logits, labels, overlaps, loss.FOCAL_GAMMA, weights) / number}
        else:
            number = positives
            result = {"class": terms.focal_loss(logits, labels, loss.FOCAL_ALPHA, loss.FOCAL_GAMMA, weights) / number}
        faces = faces * weights
        if loss.BOX == "diou":
            distance = terms.diou_loss(offsets, targets[f"{name}_boxes"], variances)
        else:
            distance = terms.smooth_l1(offsets, targets[f"{name}_boxes"], loss.BOX_SIGMA)
        result["box"] = loss.BOX_WEIGHT * ops.sum(faces * distance, axis=-1) / number
        if self.cfg.NET.LANDMARKS:
            points = ops.reshape(outputs[f"{name}_landmarks"], (batch, anchors, 10))
            distance = terms.smooth_l1(points, targets[f"{name}_landmarks"])
            known = faces * targets[f"{name}_landmark_mask"]
            result["landmark"] = loss.LANDMARK_WEIGHT * ops.sum(known * distance, axis=-1) / number
        return result

    # --------------------------------------------------------------- decode

    def decode(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int]) -> Detections:
        """Read the faces of one image, before NMS.

        Of each module, the TEST.TOP highest scores above TEST.SCORE are kept. Boxes are clipped to the image. Boxes
        that are in the padding beside the image are left out.

        Args:
            outputs: maps (h, w, C) float32 by name.
            size: (width, height) px of the image.
        """
        test, variances = self.cfg.TEST, self.cfg.TARGETS.VARIANCES
        scores, decoded, landmarks = [], [], []
        for module in self.modules:
            logits = np.asarray(outputs[f"{module.name}_scores"])
            rows, columns = logits.shape[:2]
            kept = highest(logits.ravel(), test.SCORE, test.TOP)
            anchors = anchors_at(kept, (rows, columns, module.stride, module.sizes, module.ratios))
            offsets = np.asarray(outputs[f"{module.name}_boxes"]).reshape(-1, 4)[kept]
            scores.append(1 / (1 + np.exp(-logits.ravel()[kept].astype(np.float32))))
            decoded.append(decode_boxes(offsets, anchors, variances))
            if self.cfg.NET.LANDMARKS:
                points = np.asarray(outputs[f"{module.name}_landmarks"]).reshape(-1, 10)[kept]
                landmarks.append(decode_landmarks(points, anchors, variances[0]))
        boxes = np.concatenate(decoded)
        boxes[:, 0::2] = boxes[:, 0::2].clip(0, size[0])
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, size[1])
        faces = Detections(boxes, np.concatenate(scores), np.concatenate(landmarks) if landmarks else None)
        return faces.take((boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3]))


def balanced_weights(labels: np.ndarray, matched: np.ndarray, balance: float) -> np.ndarray:
    """Weights of the anchors of an image: a face with few positive anchors counts as much as one with many.

    With anchors of 10 to 24 px every 8 px, a face of 10 px has one positive anchor, one of 24 px has 8, and one of 300
    px, where the anchors are 32 px apart, has 70.

    Args:
        labels, matched: (A,) of `anchor_targets`.
        balance: 0: all anchors count the same; 1: all faces do.

    Returns:
        (A,) float32: (8 / n) ** balance for the anchors of a face with n of them, 1 for all others.
    """
    weights = np.ones(len(labels), np.float32)
    faces = np.flatnonzero(labels == 1)
    counts = np.bincount(matched[faces])
    weights[faces] = (8 / counts[matched[faces]]) ** balance
    return weights


# ------------------------------------------------------------------ anchors


def anchors_at(index: np.ndarray, level: tuple) -> np.ndarray:
    """Anchors (N, 4) px at the positions `index` of a level's anchor grid. The whole grid is not made."""
    rows, columns, stride, sizes, ratios = level[:5]
    cell, kind = np.divmod(index, len(sizes) * len(ratios))
    row, column = np.divmod(cell, columns)
    shift = np.stack([column, row, column, row], axis=1).astype(np.float32) * np.float32(stride)
    return _anchors_of_first_cell(stride, sizes, ratios)[kind] + shift


@functools.cache
def _anchors_of_first_cell(stride, sizes, ratios):
    return anchor_grid(1, 1, stride, sizes, ratios)


def reaching_out(level: tuple, picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Anchors of a level that reach out of a picture into the grey around it.

    Where the picture goes up to an edge of the image, there is no grey behind that edge. Anchors that cross it count as
    inside.

    Args:
        picture: (4,) x1 y1 x2 y2 px, the part of the image that is not grey.
        size: (width, height) px of the image.

    Returns:
        (A,) bool.
    """
    rows, columns, stride, sizes, ratios = level[:5]
    sides = anchor_sides(sizes, ratios)
    beyond = []
    for axis, cells in ((0, columns), (1, rows)):
        low, high = grid_lines(cells, stride, sides[:, axis])  # (T, cells)
        grey_before, grey_behind = picture[axis] > 0, picture[axis + 2] < size[axis]
        beyond.append((grey_before & (low < picture[axis])) | (grey_behind & (high > picture[axis + 2])))
    return (beyond[1].T[:, None] | beyond[0].T[None]).ravel()  # (rows, columns, T)


def highest(logits: np.ndarray, score: float, top: int) -> np.ndarray:
    """Indices of at most `top` logits whose score is at least `score`."""
    kept = np.flatnonzero(logits >= np.log(score / (1 - score)))
    if len(kept) > top:
        kept = np.sort(kept[np.argpartition(-logits[kept], top - 1)[:top]])
    return kept


# -------------------------------------------------------------------- heads


def heads(x: keras.KerasTensor, module: Module, landmarks: bool,
          prepare: Callable[[keras.KerasTensor, str], keras.KerasTensor] | None = None,
          prior: float = 0.01) -> dict[str, keras.KerasTensor]:
    """The outputs of a module: 1x1 convolutions of one map.

    Args:
        x: (B, h, w, C).
        landmarks: whether there are five points beside every box.
        prepare: function (x, name) -> map, applied before each convolution; None: x itself.
        prior: the score at the start.

    Returns:
        `MODULE_scores`, `MODULE_boxes` and perhaps `MODULE_landmarks`, (B, h, w, 1, 4 or 10 per anchor).
    """
    import keras
    from keras import layers

    # A face is rare: a start at score 0.01 keeps the first steps from being swamped (RetinaNet, section 3.3).
    rare = keras.initializers.Constant(float(np.log(prior / (1 - prior))))
    small = keras.initializers.RandomNormal(stddev=0.01)
    kinds = [("scores", 1, rare), ("boxes", 4, "zeros")] + ([("landmarks", 10, "zeros")] if landmarks else [])
    outputs = {}
    for kind, channels, bias in kinds:
        name = f"{module.name}_{kind}"
        head = layers.Conv2D(channels * module.anchors, 1, kernel_initializer=small, bias_initializer=bias, name=name)
        outputs[name] = head(prepare(x, name) if prepare else x)
    return outputs
