"""Backbones from TF-Slim's checkpoints: vgg_16, resnet_v1_50, 101 and 152, MobilenetV1 and MobilenetV2 at any width.

A checkpoint is a file `NAME.ckpt` (TensorFlow's first format) or `NAME.ckpt.index` with `NAME.ckpt.data-...` (the
second). A convolution's variables are `SCOPE/weights` (kh, kw, in, out), or `SCOPE/depthwise_weights` (kh, kw, in, 1),
with `SCOPE/biases` or `SCOPE/BatchNorm/{gamma,beta,moving_mean,moving_variance}`. Where a variable has a moving average
beside it (`.../ExponentialMovingAverage`, in the MobileNets of 2018) that is taken: slim evaluates with it.

Slim's nets take RGB: VGG16 and ResNet less a mean, MobileNets in -1..1, as `preprocess` of the backbones has it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..nets.backbones import backbone_module
from .backbones import backbone_model, set_layer_weights

NETS = {  # slim's name: scope of the variables, backbone, NET section of the config
    "vgg_16": ("vgg_16", "vgg16", {}),
    "resnet_v1_50": ("resnet_v1_50", "resnet50", {"VARIANT": "slim"}),
    "resnet_v1_101": ("resnet_v1_101", "resnet101", {"VARIANT": "slim"}),
    "resnet_v1_152": ("resnet_v1_152", "resnet152", {"VARIANT": "slim"}),
    "mobilenet_v1": ("MobilenetV1", "mobilenet_v1", {"VARIANT": "keras"}),
    "mobilenet_v2": ("MobilenetV2", "mobilenet_v2", {"VARIANT": "keras"}),
}
MOVING_AVERAGE = "/ExponentialMovingAverage"
PARTS = ("gamma", "beta", "moving_mean", "moving_variance")  # of batch normalisation, in Keras' order


@dataclass
class SlimReport:
    """What became of a checkpoint's variables: how many were taken, how many of them moving averages; names of those
    not used, and how many more are an optimizer's or a moving average's values of the variables that were taken."""

    taken: int
    averages: int
    unused: list
    slots: int

    def __str__(self):
        lines = [f"{self.taken} variables taken" + (f", {self.averages} of them moving averages" * (self.averages > 0))]
        lines += [f"not used: {', '.join(self.unused)}"] * bool(self.unused)
        lines += [f"not used: {self.slots} values of an optimizer, or of which there is a moving average"] * bool(
            self.slots)
        return "\n".join(lines)


def backbone_from_slim(net, path, alpha=1.0):
    """(keras.Model of the backbone, SlimReport) with the weights of a checkpoint.

    net: of NETS. path: the checkpoint, or the folder of one. alpha: the width multiplier (depth multiplier in slim's
    words), MobileNets only. Raises InputError when the file cannot be read, lacks a variable, or a shape differs.
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
        return [f"{slim_scope(layer.name.removesuffix('_bn'))}/BatchNorm/{part}" for part in PARTS]
    kernel = "depthwise_weights" if type(layer).__name__ == "DepthwiseConv2D" else "weights"
    return [f"{slim_scope(layer.name)}/{kind}" for kind in [kernel, "biases"][: len(layer.weights)]]


class SlimCheckpoint:
    """The variables of a TensorFlow checkpoint, and which of them were asked for."""

    def __init__(self, path):
        import tensorflow as tf

        # What users name is often one of the files that a checkpoint of the second format consists of.
        self.path = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", str(path))
        self.failures = tf.errors.OpError, IndexError, ValueError, OSError
        try:
            self.reader = tf.train.load_checkpoint(self.path)
            self.shapes = self.reader.get_variable_to_shape_map()
        except self.failures as error:
            there = "cannot be read as one" if Path(path).exists() else "no such file"
            raise InputError(f"{path}: {there} ({_one_line(error)}), expected a TensorFlow checkpoint: NAME.ckpt, or "
                             "the part before .index and .data-00000-of-00001") from None
        self.taken = {}  # name -> name of what was taken for it

    def check(self, names, net):
        """InputError where one of `names` is not there."""
        missing = [name for name in names if name not in self.shapes]
        if missing:
            found = ", ".join(sorted({name.split("/")[0] for name in self.shapes}))
            more = f" nor {len(missing) - 1} more" if len(missing) > 1 else ""
            raise InputError(f"{self.path}: has no variable {missing[0]}{more}; it holds {len(self.shapes)} variables "
                             f"of {found[:200]}, expected TF-Slim's {net}; another --net?")

    def value(self, name):
        """Array float32 of a variable, or of its moving average where there is one."""
        average = name + MOVING_AVERAGE
        self.taken[name] = average if average in self.shapes else name
        try:
            return self.reader.get_tensor(self.taken[name]).astype(np.float32)
        except self.failures as error:
            raise InputError(f"{self.path}: {name} cannot be read ({_one_line(error)}); copy the checkpoint again"
                             ) from None

    def report(self):
        rest = sorted(set(self.shapes) - set(self.taken.values()))
        unused = [name for name in rest if name not in self.taken and name.rpartition("/")[0] not in self.taken]
        averages = sum(name != taken for name, taken in self.taken.items())
        return SlimReport(len(self.taken), averages, unused, len(rest) - len(unused))


def _one_line(error):
    return " ".join(str(error).split())[:200]
