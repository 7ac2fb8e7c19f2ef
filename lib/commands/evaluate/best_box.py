"""`manyfaces evaluate best_box`: IoU of each image's best box with a face, on images with few faces."""

import contextlib
from argparse import ArgumentParser, Namespace

from ...datasets import load_roidb
from ...errors import Range, check_whole
from ...evaluation.best_box import evaluate_best_box
from ...evaluation.tables import print_table
from .shared import add_folder_arguments, read_folder, write_json

COLUMNS = ("iou", "iou_nearest", "iou_single", "images", "single", "without", "unknown")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of this protocol."""
    parser.add_argument("--roidb", required=True, metavar="FILE", help=".pkl of `manyfaces data build`")
    parser.add_argument("--max-faces", type=int, default=5, metavar="N",
                        help="images with more faces, or none, are left out (default: 5)")
    parser.add_argument("--grid", type=int, default=7, metavar="N",
                        help="cells per side: iou is with the first face in their order (default: 7)")
    add_folder_arguments(parser)


def evaluate(options: Namespace) -> None:
    """Evaluate, print the tables and write --json."""
    for name in ("max_faces", "grid"):
        check_whole(getattr(options, name), f"--{name.replace('_', '-')}", Range(least=1))
    truth, results = load_roidb(options.roidb), []
    for folder in options.pred:
        predictions, skipped = read_folder(folder, options.lenient)
        result = {"pred": folder, "protocol": "best_box", "subset": options.subset, "max_faces": options.max_faces}
        result |= evaluate_best_box(predictions, truth, options.max_faces, options.grid, options.subset)
        results.append(result | ({"skipped": skipped} if skipped else {}))
    with contextlib.ExitStack() as last:  # also where the reader of the tables ends early (`| head`)
        last.callback(write_json, options.json, results)
        print_table(["pred", *COLUMNS], [[result["pred"], *(result[c] for c in COLUMNS)] for result in results])
