"""The earlier name of tools/demo.py with --weights MODEL: no pictures without --out, and no lines of an earlier run."""

import sys
from collections.abc import Sequence

from . import demo
from .command_line import argument_parser

EXAMPLE = """
tools/inference.py output/ssh.onnx photo.jpg --json -
tools/demo.py --weights output/ssh.onnx photo.jpg --json -       # the same
"""


def main(arguments: Sequence[str] | None = None) -> int | None:
    """The command line of tools/inference.py."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0].startswith("-"):
        parser = argument_parser(__doc__, EXAMPLE)
        parser.add_argument("model", metavar="MODEL", help="what tools/export.py wrote: .onnx, .xml or .tflite")
        parser.add_argument("more", nargs="+", metavar="SOURCE", help="and the options of tools/demo.py")
        parser.parse_args(words)
    print("tools/inference.py is the earlier name of tools/demo.py --weights MODEL", file=sys.stderr)
    pictures = [] if any(word.startswith("--out") for word in words) else ["--no-pictures"]
    return demo.main(["--weights", *words, "--overwrite", *pictures])
