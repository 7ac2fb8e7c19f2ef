"""Find faces in images, folders, globs, videos or a camera, and draw them with landmarks and a bar of scores.

Without a SOURCE it looks at demo/data, or where that is empty at two public-domain portraits and a crowd made of them.
The table names milliseconds of the net, of decoding and of NMS, after the net has seen an image of that size once.

With --json FILE each image or frame is a line of FILE as soon as it is done, and sources that FILE and the folder of
pictures hold already are left out: stop it when you like and go on later. A video keeps its frame rate, not its sound.
"""

from pathlib import Path

from ..errors import InputError
from .command_line import argument_parser, quiet_decoders

ROOT = Path(__file__).resolve().parents[2]
NAME = "ssh_mobilenet_v1_025"
EXAMPLE = """
tools/demo.py
tools/demo.py holiday/ "more/*.jpg" film.mp4 --out found --json found/faces.jsonl --score 0.4
tools/demo.py 0 --frames 200          # the first camera; Ctrl-C ends it, too
tools/demo.py --weights model.onnx photo.jpg
"""


def main(arguments=None):
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="image, folder, glob, video or number of a camera")
    parser.add_argument("--cfg", metavar="FILE", help=f"the experiment, a YAML of cfgs/ (default: {NAME} as it ships)")
    parser.add_argument("--weights", metavar="FILE", help="its .weights.h5 (default: those that ship under its name), "
                        "or an exported model (.onnx, .xml, .tflite), which needs no --cfg")
    parser.add_argument("--runtime", metavar="NAME", help="openvino, onnxruntime, litert or keras (default: the "
                        "fastest that is installed)")
    parser.add_argument("--precision", choices=("float32", "bf16", "int8"), help="of an exported model's arithmetic: "
                        "bf16 takes OpenVINO and half the time; int8 is the file's own (default: the file's)")
    parser.add_argument("--out", default=str(ROOT / "demo" / "visualize"), metavar="DIR", help="where pictures go")
    parser.add_argument("--json", metavar="FILE", help="one line of JSON an image or frame: boxes, scores, landmarks")
    parser.add_argument("--anew", action="store_true", help="do all sources, also those that FILE has")
    parser.add_argument("--score", type=float, metavar="S", help="draw and count faces from this score (default: "
                        "TEST.DEMO_SCORE of the config)")
    parser.add_argument("--frames", type=int, default=0, metavar="N", help="stop a video after so many; 0: never")
    parser.add_argument("--set", nargs="+", default=[], metavar=("KEY", "VALUE"), help="keys of the config to change")
    options = parser.parse_args(arguments)
    quiet_decoders()
    if options.score is not None and not 0 < options.score < 1:
        raise InputError(f"--score {options.score:g}: expected a number between 0 and 1")
    if options.frames < 0:
        raise InputError(f"--frames {options.frames}: expected 0 or more")

    from ..inference.demo.demo import Demo, run_demo
    from ..inference.demo.journal import Journal, detector_mark
    from ..inference.demo.sources import default_sources, find_sources  # late: --help need not wait for them
    from ..inference.loading import detector_of

    sources = find_sources(options.sources) if options.sources else default_sources(ROOT / "demo" / "data")
    detector = detector_of(options.cfg, options.weights, options.set, options.runtime, default=NAME,
                           precision=options.precision)
    cfg = detector.cfg
    score = cfg.TEST.DEMO_SCORE if options.score is None else options.score
    cfg.TEST.SCORE = min(cfg.TEST.SCORE, score)
    journal, todo = None, sources
    if options.json:
        journal = Journal(options.json, detector_mark(detector), score, options.anew)
        todo = journal.start(sources, options.out, options.frames)
    there = f"{len(sources) - len(todo)} were there already" if len(todo) < len(sources) else ""
    if not todo:
        print(f"{options.out}: all {len(sources)} were there already (--anew does them again)")
        return 0
    try:
        seen, failed = run_demo(Demo(detector, options.out, score, options.frames, journal), todo)
    finally:
        if journal:
            journal.close()
    if not seen:
        raise InputError(f"none of the {len(todo)} sources could be read")
    print("; ".join(filter(None, [f"wrote {len(seen)} to {options.out}", there,
                                  f"{len(failed)} left out" if failed else ""])))
