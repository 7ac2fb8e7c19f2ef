"""An exported model with its sidecar, or a foreign one without, as Detector takes it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..nets import family
from .faces import Faces
from .foreign import is_foreign, open_foreign
from .sessions import open_session
from .sidecar import config_of, read_sidecar

if TYPE_CHECKING:
    import numpy as np
    from easydict import EasyDict

    from ..nets.family import Family


def open_model(path: str | os.PathLike, runtime: str | None = None, threads: int | None = None,
               precision: str | None = None) -> tuple[Family, Callable[[np.ndarray], dict], EasyDict]:
    """Open an exported model of one net. Neither Keras nor TensorFlow is loaded.

    Args:
        path: .onnx, .xml or .tflite with its sidecar beside it, or an .onnx of foreign.FORMATS without one.
        runtime: a key of RUNTIMES; None: the fastest that is installed and reads this file.
        threads: that one call may use; None: the runtime decides.
        precision: one of PRECISIONS. bf16: OpenVINO computes a float32 file so, where the processor can. int8 and
            float32 are the file's own. None: whichever that is.

    Returns:
        (family, run, config), as Detector takes them. run takes images (B, H, W, 3) uint8, or float 0..255, and gives a
        dict of NumPy maps.

    Raises:
        InputError: names file, key, or package to install.
    """
    if is_foreign(path):
        return open_foreign(path, runtime, threads, precision)
    facts = read_sidecar(path)
    cfg = config_of(path, facts)
    run = open_session(path, facts, runtime, threads, precision)
    if facts["content"] == "faces":
        return Faces(cfg), run, cfg
    return family(cfg), run, cfg
