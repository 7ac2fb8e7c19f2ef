"""Channels brought to similar ranges before quantisation (arXiv 1906.04721, section 4.1).

An 8-bit activation has one scale for all channels of its map. A channel whose values are a hundredth of another's is
left with two or three steps. Where only one convolution takes the map, through ReLU or a similar layer, a channel may
be divided by a factor before it and multiplied in its kernel: the net gives the same. The range of a channel comes from
the batch normalisation, |beta| + 3 |gamma|.
"""

import contextlib

import numpy as np

from .onnx import walk

STEEPEST = 64.0  # a factor of more would only stretch the noise of a channel that is nearly dead
PASSES = ("ZeroPadding2D", "Dropout", "SpatialDropout2D")


@contextlib.contextmanager
def equalised(model):
    """Context in which a functional keras.Model gives the same from channels of similar range. After it the weights are
    back.

    Depthwise kernels are quantised channel by channel and take the whole factor. In other kernels a column with large
    weights takes precision from the rest, so they take the square root of the factor.
    """
    kept = []
    try:
        for normalisation, convolution in _pairs(model):
            spread = np.abs(np.asarray(normalisation.beta)) + 3 * np.abs(np.asarray(normalisation.gamma))  # (C,)
            factor = spread / np.exp(np.log(np.maximum(spread, 1e-12)).mean())
            if type(convolution).__name__ == "Conv2D":
                factor = np.sqrt(factor)
            factor = factor.clip(1 / STEEPEST, STEEPEST)
            for variable, scale in ((normalisation.gamma, 1 / factor), (normalisation.beta, 1 / factor),
                                    (convolution.kernel, factor[:, None])):
                kept.append((variable, np.asarray(variable).copy()))
                variable.assign(kept[-1][1] * scale)
        yield
    finally:
        for variable, values in reversed(kept):
            variable.assign(values)


def _pairs(model):
    """Yield (BatchNormalization, convolution), each used once, where only the convolution takes what the first gives.
    """
    clone, calls = walk(model)
    takers = {}  # of a tensor: (layer, what it gives); the net's outputs have (None, None) among them
    for layer, arguments, output in calls:
        for argument in arguments:
            takers.setdefault(id(argument), []).append((layer, output))
    for output in clone.output.values():
        takers.setdefault(id(output), []).append((None, None))
    uses = [id(layer) for layer, _, _ in calls]
    for layer, _, output in calls:
        if type(layer).__name__ != "BatchNormalization" or not (layer.scale and layer.center):
            continue
        following = layer
        while following is layer or _passes(following):
            taken = takers.get(id(output), [])
            if len(taken) != 1 or taken[0][0] is None:
                break
            following, output = taken[0]
        else:
            fits = type(following).__name__ == "DepthwiseConv2D" or (
                type(following).__name__ == "Conv2D" and following.groups == 1)
            if fits and uses.count(id(layer)) == uses.count(id(following)) == 1:
                yield layer, following


def _passes(layer):
    """Whether a factor of a channel passes through the layer unchanged."""
    kind = type(layer).__name__
    if kind == "ReLU":
        return layer.max_value is None and not layer.threshold
    if kind == "Activation":
        return getattr(layer.activation, "__name__", "") == "relu"
    return kind == "LeakyReLU" or kind in PASSES
