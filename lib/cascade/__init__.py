"""MTCNN's cascade (arXiv 1604.02878, section II A): from three nets to the faces of images.

The nets are functions from a batch of images to a dict of arrays, so that Keras, ONNX Runtime and OpenVINO all serve;
nothing here loads one.
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
