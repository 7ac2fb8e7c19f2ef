"""LiteRT (TensorFlow Lite) on the CPU."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from ..errors import InputError
from .files import is_utf8
from .inputs import as_input
from .opened import FileSession


class Session(FileSession):
    """images (B, H, W, 3) -> dict of maps. Threads may share it: each has an interpreter of its own.

    It computes in the precision of the file.
    """

    def __init__(self, path: str | os.PathLike, facts: Mapping[str, Any], threads: int | None = None,
                 precision: str | None = None) -> None:
        super().__init__(path, facts, threads, precision)
        self.path, self.facts, self.local = str(path), facts, threading.local()
        self.threads = threads or os.cpu_count()
        try:
            self.local.state = self._interpreter()
            self._check_outputs(facts, self.local.state[0].get_signature_list()["serving_default"]["outputs"])
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{path}: LiteRT cannot read it ({' '.join(str(error).split())[:200]})") from None

    def _interpreter(self):
        model = {"model_path": self.path} if is_utf8(self.path) else {"model_content": Path(self.path).read_bytes()}
        interpreter = Interpreter(**model, num_threads=self.threads)
        signature = interpreter.get_signature_list()["serving_default"]
        return interpreter, interpreter.get_signature_runner("serving_default"), signature["inputs"][0]

    def __call__(self, images):
        state = getattr(self.local, "state", None)
        if state is None:
            state = self.local.state = self._interpreter()
        _, runner, name = state
        return runner(**{name: as_input(images, self.facts)})
