"""Grid: one box per cell on MobileNetV2 (the single-scale grid of YOLO, arXiv 1506.02640, section 2).

The whole image is squeezed to a square of GRID.INPUT px. The deepest map of the backbone has one pixel per cell of a
coarse grid, 7 x 7 for 224 px. A cell says whether the centre of a face is in it, where in it, and how large the face
is. That is light and finds a few large faces. Two faces whose centres share a cell cannot both be found (docs/grid.md).

An image goes build -> decode, a training sample encode -> losses. `validation` measures whole images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..boxes.pairs import summed_overlaps
from ..detections import Detections
from ..errors import InputError
from .family import DetectionModule, Family

if TYPE_CHECKING:
    import keras
    from easydict import EasyDict

STRIDES = {32: "stride32", 16: "stride16"}  # px per cell: the deepest map of the backbone
FACE, NO_FACE, LEFT_OUT = 1, 0, -1


@dataclass(frozen=True)
class Cells(DetectionModule):
    """The one module: its losses have its name, its map is `grid_cells`."""


class Grid(Family):
    """The family: every part of it, from one config."""

    measures = ("iou", "iou_nearest")  # those of `validation` that TRAIN.SELECT_BY may name

    def __init__(self, cfg: EasyDict) -> None:
        super().__init__(cfg)
        side = cfg.GRID.INPUT
        self.size = cfg.GRID.SIZE or side // 32
        stride = side / self.size if self.size > 0 else 0
        if stride not in STRIDES:
            fitting = " or ".join(f"{side // s} (a cell of {s} px)" for s in STRIDES if side % s == 0)
            raise InputError(f"GRID.SIZE is {cfg.GRID.SIZE} and GRID.INPUT {side}: cells of {stride:g} px; expected "
                             f"GRID.SIZE {fitting or f'16 or 32 times smaller than GRID.INPUT, such as {side // 32}'}"
                             f", or GRID.INPUT {self.size * 32}")
        for key, found, wanted in (("TEST.SIZE", list(cfg.TEST.SIZE), [side, side]),
                                   ("AUGMENT.SIZE", cfg.AUGMENT.SIZE, side), ("AUGMENT.SIZES", cfg.AUGMENT.SIZES, [])):
            if found != wanted:
                raise InputError(f"{key} is {found}, expected {wanted}: grid squeezes whole images to GRID.INPUT")
        if cfg.NET.LANDMARKS:
            raise InputError("NET.LANDMARKS is True, expected False: grid has no landmarks")
        self.modules = [Cells("grid", int(stride))]
        self.input_size = side, side  # (width, height) px

    def build(self) -> keras.Model:
        """keras.Model: images (B, H, W, 3) RGB 0..255 -> `grid_cells` (B, ceil(H / stride), ceil(W / stride), 5).

        The five are logits. Their sigmoids are: height and width as fractions of the image, y and x of the centre as
        fractions of the cell, and the objectness.
        """
        import keras
        from keras import layers

        from .backbones import build_backbone
        from .layers import BatchNormalization, as_model

        cfg, stride = self.cfg, self.modules[0].stride
        images = keras.Input((None, None, 3), name="images")
        taps = build_backbone(cfg.NET.BACKBONE, images, {**cfg.NET, "LAST_STRIDE": stride == 32})
        if STRIDES[stride] not in taps:
            raise InputError(f"NET.BACKBONE {cfg.NET.BACKBONE!r} has no map with cells of {stride} px, only "
                             f"{', '.join(taps)}; expected mobilenet_v2")
        x = layers.Conv2D(cfg.GRID.WIDTH, 3, padding="same", activation="relu", name="grid_conv")(taps[STRIDES[stride]])
        x = BatchNormalization(name="grid_bn")(x)  # after the ReLU, as in the reference net
        # One or two of 49 cells hold a face: a start near that keeps the first steps from being swamped.
        bias = keras.initializers.Constant([0.0, 0.0, 0.0, 0.0, float(np.log(0.03 / 0.97))])
        x = layers.Conv2D(5, 1, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
                          bias_initializer=bias, name="grid_cells")(x)
        return as_model(images, {"grid_cells": x}, cfg)

    # -------------------------------------------------------------- targets

    def encode(self, sample: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Make the targets of one sample.

        A face belongs to the cell of its centre. Of faces that share a cell, the largest is learnt. A cell with the
        centre of an ignored face is left out.

        Args:
            sample: as in Family.encode, with an image of INPUT x INPUT px.

        Returns:
            `grid_labels` (S, S) int8: 1 face, 0 none, -1 left out; `grid_boxes` (S, S, 4) float32: height and width as
            fractions of the image, y and x of the centre as fractions of the cell; 0 in cells without a face.

        Raises:
            InputError: the image has another size.
        """
        if sample["image"].shape[:2] != (self.cfg.GRID.INPUT,) * 2:
            raise InputError(f"the sample has {sample['image'].shape[1]} x {sample['image'].shape[0]} px, grid expects "
                             f"GRID.INPUT, {self.cfg.GRID.INPUT} x {self.cfg.GRID.INPUT}")
        boxes = np.clip(np.asarray(sample["boxes"], np.float32) / np.float32(self.cfg.GRID.INPUT), 0, 1)
        ignore = np.asarray(sample["ignore"], bool)
        sides = boxes[:, 2:] - boxes[:, :2]
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2 * self.size
        cells = np.minimum(centres.astype(np.intp), self.size - 1)  # a centre on the border belongs to the last cell
        labels = np.full((self.size, self.size), NO_FACE, np.int8)
        targets = np.zeros((self.size, self.size, 4), np.float32)
        for n in np.lexsort((sides.prod(axis=1), ~ignore)):  # what comes last stays: the largest face that counts
            column, row = cells[n]
            labels[row, column] = LEFT_OUT if ignore[n] else FACE
            if not ignore[n]:
                targets[row, column] = *sides[n, ::-1], *(centres[n] - cells[n])[::-1]
        return {"grid_labels": labels, "grid_boxes": targets}

    # --------------------------------------------------------------- losses

    def losses(self, targets: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
        """Losses `grid_object` and `grid_box`, each (B,).

        object: binary cross-entropy summed over the cells. box, by GRID.BOX_LOSS, with boxes in units of cells:
        best_cell is the squared error between the box of the most confident cell and that of the first face's cell
        (rows from the top, cells from the left). squared and diou are the mean over the faces of the squared error or
        of DIoU, each face in its own cell. box is 0 for an image without a face.
        """
        from keras import ops

        from . import losses as terms

        cells = self.size**2
        labels = ops.reshape(ops.cast(targets["grid_labels"], "int32"), (-1, cells))
        wanted = ops.reshape(targets["grid_boxes"], (-1, cells, 4))
        logits = ops.reshape(outputs["grid_cells"], (-1, cells, 5))
        faces, counted = (ops.cast(mask, "float32") for mask in (labels == FACE, labels != LEFT_OUT))
        result = {"object": ops.sum(counted * terms.cross_entropy(logits[..., 4], faces), axis=-1)}
        number = ops.sum(faces, axis=-1)
        corner = ops.convert_to_tensor(self._corners())  # (S * S, 2) row, column
        offset, scale = ops.sigmoid(logits[..., 2:4]), np.float32(self.size)
        boxes = ops.concatenate([corner + offset, scale * ops.sigmoid(logits[..., :2])], axis=-1)  # y x h w in cells
        true = ops.concatenate([corner + wanted[..., 2:], scale * wanted[..., :2]], axis=-1)
        if self.cfg.GRID.BOX_LOSS == "best_cell":
            surest = ops.one_hot(ops.argmax(logits[..., 4], axis=-1), cells)[..., None]
            first = ops.one_hot(ops.argmax(faces, axis=-1), cells)[..., None]
            error = ops.sum(surest * boxes, axis=1) - ops.sum(first * true, axis=1)
            box = ops.sum(error**2, axis=-1) * ops.minimum(number, 1.0)
        else:
            if self.cfg.GRID.BOX_LOSS == "squared":
                error = ops.sum((boxes - true) ** 2, axis=-1)
            else:  # centres and logarithms of the sides are what diou_loss takes, with units of 1
                unlit = ops.cast(labels != FACE, "float32")[..., None]  # a side of 1 in cells that do not count
                error = terms.diou_loss(ops.concatenate([boxes[..., :2], ops.log(boxes[..., 2:] + 1e-6)], axis=-1),
                                        ops.concatenate([true[..., :2], ops.log(true[..., 2:] + unlit + 1e-6)],
                                                        axis=-1), (1.0, 1.0))
            box = ops.sum(faces * error, axis=-1) / ops.maximum(number, 1.0)
        result["box"] = self.cfg.LOSS.BOX_WEIGHT * box
        return {f"grid_{kind}": value for kind, value in result.items()}

    def _corners(self):
        rows, columns = np.divmod(np.arange(self.size**2), self.size)
        return np.stack([rows, columns], axis=1).astype(np.float32)

    # --------------------------------------------------------------- decode

    def decode(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int]) -> Detections:
        """A box for every cell whose score is at least TEST.SCORE, clipped to the image, before NMS.

        Args:
            outputs: `grid_cells` (h, w, 5) of one image.
            size: (width, height) px of the image.
        """
        logits, score = np.asarray(outputs["grid_cells"], np.float32), self.cfg.TEST.SCORE
        rows, columns = np.nonzero(logits[..., 4] >= np.log(score / (1 - score)))
        values = 1 / (1 + np.exp(-logits[rows, columns]))  # (N, 5)
        boxes = _boxes(values[:, :4], np.stack([rows, columns], axis=1), logits.shape[:2])
        return Detections(boxes.clip(0, 1) * np.array([*size, *size], np.float32), values[:, 4])

    # ----------------------------------------------------------- validation

    def validation(self, outputs: Mapping[str, np.ndarray],
                   targets: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Measure whole images that have a face, each by the box of its most confident cell.

        Args:
            outputs: `grid_cells` (N, S, S, 5) of N images.
            targets: those of `encode`, stacked.

        Returns:
            iou: summed intersections of the boxes, clipped to the image, with the box of the first face's cell, divided
                by the summed unions, areas as fractions of the image. Of several faces the first by rows counts, as in
                argmax over equal objectness. iou_nearest: the same with the face of the largest IoU instead of the
                first. mse: mean squared error of height, width, y and x as fractions of the image, against the first
                face.
        """
        faces = np.asarray(targets["grid_labels"]) == FACE  # (N, S, S)
        kept = np.flatnonzero(faces.any(axis=(1, 2)))
        if not len(kept):
            return {"iou": 0.0, "iou_nearest": 0.0, "mse": 0.0}
        predicted, truths = [], []
        for n in kept:
            values = 1 / (1 + np.exp(-np.asarray(outputs["grid_cells"][n], np.float64)))
            surest = np.argwhere(values[..., 4] == values[..., 4].max())[:1]
            places = np.argwhere(faces[n])
            predicted.append(_boxes(values[surest[:, 0], surest[:, 1], :4], surest, faces.shape[1:])[0])
            truths.append(_boxes(targets["grid_boxes"][n][faces[n]].astype(np.float64), places, faces.shape[1:]))
        iou, nearest = summed_overlaps([box.clip(0, 1) for box in predicted], truths)
        first = np.stack([boxes[0] for boxes in truths])
        mse = np.mean((_sides_and_centre(np.stack(predicted)) - _sides_and_centre(first)) ** 2)
        return {"iou": iou, "iou_nearest": nearest, "mse": float(mse)}


def _boxes(values, places, grid):
    """x1 y1 x2 y2 as fractions of the image, from h, w, y, x (N, 4) of the cells at `places` (N, 2) row, column."""
    centre = (places + values[:, 2:4]) / np.asarray(grid)
    half = values[:, :2] / 2
    return np.concatenate([(centre - half)[:, ::-1], (centre + half)[:, ::-1]], axis=1).astype(values.dtype)


def _sides_and_centre(boxes):
    return np.concatenate([boxes[:, 2:] - boxes[:, :2], (boxes[:, :2] + boxes[:, 2:]) / 2], axis=1)
