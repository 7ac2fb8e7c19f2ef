"""MTCNN's cascade: from three nets to the faces of images.

The nets are functions from a batch of images to a dict of arrays, so Keras, ONNX Runtime and OpenVINO can all serve.
Nothing here loads a net.

Source: arXiv 1604.02878, section II A.
"""

from ..compiled import warn_not_compiled

try:
    from .crops import resample, resample_into

    COMPILED = True
except ImportError:
    from .reference import resample, resample_into

    COMPILED = False
    warn_not_compiled()

__all__ = ["COMPILED", "resample", "resample_into"]
