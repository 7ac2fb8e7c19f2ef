"""What a net costs: parameters, and multiplications with additions (MACs), layer by layer, for one image of some size.

MACs are the products that take the time: of convolutions, depthwise and transposed ones, and dense layers, as papers
count them. Some counters add what is done element by element. That is kept apart here (`others`): 2 per number for
batch normalisation, which runtimes fold into the convolution, 1 for an activation or a sum of maps. FLOPs, where a
paper gives them, are twice the MACs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    import keras

DEFAULT_SIZE = (640, 480)  # (width, height) px, at which nets that take any size are usually compared
MOMENTS = ("moving_mean", "moving_variance")  # what batch normalisation stores; not counted as parameters


@dataclass
class Cost:
    """One use of a layer.

    Attributes:
        shape: of the output, without the batch.
        parameters: 0 when the layer is used again.
        macs: multiplications with additions.
        others: operations element by element.
    """

    name: str
    kind: str
    shape: tuple
    parameters: int
    macs: int
    others: int = 0


def layer_costs(model: keras.Model, size: tuple[int, int] | None = None) -> list[Cost]:
    """Count the layers in the order of computation, also those inside nested models.

    Nothing is computed: shapes go through the model symbolically.

    Args:
        model: has one image input.
        size: (width, height) px; None: that of the model, else DEFAULT_SIZE.

    Raises:
        InputError: the model takes another size, or a layer has a kernel that this module cannot count.
    """
    import keras

    height, width, channels = input_shape(model, size)
    leaves = [layer for layer in flat_layers(model) if not isinstance(layer, keras.layers.InputLayer)]
    costs, seen = [], set()

    def record(layer, call):
        def recorded(*args, **kwargs):
            outputs = call(*args, **kwargs)
            first = keras.tree.flatten(args)[0]
            shape = tuple(keras.tree.flatten(outputs)[0].shape)
            parameters = 0 if id(layer) in seen else count_parameters(layer.weights)
            seen.add(id(layer))
            costs.append(Cost(layer.name, type(layer).__name__, shape[1:], parameters,
                              macs(layer, tuple(first.shape), shape), others(layer) * prod(shape[1:])))
            return outputs
        return recorded

    class Probe(keras.layers.Layer):
        def call(self, images):
            return model(images, training=False)

    for layer in leaves:
        layer.call = record(layer, layer.call)
    try:
        Probe().compute_output_spec(keras.KerasTensor((1, height, width, channels)))
    finally:
        for layer in leaves:
            del layer.call  # the class's own is found again
    return costs


def input_shape(model: keras.Model, size: tuple[int, int] | None = None) -> tuple[int, int, int]:
    """(height, width, channels) at which a model is counted.

    Raises:
        InputError: the model does not take `size`, (width, height) px.
    """
    height, width, channels = model.inputs[0].shape[1:]
    wanted = size or (width or DEFAULT_SIZE[0], height or DEFAULT_SIZE[1])
    if any(own not in (None, side) for own, side in zip((width, height), wanted, strict=True)):
        raise InputError(f"--size {wanted[0]}x{wanted[1]}: {model.name} takes images of {width} x {height} px only")
    return wanted[1], wanted[0], channels


def flat_layers(model: keras.Model) -> list[keras.Layer]:
    """The layers of a model and of the models in it, each once."""
    import keras

    found = {}
    for layer in model.layers:
        inner = flat_layers(layer) if isinstance(layer, keras.Model) else [layer]
        found |= {id(one): one for one in inner}
    return list(found.values())


def count_parameters(weights: Iterable[keras.Variable]) -> int:
    """Numbers in all weights but the stored moments of batch normalisation."""
    return sum(prod(weight.shape) for weight in weights if not weight.path.endswith(MOMENTS))


def macs(layer: keras.Layer, inputs: tuple, outputs: tuple) -> int:
    """Products of a layer on one image.

    The kernel of a convolution is applied at each of its output pixels, that of a transposed one at each input pixel.

    Args:
        inputs, outputs: shapes with the batch axis first.

    Raises:
        InputError: the layer has a kernel that has no rule here.
    """
    from keras import layers

    def pixels(shape):
        spatial = shape[2:] if getattr(layer, "data_format", "") == "channels_first" else shape[1:-1]
        return prod(spatial)

    if isinstance(layer, (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)):
        return pixels(inputs) * prod(layer.kernel.shape)
    if isinstance(layer, (layers.SeparableConv1D, layers.SeparableConv2D)):
        return pixels(outputs) * (prod(layer.depthwise_kernel.shape) + prod(layer.pointwise_kernel.shape))
    if isinstance(layer, (layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.DepthwiseConv1D, layers.DepthwiseConv2D)):
        return pixels(outputs) * prod(layer.kernel.shape)
    if isinstance(layer, layers.Dense):
        return prod(outputs[1:-1]) * prod(layer.kernel.shape)
    if any("kernel" in weight.name for weight in layer.weights):
        raise InputError(f"layer {layer.name}: a {type(layer).__name__} has a kernel that lib/nets/flops.py does not "
                         "know how to count; add its rule there")
    return 0


def others(layer: keras.Layer) -> int:
    """Operations of a layer per number of its output that are not products with a kernel."""
    from keras import layers

    if isinstance(layer, layers.BatchNormalization):
        return 2
    kinds = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU, layers.Softmax, layers.Add,
             layers.Multiply, layers.Rescaling)
    return int(isinstance(layer, kinds))


def totals(costs: Iterable[Cost], model: keras.Model) -> dict[str, int]:
    """parameters, trained parameters, stored moments, macs and others of a model with these layer_costs."""
    everything = sum(prod(weight.shape) for weight in model.weights)
    parameters = count_parameters(model.weights)
    sums = {key: sum(getattr(cost, key) for cost in costs) for key in ("macs", "others")}
    return {"parameters": parameters, "trained": sum(prod(weight.shape) for weight in model.trainable_weights),
            "moments": everything - parameters, **sums}
