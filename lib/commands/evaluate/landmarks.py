"""`manyfaces evaluate landmarks`: distance of a detector's five points from the labelled ones."""

import contextlib
from argparse import ArgumentParser, Namespace

from ...datasets import load_roidb
from ...evaluation.landmarks import FAILURE, error_summary
from ...evaluation.tables import print_table
from ..detector_options import add_detector_options, detector_from
from .shared import write_json

WAYS = {"given": "given the face's box", "detected": "as detected"}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of this protocol."""
    parser.add_argument("--roidb", required=True, metavar="FILE", help=".pkl of `manyfaces data build`, with landmarks")
    add_detector_options(parser)
    parser.add_argument("--json", metavar="FILE", help="also write the results to FILE, with the error of each face")


def evaluate(options: Namespace) -> None:
    """Evaluate, print the tables and write --json."""
    # Imported here, because no other protocol runs a detector.
    from ...inference.landmarks import OVERLAP, measure_landmarks
    from ...inference.models import settings_of

    roidb = load_roidb(options.roidb)
    detector = detector_from(options)
    rows = measure_landmarks(detector, roidb)
    result = {"protocol": "landmarks", "roidb": options.roidb, "all": len(rows), "overlap": OVERLAP,
              "settings": settings_of(detector.cfg, detector.source),
              **{way: error_summary([row[way] for row in rows if row[way] is not None]) for way in WAYS}}
    with contextlib.ExitStack() as last:  # also where the reader of the tables ends early (`| head`)
        last.callback(write_json, options.json, {**result, "faces": rows})
        print(f"mean distance of five points in % of the distance between the eyes, {len(rows):,} faces")
        print_table(["landmarks", "faces", "error %", "median %", f"over {FAILURE:.0%}"],
                    [[text, result[way]["faces"],
                      *(_percent(result[way][key]) for key in ("error", "median", "failed"))]
                     for way, text in WAYS.items() if result[way]["faces"]])


def _percent(value):
    return f"{100 * value:.2f}"
