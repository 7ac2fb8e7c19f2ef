"""OpenVINO on the CPU, for its own .xml and for .onnx.

Arithmetic is float32 unless asked otherwise: left alone OpenVINO takes bfloat16 where the processor has it, and scores
move by some thousandths.
"""

import threading

import openvino

from ..errors import InputError
from .faces import by_image
from .images import as_input


class Session:
    """images (B, H, W, 3) -> dict of maps; safe from several threads, each has an infer request of its own."""

    def __init__(self, path, facts, threads=None, precision="f32"):
        options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        try:
            core = openvino.Core()
            self.model = core.compile_model(core.read_model(str(path)), "CPU", options)
        except RuntimeError as error:
            raise InputError(f"{path}: OpenVINO cannot take it ({' '.join(str(error).split())[-200:]})") from None
        self.facts, self.local = facts, threading.local()
        self.outputs = [output["name"] for output in facts["outputs"]]

    def __call__(self, images):
        request = getattr(self.local, "request", None)
        if request is None:
            request = self.local.request = self.model.create_infer_request()
        results = request.infer({0: as_input(images, self.facts)}, share_inputs=True)
        outputs = {name: results[name] for name in self.outputs}
        return by_image(outputs, len(images)) if self.facts["content"] == "faces" else outputs
