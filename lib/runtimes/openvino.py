"""OpenVINO on the CPU, for its own .xml and for .onnx.

Arithmetic is float32 unless asked otherwise: left alone OpenVINO takes bfloat16 where the processor has it, and scores
move by some thousandths. A model of free size is compiled once for all sizes, which costs it a fifth of its speed; a
size that keeps coming, as in a video, gets a compilation of its own, in about the time of ten calls.
"""

import collections
import threading

import openvino

from ..errors import InputError
from .faces import by_image
from .images import as_input

OFTEN = 8  # calls of a size before it gets a compilation of its own
SIZES = 4  # so many at most
LARGE = 30_000_000  # bytes of weights from which every size shares one compilation: each has a copy of them


class Session:
    """images (B, H, W, 3) -> dict of maps; safe from several threads, each has infer requests of its own."""

    def __init__(self, path, facts, threads=None, precision="f32"):
        self.options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            self.options["INFERENCE_NUM_THREADS"] = threads
        self.facts, self.local, self.lock = facts, threading.local(), threading.Lock()
        self.outputs = [output["name"] for output in facts["outputs"]]
        try:
            self.core = openvino.Core()
            self.source = self.core.read_model(str(path))
            self.free = self.core.compile_model(self.source, "CPU", self.options)
        except RuntimeError as error:
            raise InputError(f"{path}: OpenVINO cannot take it ({' '.join(str(error).split())[-200:]})") from None
        weights = sum(op.get_byte_size() for op in self.source.get_ops() if op.get_type_name() == "Constant")
        self.adapts = self.source.is_dynamic() and facts["content"] == "maps" and weights < LARGE
        self.seen, self.compiled = collections.Counter(), {}  # of shapes (B, H, W, 3)

    def __call__(self, images):
        images = as_input(images, self.facts)
        results = self._request(images.shape).infer({0: images}, share_inputs=True)
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
            if self.seen[shape] < OFTEN or len(self.compiled) >= SIZES or shape in self.compiled:
                return self.compiled.get(shape, self.free)
            own = self.source.clone()
            own.reshape({0: list(shape)})
            self.compiled[shape] = self.core.compile_model(own, "CPU", self.options)
            return self.compiled[shape]
