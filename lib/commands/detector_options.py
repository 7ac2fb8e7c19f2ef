"""The options by which a command line names a detector, and the detector that they name."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from .command_line import add_cfg_option, add_set_option

if TYPE_CHECKING:
    from ..inference.base import BaseDetector


def add_detector_options(parser: ArgumentParser, default: str | None = None) -> None:
    """Add --cfg, --weights, --runtime, --precision, --threads and --set.

    Args:
        default: name of the shipped detector that is used without --cfg and --weights; None: one of them is needed.
    """
    add_cfg_option(parser, "; the name of a shipped detector means that detector as it ships, not its recipe"
                   + (f" (default: {default})" if default else ""))
    parser.add_argument("--weights", metavar="FILE", help="its .weights.h5 (default: those that ship under its name), "
                        "or an exported model (.onnx, .xml, .tflite) or the public .onnx of YuNet or SCRFD, which "
                        "need no --cfg and no Keras")
    parser.add_argument("--runtime", metavar="NAME", help="openvino, onnxruntime, litert or keras (default: the "
                        "fastest that is installed)")
    parser.add_argument("--precision", choices=("float32", "bf16", "int8"), help="of an exported model's arithmetic: "
                        "bf16 needs OpenVINO and takes half the time; int8 needs a file of that kind (default: as the "
                        "file is)")
    parser.add_argument("--threads", type=int, metavar="N", help="of an exported model's runtime (default: all cores)")
    add_set_option(parser)


def detector_from(options: Namespace, default: str | None = None) -> BaseDetector:
    """Open the detector that the options of `add_detector_options` name.

    Raises:
        InputError: as in manyfaces.inference.loading.detector_of.
    """
    from ..inference import loading  # late, so that --help does not wait for it

    return loading.detector_of(options.cfg, options.weights, options.set, options.runtime, options.threads, default,
                               options.precision)
