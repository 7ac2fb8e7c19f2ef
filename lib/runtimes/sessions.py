"""Which runtimes are installed, which of them read a file, and the session of one.

There is one module per runtime with `Session(path, facts, threads, precision)`: a function from images (B, H, W, 3) RGB
0..255 to the dict of maps of the net. Several threads may call it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError, Range, check_whole
from .files import CascadeFiles

# ONNX Runtime comes before OpenVINO: in float32 they are about equally fast, and ONNX Runtime runs any size at once,
# where OpenVINO needs some time for the first image of each size.
RUNTIMES = {  # name: (module here, package, extra that installs it, endings)
    "onnxruntime": (".onnx", "onnxruntime", "onnx", (".onnx",)),
    "openvino": (".openvino", "openvino", "openvino", (".xml", ".onnx")),
    "litert": (".litert", "ai_edge_litert", "litert", (".tflite",)),
}

PRECISIONS = ("float32", "bf16", "int8")
MOST_THREADS = 1024  # more than any processor runs at once; a runtime would start each of them
BFLOAT16 = "openvino"  # the runtime that has it on a CPU


def installed() -> list[str]:
    """Names of the runtimes whose packages are installed, the fastest first."""
    return [name for name, (_, package, _, _) in RUNTIMES.items() if importlib.util.find_spec(package)]


def readers(path: str | os.PathLike) -> list[str]:
    """Names of the runtimes that read a file of this ending, or a cascade, installed or not, the fastest first."""
    cascade = CascadeFiles.exported(path)
    ending = cascade.ending if cascade else Path(path).suffix.lower()
    return [name for name, (*_, endings) in RUNTIMES.items() if ending in endings]


def open_session(path: str | os.PathLike, facts: Mapping[str, Any], runtime: str | None = None,
                 threads: int | None = None, precision: str | None = None, **options: Any) -> Callable:
    """Open the net of a file: a function images -> dict of arrays.

    Args:
        facts: the sidecar.
        runtime, threads, precision: as in open_model.
        options: of the runtime's Session; lanes (onnxruntime, openvino): this many calls may run at once, each on one
            thread.

    Raises:
        InputError: no installed runtime can do that; says what to install or change.
    """
    able, there = readers(path), installed()
    if not able:
        endings = sorted({ending for *_, endings in RUNTIMES.values() for ending in endings})
        raise InputError(f"{path}: no runtime reads it; expected a file that ends in {', '.join(endings)}")
    if precision is not None:
        able = _able_in(path, facts, precision, able, runtime)
    if runtime is None:
        runtime = next((name for name in able if name in there), None)
        if runtime is None:
            raise InputError(f"{path}: none of the runtimes that read it is installed: "
                             + " or ".join(f"pip install 'manyfaces[{RUNTIMES[name][2]}]'" for name in able))
    if runtime not in RUNTIMES:
        raise InputError(f"runtime {runtime!r}: expected one of {', '.join(RUNTIMES)}")
    if runtime not in able:
        raise InputError(f"{path}: {runtime} does not read it; expected {' or '.join(able)}")
    module, package, extra, _ = RUNTIMES[runtime]
    if runtime not in there:
        raise InputError(f"{runtime}: the package {package} is not installed; pip install 'manyfaces[{extra}]'")
    if threads is not None:
        threads = check_whole(threads, "threads", Range(least=1, most=MOST_THREADS))
    return importlib.import_module(module, __package__).Session(path, facts, threads, precision, **options)


def _able_in(path, facts, precision, able, runtime):
    """Those of the runtimes that compute this file in a precision; InputError where the file or `runtime` does not."""
    if precision not in PRECISIONS:
        raise InputError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
    if (precision == "int8") != (facts["precision"] == "int8"):
        raise InputError(f"{path}: precision {precision!r}: the file is {facts['precision']}; "
                         + ("`manyfaces export --int8` makes one of that" if precision == "int8" else
                            "give the model that was exported without --int8"))
    if precision == "bf16" and (runtime not in (None, BFLOAT16) or BFLOAT16 not in able):
        raise InputError(f"{path}: precision 'bf16': only {BFLOAT16} computes in it, from an .onnx or .xml")
    return [BFLOAT16] if precision == "bf16" else able
