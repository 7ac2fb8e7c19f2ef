"""VGG16 (arXiv 1409.1556, table 1, column D) without its fully connected layers.

Layers have the names of keras.applications. Its ImageNet weights come from Caffe and expect BGR minus a mean. Here the
input stays RGB, and the input channels of the first kernel are reversed when the weights are copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from .blocks import first_kernel_to_rgb, normalise

BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions; pooled by 2 between blocks

TAPS = (("stride4", 4, 256), ("stride8", 8, 512), ("stride16", 16, 512))
"""Outputs: name, stride, channels: conv3_3, conv4_3 and conv5_3 of the SSH paper."""
TAP_OF_BLOCK = {3: "stride4", 4: "stride8", 5: "stride16"}
STAGES = len(BLOCKS)


def build(images: keras.KerasTensor, cfg: Mapping[str, Any],
          preprocess: str | None = None) -> dict[str, keras.KerasTensor]:
    """Feature maps of VGG16, see build_backbone and TAPS.

    Key of cfg: FROZEN_STAGES, 0 to 5, the first blocks that are not trained. There is no batch normalisation, and the
    stride ends at 16.
    """
    taps = {}
    x = normalise(images, preprocess or "caffe_mean")
    for block, (channels, count) in enumerate(BLOCKS, start=1):
        if block > 1:  # SAME: an odd side rounds up; an even one is pooled as in Keras
            x = layers.MaxPooling2D(2, padding="same", name=f"block{block - 1}_pool")(x)
        for number in range(1, count + 1):
            x = layers.Conv2D(
                channels,
                3,
                padding="same",
                activation="relu",
                trainable=block > cfg.get("FROZEN_STAGES", 0),
                name=f"block{block}_conv{number}",
            )(x)
        if block in TAP_OF_BLOCK:
            taps[TAP_OF_BLOCK[block]] = x
    return taps


def keras_source(cfg: Mapping[str, Any], weights: str | None = "imagenet") -> keras.Model:
    """The net of keras.applications with its weights. Raises what Keras raises when they cannot be loaded."""
    return keras.applications.VGG16(include_top=False, weights=weights, input_shape=(None, None, 3))


def keras_layer_name(name: str) -> str:
    """Name in keras.applications of a layer of this module: the same."""
    return name


def from_keras(name: str, values: list) -> list:
    """Weights of layer `name` of keras.applications for this net: the first kernel from BGR to RGB."""
    return first_kernel_to_rgb(values) if name == "block1_conv1" else values


def slim_scope(name: str) -> str:
    """Scope of a convolution's variables in TF-Slim's checkpoints, below vgg_16.

    Examples:
        >>> slim_scope("block3_conv2")
        'conv3/conv3_2'
    """
    block, number = (word.removeprefix("block").removeprefix("conv") for word in name.split("_"))
    return f"conv{block}/conv{block}_{number}"
