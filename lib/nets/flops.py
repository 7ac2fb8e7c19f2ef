"""What a net costs: parameters and multiplications with additions (MACs), layer by layer, for one image of some size.

MACs are the products that make the time: of convolutions, depthwise and transposed ones, and dense layers, as papers
count them. Some counters add what is done element by element; that is kept apart here (`others`): 2 a number for batch
normalisation, which runtimes fold into the convolution, 1 for an activation or a sum of maps. FLOPs, where a paper
gives them, are twice the MACs.
"""

from dataclasses import dataclass
from math import prod

from ..errors import InputError

DEFAULT_SIZE = (640, 480)  # (width, height) px, at which the field compares nets that take any size
MOMENTS = ("moving_mean", "moving_variance")  # what batch normalisation stores; not counted as parameters


@dataclass
class Cost:
    """One use of a layer: name, kind, output shape without the batch, parameters (0 when used again), MACs, others."""

    name: str
    kind: str
    shape: tuple
    parameters: int
    macs: int
    others: int = 0


def layer_costs(model, size=None):
    """List of Cost in the order of computation, also of the layers inside nested models.

    model: keras.Model with one image input. size: (width, height) px; None: that of the model, else DEFAULT_SIZE.
    Nothing is computed: shapes go through the model symbolically. Raises InputError where the model takes another size,
    or has a layer with a kernel that this module cannot count.
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


def input_shape(model, size=None):
    """(height, width, channels) at which a model is counted; InputError where it does not take `size`."""
    height, width, channels = model.inputs[0].shape[1:]
    wanted = size or (width or DEFAULT_SIZE[0], height or DEFAULT_SIZE[1])
    if any(own not in (None, side) for own, side in zip((width, height), wanted, strict=True)):
        raise InputError(f"--size {wanted[0]}x{wanted[1]}: {model.name} takes images of {width} x {height} px only")
    return wanted[1], wanted[0], channels


def flat_layers(model):
    """The layers of a model and of the models in it, each once."""
    import keras

    found = {}
    for layer in model.layers:
        inner = flat_layers(layer) if isinstance(layer, keras.Model) else [layer]
        found |= {id(one): one for one in inner}
    return list(found.values())


def count_parameters(weights):
    """Numbers in all weights but the stored moments of batch normalisation."""
    return sum(prod(weight.shape) for weight in weights if not weight.path.endswith(MOMENTS))


def macs(layer, inputs, outputs):
    """Products of a layer on one image; inputs, outputs: shapes with the batch axis first.

    A convolution's kernel meets each of its output pixels once, a transposed one's each of its input pixels.
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


def others(layer):
    """Operations of a layer on each number of its output that are no products with a kernel."""
    from keras import layers

    if isinstance(layer, layers.BatchNormalization):
        return 2
    kinds = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU, layers.Softmax, layers.Add,
             layers.Multiply, layers.Rescaling)
    return int(isinstance(layer, kinds))


def totals(costs, model):
    """Dict of parameters, trained parameters, stored moments, MACs and others of a model with these layer_costs."""
    everything = sum(prod(weight.shape) for weight in model.weights)
    parameters = count_parameters(model.weights)
    sums = {key: sum(getattr(cost, key) for cost in costs) for key in ("macs", "others")}
    return {"parameters": parameters, "trained": sum(prod(weight.shape) for weight in model.trainable_weights),
            "moments": everything - parameters, **sums}
