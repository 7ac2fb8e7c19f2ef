"""Pieces that backbones share: normalisation of the input, and convolution with batch normalisation and activation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from ...errors import InputError
from ..layers import BatchNormalization

IMAGENET_RGB_MEAN = (0.485, 0.456, 0.406)  # of values in 0..1
IMAGENET_RGB_STD = (0.229, 0.224, 0.225)
CAFFE_RGB_MEAN = (123.68, 116.779, 103.939)  # of values in 0..255; Caffe's nets list it in BGR order
WHOLE_RGB_MEAN = (123, 117, 104)  # the same in whole numbers, as in Caffe's SSD and PyTorch's RetinaFace

NORMALISATIONS = {  # name: (scale, offset); the net receives image * scale + offset, RGB
    "none": (1.0, 0.0),
    "zero_to_one": (1 / 255, 0.0),
    "minus_one_to_one": (1 / 127.5, -1.0),
    "imagenet_torch": (
        [1 / (255 * std) for std in IMAGENET_RGB_STD],
        [-mean / std for mean, std in zip(IMAGENET_RGB_MEAN, IMAGENET_RGB_STD, strict=True)],
    ),
    "imagenet_std": ([1 / (255 * std) for std in IMAGENET_RGB_STD], 0.0),  # no mean: batch normalisation takes it off
    "caffe_mean": (1.0, [-mean for mean in CAFFE_RGB_MEAN]),
    "whole_mean": (1.0, [-float(mean) for mean in WHOLE_RGB_MEAN]),
}


def normalise(images: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Images (B, H, W, 3) RGB 0..255, integers or floats, as the weights expect them; name: a key of NORMALISATIONS.

    Raises:
        InputError: there is no such normalisation.
    """
    if name not in NORMALISATIONS:
        raise InputError(f"NET.NORMALISE: found {name!r}, expected one of {', '.join(NORMALISATIONS)}, or nothing for "
                         f"that of the backbone's weights")
    scale, offset = NORMALISATIONS[name]
    return layers.Rescaling(scale, offset, name="normalise")(images)


def variant_of(cfg: Mapping[str, Any], variants: Iterable[str], name: str) -> str:
    """NET.VARIANT (default keras) of a config; InputError where the backbone `name` has no such variant."""
    variant = cfg.get("VARIANT", "keras")
    if variant not in variants:
        raise InputError(f"NET.VARIANT: found {variant!r}, expected {' or '.join(variants)} for {name}")
    return variant


def check_keras_has(cfg: Mapping[str, Any]) -> None:
    """InputError where the variant of the config is another net than that of keras.applications."""
    if cfg.get("VARIANT", "keras") != "keras":
        raise InputError(f"NET.VARIANT: Keras has no weights for {cfg['VARIANT']!r}, expected keras")


def first_kernel_to_rgb(values: list) -> list:
    """Weights of a first convolution made for BGR, reordered for RGB: [kernel (h, w, 3, C), bias]."""
    kernel, *others = values
    return [kernel[:, :, ::-1, :], *others]


@dataclass(frozen=True)
class ConvBN:
    """Convolution, batch normalisation and activation of one variant of a backbone.

    Attributes:
        epsilon: of batch normalisation.
        activation: function name -> layer.
        fixed_padding: where the stride is 2, (size - 1) // 2 zeros on every side instead of SAME, which pads an even
            side at
            its end only.
        bias: the convolutions have one although batch normalisation follows.
        frozen_stages: number of first stages that are not trained.
        frozen_bn: no batch normalisation is trained. Over several devices it takes the moments of the whole batch,
            which
            the trainer sets (devices.py).
    """

    epsilon: float
    activation: Callable
    fixed_padding: bool = False
    bias: bool = False
    frozen_stages: int = 0
    frozen_bn: bool = False

    @classmethod
    def from_config(cls, cfg: Mapping[str, Any], **variant: Any) -> ConvBN:
        """Frozen as the NET section `cfg` says; variant: the other fields."""
        return cls(frozen_stages=cfg.get("FROZEN_STAGES", 0), frozen_bn=cfg.get("FROZEN_BN", False), **variant)

    def __call__(self, x: keras.KerasTensor, name: str, stage: int, channels: int | None, size: int = 1,
                 stride: int = 1, linear: bool = False) -> keras.KerasTensor:
        """x (B, H, W, C) -> (B, ceil(H / stride), ceil(W / stride), channels); layers `name`, `name_bn`, `name_act`.

        Args:
            stage: that of FROZEN_STAGES.
            channels: None: a depthwise convolution.
            linear: no activation.
        """
        frozen, pad, padding = stage <= self.frozen_stages, (size - 1) // 2, "same"
        if self.fixed_padding and stride == 2 and pad:
            x = layers.ZeroPadding2D(pad, name=f"{name}_pad")(x)
            padding = "valid"
        options = {"strides": stride, "padding": padding, "use_bias": self.bias, "trainable": not frozen, "name": name}
        if channels is None:
            x = layers.DepthwiseConv2D(size, **options)(x)
        else:
            x = layers.Conv2D(channels, size, **options)(x)
        # With `trainable=False` Keras does not train the layer and uses its stored moments too. `training=False` has no
        # effect here, because a functional model passes its own `training` on.
        x = BatchNormalization(epsilon=self.epsilon, trainable=not (frozen or self.frozen_bn),
                               name=f"{name}_bn")(x)
        return x if linear else self.activation(f"{name}_act")(x)
