"""Write a synthetic data set in WIDER FACE's own layout: two public-domain portraits pasted onto generated scenes.

OUT/WIDER_toy/images/0--Toy/*.jpg, OUT/wider_face_split/wider_face_toy_bbx_gt.txt and retinaface_toy_label.txt (with
landmarks), and OUT/ground_truth/*.mat for `manyfaces evaluate wider`. The same seed gives the same images everywhere.
"""

import sys
import time
from collections.abc import Sequence

from ...datasets.toy.data_set import write_toy
from ...errors import InputError
from ..command_line import argument_parser

EXAMPLE = """
manyfaces data toy --out data/toy/train --images 300 --seed 1
manyfaces data build --format retinaface --images data/toy/train/WIDER_toy/images \\
    --labels data/toy/train/wider_face_split/retinaface_toy_label.txt --out data/pickles/toy_train.pkl
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces data toy`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--images", type=int, default=300, help="number of scenes")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other scenes")
    parser.add_argument("--width", type=int, default=640, help="width of the scenes, px")
    options = parser.parse_args(arguments)
    for name, least in (("images", 1), ("seed", 0), ("width", 64)):
        if getattr(options, name) < least:
            raise InputError(f"--{name} {getattr(options, name)}: expected at least {least}")

    start = time.perf_counter()
    paths = write_toy(options.out, options.images, options.seed, options.width, progress=Progress(options.images))
    print(f"wrote {options.images} scenes in {time.perf_counter() - start:.1f} s")
    for name, path in paths.items():
        print(f"  {name:<12} {path}")


class Progress:
    """One line that is overwritten on a terminal; in a log a line after every tenth of the scenes."""

    def __init__(self, total: int):
        self.total, self.start = total, time.perf_counter()
        self.live = sys.stderr.isatty()

    def __call__(self, done: int) -> None:
        if self.live or done % max(self.total // 10, 1) == 0:
            rate = done / (time.perf_counter() - self.start)
            line = f"{done}/{self.total} scenes, {rate:.0f}/s, {(self.total - done) / rate:.0f} s left"
            end = "\r" if self.live and done < self.total else "\n"
            print(line.ljust(60), end=end, file=sys.stderr, flush=True)
