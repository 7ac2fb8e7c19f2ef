"""OpenVINO on the CPU, for its own .xml and for .onnx.

Arithmetic is float32 unless asked otherwise: by default OpenVINO takes bfloat16 where the processor has it, and scores
move by some thousandths. A model of free size is compiled once for all sizes, and the first call of each size costs
some 15 ms more. A size that comes often, as in a video, gets a compilation of its own, which runs a tenth faster and
takes the time of ten calls to make.
"""

from __future__ import annotations

import collections
import functools
import math
import os
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino

from ..errors import InputError
from .faces import by_image
from .inputs import as_input
from .opened import FileSession

OFTEN = 8  # calls of a size before it gets a compilation of its own
SIZES, LANE_SIZES = 4, 8  # at most; where calls are small, their memory is small
LARGE = 30_000_000  # bytes of weights; larger nets have one compilation for all sizes, because each has a copy of them
HINTS = {None: "f32", "float32": "f32", "int8": "f32", "bf16": "bf16"}  # the float parts of int8 stay f32

# Its tables of types are filled at their first use. Two threads that are the first to use them wait for each other for
# ever, one with a lock of C++ and one with that of Python (OpenVINO 2026.4). So they are filled here.
openvino.Tensor(np.zeros(1, np.uint8), shared_memory=True).get_element_type().to_dtype()


@functools.cache
def core() -> openvino.Core:
    """The one Core of this process. It is never given up.

    Each Core sets a signal stack of its own for the thread, and puts back the one before when it ends. Where several
    end in the order of their creation, the thread is left with a stack that is freed, and the next signal, such as
    Ctrl-C, ends Python with a segmentation fault (OpenVINO 2026.4 on Linux).
    """
    return openvino.Core()


class Session(FileSession):
    """images (B, H, W, 3) -> dict of maps. Threads may share it: each has infer requests of its own.

    Attributes:
        lanes: this many calls may run at once, each on one thread; results hold until the next call of the same thread.
            None: calls take turns, use `threads`, and give arrays that stay.
    """

    def __init__(self, path: str | os.PathLike, facts: Mapping[str, Any], threads: int | None = None,
                 precision: str | None = None, lanes: int | None = None) -> None:
        super().__init__(path, facts, threads, precision, lanes)
        self.lanes, self.sizes = lanes, LANE_SIZES if lanes else SIZES
        self.options: dict[str, str | int | bool] = {"INFERENCE_PRECISION_HINT": HINTS[precision],
                                                     "PERFORMANCE_HINT": "LATENCY"}
        if lanes:
            self.options |= {"NUM_STREAMS": lanes, "INFERENCE_NUM_THREADS": lanes, "ENABLE_CPU_PINNING": False}
        elif threads:
            self.options["INFERENCE_NUM_THREADS"] = threads
        self.local, self.lock = threading.local(), threading.Lock()
        self.outputs = [output["name"] for output in facts["outputs"]]
        self.core = core()
        if precision == "bf16" and "BF16" not in self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise InputError(f"{path}: precision bf16: this processor cannot compute in it; expected float32")
        try:
            self.source = self.core.read_model(str(path))
            self._check_outputs(facts, {name for output in self.source.outputs for name in output.get_names()})
            self.facts = _padded_outside(self.source, facts) if facts["content"] == "maps" else facts
            self.free = self.core.compile_model(self.source, "CPU", self.options)
        except RuntimeError as error:
            raise InputError(f"{path}: OpenVINO cannot take it ({' '.join(str(error).split())[-200:]})") from None
        weights = sum(op.get_byte_size() for op in self.source.get_ops() if op.get_type_name() == "Constant")
        self.adapts = self.source.is_dynamic() and facts["content"] == "maps" and weights < LARGE
        self.seen, self.compiled = collections.Counter(), {}  # of shapes (B, H, W, 3)

    def __call__(self, images):
        images = as_input(images, self.facts)
        results = self._request(images.shape).infer({0: images}, share_inputs=True, share_outputs=bool(self.lanes))
        outputs = {name: results[name] for name in self.outputs}
        return by_image(outputs, len(images)) if self.facts["content"] == "faces" else outputs

    def _request(self, shape):
        """This thread's infer request for a shape."""
        model = self._model(shape) if self.adapts else self.free
        requests = self.local.__dict__.setdefault("requests", {})
        kept = requests.get(shape if model is not self.free else None)
        if kept is None or kept[0] is not model:  # a request belongs to its model
            kept = requests[shape if model is not self.free else None] = model, model.create_infer_request()
        return kept[1]

    def _model(self, shape):
        """The compilation for a shape: its own where it came often, else that for all."""
        model = self.compiled.get(shape)
        if model is not None:
            return model
        with self.lock:
            self.seen[shape] += 1
            if self.seen[shape] < OFTEN or len(self.compiled) >= self.sizes or shape in self.compiled:
                return self.compiled.get(shape, self.free)
            own = self.source.clone()
            own.reshape({0: list(shape)})
            self.compiled[shape] = self.core.compile_model(own, "CPU", self.options)
            return self.compiled[shape]


def _padded_outside(model, facts):
    """Take the padding of the images to a multiple out of the model; returns the facts by which as_input does it.

    OpenVINO pads a free size element by element. That takes up to a fifth of the time of the net, even where nothing
    has to be added. The grey that as_input adds is the same.
    """
    images = model.inputs[0]
    for taker in images.get_target_inputs():
        pad = taker.get_node()
        multiple = _divisor(pad.input_value(1).get_node()) if pad.get_type_name() == "Pad" else None
        if multiple and taker.get_index() == 0:
            pad.output(0).replace(images)
            model.validate_nodes_and_infer_types()
            return facts | {"input": facts["input"] | {"multiple": math.lcm(multiple, facts["input"]["multiple"])}}
    return facts


def _divisor(node):
    """The one number by which a remainder is taken on the way to `node`; None where there is none."""
    while node.get_input_size():
        if node.get_type_name() == "FloorMod":
            divisor = node.input_value(1).get_node()
            data = divisor.get_data() if divisor.get_type_name() == "Constant" else np.zeros(0)
            return int(data.item()) if data.size == 1 else None
        inputs = [value.get_node() for value in node.input_values()]
        node = next((other for other in inputs if other.get_type_name() != "Constant"), inputs[0])
    return None
