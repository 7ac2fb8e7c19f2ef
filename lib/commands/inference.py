"""The earlier name of `manyfaces detect` with --weights: no pictures without --out, no lines of an earlier run."""

import sys
from collections.abc import Sequence

from . import demo
from .command_line import argument_parser, as_called

EXAMPLE = """
tools/inference.py output/ssh.onnx photo.jpg --json -
manyfaces detect --weights output/ssh.onnx photo.jpg --json -       # the same
"""


def main(arguments: Sequence[str] | None = None) -> int | None:
    """The command line of tools/inference.py."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0].startswith("-"):
        parser = argument_parser(__doc__, EXAMPLE)
        parser.add_argument("model", metavar="MODEL", help="what `manyfaces export` wrote: .onnx, .xml or .tflite")
        parser.add_argument("more", nargs="+", metavar="SOURCE", help="and the options of `manyfaces detect`")
        parser.parse_args(words)
    print(as_called("tools/inference.py is the earlier name of manyfaces detect --weights MODEL"), file=sys.stderr)
    pictures = [] if any(word.startswith("--out") for word in words) else ["--no-pictures"]
    return demo.main(["--weights", *words, "--overwrite", *pictures])
