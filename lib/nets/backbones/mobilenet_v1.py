"""MobileNetV1 (arXiv 1704.04861, table 1) without its classifier, in three variants.

`keras`: the net of keras.applications (ReLU6, TensorFlow's SAME padding, epsilon 1e-3). It takes Keras' weights, and
TF-Slim's, whose net is the same. `torch`: LeakyReLU 0.1, one pixel of padding on every side, epsilon 1e-5: the x0.25
net of PyTorch face detectors. `torch_relu`: the same with plain ReLU, which takes its weights as a start of a training.
ONNX Runtime runs an SSH on it in 0.8 of the time.

The preprocessing of the x0.25 ImageNet weights is not documented, so it was measured on 160 train images of WIDER FACE.
With RGB minus mean, divided by std, the inputs of all batch normalisations vary nearly as their stored moments say
(mean |log variance ratio| 0.17; x / 127.5 - 1: 0.58; x / 255: 1.1; Caffe's BGR: 4.7). The classifier of the source is
more confident with RGB than with BGR (mean top probability 0.20 against 0.15, entropy 3.90 against 4.31 nats).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from .blocks import ConvBN, check_keras_has, normalise, variant_of

BLOCKS = (  # output channels at alpha 1, stride
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1),
    (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
STAGE_OF_BLOCK = (1, 2, 2, 3, 3, 4, 4, 4, 4, 4, 4, 5, 5)  # conv1 belongs to stage 1; for `frozen_stages`
STAGES = 5

TAPS = (("stride4", 4, 128), ("stride8", 8, 256), ("stride16", 16, 512), ("stride32", 32, 1024))
"""Outputs: name, stride, channels at alpha 1: the ends of blocks 3, 5, 11 and 13.

Without the last stride there is no stride32, and stride16 is the end of block 13 with its 1024 channels.
"""
TAP_OF_BLOCK = {3: "stride4", 5: "stride8", 11: "stride16", 13: "stride32"}
VARIANTS = {"keras": "minus_one_to_one", "torch": "imagenet_torch",  # and the input of their ImageNet weights
            "torch_relu": "imagenet_torch"}


def build(images: keras.KerasTensor, cfg: Mapping[str, Any],
          preprocess: str | None = None) -> dict[str, keras.KerasTensor]:
    """Feature maps of MobileNetV1, see build_backbone and TAPS.

    Keys of cfg: ALPHA multiplies every width; VARIANT; LAST_STRIDE False: block 12 keeps the size of its input, as in
    SSH's reproduction; FROZEN_STAGES (a stage begins where the size halves); FROZEN_BN.
    """
    variant, alpha = variant_of(cfg, VARIANTS, "mobilenet_v1"), cfg.get("ALPHA", 1.0)
    last_stride = cfg.get("LAST_STRIDE", True)
    torch = variant != "keras"
    activations = {"keras": lambda name: layers.ReLU(6.0, name=name),
                   "torch": lambda name: layers.LeakyReLU(0.1, name=name),
                   # A name of its own, for weight files are checked by the kinds of layers of the same name.
                   "torch_relu": lambda name: layers.ReLU(name=name.replace("_act", "_relu"))}
    conv_bn = ConvBN.from_config(cfg, epsilon=1e-5 if torch else 1e-3, fixed_padding=torch,
                                 activation=activations[variant])
    taps = {}
    x = normalise(images, preprocess or VARIANTS[variant])
    x = conv_bn(x, "conv1", 1, int(32 * alpha), size=3, stride=2)
    for block, ((channels, stride), stage) in enumerate(zip(BLOCKS, STAGE_OF_BLOCK, strict=True), start=1):
        stride = 1 if block == 12 and not last_stride else stride
        x = conv_bn(x, f"block{block}_depthwise", stage, None, size=3, stride=stride)
        x = conv_bn(x, f"block{block}_pointwise", stage, int(channels * alpha))
        if block in TAP_OF_BLOCK:
            taps[TAP_OF_BLOCK[block]] = x
    if not last_stride:
        taps["stride16"] = taps.pop("stride32")
    return taps


def keras_source(cfg: Mapping[str, Any], weights: str | None = "imagenet") -> keras.Model:
    """The net of keras.applications with its weights. Raises what Keras raises when they cannot be loaded."""
    check_keras_has(cfg)
    alpha = cfg.get("ALPHA", 1.0)
    # The weights do not depend on the size. Keras gives a warning for others than 224.
    return keras.applications.MobileNet(alpha=alpha, include_top=False, weights=weights, input_shape=(224, 224, 3))


def keras_layer_name(name: str) -> str:
    """Name in keras.applications of a layer of this module: block3_depthwise_bn is conv_dw_3_bn there."""
    block, _, rest = name.partition("_")
    if not block.startswith("block"):
        return name
    kind, *bn = rest.split("_")
    return "_".join([{"depthwise": "conv_dw", "pointwise": "conv_pw"}.get(kind, kind), block[len("block") :], *bn])


def from_keras(name: str, values: list) -> list:
    """Weights of layer `name` of keras.applications for this net: the same."""
    return values


def slim_scope(name: str) -> str:
    """Scope of a convolution's variables in TF-Slim's checkpoints, below MobilenetV1.

    Examples:
        >>> [slim_scope(name) for name in ("conv1", "block3_depthwise")]
        ['Conv2d_0', 'Conv2d_3_depthwise']
    """
    return "Conv2d_0" if name == "conv1" else name.replace("block", "Conv2d_")
