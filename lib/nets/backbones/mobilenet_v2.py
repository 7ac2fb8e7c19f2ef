"""MobileNetV2 (arXiv 1801.04381, table 2) without its last 1x1 convolution and its classifier, in two variants.

`keras`: the net of keras.applications (widths that divide by 8, ReLU6, TensorFlow's SAME padding, epsilon 1e-3), which
takes Keras' weights. `ssd`: the light net of a single-head SSD: widths are cut to whole numbers, ReLU, one pixel of
padding on every side, epsilon 1e-5, and a last block of expansion 4 with 480 channels in place of 6 and 320.

One pixel of padding on every side puts the centre of cell i of a map at pixel i * stride whatever the size of the
image; SAME moves it by up to half a cell between odd and even sides.
"""

import keras
from keras import layers

from ...errors import InputError
from .blocks import batch_norm, normalise

BLOCKS = (  # expansion, output channels at alpha 1, stride: blocks 0 to 16 of Keras; the last one is the variant's
    (1, 16, 1), (6, 24, 2), (6, 24, 1), (6, 32, 2), (6, 32, 1), (6, 32, 1), (6, 64, 2), (6, 64, 1), (6, 64, 1),
    (6, 64, 1), (6, 96, 1), (6, 96, 1), (6, 96, 1), (6, 160, 2), (6, 160, 1), (6, 160, 1),
)  # fmt: skip
LAST_BLOCK = {"keras": (6, 320, 1), "ssd": (4, 480, 1)}
STAGE_OF_BLOCK = (1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5)  # conv1 belongs to stage 1; for `frozen_stages`
STAGES = 5

TAPS = (("stride4", 4, 24), ("stride8", 8, 32), ("stride16", 16, 96), ("stride32", 32, 320))
"""Outputs: name, stride, channels at alpha 1: the ends of blocks 2, 5, 12 and 16, linear, as their successors see them.

Without the last stride there is no stride32, and stride16 is the end of block 16 (of `ssd` it has 480 channels).
"""
TAP_OF_BLOCK = {2: "stride4", 5: "stride8", 12: "stride16", 16: "stride32"}
VARIANTS = {"keras": "minus_one_to_one", "ssd": "minus_one_to_one"}  # and the normalisation of the input


def width(channels, alpha, variant="keras"):
    """Channels of a layer at a width multiplier: divisible by 8 and not under 90 % (keras), or cut off (ssd).

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


def mobilenet_v2(
    images,
    alpha=1.0,
    variant="keras",
    preprocess=None,
    remove_last_stride=False,
    frozen_bn=False,
    synchronized_bn=False,
    frozen_stages=0,
):
    """Feature maps of MobileNetV2.

    images: (B, H, W, 3) KerasTensor, RGB 0..255, any H and W. alpha multiplies every width, see `width`.
    preprocess: a key of blocks.NORMALISATIONS; None: the one of the variant.
    remove_last_stride: block 13 keeps the size of its input, so that the deepest map has stride 16; see TAPS.
    frozen_bn: batch normalisation uses its stored moments and is not trained.
    frozen_stages: 0 to 5, the first stages that are not trained (a stage begins where the size halves).
    Returns dict name -> KerasTensor (B, ceil(H / stride), ceil(W / stride), C), see TAPS.
    """
    if variant not in VARIANTS:
        raise InputError(f"NET.VARIANT: found {variant!r}, expected {' or '.join(VARIANTS)} for mobilenet_v2")
    symmetric = variant == "ssd"

    def conv_bn(x, convolution, stride, name, stage, linear=False):
        frozen = stage <= frozen_stages
        padding = "same"
        if symmetric and stride == 2:  # SAME pads an even side at its end only
            x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
            padding = "valid"
        x = convolution(strides=stride, padding=padding, use_bias=False, name=name, trainable=not frozen)(x)
        x = batch_norm(x, f"{name}_bn", 1e-5 if symmetric else 1e-3, frozen or frozen_bn, synchronized_bn)
        return x if linear else layers.ReLU(None if variant == "ssd" else 6.0, name=f"{name}_act")(x)

    def conv(channels, size):
        return lambda **options: layers.Conv2D(channels, size, **options)

    def depthwise(**options):
        return layers.DepthwiseConv2D(3, **options)

    def inverted_residual(x, block, expansion, channels, stride, stage):
        """Expand, filter each channel, project to few channels without an activation (section 3.4 and figure 3)."""
        entry, name = x, f"block{block}"
        if expansion > 1:
            x = conv_bn(x, conv(expansion * x.shape[-1], 1), 1, f"{name}_expand", stage)
        x = conv_bn(x, depthwise, stride, f"{name}_depthwise", stage)
        x = conv_bn(x, conv(channels, 1), 1, f"{name}_project", stage, linear=True)
        if stride == 1 and entry.shape[-1] == channels:
            x = layers.Add(name=f"{name}_add")([entry, x])
        return x

    taps = {}
    x = normalise(images, preprocess or VARIANTS[variant])
    x = conv_bn(x, conv(width(32, alpha, variant), 3), 2, "conv1", stage=1)
    blocks = (*BLOCKS, LAST_BLOCK[variant])
    for block, ((expansion, channels, stride), stage) in enumerate(zip(blocks, STAGE_OF_BLOCK, strict=True)):
        stride = 1 if block == 13 and remove_last_stride else stride
        x = inverted_residual(x, block, expansion, width(channels, alpha, variant), stride, stage)
        if block in TAP_OF_BLOCK:
            taps[TAP_OF_BLOCK[block]] = x
    if remove_last_stride:
        taps["stride16"] = taps.pop("stride32")
    return taps


def build(images, cfg, preprocess=None, synchronized_bn=False):
    """`mobilenet_v2` from the NET section of a config, see build_backbone."""
    return mobilenet_v2(
        images,
        alpha=cfg.get("ALPHA", 1.0),
        variant=cfg.get("VARIANT", "keras"),
        preprocess=preprocess,
        remove_last_stride=not cfg.get("LAST_STRIDE", True),
        frozen_bn=cfg.get("FROZEN_BN", False),
        synchronized_bn=synchronized_bn,
        frozen_stages=cfg.get("FROZEN_STAGES", 0),
    )


def keras_source(cfg, weights="imagenet"):
    """keras.applications' own net with its weights; raises what Keras raises when they cannot be had."""
    if cfg.get("VARIANT", "keras") != "keras":
        raise InputError(f"NET.VARIANT: Keras has no weights for {cfg['VARIANT']!r}, expected keras")
    alpha = cfg.get("ALPHA", 1.0)
    # The weights do not depend on the size; 224 is the one that Keras offers them for without a warning.
    return keras.applications.MobileNetV2(alpha=alpha, include_top=False, weights=weights, input_shape=(224, 224, 3))


def keras_layer_name(name):
    """Name in keras.applications of one of this module's layers.

    >>> [keras_layer_name(name) for name in ("conv1_bn", "block0_project", "block12_expand_bn")]
    ['bn_Conv1', 'expanded_conv_project', 'block_12_expand_BN']
    """
    if not name.startswith("block"):
        return {"conv1": "Conv1", "conv1_bn": "bn_Conv1"}.get(name, name)
    block, _, rest = name.removeprefix("block").partition("_")
    return f"{'expanded_conv' if block == '0' else f'block_{block}'}_{rest.replace('_bn', '_BN')}"


def from_keras(name, values):
    """Weights of layer `name` as this net takes them, from keras.applications': the same."""
    return values
