"""SSH: single stage headless face detector (arXiv 1708.03979).

Three detection modules at strides 8, 16 and 32 look for faces of three size ranges. Each has a context module beside
its own 3x3 convolution, and 1x1 heads for scores, boxes and, as an option, five landmarks. What later detectors found
useful are options too: a top-down path that joins the modules, other anchors, focal and IoU losses (docs/ssh.md).

An image goes build -> decode, a training sample encode -> losses. All but build is in anchored.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError
from .anchored import AnchorFamily, Module, heads

if TYPE_CHECKING:
    import keras
    from easydict import EasyDict

STRIDES = [8, 16, 32]  # of M1, M2, M3
MULTIPLE = 32  # height and width are padded to it inside the net


class SSH(AnchorFamily):
    """The family: `build`; the other parts come from AnchorFamily."""

    multiple = MULTIPLE

    def __init__(self, cfg: EasyDict) -> None:
        sizes, strides, borders = cfg.ANCHORS.SIZES, cfg.ANCHORS.STRIDES, cfg.ANCHORS.BORDERS
        if list(strides) != STRIDES:
            raise InputError(f"ANCHORS.STRIDES is {list(strides)}, expected {STRIDES}: ssh has its modules there")
        for key, values in (("ANCHORS.SIZES", sizes), ("ANCHORS.BORDERS", borders), ("NET.WIDTHS", cfg.NET.WIDTHS)):
            if len(values) != len(STRIDES):
                raise InputError(f"{key} holds {len(values)} entries, expected {len(STRIDES)}: one per module")
        super().__init__(cfg, [
            Module(f"m{i + 1}", stride, tuple(size), tuple(cfg.ANCHORS.RATIOS), None if border < 0 else border,
                   MULTIPLE)
            for i, (stride, size, border) in enumerate(zip(strides, sizes, borders, strict=True))
        ])

    # ------------------------------------------------------------------ net

    def build(self) -> keras.Model:
        """keras.Model: images (B, H, W, 3) RGB 0..255 -> dict of maps at the stride of each module.

        `mI_scores` (B, h, w, A) face logits, `mI_boxes` (B, h, w, 4 A) offsets as in `encode_boxes`, `mI_landmarks`
        (B, h, w, 10 A) where the config has LANDMARKS.
        """
        import keras

        from .backbones import build_backbone
        from .layers import PadToMultiple, as_model, detection_module, separable_maps, top_down

        net = self.cfg.NET
        images = keras.Input((None, None, 3), name="images")
        maps = _module_maps(build_backbone(net.BACKBONE, PadToMultiple(MULTIPLE, name="pad")(images), net), net)
        separable = separable_maps(net.SEPARABLE, [module.name for module in self.modules])
        joined = top_down(maps, net.TOP_DOWN_WIDTH, net.BN, net.SLOPE, separable) if net.TOP_DOWN else \
            _paper_fusion(maps, net, "m1" in separable)
        outputs = {}
        for module, x, width in zip(self.modules, joined, net.WIDTHS, strict=True):
            x = detection_module(x, width, module.name, net.BN, net.SLOPE, module.name in separable)
            outputs |= heads(x, module, net.LANDMARKS)
        return as_model(images, outputs, self.cfg)


# ----------------------------------------------------------- parts of the net


def _module_maps(taps, net):
    """The backbone's maps for M1, M2, M3: those of NET.TAPS, else of strides 8, 16, 32. Of two maps, M3 pools the
    second.
    """
    from keras import layers

    from .backbones import backbone_module

    names = net.TAPS.split("+") if net.TAPS else [tap for tap in ("stride8", "stride16", "stride32") if tap in taps]
    if net.TAPS:
        strides = {name: stride for name, stride, _ in backbone_module(net.BACKBONE).TAPS if name in taps}
        if [strides.get(name) for name in names] not in (STRIDES, STRIDES[:2]):
            raise InputError(f"NET.TAPS is {net.TAPS}, expected maps of strides 8, 16 and 32, or of 8 and 16 (then M3 "
                             f"pools M2's); {net.BACKBONE} has " +
                             ", ".join(f"{name} (stride {stride})" for name, stride in strides.items()))
    maps = [taps[name] for name in names]
    return maps if len(maps) == 3 else [*maps, layers.MaxPooling2D(2, name="m3_pool")(maps[1])]


def _paper_fusion(maps, net, separable):
    """Maps for M1, M2, M3 as in the paper (section 3.3): only M1 is joined with the deeper map."""
    from keras import layers

    from .layers import convolution, upsample_bilinear, wide_convolution

    (shallow, deep, third), width = maps, net.TOP_DOWN_WIDTH
    near = convolution(shallow, width, 1, "m1_lateral", net.BN, slope=net.SLOPE)
    far = upsample_bilinear(convolution(deep, width, 1, "m1_deep", net.BN, slope=net.SLOPE), "m1_up")
    x = layers.Add(name="m1_sum")([near, far])
    return wide_convolution(x, width, "m1_fused", net.BN, slope=net.SLOPE, separable=separable), deep, third
