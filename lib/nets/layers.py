"""Layers that several families share: padding, convolution blocks, a top-down path, exact bilinear upsampling.

All of them work with any backend and with free height and width.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import layers, ops

from ..constants import FILL
from ..errors import InputError

if TYPE_CHECKING:
    from easydict import EasyDict


@keras.saving.register_keras_serializable("manyfaces")
class PadToMultiple(layers.Layer):
    """Grey at the right and at the bottom, so that height and width are multiples of `multiple`; (B, H, W, C) in and
    out.
    """

    def __init__(self, multiple=32, **kwargs):
        super().__init__(**kwargs)
        self.multiple = multiple

    def call(self, images):
        _, height, width, _ = ops.shape(images)
        pads = ((0, 0), (0, -height % self.multiple), (0, -width % self.multiple), (0, 0))
        return ops.pad(images, pads, constant_values=float(FILL))

    def compute_output_shape(self, shape):
        def padded(side):
            return None if side is None else side + -side % self.multiple

        return (shape[0], padded(shape[1]), padded(shape[2]), shape[3])

    def get_config(self):
        return {**super().get_config(), "multiple": self.multiple}


@keras.saving.register_keras_serializable("manyfaces")
class BatchNormalization(layers.BatchNormalization):
    """Keras' layer, trained by TensorFlow's fused operation where one device has the whole batch.

    The values are the same. On a CPU a step of MobileNetV2 takes four fifths of the time, because Keras goes over the
    activations several times more. (B, H, W, C) float32 in and out, or 16 bit; moments are float32. The class has the
    name of Keras' layer, so that weight files and exports find it.
    """

    def call(self, inputs, training=None, mask=None):
        fused = (keras.backend.backend() == "tensorflow" and training and self.trainable and not self.synchronized
                 and mask is None and len(inputs.shape) == 4 and self.axis in (-1, 3) and self.scale and self.center
                 and not self.renorm and inputs.dtype in ("float32", "bfloat16", "float16"))
        if not fused:
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=self.gamma, offset=self.beta, mean=tf.zeros(0), variance=tf.zeros(0),
            epsilon=self.epsilon, is_training=True)
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:3]), "float32")
        variance *= (count - 1) / count  # the operation gives that of a sample, Keras stores that of the batch
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1 - self.momentum))
        return outputs


def convolution(x: keras.KerasTensor, channels: int, size: int, name: str, bn: bool = False,
                relu: bool = True, slope: float = 0.0) -> keras.KerasTensor:
    """SAME convolution (B, h, w, C) -> (B, h, w, channels), with batch normalisation and ReLU as asked.

    A `slope` above 0 is that of a leaky ReLU below zero.
    """
    x = layers.Conv2D(channels, size, padding="same", use_bias=not bn, name=name)(x)
    if bn:
        x = BatchNormalization(epsilon=1e-5, momentum=0.99, name=f"{name}_bn")(x)
    if not relu:
        return x
    return (layers.LeakyReLU(slope, name=f"{name}_relu") if slope else layers.ReLU(name=f"{name}_relu"))(x)


def wide_convolution(x: keras.KerasTensor, channels: int, name: str, bn: bool, relu: bool = True, slope: float = 0.0,
                     separable: bool = False) -> keras.KerasTensor:
    """A 3x3 `convolution`; separable: a depthwise 3x3 and then a 1x1 convolution (arXiv 1704.04861, section 3.1).

    Between the two there is no activation.
    """
    if not separable:
        return convolution(x, channels, 3, name, bn, relu, slope)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=not bn, name=f"{name}_depthwise")(x)
    if bn:
        x = BatchNormalization(epsilon=1e-5, momentum=0.99, name=f"{name}_depthwise_bn")(x)
    return convolution(x, channels, 1, name, bn, relu, slope)


def separable_maps(names: str, known: Sequence[str]) -> list[str]:
    """The names in NET.SEPARABLE, joined by +.

    Raises:
        InputError: a name is not among `known`.
    """
    chosen = [name for name in names.split("+") if name]
    if unknown := [name for name in chosen if name not in known]:
        raise InputError(f"NET.SEPARABLE: found {unknown[0]!r}, expected names of maps ({', '.join(known)}) "
                         f"joined by +")
    return chosen


def top_down(maps: Sequence[keras.KerasTensor], width: int, bn: bool, slope: float = 0.0,
             separable: Sequence[str] = ()) -> list[keras.KerasTensor]:
    """Join maps from the deepest to the shallowest (feature pyramid, arXiv 1612.03144).

    Args:
        maps: the shallowest first, each with twice the height and width of the next.
        width: channels of each result.
        bn: whether batch normalisation follows each convolution.
        slope: of the ReLUs below zero.
        separable: m1, m2, ...: maps that are joined by a separable convolution.

    Returns:
        One map per input, in the same order.
    """
    joined, above = [], None
    for number, x in reversed(list(enumerate(maps, start=1))):
        x = convolution(x, width, 1, f"m{number}_lateral", bn, slope=slope)
        if above is not None:
            above = layers.UpSampling2D(2, interpolation="nearest", name=f"m{number}_up")(above)
            x = layers.Add(name=f"m{number}_sum")([x, above])
            x = wide_convolution(x, width, f"m{number}_fused", bn, slope=slope, separable=f"m{number}" in separable)
        joined.insert(0, x)
        above = x
    return joined


def detection_module(x: keras.KerasTensor, width: int, name: str, bn: bool, slope: float = 0.0,
                     separable: bool = False) -> keras.KerasTensor:
    """3x3 convolution beside a context module (SSH, section 3.2 and figure 4): 2 * width channels.

    `slope` is that of the ReLUs inside the context module, below zero. The ReLU at the end has none. `separable` is
    that of the two convolutions of x; the others are narrow.
    """
    near = wide_convolution(x, width, f"{name}_conv", bn, relu=False, separable=separable)
    shared = wide_convolution(x, width // 2, f"{name}_context", bn, slope=slope, separable=separable)
    wide = convolution(shared, width // 2, 3, f"{name}_context5", bn, relu=False)
    wider = convolution(shared, width // 2, 3, f"{name}_context7a", bn, slope=slope)
    wider = convolution(wider, width // 2, 3, f"{name}_context7b", bn, relu=False)
    return layers.ReLU(name=f"{name}_relu")(layers.Concatenate(name=f"{name}_module")([near, wide, wider]))


def model_name(text: str) -> str:
    """The text as a name that TensorFlow takes for a net, which a NAME such as `my photos` is not.

    Examples:
        >>> model_name("ssh_vgg16"), model_name("my photos"), model_name("_1")
        ('ssh_vgg16', 'my_photos', 'net_1')
    """
    name = re.sub(r"[^\w.-]", "_", text, flags=re.ASCII)
    return name if name[0].isalnum() else f"net{name}"


def as_model(images: keras.KerasTensor, outputs: dict[str, keras.KerasTensor], cfg: EasyDict) -> keras.Model:
    """keras.Model with the name of the config; NET.BN_MOMENTUM goes to all its batch normalisations."""
    model = keras.Model(images, outputs, name=model_name(cfg.NAME or cfg.FAMILY))
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = cfg.NET.BN_MOMENTUM
    return model


def upsample_bilinear(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Twice the height and width, bilinear with half-pixel centres, zeros outside.

    Repeating each pixel and then weighting (1 2 1)/4 along both axes gives exactly the weights 3/4 and 1/4 of bilinear
    interpolation. Unlike a resize this exports with free height and width. Unlike a transposed convolution over all
    channels it costs 9 products per pixel and channel.
    """
    x = layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_repeat")(x)
    smooth = layers.DepthwiseConv2D(3, padding="same", use_bias=False, trainable=False, name=f"{name}_smooth",
                                    depthwise_initializer=_binomial)
    return smooth(x)


def _binomial(shape, dtype=None):
    weights = np.outer([1, 2, 1], [1, 2, 1]) / 16
    return ops.convert_to_tensor(np.broadcast_to(weights[:, :, None, None], shape).astype("float32"), dtype=dtype)
