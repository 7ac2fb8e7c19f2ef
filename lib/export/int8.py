"""Eight-bit arithmetic: calibration images, and NNCF's post-training quantisation of an ONNX graph.

Weights get a scale per channel, activations a scale per tensor from the calibration images. The convolutions that give
the family's maps stay in float: a step of 1/256 costs most in scores and offsets, and they take little of the time.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np

from ..datasets.folders import find_images
from ..datasets.images import ImageError, read_image
from ..errors import InputError
from ..inference.base import scaled_size

IMAGES = 200  # evenly spread over the calibration folder
SIDE = 640  # px, longer side; enough for the statistics of activations


def calibration_images(folder: str | os.PathLike, facts: Mapping[str, Any]) -> Iterator[np.ndarray]:
    """Yield up to IMAGES images (H, W, 3) uint8 RGB below a folder, of a size that the model takes.

    Raises:
        InputError: the folder has no image that can be read.
    """
    names = find_images(folder)
    names = [names[int(i)] for i in np.linspace(0, len(names) - 1, min(IMAGES, len(names)))]
    given, multiple = facts["input"], max(1, facts["input"]["multiple"])
    size, count = facts["config"]["TEST"].get("SIZE") or None, 0
    for name in names:
        try:
            image = read_image(f"{folder}/{name}")
        except ImageError:
            continue  # one image less hardly changes a scale
        if given["height"]:
            width, height = given["width"], given["height"]
        elif size:
            width, height = size
        else:
            width, height = scaled_size(image.shape[1], image.shape[0], 1, max_side=SIDE)
            width, height = (max(multiple, side // multiple * multiple) for side in (width, height))
        count += 1
        yield cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    if not count:
        raise InputError(f"{folder}: none of its images can be read, nothing to calibrate on")


def quantise_onnx(graph: Any, facts: Mapping[str, Any], folder: str | os.PathLike) -> Any:
    """The 8-bit onnx.ModelProto of one in float32, calibrated on the images below a folder."""
    return _quantise(graph, graph.graph.input[0].name, _heads(graph), facts, folder)


def quantise_openvino(graph: Any, facts: Mapping[str, Any], folder: str | os.PathLike) -> Any:
    """The 8-bit OpenVINO model of an onnx.ModelProto in float32, calibrated on the images below a folder."""
    import openvino

    model = openvino.Core().read_model(io.BytesIO(graph.SerializeToString()))
    return _quantise(model, 0, _heads(graph), facts, folder)


def _quantise(model, key, heads, facts, folder):
    """The 8-bit model that NNCF makes. key: name or number of its input. heads: nodes that stay in float."""
    import logging

    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    images = [image[None] for image in calibration_images(folder, facts)]
    with contextlib.redirect_stdout(sys.stderr):  # its progress bars
        return nncf.quantize(
            model, nncf.Dataset(images, lambda image: {key: image}), subset_size=len(images),
            preset=nncf.QuantizationPreset.MIXED,  # symmetric weights, asymmetric activations for LeakyReLU
            ignored_scope=nncf.IgnoredScope(names=heads))


def _heads(graph):
    """Names of the convolutions (or products) nearest to the outputs of an ONNX graph."""
    made_by = {output: node for node in graph.graph.node for output in node.output}
    heads = set()
    for output in graph.graph.output:
        node = made_by[output.name]
        while node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            node = made_by.get(node.input[0])
            if node is None:
                break
        else:
            heads.add(node.name)
    return sorted(heads)
