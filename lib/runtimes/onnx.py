"""ONNX Runtime on the CPU."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime

from ..errors import InputError
from .faces import by_image
from .files import is_utf8
from .inputs import as_input
from .opened import FileSession


class Session(FileSession):
    """images (B, H, W, 3) -> dict of maps. Threads may share it. It computes in the precision of the file.

    Attributes:
        lanes: this many calls may run at once, each on the thread that makes it; None: a call uses `threads`.
    """

    def __init__(self, path: str | os.PathLike, facts: Mapping[str, Any], threads: int | None = None,
                 precision: str | None = None, lanes: int | None = None) -> None:
        super().__init__(path, facts, threads, precision, lanes)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.lanes = lanes
        if lanes or threads:
            options.intra_op_num_threads = 1 if lanes else threads
        try:
            model = str(path) if is_utf8(path) else Path(path).read_bytes()  # it takes no other names
            self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has a class for each of its codes
            raise InputError(f"{path}: ONNX Runtime cannot read it ({' '.join(str(error).split())[:200]})") from None
        self.facts, self.name = facts, self.session.get_inputs()[0].name
        self.outputs = [output.name for output in self.session.get_outputs()]
        self._check_outputs(facts, self.outputs)

    def __call__(self, images):
        outputs = self.session.run(self.outputs, {self.name: as_input(images, self.facts)})
        outputs = dict(zip(self.outputs, outputs, strict=True))
        return by_image(outputs, len(images)) if self.facts["content"] == "faces" else outputs
