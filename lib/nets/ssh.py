"""SSH: single stage headless face detector (arXiv 1708.03979).

Three detection modules at strides 8, 16 and 32 look for faces of three size ranges; each has a context module beside
its own 3x3 convolution, and 1x1 heads for scores, boxes and, as an option, five landmarks. What later detectors found
useful are options too: a top-down path that joins the modules, other anchors, focal and IoU losses (docs/ssh.md).

An image goes build -> decode; a training sample goes encode -> losses.
"""

import functools
from dataclasses import dataclass

import numpy as np

from ..boxes import anchor_grid, anchor_targets, decode_boxes, decode_landmarks, encode_boxes, encode_landmarks
from ..detector import Detections
from ..errors import InputError

STRIDES = [8, 16, 32]  # of M1, M2, M3
MULTIPLE = 32  # height and width are padded to it inside the net


@dataclass(frozen=True)
class Module:
    """One detection module: its name, stride in px, anchor sizes in px, ratios, and border (None: any)."""

    name: str
    stride: int
    sizes: tuple
    ratios: tuple
    border: float | None

    @property
    def anchors(self):
        return len(self.sizes) * len(self.ratios)

    def level(self, width, height):
        """Feature map and anchors as `anchor_targets` takes them, for an image of width x height px."""
        rows, columns = (-(-side // MULTIPLE) * MULTIPLE // self.stride for side in (height, width))
        return rows, columns, self.stride, self.sizes, self.ratios, self.border


class SSH:
    """The family: `build`, `encode`, `losses`, `decode`, all from one config."""

    multiple = MULTIPLE  # so that a Detector can batch images of like size

    def __init__(self, cfg):
        self.cfg = cfg
        sizes, strides, borders = cfg.ANCHORS.SIZES, cfg.ANCHORS.STRIDES, cfg.ANCHORS.BORDERS
        if list(strides) != STRIDES:
            raise InputError(f"ANCHORS.STRIDES is {list(strides)}, expected {STRIDES}: ssh has its modules there")
        for key, values in (("ANCHORS.SIZES", sizes), ("ANCHORS.BORDERS", borders), ("NET.WIDTHS", cfg.NET.WIDTHS)):
            if len(values) != len(STRIDES):
                raise InputError(f"{key} holds {len(values)} entries, expected {len(STRIDES)}: one a module")
        self.modules = [
            Module(f"m{i + 1}", stride, tuple(size), tuple(cfg.ANCHORS.RATIOS), None if border < 0 else border)
            for i, (stride, size, border) in enumerate(zip(strides, sizes, borders, strict=True))
        ]

    # ------------------------------------------------------------------ net

    def build(self):
        """keras.Model: images (B, H, W, 3) RGB 0..255 -> dict of maps at each module's stride.

        `mI_scores` (B, h, w, A) face logits, `mI_boxes` (B, h, w, 4 A) offsets as `encode_boxes` defines them,
        `mI_landmarks` (B, h, w, 10 A) where the config has LANDMARKS.
        """
        import keras

        from .backbones import build_backbone
        from .layers import PadToMultiple

        net = self.cfg.NET
        images = keras.Input((None, None, 3), name="images")
        taps = build_backbone(net.BACKBONE, PadToMultiple(MULTIPLE, name="pad")(images), net)
        joined = _top_down(taps, net) if net.TOP_DOWN else _paper_fusion(taps, net)
        outputs = {}
        for module, x, width in zip(self.modules, joined, net.WIDTHS, strict=True):
            x = _detection_module(x, width, module.name, net.BN)
            outputs |= _heads(x, module, net.LANDMARKS)
        model = keras.Model(images, outputs, name=self.cfg.NAME or "ssh")
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = net.BN_MOMENTUM
        return model

    # -------------------------------------------------------------- targets

    def encode(self, sample):
        """Targets of one sample: dict of arrays per module, A anchors in the order of `anchor_grid`.

        sample: dict with image (H, W, 3), boxes (N, 4) px, ignore (N,) bool, landmarks (N, 5, 2) NaN = not labelled.
        Gives `mI_labels` (A,) int8: 1 face, 0 background, -1 left out; `mI_boxes` (A, 4) float32; with LANDMARKS
        `mI_landmarks` (A, 10) float32 and `mI_landmark_mask` (A,) float32. Offsets are 0 where they do not count.
        """
        cfg = self.cfg.TARGETS
        height, width = sample["image"].shape[:2]
        levels = [module.level(width, height) for module in self.modules]
        labels, matched = anchor_targets(levels, sample["boxes"], sample["ignore"], (width, height), cfg.POSITIVE,
                                         cfg.NEGATIVE, cfg.BEST, cfg.IGNORE_OVERLAP)
        targets, start = {}, 0
        for module, level in zip(self.modules, levels, strict=True):
            end = start + level[0] * level[1] * module.anchors
            part = slice(start, end)
            targets |= self._encode_module(module, level, labels[part], matched[part], sample)
            start = end
        return targets

    def _encode_module(self, module, level, labels, matched, sample):
        variances = self.cfg.TARGETS.VARIANCES
        faces = np.flatnonzero(labels == 1)
        anchors = _anchors_at(faces, level)
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

    def losses(self, targets, outputs):
        """Dict of `mI_class`, `mI_box`, `mI_landmark`, each (B,); targets as `encode` gives them, batched."""
        from keras import ops

        loss, losses = self.cfg.LOSS, {}
        labels = {m.name: ops.cast(targets[f"{m.name}_labels"], "int32") for m in self.modules}
        positives = sum(ops.sum(ops.cast(part == 1, "float32"), axis=-1) for part in labels.values())
        for module in self.modules:
            part = self._module_losses(module.name, labels[module.name], targets, outputs,
                                       ops.maximum(positives, loss.MIN_POSITIVES))
            losses |= {f"{module.name}_{kind}": value for kind, value in part.items()}
        return losses

    def _module_losses(self, name, labels, targets, outputs, positives):
        """An image's losses in one module: over its mined anchors (ohem), or over the image's positives (focal)."""
        from keras import ops

        from . import losses as terms

        loss, variances = self.cfg.LOSS, self.cfg.TARGETS.VARIANCES
        batch, anchors = ops.shape(labels)
        logits = ops.reshape(outputs[f"{name}_scores"], (batch, anchors))
        offsets = ops.reshape(outputs[f"{name}_boxes"], (batch, anchors, 4))
        faces = ops.cast(labels == 1, "float32")
        if loss.CLASS == "ohem":
            mined = ops.stop_gradient(terms.mine_hard_examples(logits, labels, loss.OHEM_BATCH, loss.OHEM_POSITIVE))
            number = ops.maximum(ops.sum(mined, axis=-1), 1.0)
            result = {"class": ops.sum(mined * terms.cross_entropy(logits, faces), axis=-1) / number}
            faces = faces * mined
        else:
            number = positives
            result = {"class": terms.focal_loss(logits, labels, loss.FOCAL_ALPHA, loss.FOCAL_GAMMA) / number}
        if loss.BOX == "diou":
            distance = terms.diou_loss(offsets, targets[f"{name}_boxes"], variances)
        else:
            distance = terms.smooth_l1(offsets, targets[f"{name}_boxes"])
        result["box"] = loss.BOX_WEIGHT * ops.sum(faces * distance, axis=-1) / number
        if self.cfg.NET.LANDMARKS:
            points = ops.reshape(outputs[f"{name}_landmarks"], (batch, anchors, 10))
            distance = terms.smooth_l1(points, targets[f"{name}_landmarks"])
            known = faces * targets[f"{name}_landmark_mask"]
            result["landmark"] = loss.LANDMARK_WEIGHT * ops.sum(known * distance, axis=-1) / number
        return result

    # --------------------------------------------------------------- decode

    def decode(self, outputs, size):
        """Detections of one image before NMS.

        outputs: the net's dict of one image, arrays (h, w, channels); size: (width, height) px of the image.
        Of each module the TEST.TOP highest scores above TEST.SCORE are kept; boxes are clipped to the image.
        """
        test, variances = self.cfg.TEST, self.cfg.TARGETS.VARIANCES
        scores, boxes, landmarks = [], [], []
        for module in self.modules:
            logits = np.asarray(outputs[f"{module.name}_scores"])
            rows, columns = logits.shape[:2]
            kept = _highest(logits.ravel(), test.SCORE, test.TOP)
            anchors = _anchors_at(kept, (rows, columns, module.stride, module.sizes, module.ratios))
            offsets = np.asarray(outputs[f"{module.name}_boxes"]).reshape(-1, 4)[kept]
            scores.append(1 / (1 + np.exp(-logits.ravel()[kept].astype(np.float32))))
            boxes.append(decode_boxes(offsets, anchors, variances))
            if self.cfg.NET.LANDMARKS:
                points = np.asarray(outputs[f"{module.name}_landmarks"]).reshape(-1, 10)[kept]
                landmarks.append(decode_landmarks(points, anchors, variances[0]))
        boxes = np.concatenate(boxes)
        boxes[:, 0::2] = boxes[:, 0::2].clip(0, size[0])
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, size[1])
        return Detections(boxes, np.concatenate(scores), np.concatenate(landmarks) if landmarks else None)


# ------------------------------------------------------------------ anchors


def _anchors_at(index, level):
    """Anchors (N, 4) at the given positions of a level's anchor grid, without making the whole grid."""
    rows, columns, stride, sizes, ratios = level[:5]
    cell, kind = np.divmod(index, len(sizes) * len(ratios))
    row, column = np.divmod(cell, columns)
    shift = np.stack([column, row, column, row], axis=1).astype(np.float32) * np.float32(stride)
    return _anchors_of_first_cell(stride, sizes, ratios)[kind] + shift


@functools.cache
def _anchors_of_first_cell(stride, sizes, ratios):
    return anchor_grid(1, 1, stride, sizes, ratios)


def _highest(logits, score, top):
    """Indices of at most `top` logits whose score is at least `score`."""
    kept = np.flatnonzero(logits >= np.log(score / (1 - score)))
    if len(kept) > top:
        kept = np.sort(kept[np.argpartition(-logits[kept], top - 1)[:top]])
    return kept


# ----------------------------------------------------------- parts of the net


def _paper_fusion(taps, net):
    """Maps for M1, M2, M3 as the paper has them (section 3.3): only M1 is joined with the deeper map."""
    from keras import layers

    from .layers import convolution, upsample_bilinear

    width = net.TOP_DOWN_WIDTH
    shallow = convolution(taps["stride8"], width, 1, "m1_lateral", net.BN)
    deep = upsample_bilinear(convolution(taps["stride16"], width, 1, "m1_deep", net.BN), "m1_up")
    first = convolution(layers.Add(name="m1_sum")([shallow, deep]), width, 3, "m1_fused", net.BN)
    return first, taps["stride16"], _third(taps)


def _third(taps):
    """The map of M3: the backbone's, or M2's after pooling where the backbone ends at stride 16."""
    from keras import layers

    return taps["stride32"] if "stride32" in taps else layers.MaxPooling2D(2, name="m3_pool")(taps["stride16"])


def _top_down(taps, net):
    """Maps for M1, M2, M3 joined from the deepest to the shallowest (feature pyramid, arXiv 1612.03144)."""
    from keras import layers

    from .layers import convolution

    width, joined, above = net.TOP_DOWN_WIDTH, [], None
    taps = {"stride32": _third(taps), **taps}
    for number, tap in ((3, "stride32"), (2, "stride16"), (1, "stride8")):
        x = convolution(taps[tap], width, 1, f"m{number}_lateral", net.BN)
        if above is not None:
            above = layers.UpSampling2D(2, interpolation="nearest", name=f"m{number}_up")(above)
            x = convolution(layers.Add(name=f"m{number}_sum")([x, above]), width, 3, f"m{number}_fused", net.BN)
        joined.insert(0, x)
        above = x
    return joined


def _detection_module(x, width, name, bn):
    """3x3 convolution beside the context module (section 3.2 and figure 4): 2 * width channels."""
    from keras import layers

    from .layers import convolution

    near = convolution(x, width, 3, f"{name}_conv", bn, relu=False)
    shared = convolution(x, width // 2, 3, f"{name}_context", bn)
    wide = convolution(shared, width // 2, 3, f"{name}_context5", bn, relu=False)
    wider = convolution(convolution(shared, width // 2, 3, f"{name}_context7a", bn), width // 2, 3,
                        f"{name}_context7b", bn, relu=False)
    return layers.ReLU(name=f"{name}_relu")(layers.Concatenate(name=f"{name}_module")([near, wide, wider]))


def _heads(x, module, landmarks):
    import keras
    from keras import layers

    # A face is rare: a start at score 0.01 keeps the first steps from being swamped (RetinaNet, section 3.3).
    rare = keras.initializers.Constant(float(np.log(0.01 / 0.99)))
    small = keras.initializers.RandomNormal(stddev=0.01)
    parts = [("scores", 1, rare), ("boxes", 4, "zeros")] + ([("landmarks", 10, "zeros")] if landmarks else [])
    return {
        f"{module.name}_{kind}": layers.Conv2D(channels * module.anchors, 1, kernel_initializer=small,
                                               bias_initializer=bias, name=f"{module.name}_{kind}")(x)
        for kind, channels, bias in parts
    }
