"""Which processor a time was measured on, and with which versions: without them a time means little elsewhere."""

import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from manyfaces.cascade.lanes import cores

COLUMNS = ("versions", "processor", "cores")
BASE = ("numpy", "opencv")  # what every detector uses
PACKAGES = {  # name here: (as it is written, the distributions that hold it)
    "numpy": ("NumPy", ("numpy",)),
    "opencv": ("OpenCV", ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless",
                          "opencv-contrib-python")),
    "onnxruntime": ("ONNX Runtime", ("onnxruntime", "onnxruntime-gpu")),
    "openvino": ("OpenVINO", ("openvino",)),
    "litert": ("LiteRT", ("ai-edge-litert",)),
    "keras": ("Keras", ("keras",)),
    "tensorflow": ("TensorFlow", ("tensorflow", "tensorflow-cpu")),
    "jax": ("JAX", ("jax",)),
    "torch": ("PyTorch", ("torch",)),
    "cupy": ("CuPy", ("cupy-cuda12x", "cupy-cuda13x", "cupy")),
    "facenet-pytorch": ("facenet-pytorch", ("facenet-pytorch",)),
    "mtcnn": ("mtcnn", ("mtcnn",)),
    "grain": ("Grain", ("grain",)),
    "pyarrow": ("pyarrow", ("pyarrow",)),
    "ray": ("Ray", ("ray",)),
    "fastapi": ("FastAPI", ("fastapi",)),
    "uvicorn": ("uvicorn", ("uvicorn",)),
}
RUNTIMES = {"keras": ("keras", "tensorflow")}  # the packages of a runtime, where they are not the one of its name


def packages_of(runtime: str | None) -> tuple[str, ...]:
    """The packages, as keys of PACKAGES, that a detector in a runtime uses; None: those of every detector."""
    return BASE + (RUNTIMES.get(runtime, (runtime,)) if runtime else ())


def version(package: str) -> str | None:
    """The version of a key of PACKAGES; None: not installed."""
    for distribution in PACKAGES[package][1]:
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None


def versions(packages: Iterable[str]) -> str:
    """Names and versions of those that are installed, such as "NumPy 2.4.6, OpenCV 5.0.0.93"."""
    named = ((PACKAGES[package][0], version(package)) for package in dict.fromkeys(packages))
    return ", ".join(f"{name} {number}" for name, number in named if number)


def processor() -> str:
    """The name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), "") or platform.processor() or platform.machine()


def facts(packages: Iterable[str]) -> tuple[str, str, int]:
    """The cells of COLUMNS for a time that depends on these packages."""
    return versions(packages), processor(), cores()
