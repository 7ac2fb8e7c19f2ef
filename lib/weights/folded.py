"""MobileNetV2 from weights whose batch normalisation is folded into the convolutions, as in deployed models.

The file is an .npz with two arrays per layer, in the order of the net: `NN_conv_sS_w` or `NN_dw_sS_w` (out, in, kh, kw)
and `NN_..._b` (out,); S is the stride. It has the first convolution, the layers of blocks 0 to 16, and the layers after
them (`51_conv_s1` of 1,280 channels and `52_fc_s1`, the classifier), which are not used. The net is that of
keras.applications: TensorFlow's SAME padding, ReLU6, RGB in -1..1.

A folded layer computes W x + b. Batch normalisation after W, gamma (W x - mean) / sqrt(variance + epsilon) + beta, is
the same function for any mean and variance when gamma = sqrt(variance + epsilon) and beta = b + mean. The choice of
mean and variance only decides how training begins: with the moments of real images, normalising by a batch changes
little.
"""

import os
import re
from pathlib import Path

import cv2
import keras
import numpy as np

from ..datasets.folders import find_images
from ..datasets.images import ImageError, read_image
from ..errors import InputError
from .backbones import backbone_model, set_layer_weights

KEY = re.compile(r"(\d+)_(conv|dw)_s(\d)_w")
INPUT = 224  # px, side of the images that the net was trained on
IMAGES, BATCH = 128, 8  # images that give the moments, and images per call of the net


def read_folded(path: str | os.PathLike) -> list[tuple[str, int, np.ndarray, np.ndarray]]:
    """Read folded layers, in the order of the file.

    Returns:
        Tuples of (`conv` or `dw`, stride, kernel float32 in the order of Keras, bias float32).

    Raises:
        InputError: the file is missing, damaged, or has arrays of other names.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key].astype(np.float32) for key in file.files}
    except Exception as error:  # NumPy's reader of headers raises what Python's tokenizer and parser raise
        raise InputError(f"{path}: cannot be read ({error}), expected an .npz of folded weights") from None
    layers = []
    for match in filter(None, map(KEY.fullmatch, sorted(arrays))):
        key, (number, kind, stride) = match[0], match.groups()
        bias = arrays.get(f"{key[:-2]}_b")
        if int(number) != len(layers) or bias is None or bias.shape != arrays[key].shape[:1]:
            raise InputError(f"{path}: {key} of shape {arrays[key].shape} is out of order or has no bias {key[:-2]}_b "
                             f"of {arrays[key].shape[:1]}")
        axes = (2, 3, 0, 1) if kind == "dw" else (2, 3, 1, 0)
        layers.append((kind, int(stride), arrays[key].transpose(axes), bias))
    if not layers:
        raise InputError(f"{path}: found {', '.join(list(arrays)[:3])}, expected names such as 00_conv_s2_w")
    return layers


def mobilenet_v2_from_folded(path: str | os.PathLike, images: str | os.PathLike | None = None) -> keras.Model:
    """Return the backbone (variant keras, width 1) that computes the same as the folded layers.

    Args:
        path: the .npz of folded layers.
        images: folder whose images give the moments of batch normalisation: IMAGES of them, evenly spread over the
            sorted names. None: mean 0 and variance 1 in every channel.

    Raises:
        InputError: names the file, the layer, what was found and what was expected.
    """
    model = backbone_model("mobilenet_v2", {"VARIANT": "keras", "ALPHA": 1.0})
    names = [layer.name for layer in model.layers if layer.weights and not layer.name.endswith("_bn")]
    layers = read_folded(path)
    if len(layers) < len(names):
        raise InputError(f"{path}: holds {len(layers)} layers, expected at least {len(names)}: a MobileNetV2")
    for name, (kind, stride, kernel, bias) in zip(names, layers, strict=False):
        layer = model.get_layer(name)
        found, expected = (kind == "dw", stride), (name.endswith("depthwise"), layer.strides[0])
        if found != expected:
            raise InputError(f"{path}: layer {name}: found {kind} of stride {stride}, expected "
                             f"{'dw' if expected[0] else 'conv'} of stride {expected[1]}; another net?")
        set_layer_weights(layer, [kernel], path)
        _normalise(model, name, bias, np.zeros(len(bias)), None)
    if images is not None:
        for name, (mean, variance) in zip(names, _moments(model, names, images), strict=True):
            _normalise(model, name, model.get_layer(f"{name}_bn").get_weights()[1], mean, variance)
    return model


def _normalise(model, name, bias, mean, variance):
    """Let the batch normalisation after a layer add only the bias, with these moments; variance None: about 1."""
    bn = model.get_layer(f"{name}_bn")
    if variance is None:
        variance = np.full(len(bias), 1 - bn.epsilon)
    # gamma is computed from the moments as stored, in float32, so that the function is the same to the last digits.
    mean, variance = np.float32(mean), np.float32(variance)
    gamma = np.sqrt(variance.astype(np.float64) + np.float32(bn.epsilon))
    beta = bias + mean.astype(np.float64)
    set_layer_weights(bn, [gamma.astype(np.float32), beta.astype(np.float32), mean, variance], name)


def _moments(model, names, folder):
    """[(mean (C,), variance (C,))] of the outputs of the layers `names` over images of a folder, squeezed to INPUT."""
    files, images = find_images(folder), []
    chosen = sorted(set(np.linspace(0, len(files) - 1, min(IMAGES, len(files))).round().astype(int)))
    for number in chosen:
        try:
            image = read_image(Path(folder, files[number]))
        except ImageError:
            continue  # one image less hardly changes a moment
        images.append(cv2.resize(image, (INPUT, INPUT), interpolation=cv2.INTER_AREA))
    if not images:
        raise InputError(f"{folder}: none of its images can be read; the moments are those of images")
    inner = keras.Model(model.input, [model.get_layer(name).output for name in names])
    sums = [np.zeros((2, 1))] * len(names)  # of (mean, mean square)
    for start in range(0, len(images), BATCH):
        batch = np.stack(images[start : start + BATCH]).astype(np.float32)
        moments = []
        for values in inner(batch, training=False):
            values = keras.ops.convert_to_numpy(values).reshape(-1, values.shape[-1])
            mean = values.mean(axis=0, dtype=np.float64)
            moments.append(np.stack([mean, (values - np.float32(mean)).var(axis=0, dtype=np.float64) + mean**2]))
        sums = [total + own * (len(batch) / len(images)) for total, own in zip(sums, moments, strict=True)]
    return [(mean, np.maximum(square - mean**2, 0)) for mean, square in sums]
