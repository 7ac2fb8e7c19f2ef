"""`manyfaces evaluate roidb`: AP at IoU 0.5 of prediction folders on any data set that has a roidb."""

import contextlib
import time
from argparse import ArgumentParser, Namespace

from ...datasets import load_roidb
from ...evaluation.by_height import evaluate_roidb
from ...evaluation.tables import print_table
from .shared import add_folder_arguments, print_warnings, read_folder, write_json

COLUMNS = ("ap50", "ap50_small", "wider", "images", "faces", "small", "missing", "unknown")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of this protocol."""
    parser.add_argument("--roidb", required=True, metavar="FILE", help=".pkl of `manyfaces data build`")
    add_folder_arguments(parser)


def evaluate(options: Namespace) -> None:
    """Evaluate, print the tables and write --json."""
    truth, results = load_roidb(options.roidb), []
    for folder in options.pred:
        start = time.perf_counter()
        predictions, skipped = read_folder(folder, options.lenient)
        result = evaluate_roidb(predictions, truth, subset=options.subset)
        result |= {"pred": folder, "protocol": "roidb", "subset": options.subset,
                   "seconds": round(time.perf_counter() - start, 3)}
        results.append(result | ({"skipped": skipped} if skipped else {}))
    shown = [result if result["small"] else result | {"ap50_small": "-"} for result in results]
    with contextlib.ExitStack() as last:  # also where the reader of the tables ends early (`| head`)
        last.callback(write_json, options.json, results)
        print_table(["pred", *COLUMNS], [[result["pred"], *(result[c] for c in COLUMNS)] for result in shown])
        print_warnings(results)
