"""Backbones from TF-Slim's checkpoints: vgg_16, resnet_v1_50, 101 and 152, MobilenetV1 and MobilenetV2 of any width.

A checkpoint is a file `NAME.ckpt` (TensorFlow's first format) or `NAME.ckpt.index` with `NAME.ckpt.data-...` (the
second). A convolution's variables are `SCOPE/weights` (kh, kw, in, out), or `SCOPE/depthwise_weights` (kh, kw, in, 1),
with `SCOPE/biases` or `SCOPE/BatchNorm/{gamma,beta,moving_mean,moving_variance}`. If a variable has a moving average
(`.../ExponentialMovingAverage`, in the MobileNets of 2018), the moving average is used, as slim evaluates with it.

Slim's nets receive RGB: VGG16 and ResNet minus a mean, MobileNets in -1..1, as with `preprocess` of the backbones.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..nets.backbones import backbone_module
from .backbones import backbone_model, set_layer_weights

if TYPE_CHECKING:
    import keras

NETS = {  # slim's name: scope of the variables, backbone, NET section of the config
    "vgg_16": ("vgg_16", "vgg16", {}),
    "resnet_v1_50": ("resnet_v1_50", "resnet50", {"VARIANT": "slim"}),
    "resnet_v1_101": ("resnet_v1_101", "resnet101", {"VARIANT": "slim"}),
    "resnet_v1_152": ("resnet_v1_152", "resnet152", {"VARIANT": "slim"}),
    "mobilenet_v1": ("MobilenetV1", "mobilenet_v1", {"VARIANT": "keras"}),
    "mobilenet_v2": ("MobilenetV2", "mobilenet_v2", {"VARIANT": "keras"}),
}
MOVING_AVERAGE = "/ExponentialMovingAverage"
BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance")  # in the order of Keras


@dataclass
class SlimReport:
    """Which variables of a checkpoint were used.

    Attributes:
        taken: number of variables that were used.
        averages: how many of them are moving averages.
        unused: names of variables that were not used.
        slots: number of further values for the used variables: those of an optimizer, or raw ones beside an average.
    """

    taken: int
    averages: int
    unused: list[str]
    slots: int

    def __str__(self) -> str:
        lines = [f"{self.taken} variables taken" + (f", {self.averages} of them moving averages" * (self.averages > 0))]
        lines += [f"not used: {', '.join(self.unused)}"] * bool(self.unused)
        lines += [f"not used: {self.slots} values of an optimizer, or of which there is a moving average"] * bool(
            self.slots)
        return "\n".join(lines)


def backbone_from_slim(net: str, path: str | os.PathLike, alpha: float = 1.0) -> tuple["keras.Model", SlimReport]:
    """Return a backbone with the weights of a checkpoint, and a report.

    Args:
        net: a key of NETS.
        path: the checkpoint, or a folder with one.
        alpha: width multiplier (depth multiplier in slim's words), for MobileNets only.

    Raises:
        InputError: the file cannot be read, a variable is missing, or a shape differs.
    """
    scope, backbone, cfg = NETS[net]
    if not alpha > 0:
        raise InputError(f"--alpha {alpha:g}: expected a width multiplier above 0, such as 0.75")
    if alpha != 1.0 and not net.startswith("mobilenet"):
        raise InputError(f"--alpha {alpha:g}: {net} has one width only; it is for mobilenet_v1 and mobilenet_v2")
    checkpoint = SlimCheckpoint(path)
    model, slim_scope = backbone_model(backbone, {**cfg, "ALPHA": alpha}), backbone_module(backbone).slim_scope
    wanted = [(layer, [f"{scope}/{name}" for name in _names(layer, slim_scope)])
              for layer in model.layers if layer.weights]
    checkpoint.check([name for _, names in wanted for name in names], net)
    for layer, names in wanted:
        set_layer_weights(layer, [checkpoint.value(name) for name in names], f"{path} ({names[0]})")
    return model, checkpoint.report()


def _names(layer, slim_scope):
    """Names of a layer's variables below the net's scope, in the order of layer.weights."""
    if layer.name.endswith("_bn"):
        return [f"{slim_scope(layer.name.removesuffix('_bn'))}/BatchNorm/{name}" for name in BATCH_NORM]
    kernel = "depthwise_weights" if type(layer).__name__ == "DepthwiseConv2D" else "weights"
    return [f"{slim_scope(layer.name)}/{kind}" for kind in [kernel, "biases"][: len(layer.weights)]]


class SlimCheckpoint:
    """The variables of a TensorFlow checkpoint, and which of them were used.

    Args:
        path: the checkpoint, or a folder with one.

    Raises:
        InputError: it cannot be read.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        import tensorflow as tf

        # Users often name one of the files of a checkpoint of the second format.
        self.path = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", str(path))
        self.failures = tf.errors.OpError, IndexError, ValueError, OSError
        try:
            self.reader = tf.train.load_checkpoint(self.path)
            self.shapes = self.reader.get_variable_to_shape_map()
        except self.failures as error:
            there = "cannot be read as one" if Path(path).exists() else "no such file"
            raise InputError(f"{path}: {there} ({_one_line(error)}), expected a TensorFlow checkpoint: NAME.ckpt, or "
                             "the part before .index and .data-00000-of-00001") from None
        self.taken: dict[str, str] = {}  # name -> name of the variable that was used for it

    def check(self, names: Iterable[str], net: str) -> None:
        """Raise InputError if one of the names is missing."""
        missing = [name for name in names if name not in self.shapes]
        if missing:
            found = ", ".join(sorted({name.split("/")[0] for name in self.shapes}))
            more = f" nor {len(missing) - 1} more" if len(missing) > 1 else ""
            raise InputError(f"{self.path}: has no variable {missing[0]}{more}; it holds {len(self.shapes)} variables "
                             f"of {found[:200]}, expected TF-Slim's {net}; another --net?")

    def value(self, name: str) -> np.ndarray:
        """Return a variable as float32, or its moving average if there is one."""
        average = name + MOVING_AVERAGE
        self.taken[name] = average if average in self.shapes else name
        try:
            return self.reader.get_tensor(self.taken[name]).astype(np.float32)
        except self.failures as error:
            raise InputError(f"{self.path}: {name} cannot be read ({_one_line(error)}); copy the checkpoint again"
                             ) from None

    def report(self) -> SlimReport:
        """Return which variables were used so far."""
        rest = sorted(set(self.shapes) - set(self.taken.values()))
        unused = [name for name in rest if name not in self.taken and name.rpartition("/")[0] not in self.taken]
        averages = sum(name != taken for name, taken in self.taken.items())
        return SlimReport(len(self.taken), averages, unused, len(rest) - len(unused))


def _one_line(error):
    return " ".join(str(error).split())[:200]
