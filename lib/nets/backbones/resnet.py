"""ResNet50, 101 and 152 (arXiv 1512.03385, table 1) without the classifier, in two variants.

`keras`: the net of keras.applications (convolutions with a bias, epsilon 1.001e-5), which takes Keras' ImageNet
weights. Those come from Caffe and expect BGR minus a mean. Here the input stays RGB, and the input channels of the
first kernel are reversed when the weights are copied. `slim`: TF-Slim's resnet_v1 (no bias, epsilon 1e-5, RGB minus a
mean, the first pooling pads an even side at its end only), which takes TF-Slim's ImageNet checkpoints.

Keras halves the size in the first 1x1 convolutions of a stage. Slim does it in the last unit of the stage before, in
its 3x3 convolution, and pools the shortcut by picking every second pixel. With slim's fixed padding that is the same
function: a 3x3 convolution of stride 2 is every second pixel of the one of stride 1, and what follows it in the unit
works on single pixels, like the 1x1 convolution that Keras gives the stride. So one structure serves both. The end of a
stage at full size, which slim never has, is a tap of both. Only a training whose batch normalisation is not frozen
differs: moments of that last unit are then of four times as many pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from .blocks import ConvBN, check_keras_has, first_kernel_to_rgb, normalise, variant_of

WIDTHS = (64, 128, 256, 512)  # of the 1x1 and 3x3 convolutions of stages 2 to 5; a stage ends with 4 times as many
UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}  # depth: units of stages 2 to 5
VARIANTS = {"keras": 1.001e-5, "slim": 1e-5}  # and the epsilon of batch normalisation


class ResNet:
    """The backbone of one depth, as an object that BACKBONES may hold instead of a module.

    Attributes:
        units: number of units of stages 2 to 5.
        widths: channels of their 1x1 and 3x3 convolutions.
        name: the class in keras.applications.
    """

    TAPS = (("stride4", 4, 256), ("stride8", 8, 512), ("stride16", 16, 1024), ("stride32", 32, 2048))
    """Outputs: name, stride, channels: the ends of stages 2 to 5, res2 to res5 of the papers.

    Without the last stride there is no stride32, and stride16 is res5 with its 2048 channels.
    """
    STAGES = 5

    def __init__(self, units: Sequence[int], widths: Sequence[int] = WIDTHS, name: str = "") -> None:
        self.units, self.widths, self.name = units, widths, name

    def build(self, images: keras.KerasTensor, cfg: Mapping[str, Any],
              preprocess: str | None = None) -> dict[str, keras.KerasTensor]:
        """Feature maps of ResNet, see build_backbone and TAPS.

        Keys of cfg: VARIANT; LAST_STRIDE False: stage 5 keeps the size of its input; FROZEN_STAGES, of which the first
        is conv1 alone; FROZEN_BN.
        """
        variant, last_stride = variant_of(cfg, VARIANTS, "resnet"), cfg.get("LAST_STRIDE", True)
        conv_bn = ConvBN.from_config(cfg, epsilon=VARIANTS[variant], bias=variant == "keras",
                                     fixed_padding=True, activation=lambda name: layers.ReLU(name=name))
        x = normalise(images, preprocess or "caffe_mean")
        x = conv_bn(x, "conv1", 1, 64, size=7, stride=2)
        if variant == "keras":
            x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
        x = layers.MaxPooling2D(3, 2, padding="valid" if variant == "keras" else "same", name="pool1")(x)
        taps = {}
        for stage, (units, width, (tap, _, _)) in enumerate(zip(self.units, self.widths, self.TAPS, strict=True), 2):
            for unit in range(1, units + 1):
                first = unit == 1 and (stage == 3 or stage == 4 or stage == 5 and last_stride)
                x = _bottleneck(x, conv_bn, f"conv{stage}_block{unit}", stage, width, 2 if first else 1)
            taps[tap] = x
        if not last_stride:
            taps["stride16"] = taps.pop("stride32")
        return taps

    def keras_source(self, cfg: Mapping[str, Any], weights: str | None = "imagenet") -> keras.Model:
        """The net of keras.applications with its weights. Raises what Keras raises when they cannot be loaded."""
        check_keras_has(cfg)
        net = getattr(keras.applications, self.name)
        return net(include_top=False, weights=weights, input_shape=(None, None, 3))

    @staticmethod
    def keras_layer_name(name: str) -> str:
        """Name in keras.applications of one of these layers: conv2_block1_0 is conv2_block1_0_conv there."""
        return name if name.endswith("_bn") else f"{name}_conv"

    @staticmethod
    def from_keras(name: str, values: list) -> list:
        """Weights of layer `name` of keras.applications for this net: the first kernel from BGR to RGB."""
        return first_kernel_to_rgb(values) if name == "conv1" else values

    @staticmethod
    def slim_scope(name: str) -> str:
        """Scope of a convolution's variables in TF-Slim's checkpoints, below the name of the net, such as resnet_v1_50.

        Examples:
            >>> [ResNet.slim_scope(name) for name in ("conv1", "conv3_block1_0", "conv3_block4_2")]
            ['conv1', 'block2/unit_1/bottleneck_v1/shortcut', 'block2/unit_4/bottleneck_v1/conv2']
        """
        if name == "conv1":
            return name
        stage, unit, layer = (word.removeprefix("conv").removeprefix("block") for word in name.split("_"))
        return f"block{int(stage) - 1}/unit_{unit}/bottleneck_v1/{'shortcut' if layer == '0' else f'conv{layer}'}"


def _bottleneck(x, conv_bn, name, stage, width, stride):
    """1x1, 3x3 and 1x1 convolution beside a shortcut (figure 5), which is a convolution where the shape changes."""
    shortcut = x
    if stride > 1 or x.shape[-1] != 4 * width:
        shortcut = conv_bn(x, f"{name}_0", stage, 4 * width, stride=stride, linear=True)
    x = conv_bn(x, f"{name}_1", stage, width, stride=stride)
    x = conv_bn(x, f"{name}_2", stage, width, size=3)
    x = conv_bn(x, f"{name}_3", stage, 4 * width, linear=True)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([shortcut, x]))


resnet50, resnet101, resnet152 = (ResNet(units, name=f"ResNet{depth}") for depth, units in UNITS.items())
