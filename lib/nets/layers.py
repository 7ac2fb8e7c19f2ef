"""Layers that several families share: padding to a stride, convolution blocks, exact bilinear upsampling.

All of them work with any backend and with free height and width.
"""

import keras
import numpy as np
from keras import layers, ops

FILL = 114.0  # grey level of what lies outside an image: padding here, and in the augmentation


@keras.saving.register_keras_serializable("manyfaces")
class PadToMultiple(layers.Layer):
    """Grey at the right and at the bottom, so that height and width divide by `multiple`; (B, H, W, C) in and out."""

    def __init__(self, multiple=32, **kwargs):
        super().__init__(**kwargs)
        self.multiple = multiple

    def call(self, images):
        _, height, width, _ = ops.shape(images)
        pads = ((0, 0), (0, -height % self.multiple), (0, -width % self.multiple), (0, 0))
        return ops.pad(images, pads, constant_values=FILL)

    def compute_output_shape(self, shape):
        def padded(side):
            return None if side is None else side + -side % self.multiple

        return (shape[0], padded(shape[1]), padded(shape[2]), shape[3])

    def get_config(self):
        return {**super().get_config(), "multiple": self.multiple}


def convolution(x, channels, size, name, bn=False, relu=True):
    """SAME convolution, with batch normalisation and ReLU where wanted."""
    x = layers.Conv2D(channels, size, padding="same", use_bias=not bn, name=name)(x)
    if bn:
        x = layers.BatchNormalization(epsilon=1e-5, momentum=0.99, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def upsample_bilinear(x, name):
    """Twice the height and width, bilinear with half-pixel centres, zeros outside.

    Repeating each pixel and then weighting (1 2 1)/4 along both axes gives exactly the weights 3/4 and 1/4 of bilinear
    interpolation. Unlike a resize this exports with free height and width, and unlike a transposed convolution over
    all channels it costs 9 products a pixel.
    """
    x = layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_repeat")(x)
    smooth = layers.DepthwiseConv2D(3, padding="same", use_bias=False, trainable=False, name=f"{name}_smooth",
                                    depthwise_initializer=_binomial)
    return smooth(x)


def _binomial(shape, dtype=None):
    weights = np.outer([1, 2, 1], [1, 2, 1]) / 16
    return ops.convert_to_tensor(np.broadcast_to(weights[:, :, None, None], shape).astype("float32"), dtype=dtype)
