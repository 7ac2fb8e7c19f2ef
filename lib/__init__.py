"""manyfaces: train, evaluate, run and ship face detectors.

    from manyfaces import Detector
    faces = Detector.load("ssh_mobilenet_v1_025").detect("photo.jpg")

Importing the package loads neither TensorFlow nor Keras nor NumPy. The first name that needs them loads them.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # so that editors and type checkers know the names that are loaded late
    from .detections import Detections, Face
    from .inference.detector import Detector
    from .nets import register_family
    from .nets.backbones import register_backbone

__version__ = "0.1.0"
__all__ = ["Detections", "Detector", "Face", "__version__", "register_backbone", "register_family"]

# OpenCV's own limit of pixels, which it reads when it is first imported: 2**29 instead of 2**30. It comes behind the
# limit of lib/datasets/images.py, which reads headers, and is no lower than that.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", max(
    "536870912", os.environ.get("MANYFACES_MAX_FILE_PIXELS", ""), key=lambda text: int(text) if text.isdigit() else 0))
# The telemetry of ONNX Runtime is on by default in 1.32: it keeps an id of the machine in the user's cache and knows an
# address of its maker. This switches it off if it is set before the import. What the user has set stays.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_HOMES = {"Detector": "inference.detector", "Detections": "detections", "Face": "detections",
          "register_backbone": "nets.backbones", "register_family": "nets"}


def __getattr__(name: str) -> Any:
    """Import a name of _HOMES when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
