"""RetinaFace (arXiv 1905.00641) on MobileNetV1 x0.25, from the PyTorch state dict of its public implementation.

That net is an SSH of this package, with a top-down path and landmarks. Two things are rewritten here: its input is BGR,
so the channels of the first kernel are reversed; it has two scores per anchor under a softmax, which are one logit
under a sigmoid: face minus background.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import numpy as np
from easydict import EasyDict

from ..config import load_config
from ..errors import InputError
from ..nets import family
from .backbones import set_layer_weights, torch_mobilenet_v1
from .files import read_reference
from .torch import read_state_dict

# The same values as in cfgs/retinaface_mobilenet_v1_025.yml.
CONFIG = ("FAMILY", "ssh", "NAME", "retinaface_mobilenet_v1_025", "NET.BACKBONE", "mobilenet_v1",
          "NET.VARIANT", "torch", "NET.ALPHA", 0.25, "NET.NORMALISE", "whole_mean", "NET.TOP_DOWN", True,
          "NET.TOP_DOWN_WIDTH", 64, "NET.WIDTHS", [32, 32, 32], "NET.BN", True, "NET.SLOPE", 0.1, "NET.LANDMARKS", True,
          "ANCHORS.SIZES", [[16, 32], [64, 128], [256, 512]])
MODULE_LAYERS = {"conv": "conv3X3", "context": "conv5X5_1", "context5": "conv5X5_2", "context7a": "conv7X7_2",
                 "context7b": "conv7x7_3"}
HEADS = {"scores": "ClassHead", "boxes": "BboxHead", "landmarks": "LandmarkHead"}
REFERENCE = {"scores": 2, "boxes": 4, "landmarks": 10}  # arrays of a reference file and their columns


@dataclass(frozen=True)
class _Source:
    """One tensor of the state dict: its key, its shape for the layer's variable, and the array for the variable."""

    key: str
    shape: Callable[[tuple[int, ...]], tuple[int, ...]]
    array: Callable[[np.ndarray], np.ndarray]


def import_retinaface(path: str | os.PathLike) -> tuple[keras.Model, EasyDict]:
    """Build the net of a RetinaFace state dict. Every tensor of the file must belong to it.

    Args:
        path: PyTorch state dict with the keys body, fpn, ssh1 to ssh3, ClassHead, BboxHead and LandmarkHead.

    Returns:
        The model with these weights, and its config.

    Raises:
        InputError: names the first tensor that is missing, has another shape, or does not belong to the net.
    """
    state = read_state_dict(path)
    cfg = load_config(overrides=list(CONFIG))
    model = family(cfg).build()
    unused, weights = dict.fromkeys(state), {}
    for name, sources in _layers():
        variables, arrays = model.get_layer(name).weights, []
        for source, variable in zip(sources, variables, strict=True):
            if source.key not in state:
                raise InputError(f"{path}: has no tensor {source.key}, expected RetinaFace on MobileNetV1 x0.25")
            tensor, expected = state[source.key], source.shape(tuple(variable.shape))
            if tensor.shape != expected:
                raise InputError(f"{path}: {source.key} has shape {tensor.shape}, expected {expected}: RetinaFace on "
                                 f"MobileNetV1 x0.25")
            arrays.append(source.array(tensor.astype(np.float64)).astype(np.float32))
            del unused[source.key]
        if name.endswith("_bn"):  # counts the training steps; older PyTorch does not save it
            unused.pop(f"{sources[0].key.removesuffix('weight')}num_batches_tracked", None)
        weights[name] = arrays
    if unused:
        raise InputError(f"{path}: has a tensor {next(iter(unused))} (of {len(unused)}) that RetinaFace on MobileNetV1 "
                         f"x0.25 does not have")
    for name, arrays in weights.items():
        set_layer_weights(model.get_layer(name), arrays, path)
    return model, cfg


def compare_with_reference(model: keras.Model, path: str | os.PathLike) -> list[tuple[str, float]]:
    """Compare the net with outputs of the net that its weights come from.

    Args:
        model: the imported net.
        path: .npz with image_rgb (H, W, 3) uint8, sides that are multiples of 32, and the source's outputs before any
            decoding, (A, 2) scores before the softmax, (A, 4) boxes and (A, 10) landmarks, with the anchors ordered by
            stride, row, column and size.

    Returns:
        Rows of (name of the output, largest absolute difference). The scores are compared as logits.

    Raises:
        InputError: the file cannot be read, lacks an array, or has arrays of other shapes.
    """
    expected = read_reference(path, ["image_rgb", *REFERENCE])
    image = expected["image_rgb"]
    if image.ndim != 3 or image.shape[2] != 3 or image.shape[0] % 32 or image.shape[1] % 32:
        raise InputError(f"{path}: image_rgb has shape {image.shape}, expected (H, W, 3) with multiples of 32")
    outputs = model(image[None].astype(np.float32), training=False)
    rows = []
    for kind, columns in REFERENCE.items():
        found = np.concatenate([keras.ops.convert_to_numpy(outputs[f"m{i}_{kind}"]).ravel() for i in (1, 2, 3)])
        found = found.reshape(-1, 1 if kind == "scores" else columns)
        if expected[kind].shape != (len(found), columns):
            raise InputError(f"{path}: {kind} has shape {expected[kind].shape}, expected {(len(found), columns)}")
        wanted = expected[kind] if kind != "scores" else expected[kind][:, 1:] - expected[kind][:, :1]
        rows.append((kind, float(np.abs(found - wanted).max())))
    return rows


# ------------------------------------------------------- names of the layers


def _layers() -> Iterator[tuple[str, list[_Source]]]:
    """Layer of the net -> its tensors, in the order of the layer's variables."""
    for name, prefix, index in torch_mobilenet_v1():
        yield from _conv_bn(name, f"body.{prefix}", index)
    for i in (1, 2, 3):
        yield from _conv_bn(f"m{i}_lateral", f"fpn.output{i}")
        if i < 3:
            yield from _conv_bn(f"m{i}_fused", f"fpn.merge{i}")
        for own, other in MODULE_LAYERS.items():
            yield from _conv_bn(f"m{i}_{own}", f"ssh{i}.{other}")
        for own, other in HEADS.items():
            key, twice = f"{other}.{i - 1}.conv1x1", own == "scores"
            kernel = _kernel(f"{key}.weight", twice)
            yield f"m{i}_{own}", [kernel, _vector(f"{key}.bias", twice)]


def _conv_bn(name, prefix, index=0):
    if name == "conv1":
        convolution = _Source(f"{prefix}.{index}.weight", _torch_shape, lambda array: _hwio(array)[:, :, ::-1])
    elif name.endswith("depthwise"):  # (channels, 1, kh, kw) -> (kh, kw, channels, 1)
        convolution = _Source(f"{prefix}.{index}.weight", lambda shape: (shape[2], shape[3], *shape[:2]),
                              lambda array: array.transpose(2, 3, 0, 1))
    else:
        convolution = _kernel(f"{prefix}.{index}.weight")
    yield name, [convolution]
    kinds = ("weight", "bias", "running_mean", "running_var")
    yield f"{name}_bn", [_vector(f"{prefix}.{index + 1}.{kind}") for kind in kinds]


def _kernel(key, twice=False):
    return _Source(key, lambda shape: _doubled(_torch_shape(shape), twice), lambda array: _hwio(_logit(array, twice)))


def _vector(key, twice=False):
    return _Source(key, lambda shape: _doubled(shape, twice), lambda array: _logit(array, twice))


def _hwio(array):
    return array.transpose(2, 3, 1, 0)


def _torch_shape(shape):
    rows, columns, inputs, outputs = shape
    return outputs, inputs, rows, columns


def _doubled(shape, twice):
    return (2 * shape[0], *shape[1:]) if twice else shape


def _logit(array, twice):
    """Face minus background, where both scores of an anchor follow one another on the first axis."""
    return array[1::2] - array[::2] if twice else array
