"""Print what a bug report needs: versions, runtimes, devices, what is compiled, detectors that ship, folders."""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import __version__, pretrained
from ..cascade.lanes import cores
from ..compiled import MODULES, not_compiled
from ..config import load_config, names
from ..runtimes import installed
from .command_line import argument_parser

EXAMPLE = """
manyfaces info
manyfaces info --json > info.json
"""
PACKAGES = ("numpy", "opencv-python-headless", "opencv-python", "opencv-contrib-python", "PyYAML", "easydict",
            "onnxruntime", "onnxruntime-gpu", "openvino", "ai-edge-litert", "keras", "tensorflow", "jax", "torch",
            "cupy-cuda12x", "cupy-cuda13x", "onnx", "manyfaces-weights")
VARIABLES = ("MANYFACES_", "KERAS_", "CUDA_VISIBLE_DEVICES", "TF_CPP_", "TF_ENABLE_", "TF_FORCE_", "TF_GPU_", "OMP_",
             "OPENCV_")  # how their names begin
OURS = "OPENCV_IO_MAX_IMAGE_PIXELS"  # set by manyfaces itself
SMI_SECONDS = 10


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces info`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    options = parser.parse_args(arguments)
    facts = collect()
    if options.json:
        print(json.dumps(facts, indent=1))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:{width}}  {_text(value)}")


def collect() -> dict[str, object]:
    """The facts by name; nothing that takes seconds is imported or run."""
    package = Path(__file__).resolve().parents[1]
    packages = {name: version for name in PACKAGES if (version := _version(name))}
    missing = not_compiled()
    cfg = load_config()
    return {
        "manyfaces": __version__,
        "package": f"{package} ({'working copy' if (package.parent / 'setup.py').is_file() else 'installed'})",
        "python": f"{platform.python_version()} ({platform.python_implementation()}), {sys.executable}",
        "system": " ".join(filter(None, [platform.platform(), platform.machine()])),
        "processors": f"{cores()} of {os.cpu_count()} usable" + (f"; {model}" if (model := _processor()) else ""),
        "memory": _memory(),
        "gpus": _gpus(),
        "packages": packages,
        "runtimes": installed() + (["keras"] if "keras" in packages else []),
        "training": _training(packages),
        "compiled": f"{len(MODULES) - len(missing)} of {len(MODULES)} modules",
        **({"not compiled": missing} if missing else {}),
        "detectors": pretrained.names(),
        "configs": names(),
        "data": _folder(cfg.DATA_DIR),
        "output": _folder(cfg.OUTPUT_DIR),
        "environment": {name: value for name, value in sorted(os.environ.items())
                        if name.startswith(VARIABLES) and name != OURS},
    }


def _text(value):
    """One line of a value; a list and a dict over several fields."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items()) or "-"
    return (", ".join(value) or "-") if isinstance(value, list) else value


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processor():
    """The processor's name, empty where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _memory():
    try:
        return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB"
    except (AttributeError, ValueError, OSError):  # Windows
        return "unknown"


def _gpus():
    """Names of NVIDIA GPUs, as the driver tells them."""
    program = shutil.which("nvidia-smi")
    if not program:
        return []
    try:
        done = subprocess.run([program, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"],
                              capture_output=True, text=True, timeout=SMI_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ["nvidia-smi does not answer"]
    return done.stdout.splitlines() if done.returncode == 0 else [f"nvidia-smi: {done.stderr.strip()[:200]}"]


def _training(packages):
    """Whether nets can be trained here."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if "keras" not in packages or backend in ("tensorflow", "jax") and backend not in packages:
        return "no: pip install 'manyfaces[train]'"
    return f"yes, Keras on {backend}" if backend in ("tensorflow", "jax") else f"no: KERAS_BACKEND is {backend}"


def _folder(path):
    """A folder of the config: its place, and whether it is there."""
    return f"{Path(path).absolute()}" + ("" if Path(path).is_dir() else " (not there)")
