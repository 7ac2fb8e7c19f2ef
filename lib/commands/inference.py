"""Find faces with an exported model (.onnx, .xml, .tflite), without Keras and TensorFlow.

MODEL.json beside the model says what it is: nothing else is needed. The table names milliseconds of the net, of
decoding and of NMS. Exit code 0 when at least one image was done, 2 when none could be.
"""

import sys

from ..errors import InputError
from .command_line import argument_parser, quiet_decoders

EXAMPLE = """
tools/inference.py output/ssh.onnx photo.jpg holiday/ "more/*.png"
tools/inference.py output/ssh.xml holiday/ --json - --score 0.3 --threads 2
tools/inference.py output/ssh.tflite photo.jpg --out found/
"""


def main(arguments=None):
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("model", metavar="MODEL", help="what tools/export.py wrote: .onnx, .xml or .tflite")
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="image, folder or glob")
    parser.add_argument("--runtime", metavar="NAME", help="onnxruntime, openvino or litert (default: the fastest that "
                        "is installed)")
    parser.add_argument("--precision", choices=("float32", "bf16", "int8"), help="of an exported model's arithmetic: "
                        "bf16 takes OpenVINO and half the time; int8 is the file's own (default: the file's)")
    parser.add_argument("--threads", type=int, metavar="N", help="of the runtime (default: all cores)")
    parser.add_argument("--score", type=float, metavar="S", help="show faces from this score (default: TEST.DEMO_SCORE "
                        "of the model's config)")
    parser.add_argument("--json", metavar="FILE", help="write one line of JSON an image there; -: instead of the table")
    parser.add_argument("--out", metavar="DIR", help="draw the faces into pictures there")
    parser.add_argument("--set", nargs="+", default=[], metavar=("KEY", "VALUE"), help="keys of TEST to change")
    options = parser.parse_args(arguments)
    quiet_decoders()
    if options.score is not None and not 0 < options.score < 1:
        raise InputError(f"--score {options.score:g}: expected a number between 0 and 1")

    from ..inference.loading import open_detector
    from ..inference.one_file import find_images_of, infer, json_lines  # late: --help need not wait for them
    from ..runtimes.sessions import readers

    if not readers(options.model):
        raise InputError(f"{options.model}: expected an exported model: .onnx, .xml or .tflite")
    sources = find_images_of(options.sources)
    detector = open_detector(options.model, overrides=options.set, runtime=options.runtime, threads=options.threads,
                             precision=options.precision)
    score = detector.cfg.TEST.DEMO_SCORE if options.score is None else options.score
    detector.cfg.TEST.SCORE = min(detector.cfg.TEST.SCORE, score)
    with json_lines(options.json) as lines:
        done, failed = infer(detector, sources, score, options.out, lines)
    if not done:
        raise InputError(f"none of the {len(failed)} images could be read")
    if failed:
        print(f"{len(failed)} of {len(sources)} images were left out", file=sys.stderr)
