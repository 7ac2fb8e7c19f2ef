"""ONNX Runtime on the CPU."""

import onnxruntime

from ..errors import InputError
from .faces import by_image
from .inputs import as_input


class Session:
    """images (B, H, W, 3) -> dict of maps; safe from several threads. It computes as the file says.

    lanes: that many calls at once are meant to run, each on the thread that makes it; None: a call uses `threads`.
    """

    def __init__(self, path, facts, threads=None, precision=None, lanes=None):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.lanes = lanes
        if lanes or threads:
            options.intra_op_num_threads = 1 if lanes else threads
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has a class for each of its codes
            raise InputError(f"{path}: ONNX Runtime cannot read it ({' '.join(str(error).split())[:200]})") from None
        self.facts, self.name = facts, self.session.get_inputs()[0].name
        self.outputs = [output.name for output in self.session.get_outputs()]

    def __call__(self, images):
        outputs = self.session.run(self.outputs, {self.name: as_input(images, self.facts)})
        outputs = dict(zip(self.outputs, outputs, strict=True))
        return by_image(outputs, len(images)) if self.facts["content"] == "faces" else outputs
