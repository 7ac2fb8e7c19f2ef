"""Tiny Faces, HR (Finding Tiny Faces, arXiv 1612.04402): many templates on one fine grid, context, and an image
pyramid.

Each cell of the stride-8 map has templates of clustered widths and heights (section 3.2). The score and offsets of a
template come from several depths of the backbone at once, so that the net receives a face of few pixels with what
surrounds it: 1x1 convolutions on each tap, the deeper maps upsampled bilinearly and added. A pyramid brings every face
to a size that suits a template. TEST.TEMPLATES says which templates run at which scale.

With NET.TOP_DOWN the taps are joined as features instead, and one of SSH's detection modules precedes the heads. A
narrow backbone needs that (docs/tiny.md).

An image goes build -> at_scale -> decode, a training sample encode -> losses. All but build and at_scale is in
anchored.py: a template is an anchor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .anchored import AnchorFamily, Module, heads

if TYPE_CHECKING:
    import keras
    from easydict import EasyDict

TAPS = {4: "stride4", 8: "stride8", 16: "stride16", 32: "stride32"}
SCORES = "templates_scores"


class Tiny(AnchorFamily):
    """The family: `build` and `at_scale`; the other parts come from AnchorFamily."""

    def __init__(self, cfg: EasyDict) -> None:
        widths, heights, strides = cfg.ANCHORS.WIDTHS, cfg.ANCHORS.HEIGHTS, list(cfg.ANCHORS.STRIDES)
        if not strides or any(stride not in TAPS for stride in strides) or any(
                deep != 2 * shallow for shallow, deep in zip(strides, strides[1:], strict=False)):
            raise InputError(f"ANCHORS.STRIDES is {strides}, expected the strides of the backbone's maps that are "
                             "added, each twice the one before, such as [8, 16]; the templates stand on the first")
        if not widths or len(widths) != len(heights):
            raise InputError(f"ANCHORS.WIDTHS and ANCHORS.HEIGHTS hold {len(widths)} and {len(heights)} entries, "
                             "expected the same number of each, one per template")
        self.strides = strides
        self.multiple = strides[-1]  # px: height and width are padded to it inside the net
        templates = tuple(zip(map(float, widths), map(float, heights), strict=True))
        super().__init__(cfg, [Module("templates", strides[0], templates, multiple=self.multiple)])
        _ = self.rules  # a wrong one is an error here

    @property
    def rules(self) -> list:
        """TEST.TEMPLATES as it is now: an exported model's may be changed after this object was made."""
        return _checked_rules(self.cfg.TEST.TEMPLATES, self.modules[0].anchors)

    # ------------------------------------------------------------------ net

    def build(self) -> keras.Model:
        """keras.Model: images (B, H, W, 3) RGB 0..255 -> dict of maps at the first of the strides.

        `templates_scores` (B, h, w, T) face logits, `templates_boxes` (B, h, w, 4 T) offsets as in `encode_boxes`,
        `templates_landmarks` (B, h, w, 10 T) where the config has LANDMARKS.
        """
        import keras

        from .backbones import build_backbone
        from .layers import PadToMultiple, as_model, detection_module, separable_maps, top_down

        net, (module,) = self.cfg.NET, self.modules
        images = keras.Input((None, None, 3), name="images")
        taps = build_backbone(net.BACKBONE, PadToMultiple(self.multiple, name="pad")(images), net)
        missing = [TAPS[stride] for stride in self.strides if TAPS[stride] not in taps]
        if missing:
            raise InputError(f"ANCHORS.STRIDES is {self.strides}, but {net.BACKBONE} with NET.LAST_STRIDE "
                             f"{net.LAST_STRIDE} has only {', '.join(taps)}")
        maps = [taps[TAPS[stride]] for stride in self.strides]
        if net.TOP_DOWN:
            separable = separable_maps(net.SEPARABLE, [f"m{number}" for number in range(1, len(maps) + 1)])
            x = top_down(maps, net.TOP_DOWN_WIDTH, net.BN, net.SLOPE, separable)[0]
            x = detection_module(x, net.WIDTHS[0], module.name, net.BN, net.SLOPE, "m1" in separable)
            outputs = heads(x, module, net.LANDMARKS)
        else:
            outputs = _added(maps, self.strides, module, net.LANDMARKS)
        return as_model(images, outputs, self.cfg)

    # -------------------------------------------------------------- pyramid

    def templates_at(self, scale: float) -> np.ndarray:
        """(T,) bool: the templates that run on an image that was scaled by this factor (TEST.TEMPLATES)."""
        number = np.arange(1, self.modules[0].anchors + 1)
        used = np.full(len(number), not self.rules)
        for over, first, last, *upto in self.rules:
            if scale > over and all(scale <= most for most in upto):
                used |= (number >= first) & (number <= last)
        return used

    def at_scale(self, outputs: Mapping[str, np.ndarray], scale: float) -> Mapping[str, np.ndarray]:
        """The maps with the logits of templates that do not run at this scale at -inf."""
        if not self.rules:
            return outputs
        return {**outputs, SCORES: np.where(self.templates_at(scale), outputs[SCORES], np.float32(-np.inf))}


def _checked_rules(rules, templates):
    """TEST.TEMPLATES as it is; InputError for a rule with too few or too many entries, or of templates that do not
    exist.
    """
    for rule in rules:
        if not 3 <= len(rule) <= 4 or not 1 <= rule[1] <= rule[2] <= templates:
            raise InputError(f"TEST.TEMPLATES holds {list(rule)}, expected [over, first, last] or "
                             f"[over, first, last, up to]: scales, and the numbers of two of the {templates} "
                             f"templates, such as [1, 1, {templates}]")
    return rules


def _added(maps, strides, module, landmarks):
    """The outputs of the module: those of each map, the deeper ones upsampled and added."""
    from keras import layers

    from .layers import upsample_bilinear

    total: dict[str, Any] = {}
    for stride, x in reversed(list(zip(strides, maps, strict=True))):
        # The bias of the first map alone says how rare a face is; with two biases it would be far rarer.
        own = heads(x, replace(module, name=f"stride{stride}"), landmarks, prior=0.01 if x is maps[0] else 0.5)
        kinds = {name.rpartition("_")[2]: value for name, value in own.items()}
        if not total:
            total = kinds
        else:
            total = {kind: layers.Add(name=f"stride{stride}_{kind}_sum")([
                kinds[kind], upsample_bilinear(value, f"stride{stride}_{kind}_up")]) for kind, value in total.items()}
    return {f"{module.name}_{kind}": value for kind, value in total.items()}
