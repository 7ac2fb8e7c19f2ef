"""MobileNetV2 (arXiv 1801.04381, table 2) without its last 1x1 convolution and its classifier, in two variants.

`keras`: the net of keras.applications (widths that divide by 8, ReLU6, TensorFlow's SAME padding, epsilon 1e-3). It
takes Keras' weights, and TF-Slim's, whose net is the same. `ssd`: the light net of a single-head SSD: widths are cut to
whole numbers, ReLU, one pixel of padding on every side, epsilon 1e-5, and a last block of expansion 4 with 480 channels
instead of 6 and 320.

One pixel of padding on every side puts the centre of cell i of a map at pixel i * stride, whatever the size of the
image. SAME moves it by up to half a cell between odd and even sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from .blocks import ConvBN, check_keras_has, normalise, variant_of

BLOCKS = (  # expansion, output channels at alpha 1, stride: blocks 0 to 16 of Keras; the last one is the variant's
    (1, 16, 1), (6, 24, 2), (6, 24, 1), (6, 32, 2), (6, 32, 1), (6, 32, 1), (6, 64, 2), (6, 64, 1), (6, 64, 1),
    (6, 64, 1), (6, 96, 1), (6, 96, 1), (6, 96, 1), (6, 160, 2), (6, 160, 1), (6, 160, 1),
)  # fmt: skip
LAST_BLOCK = {"keras": (6, 320, 1), "ssd": (4, 480, 1)}
STAGE_OF_BLOCK = (1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5)  # conv1 belongs to stage 1; for `frozen_stages`
STAGES = 5

TAPS = (("stride4", 4, 24), ("layer5", 8, 32), ("stride8", 8, 32), ("stride16", 16, 96), ("stride32", 32, 320))
"""Outputs: name, stride, channels at alpha 1: the ends of blocks 2, 3, 5, 12 and 16, linear, as their successors
receive them. layer5 is TF-Slim's name for the end of block 3, which SSH's reproduction takes; its layer 14 is stride16.

Without the last stride there is no stride32, and stride16 is the end of block 16 (of `ssd` it has 480 channels).
"""
TAP_OF_BLOCK = {2: "stride4", 3: "layer5", 5: "stride8", 12: "stride16", 16: "stride32"}
VARIANTS = {"keras": "minus_one_to_one", "ssd": "minus_one_to_one"}  # and the normalisation of the input


def width(channels: int, alpha: float, variant: str = "keras") -> int:
    """Channels of a layer at a width multiplier: divisible by 8 and not under 90 % (keras), or cut off (ssd).

    Examples:
        >>> [width(channels, 0.75) for channels in (32, 16, 24, 320)]
        [24, 16, 24, 240]
        >>> [width(channels, 0.75, "ssd") for channels in (32, 16, 24, 480)]
        [24, 12, 18, 360]
    """
    wanted = int(channels * alpha)
    if variant == "ssd":
        return max(1, wanted)
    rounded = max(8, (wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def build(images: keras.KerasTensor, cfg: Mapping[str, Any],
          preprocess: str | None = None) -> dict[str, keras.KerasTensor]:
    """Feature maps of MobileNetV2, see build_backbone and TAPS.

    Keys of cfg: ALPHA multiplies every width, see `width`; VARIANT; LAST_STRIDE False: block 13 keeps the size of its
    input; FROZEN_STAGES (a stage begins where the size halves); FROZEN_BN.
    """
    variant, alpha = variant_of(cfg, VARIANTS, "mobilenet_v2"), cfg.get("ALPHA", 1.0)
    last_stride, ssd = cfg.get("LAST_STRIDE", True), variant == "ssd"
    conv_bn = ConvBN.from_config(cfg, epsilon=1e-5 if ssd else 1e-3, fixed_padding=ssd,
                                 activation=lambda name: layers.ReLU(None if ssd else 6.0, name=name))
    taps = {}
    x = normalise(images, preprocess or VARIANTS[variant])
    x = conv_bn(x, "conv1", 1, width(32, alpha, variant), size=3, stride=2)
    blocks = (*BLOCKS, LAST_BLOCK[variant])
    for block, ((expansion, channels, stride), stage) in enumerate(zip(blocks, STAGE_OF_BLOCK, strict=True)):
        stride = 1 if block == 13 and not last_stride else stride
        x = _inverted_residual(x, conv_bn, f"block{block}", stage, expansion, width(channels, alpha, variant), stride)
        if block in TAP_OF_BLOCK:
            taps[TAP_OF_BLOCK[block]] = x
    if not last_stride:
        taps["stride16"] = taps.pop("stride32")
    return taps


def _inverted_residual(x, conv_bn, name, stage, expansion, channels, stride):
    """Expand, filter each channel, project to few channels without an activation (section 3.4 and figure 3)."""
    entry = x
    if expansion > 1:
        x = conv_bn(x, f"{name}_expand", stage, expansion * x.shape[-1])
    x = conv_bn(x, f"{name}_depthwise", stage, None, size=3, stride=stride)
    x = conv_bn(x, f"{name}_project", stage, channels, linear=True)
    if stride == 1 and entry.shape[-1] == channels:
        x = layers.Add(name=f"{name}_add")([entry, x])
    return x


def keras_source(cfg: Mapping[str, Any], weights: str | None = "imagenet") -> keras.Model:
    """The net of keras.applications with its weights. Raises what Keras raises when they cannot be loaded."""
    check_keras_has(cfg)
    alpha = cfg.get("ALPHA", 1.0)
    # The weights do not depend on the size. Keras gives a warning for others than 224.
    return keras.applications.MobileNetV2(alpha=alpha, include_top=False, weights=weights, input_shape=(224, 224, 3))


def keras_layer_name(name: str) -> str:
    """Name in keras.applications of a layer of this module.

    Examples:
        >>> [keras_layer_name(name) for name in ("conv1_bn", "block0_project", "block12_expand_bn")]
        ['bn_Conv1', 'expanded_conv_project', 'block_12_expand_BN']
    """
    if not name.startswith("block"):
        return {"conv1": "Conv1", "conv1_bn": "bn_Conv1"}.get(name, name)
    block, _, rest = name.removeprefix("block").partition("_")
    return f"{'expanded_conv' if block == '0' else f'block_{block}'}_{rest.replace('_bn', '_BN')}"


def from_keras(name: str, values: list) -> list:
    """Weights of layer `name` of keras.applications for this net: the same."""
    return values


def slim_scope(name: str) -> str:
    """Scope of a convolution's variables in TF-Slim's checkpoints, below MobilenetV2.

    Examples:
        >>> [slim_scope(name) for name in ("conv1", "block0_project", "block12_expand")]
        ['Conv', 'expanded_conv/project', 'expanded_conv_12/expand']
    """
    if name == "conv1":
        return "Conv"
    block, layer = name.removeprefix("block").split("_")
    return f"expanded_conv{'' if block == '0' else f'_{block}'}/{layer}"
