"""Weights stored as float16: half the size for a file that ships. The arithmetic stays float32.

Each weight is rounded to 11 significant bits. A net of 50 layers then differs by some thousandths of its largest value.
"""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np

from ..errors import InputError
from ..weights.content import check_weights, sealed, stamp

LARGEST = float(np.finfo(np.float16).max)
COMPRESSED_FROM = 4096  # bytes; smaller arrays are stored as they are, because compression costs bytes too


def halve_weights(source: str | os.PathLike) -> bytes:
    """The bytes of a .weights.h5 with its float32 arrays as float16, compressed. Keras reads it like the other.

    Raises:
        InputError: a weight is beyond float16 (65,504), or the file is damaged.
    """
    import h5py

    check_weights(source)
    target = io.BytesIO()
    # libver latest: without it the tables of many small groups take half a megabyte
    with h5py.File(source, "r") as old, h5py.File(target, "w", libver="latest") as new:
        new.attrs.update(old.attrs)

        def copy(name, item):
            if isinstance(item, h5py.Group):
                made = new.create_group(name)
            else:
                values = _half(item[()], f"{source}: {name}")
                packed = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
                made = new.create_dataset(name, data=values, **(packed if values.nbytes >= COMPRESSED_FROM else {}))
            made.attrs.update(item.attrs)

        old.visititems(copy)
        stamp(new)
    return sealed(target.getvalue())


def halve_graph(model: Any) -> Any:
    """The ONNX model with its float32 weights as float16, each behind a Cast, which runtimes compute when they load.

    Raises:
        InputError: a weight is beyond float16.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph, casts = model.graph, []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or int(np.prod(tensor.dims)) < 64:  # a Cast costs more than it saves
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(_half(numpy_helper.to_array(tensor), name), f"{name}_h"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    for node in nodes:  # defaults of the format; they take 3 kB in a net of 50 layers
        node.ClearField("name")
        usual = [a for a in node.attribute if node.op_type == "Conv"
                 and ((a.name == "group" and a.i == 1) or (a.name in ("strides", "dilations") and set(a.ints) == {1}))]
        for attribute in usual:
            node.attribute.remove(attribute)
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _half(values, name):
    """Float32 values as float16, others as they are."""
    if values.dtype != np.float32:
        return values
    if values.size and not np.abs(values).max() <= LARGEST:
        raise InputError(f"{name} holds {np.abs(values).max():.4g}, float16 ends at {LARGEST:.0f}; keep float32")
    return values.astype(np.float16)
