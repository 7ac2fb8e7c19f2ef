"""SSD with one head on MobileNetV2: a light detector at 300 x 300 px (SSD: arXiv 1512.02325; MobileNetV2: 1801.04381).

The backbone keeps stride 16 to its end, and everything is predicted there. A 3x3 depthwise convolution and a 1x1
convolution give scores, another pair gives boxes, for nine anchors per cell whose widths and heights come from
clustering faces. Images are squeezed to 300 x 300 px (TEST.SIZE), but the net is fully convolutional and takes any
size.

An image goes build -> decode, a training sample encode -> losses. All but build is in anchored.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError
from .anchored import AnchorFamily, Module, heads

if TYPE_CHECKING:
    import keras
    from easydict import EasyDict

TAPS = {8: "stride8", 16: "stride16", 32: "stride32"}


class SSD(AnchorFamily):
    """The family: `build`; the other parts come from AnchorFamily."""

    def __init__(self, cfg: EasyDict) -> None:
        widths, heights, strides = cfg.ANCHORS.WIDTHS, cfg.ANCHORS.HEIGHTS, list(cfg.ANCHORS.STRIDES)
        if len(strides) != 1 or strides[0] not in TAPS:
            raise InputError(f"ANCHORS.STRIDES is {strides}, expected one of [8], [16] and [32]: ssd has a single head")
        if not widths or len(widths) != len(heights):
            raise InputError(f"ANCHORS.WIDTHS and ANCHORS.HEIGHTS hold {len(widths)} and {len(heights)} entries, "
                             "expected the same number of each, one per anchor of a cell")
        anchors = tuple(zip(map(float, widths), map(float, heights), strict=True))
        super().__init__(cfg, [Module("head", strides[0], anchors)])

    def build(self) -> keras.Model:
        """keras.Model: images (B, H, W, 3) RGB 0..255 -> dict of maps with ceil(H / stride) rows.

        `head_scores` (B, h, w, A) face logits, `head_boxes` (B, h, w, 4 A) offsets as in `encode_boxes`,
        `head_landmarks` (B, h, w, 10 A) where the config has LANDMARKS.
        """
        import keras
        from keras import layers

        from .backbones import build_backbone
        from .layers import BatchNormalization, as_model

        net, (module,) = self.cfg.NET, self.modules
        images = keras.Input((None, None, 3), name="images")
        taps = build_backbone(net.BACKBONE, images, net)
        if TAPS[module.stride] not in taps:
            raise InputError(f"ANCHORS.STRIDES is [{module.stride}], but {net.BACKBONE} with NET.LAST_STRIDE "
                             f"{net.LAST_STRIDE} has only {', '.join(taps)}")

        def depthwise(x, name):
            x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
            x = BatchNormalization(epsilon=1e-5, name=f"{name}_bn")(x)
            return layers.ReLU(name=f"{name}_act")(x)

        outputs = heads(taps[TAPS[module.stride]], module, net.LANDMARKS, depthwise)
        return as_model(images, outputs, self.cfg)
