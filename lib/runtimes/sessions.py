"""Which runtimes are installed, which of them read a file, and the session of one.

One module a runtime, each with `Session(path, facts, threads, precision)`: a function from images (B, H, W, 3) RGB
0..255 to the net's dict of maps, which may be called from several threads.
"""

import importlib
import importlib.util
from pathlib import Path

from ..errors import InputError
from .files import CascadeFiles

# ONNX Runtime before OpenVINO: in float32 they are about as fast, and it runs any size as it comes, where OpenVINO
# takes a while for the first image of each.
RUNTIMES = {  # name: (module here, package, extra that installs it, endings)
    "onnxruntime": (".onnx", "onnxruntime", "onnx", (".onnx",)),
    "openvino": (".openvino", "openvino", "openvino", (".xml", ".onnx")),
    "litert": (".litert", "ai_edge_litert", "litert", (".tflite",)),
}

PRECISIONS = ("float32", "bf16", "int8")
BFLOAT16 = "openvino"  # the runtime that has it on a CPU


def installed():
    """Names of the runtimes whose packages are installed, the fastest first."""
    return [name for name, (_, package, _, _) in RUNTIMES.items() if importlib.util.find_spec(package)]


def readers(path):
    """Names of the runtimes that can read a file of this ending, or a cascade, installed or not, the fastest first."""
    cascade = CascadeFiles.exported(path)
    ending = cascade.ending if cascade else Path(path).suffix.lower()
    return [name for name, (*_, endings) in RUNTIMES.items() if ending in endings]


def open_session(path, facts, runtime=None, threads=None, precision=None, **options):
    """The function images -> dict of arrays alone; `facts` as read_sidecar gives them. Raises InputError.

    options: of the runtime's Session; lanes (onnxruntime, openvino): so many calls may run at once, each on one thread.
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
    if threads is not None and threads < 1:
        raise InputError(f"threads is {threads}, expected 1 or more")
    return importlib.import_module(module, __package__).Session(path, facts, threads, precision, **options)


def _able_in(path, facts, precision, able, runtime):
    """Those of the runtimes that compute this file in a precision; InputError where the file or `runtime` does not."""
    if precision not in PRECISIONS:
        raise InputError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
    if (precision == "int8") != (facts["precision"] == "int8"):
        raise InputError(f"{path}: precision {precision!r}: the file is {facts['precision']}; "
                         + ("tools/export.py --int8 makes one of that" if precision == "int8" else
                            "give the model that was exported without --int8"))
    if precision == "bf16" and (runtime not in (None, BFLOAT16) or BFLOAT16 not in able):
        raise InputError(f"{path}: precision 'bf16': only {BFLOAT16} computes in it, from an .onnx or .xml")
    return [BFLOAT16] if precision == "bf16" else able
