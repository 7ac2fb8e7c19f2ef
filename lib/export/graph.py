"""An ONNX graph under construction: channels first, with what inference does not need folded into the convolutions.

Batch normalisation, zero padding and the scale of the input's normalisation wait beside a value until its consumer is
known. A convolution takes them into its weights and attributes; other layers get them as nodes. So a runtime receives
convolutions and activations and little else, whatever its own optimiser can fold.
"""

from dataclasses import dataclass, field

import numpy as np

OPSET = 17
IR_VERSION = 9  # the oldest that the operators allow, so that older runtimes read it


@dataclass
class Convolution:
    """Weights that may still change: kernel (out, in / group, kh, kw), bias (out,), and the attributes of the node."""

    name: str
    kernel: np.ndarray
    bias: np.ndarray
    attributes: dict

    def rescale(self, factor, shift):
        """Make it give `factor * output + shift`, both (out,)."""
        self.kernel = self.kernel * factor[:, None, None, None]
        self.bias = self.bias * factor + shift


@dataclass
class Value:
    """A tensor of the graph: (B, C, H, W), or (B, C) where `flat`, or the input's raw (B, H, W, C).

    Attributes:
        pads: (top, left, bottom, right) zeros that still have to be put around it.
        scale: (C,) that it still has to be multiplied by.
        convolution: the Convolution whose output it is.
    """

    name: str
    raw: bool = False
    flat: bool = False
    pads: tuple = (0, 0, 0, 0)
    scale: np.ndarray | None = None
    convolution: Convolution | None = None


@dataclass
class Graph:
    """Nodes and constants; `model()` is the onnx.ModelProto.

    Attributes:
        reserved: names that no inner tensor may take, because the outputs have them.
    """

    reserved: frozenset = frozenset()
    nodes: list = field(default_factory=list)
    constants: dict = field(default_factory=dict)
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)

    def constant(self, name, array):
        """The name of `array` in the graph: `name`, or that with a number where it is taken."""
        array, unique, number = np.asarray(array), name, 2
        while unique in self.constants and not _same(self.constants[unique], array):
            unique, number = f"{name}_{number}", number + 1
        self.constants[unique] = array
        return unique

    def node(self, kind, inputs, output, outputs=None, **attributes):
        """Append a node; returns the name of its first output, which is also that of the node.

        outputs: the exact names where there are several, or where they are outputs of the graph.
        """
        outputs = [self._inner(output)] if outputs is None else outputs
        self.nodes.append((kind, list(inputs), outputs, attributes))
        return outputs[0]

    def convolution(self, value, name, kernel, bias, **attributes):
        """A Conv of a Value. What waits beside it goes into the weights and pads."""
        scale, pads = value.scale, value.pads
        if scale is not None:
            if attributes.get("group", 1) > 1 or "auto_pad" in attributes:
                value, pads = Value(self.settled(value)), (0, 0, 0, 0)
            else:
                kernel = kernel * scale[None, :, None, None]
        if any(pads):
            if "auto_pad" in attributes:
                value = Value(self.settled(value))
            else:
                attributes["pads"] = [a + b for a, b in zip(pads, attributes.get("pads", (0, 0, 0, 0)), strict=True)]
        waiting = Convolution(name, kernel.astype(np.float64), bias.astype(np.float64), attributes)
        self.nodes.append((waiting, [value.name], [self._inner(name)], attributes))
        return Value(self._inner(name), convolution=waiting)

    def _inner(self, name):
        return f"{name}_inner" if name in self.reserved else name

    def settled(self, value):
        """The name of a Value after everything that waited beside it has become nodes."""
        name = value.name
        if value.raw:
            name = self.node("Transpose", [name], f"{name}_channels_first", perm=[0, 3, 1, 2])
            name = self.node("Cast", [name], f"{name}_float", to=1)  # TensorProto.FLOAT
        if value.scale is not None:
            factor = self.constant(f"{name}_scale", np.float32(value.scale).reshape(-1, 1, 1))
            name = self.node("Mul", [name, factor], f"{name}_scaled")
        if any(value.pads):
            top, left, bottom, right = value.pads
            pads = self.constant(f"{name}_pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
            name = self.node("Pad", [name, pads, self.constant("zero", np.float32(0))], f"{name}_padded")
        return name

    def model(self, name, producer):
        """onnx.ModelProto, checked."""
        import onnx
        from onnx import helper, numpy_helper

        nodes, constants = [], dict(self.constants)
        for kind, inputs, outputs, attributes in self.nodes:
            if isinstance(kind, Convolution):
                constants[f"{kind.name}_kernel"] = kind.kernel.astype(np.float32)
                constants[f"{kind.name}_bias"] = kind.bias.astype(np.float32)
                inputs = [*inputs, f"{kind.name}_kernel", f"{kind.name}_bias"]
                kind = "Conv"
            nodes.append(helper.make_node(kind, inputs, outputs, name=outputs[0], **attributes))
        used = {name for node in nodes for name in node.input}
        graph = helper.make_graph(nodes, name, self.inputs, self.outputs, [
            numpy_helper.from_array(np.array(array, order="C"), key) for key, array in constants.items()
            if key in used])
        model = helper.make_model(graph, producer_name="manyfaces", producer_version=producer, ir_version=IR_VERSION,
                                  opset_imports=[helper.make_opsetid("", OPSET)])
        onnx.checker.check_model(model)
        return model


def _same(first, second):
    return first.shape == second.shape and first.dtype == second.dtype and np.array_equal(first, second)
