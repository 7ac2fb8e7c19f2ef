#!/usr/bin/env python3
"""Find faces in images, folders, globs, videos or a camera, and draw them with landmarks and a bar of scores.

Without a SOURCE it looks at demo/data, or where that is empty at two public-domain portraits and a crowd made of them.
The table names milliseconds of the net, of decoding and of NMS, each after the net has seen an image of that size once.
"""

import sys
from pathlib import Path

from manyfaces.command_line import argument_parser, quiet_decoders, run
from manyfaces.config import load_config
from manyfaces.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = """
tools/demo.py
tools/demo.py holiday/ "more/*.jpg" film.mp4 --out found --json found/faces.json --score 0.4
tools/demo.py 0 --frames 200          # the first camera; Ctrl-C ends it, too
"""


def main(arguments=None):
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="image, folder, glob, video or number of a camera")
    parser.add_argument("--cfg", default=str(ROOT / "cfgs" / "ssh_mobilenet_v1_025.yml"), metavar="FILE",
                        help="the experiment, a YAML of cfgs/")
    parser.add_argument("--weights", metavar="FILE", help="its .weights.h5 (default: those that ship under its name)")
    parser.add_argument("--out", default=str(ROOT / "demo" / "visualize"), metavar="DIR", help="where pictures go")
    parser.add_argument("--json", metavar="FILE", help="also write boxes, scores and landmarks there")
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

    from manyfaces.datasets.sources import default_sources, find_sources  # late: --help need not wait for them
    from manyfaces.engine.demo import Demo, run_demo, save_json
    from manyfaces.engine.test import load_detector

    sources = find_sources(options.sources) if options.sources else default_sources(ROOT / "demo" / "data")
    cfg = load_config(options.cfg, options.set)
    score = cfg.TEST.DEMO_SCORE if options.score is None else options.score
    cfg.TEST.SCORE = min(cfg.TEST.SCORE, score)
    demo = Demo(load_detector(cfg, options.weights), options.out, score, options.frames)
    all_seen, failed = run_demo(demo, sources, warn=lambda text: print(text, file=sys.stderr, flush=True))
    if options.json:
        save_json(options.json, all_seen)
    if not all_seen:
        raise InputError(f"none of the {len(sources)} sources could be read")
    print(f"wrote {len(all_seen)} to {options.out}" + (f"; {len(failed)} left out" if failed else ""))


if __name__ == "__main__":
    sys.exit(run(main))
