"""A Keras net as an ONNX graph: uint8 RGB images (B, H, W, 3) in, the family's dict of maps (B, h, w, C) out.

The conversion goes layer by layer, by the table LAYERS. That takes a second, keeps the names of the layers and folds
what can be folded (graph.py). A net with a layer or an operation that is not in the table goes as a whole through
Keras' own exporter and tf2onnx: slower to make and to run, with float32 input, but used in the same way.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..errors import InputError
from .graph import OPSET, Graph, Value

if TYPE_CHECKING:
    import keras

INPUT = "images"


class UnknownLayer(Exception):
    """A layer that the table does not know, or knows only with other settings."""


def to_onnx(model: keras.Model, finish: Callable[[Graph, dict[str, Value]], None] | None = None) -> Any:
    """Convert a functional keras.Model with one image input and a dict of outputs.

    Args:
        finish: function (graph, maps) that appends nodes and declares the outputs instead of the maps (nms.py).

    Returns:
        onnx.ModelProto.

    Raises:
        InputError: a needed package is missing.
    """
    require("onnx", "onnx")
    try:
        graph, maps = _by_table(model)
    except UnknownLayer as reason:
        if finish is not None:
            raise InputError(f"--nms: {reason}, which the exporter cannot put into a graph with NMS") from None
        return _by_keras(model, reason)
    (finish or _declare_maps(model))(graph, maps)
    return graph.model(model.name, __version__)


def require(package: str, extra: str) -> ModuleType:
    """Import `package`; InputError that names the extra to install where it is missing."""
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(f"this needs the package {package} ({error}): pip install 'manyfaces[{extra}]'") from None


def _declare_maps(model):
    def declare(graph, maps):
        from onnx import TensorProto, helper

        for name, value in maps.items():
            channels_last(graph, value, name)
            shape = model.output[name].shape[1:]
            sides = [side or f"{name}_{axis}" for side, axis in zip(shape, ("height", "width", ""), strict=False)]
            graph.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *sides]))
    return declare


def walk(model: keras.Model) -> tuple[keras.Model, list[tuple]]:
    """(functional model of the same layers, list of (layer, input tensors, output) in the order of computation)."""
    import keras

    calls = []

    def record(layer, *arguments, **keywords):
        outputs = layer(*arguments, **keywords)
        calls.append((layer, keras.tree.flatten(arguments), outputs))
        return outputs

    # Cloning is Keras' public way to walk a functional net in order; the layers themselves are not copied.
    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=record), calls


def _by_table(model):
    """(Graph with its input declared, dict output name -> Value of the map)."""
    import keras
    from onnx import TensorProto, helper

    if len(model.inputs) != 1 or not isinstance(model.output, dict):
        raise UnknownLayer(f"{model.name} has {len(model.inputs)} inputs and gives a {type(model.output).__name__}")
    graph, values = Graph(frozenset(model.output)), {}
    clone, calls = walk(model)
    takers = {}
    for _, arguments, _ in calls:
        for argument in arguments:
            takers[id(argument)] = takers.get(id(argument), 0) + 1
    for output in keras.tree.flatten(clone.output):
        takers[id(output)] = takers.get(id(output), 0) + 1
    height, width = model.inputs[0].shape[1:3]
    graph.inputs.append(helper.make_tensor_value_info(
        INPUT, TensorProto.UINT8, ["batch", height or "height", width or "width", 3]))
    values[id(clone.inputs[0])] = Value(INPUT, raw=True)
    for layer, arguments, outputs in calls:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        convert = LAYERS.get(type(layer).__name__)
        if convert is None or isinstance(outputs, (list, tuple, dict)):
            raise UnknownLayer(f"layer {layer.name} is a {type(layer).__name__}")
        if any(id(argument) not in values for argument in arguments):
            raise UnknownLayer(f"layer {layer.name} is called with more than tensors")
        inputs = [values[id(argument)] for argument in arguments]
        alone = all(takers[id(argument)] == 1 for argument in arguments)
        values[id(outputs)] = convert(graph, layer, inputs, alone)
    maps = {}
    for name, output in clone.output.items():
        if id(output) not in values:
            raise UnknownLayer(f"output {name} comes from an operation that is no layer")
        maps[name] = Value(graph.settled(values[id(output)]), flat=values[id(output)].flat)
    return graph, maps


def channels_last(graph: Graph, value: Value, name: str) -> str:
    """The map for the family's `decode`, (B, h, w, C) or (B, C), under the exact name; returns that name."""
    if value.flat:
        return graph.node("Identity", [value.name], name, [name])
    return graph.node("Transpose", [value.name], name, [name], perm=[0, 2, 3, 1])


def _by_keras(model, reason):
    """Through Keras and tf2onnx; `reason` says why, for the message where tf2onnx is missing."""
    import onnx

    try:
        require("tf2onnx", "export")
    except InputError as error:
        raise InputError(f"{reason}, which only tf2onnx converts; {error}") from None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model(np.zeros([side or 64 for side in (1, *model.inputs[0].shape[1:])], np.float32))
        model.export(path, format="onnx", verbose=False, opset_version=OPSET)
        return onnx.load(path)


# ------------------------------------------------------------ layer by layer


def _conv(graph, layer, inputs, _alone):
    """Conv2D, and DepthwiseConv2D as a convolution in groups."""
    _channels_last(layer)
    depthwise = type(layer).__name__ == "DepthwiseConv2D"
    kernel = np.asarray(layer.kernel)  # (kh, kw, in, out), depthwise (kh, kw, in, multiplier)
    if depthwise:
        group = kernel.shape[2]
        kernel = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])
    else:
        group, kernel = layer.groups, kernel.transpose(3, 2, 0, 1)
    bias = np.asarray(layer.bias) if layer.use_bias else np.zeros(len(kernel))
    window = _window(layer, kernel.shape[2:], layer.dilation_rate)
    value = inputs[0] if not inputs[0].raw else Value(graph.settled(inputs[0]))
    value = graph.convolution(value, layer.name, kernel, bias, group=group, **window)
    return _activated(graph, layer, value)


def _window(layer, size, dilation=(1, 1)):
    """Attributes of a sliding window: kernel_shape, strides, dilations and pads as TensorFlow has them."""
    found = {"kernel_shape": list(size), "strides": list(layer.strides)}
    if tuple(dilation) != (1, 1):
        found["dilations"] = list(dilation)
    if layer.padding == "same":
        if max(layer.strides) > 1:  # how much goes to which side depends on the height and width
            return found | {"auto_pad": "SAME_UPPER"}
        total = [(side - 1) * step for side, step in zip(size, dilation, strict=True)]
        found["pads"] = [side // 2 for side in total] + [side - side // 2 for side in total]
    elif layer.padding != "valid":
        raise UnknownLayer(f"layer {layer.name} has padding {layer.padding!r}")
    return found


def _batch_norm(graph, layer, inputs, alone):
    """Into the convolution before it, where nobody else wants that one's output; else a factor and a shift."""
    if layer.axis not in (-1, 3) and not inputs[0].flat:
        raise UnknownLayer(f"layer {layer.name} normalises axis {layer.axis}")
    mean, variance = (np.asarray(v, np.float64) for v in (layer.moving_mean, layer.moving_variance))
    factor = 1 / np.sqrt(variance + layer.epsilon) * (np.asarray(layer.gamma, np.float64) if layer.scale else 1)
    shift = (np.asarray(layer.beta, np.float64) if layer.center else 0) - mean * factor
    if inputs[0].convolution is not None and alone:
        inputs[0].convolution.rescale(factor, shift)
        return inputs[0]
    shape = (-1,) if inputs[0].flat else (-1, 1, 1)
    name = graph.node("Mul", [graph.settled(inputs[0]), graph.constant(
        f"{layer.name}_factor", factor.astype(np.float32).reshape(shape))], f"{layer.name}_mul")
    shift = graph.constant(f"{layer.name}_shift", shift.astype(np.float32).reshape(shape))
    return Value(graph.node("Add", [name, shift], layer.name), flat=inputs[0].flat)


def _rescaling(graph, layer, inputs, _alone):
    """scale * x + offset: less -offset / scale here, so that a zero of padding stays one; the scale waits."""
    scale, offset = np.broadcast_arrays(np.float64(layer.scale).ravel(), np.float64(layer.offset).ravel())
    # One mean goes off before the channels go first: OpenVINO's convolutions undo the transposition of floats for
    # nothing, that of bytes not. Three means are slow in ONNX Runtime while the channels are last.
    if inputs[0].raw and len(offset) == 1 and offset.any():
        name = graph.node("Cast", [inputs[0].name], f"{layer.name}_float", to=1)  # TensorProto.FLOAT
        name = graph.node("Sub", [name, graph.constant(f"{layer.name}_mean", np.float32(-offset / scale))], layer.name)
        name = graph.node("Transpose", [name], f"{layer.name}_channels_first", perm=[0, 3, 1, 2])
        return Value(name, scale=np.broadcast_to(scale, 3))
    name = graph.settled(inputs[0])
    if offset.any():
        mean = graph.constant(f"{layer.name}_mean", np.float32(-offset / scale).reshape(-1, 1, 1))
        name = graph.node("Sub", [name, mean], layer.name)
    return Value(name, scale=np.broadcast_to(scale, 3) if len(scale) == 1 else scale)


def _pad_to_multiple(graph, layer, inputs, _alone):
    """Grey at the right and at the bottom, by as much as the sides lack; on the raw bytes where it comes first."""
    from ..constants import FILL

    value, raw = inputs[0], inputs[0].raw
    name = value.name if raw else graph.settled(value)
    sides = [1, 2] if raw else [2, 3]
    shape = graph.node("Shape", [name], f"{layer.name}_shape", start=sides[0], end=sides[1] + 1)
    lacking = graph.node("Mod", [graph.node("Neg", [shape], f"{layer.name}_negative"), graph.constant(
        f"{layer.name}_multiple", np.array([layer.multiple], np.int64))], f"{layer.name}_lacking")
    before = graph.constant(f"{layer.name}_before", np.zeros(4 + sides[0], np.int64))
    after = graph.constant(f"{layer.name}_after", np.zeros(3 - sides[1], np.int64))
    pads = graph.node("Concat", [before, lacking, *([after] if raw else [])], f"{layer.name}_pads", axis=0)
    fill = graph.constant("fill", (np.uint8 if raw else np.float32)(FILL))
    return Value(graph.node("Pad", [name, pads, fill], layer.name), raw=raw)


def _zero_padding(graph, layer, inputs, _alone):
    (top, bottom), (left, right) = layer.padding
    value = inputs[0]
    return Value(graph.settled(value) if value.raw or any(value.pads) else value.name, scale=value.scale,
                 pads=(top, left, bottom, right))


def _upsampling(graph, layer, inputs, _alone):
    modes = {"nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
             "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}}
    if layer.interpolation not in modes:
        raise UnknownLayer(f"layer {layer.name} interpolates {layer.interpolation}")
    scales = graph.constant(f"{layer.name}_scales", np.array([1, 1, *layer.size], np.float32))
    return Value(graph.node("Resize", [graph.settled(inputs[0]), "", scales], layer.name, **modes[layer.interpolation]))


def _pooling(kind):
    # ONNX Runtime 1.31 takes zeros of a Pad before a MaxPool for padding that never wins. After a ReLU, where nets have
    # it, that is the same; elsewhere the comparison with Keras that ends an export would show it.
    def convert(graph, layer, inputs, _alone):
        _channels_last(layer)
        return Value(graph.node(kind, [graph.settled(inputs[0])], layer.name, **_window(layer, layer.pool_size)))
    return convert


def _flatten(graph, layer, inputs, _alone):
    name = graph.settled(inputs[0])
    if not inputs[0].flat:  # Keras flattens with the channels last
        name = graph.node("Transpose", [name], f"{layer.name}_channels_last", perm=[0, 2, 3, 1])
    return Value(graph.node("Flatten", [name], layer.name), flat=True)


def _dense(graph, layer, inputs, _alone):
    if not inputs[0].flat:
        raise UnknownLayer(f"layer {layer.name} is a Dense over a map")
    kernel = np.asarray(layer.kernel)
    bias = np.asarray(layer.bias) if layer.use_bias else np.zeros(kernel.shape[1], np.float32)
    name = graph.node("Gemm", [inputs[0].name, graph.constant(f"{layer.name}_kernel", kernel),
                               graph.constant(f"{layer.name}_bias", bias)], layer.name)
    return _activated(graph, layer, Value(name, flat=True))


def _add(graph, layer, inputs, _alone):
    names = [graph.settled(value) for value in inputs]
    for number, other in enumerate(names[1:], start=2):  # ONNX adds two at a time
        names[0] = graph.node("Add", [names[0], other],
                              layer.name if number == len(names) else f"{layer.name}_{number}")
    return Value(names[0], flat=inputs[0].flat)


def _concatenate(graph, layer, inputs, _alone):
    axis = {1: 2, 2: 3, 3: 1, -1: 1, -2: 3, -3: 2}.get(layer.axis) if not inputs[0].flat else 1
    if axis is None:
        raise UnknownLayer(f"layer {layer.name} joins axis {layer.axis}")
    return Value(graph.node("Concat", [graph.settled(value) for value in inputs], layer.name, axis=axis),
                 flat=inputs[0].flat)


def _relu(graph, layer, inputs, _alone):
    if layer.negative_slope or layer.threshold:
        raise UnknownLayer(f"layer {layer.name} is a ReLU with a slope or a threshold")
    name = graph.settled(inputs[0])
    return Value(_rectified(graph, name, layer.name, layer.max_value), flat=inputs[0].flat)


def _rectified(graph, name, output, highest=None):
    if highest is None:
        return graph.node("Relu", [name], output)
    return graph.node("Clip", [name, graph.constant("zero", np.float32(0)),
                               graph.constant(f"{highest:g}", np.float32(highest))], output)


def _leaky_relu(graph, layer, inputs, _alone):
    return Value(graph.node("LeakyRelu", [graph.settled(inputs[0])], layer.name, alpha=float(layer.negative_slope)),
                 flat=inputs[0].flat)


def _prelu(graph, layer, inputs, _alone):
    alpha = np.asarray(layer.alpha)
    if not inputs[0].flat:
        if alpha.ndim != 3 or alpha.shape[:2] != (1, 1):
            raise UnknownLayer(f"layer {layer.name} has a slope of its own for each place")
        alpha = alpha.reshape(-1, 1, 1)
    # max(x, 0) - slope * max(-x, 0): ONNX Runtime takes a third of PRelu's time for it, OpenVINO makes a PRelu of it.
    name, slope = graph.settled(inputs[0]), graph.constant(f"{layer.name}_slope", -alpha)
    below = graph.node("Relu", [graph.node("Neg", [name], f"{layer.name}_negative")], f"{layer.name}_below")
    above = graph.node("Relu", [name], f"{layer.name}_above")
    below = graph.node("Mul", [below, slope], f"{layer.name}_sloped")
    return Value(graph.node("Add", [above, below], layer.name), flat=inputs[0].flat)


def _activation(graph, layer, inputs, _alone):
    return _activated(graph, layer, inputs[0], layer.name)


def _activated(graph, layer, value, output=None):
    """The Value after the activation that a layer carries."""
    kind = getattr(layer.activation, "__name__", str(layer.activation))
    output = output or f"{layer.name}_{kind}"
    if kind == "linear":
        return value
    if kind in ("relu", "relu6"):
        name = _rectified(graph, graph.settled(value), output, 6.0 if kind == "relu6" else None)
    elif kind in ("sigmoid", "tanh", "softmax"):
        options = {"axis": 1} if kind == "softmax" else {}
        name = graph.node(kind.capitalize(), [graph.settled(value)], output, **options)
    else:
        raise UnknownLayer(f"layer {layer.name} has the activation {kind}")
    return Value(name, flat=value.flat)


def _same_value(_graph, _layer, inputs, _alone):
    return inputs[0]


def _channels_last(layer):
    if layer.data_format != "channels_last":
        raise UnknownLayer(f"layer {layer.name} has its channels first")


LAYERS = {  # those of the nets here, and others that cost a word; any other layer goes through tf2onnx
    "Conv2D": _conv, "DepthwiseConv2D": _conv, "BatchNormalization": _batch_norm, "Rescaling": _rescaling,
    "PadToMultiple": _pad_to_multiple, "ZeroPadding2D": _zero_padding, "UpSampling2D": _upsampling,
    "MaxPooling2D": _pooling("MaxPool"), "AveragePooling2D": _pooling("AveragePool"), "Flatten": _flatten,
    "Dense": _dense, "Add": _add, "Concatenate": _concatenate, "ReLU": _relu, "LeakyReLU": _leaky_relu,
    "PReLU": _prelu, "Activation": _activation, "Dropout": _same_value,
}  # fmt: skip
"""Class of a layer -> function (Graph, layer, list of input Values, whether nobody else takes these) -> Value."""
