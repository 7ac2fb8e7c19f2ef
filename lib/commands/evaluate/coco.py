"""`manyfaces evaluate coco`: COCO's AP of result files or folders, with 1,000 and 100 detections per image."""

import contextlib
import os
from argparse import ArgumentParser, Namespace

from ...datasets.coco_json import load_coco
from ...errors import InputError, Range, check_whole
from ...evaluation.by_height import bin_name
from ...evaluation.coco import MAX_DETECTIONS, evaluate_coco
from ...evaluation.coco_results import read_coco_results
from ...evaluation.pairing import pair_by_name, rows_or_none
from ...evaluation.tables import print_table
from .shared import add_folder_arguments, print_warnings, read_folder, write_json

FIGURES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR", "AR50")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of this protocol."""
    parser.add_argument("--gt", required=True, metavar="FILE",
                        help="COCO annotation .json, such as `manyfaces data coco` writes; crowds are ignored")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="names of the categories that are faces; without "
                        "it the only category, or among several the one named face")
    parser.add_argument("--max-dets", type=int, default=MAX_DETECTIONS, metavar="N",
                        help="detections per image that count, those with the highest scores")
    add_folder_arguments(parser)


def evaluate(options: Namespace) -> None:
    """Evaluate, print the tables and write --json."""
    check_whole(options.max_dets, "--max-dets", Range(least=1))
    truth, results = load_coco(options.gt, options.classes), []
    for source in options.pred:
        rows, counts = _read(source, truth, options)
        results.append({"pred": source, "protocol": "coco", "subset": options.subset} | counts
                       | evaluate_coco(truth, rows, options.max_dets))
    with contextlib.ExitStack() as last:  # also where the reader of the tables ends early (`| head`)
        last.callback(write_json, options.json, results)
        print_table(["pred", "max dets", *FIGURES],
                    [[result["pred"], limit["max_detections"], *(_shown(limit[name]) for name in FIGURES)]
                     for result in results for limit in result["limits"]])
        for result in results:
            _print_notes(result)
        print()
        print_table(["pred", "height", "faces", "AP", "AP50", "AR"],
                    [[result["pred"], bin_name(row["low"], row["high"]), row["faces"],
                      *(_shown(row[name]) for name in ("AP", "AP50", "AR"))]
                     for result in results for row in result["heights"] if row["faces"]])
        print_warnings(results)


def _read(source, truth, options):
    """(rows for evaluate_coco, counts for the report) of a folder or a result file."""
    if os.path.isdir(source):
        predictions, skipped = read_folder(source, options.lenient)
        rows, unknown = pair_by_name(predictions, list(truth.ids), truth.path)
        counts = {"missing": sum(row is None for row in rows), "unknown": unknown}
        return (rows if options.subset else rows_or_none(rows)), counts | ({"skipped": skipped} if skipped else {})
    if options.subset or options.lenient:
        name = "--subset" if options.subset else "--lenient"
        raise InputError(f"{source}: {name} is for folders of prediction files; a result file does not say which "
                         "images were tested, and it is read strictly")
    detections = read_coco_results(source, truth)
    return [detections[name] for name in truth.ids], {}


def _shown(figure):
    return "-" if figure is None else figure


def _print_notes(result):
    """Print the numbers behind the table, and the cost of the lower limit in words."""
    pred, faces = result["pred"], result["faces"]
    print(f"{pred}: {faces:,} faces in {result['images']:,} images, {result['detections']:,} detections"
          + (f"; {result['missing']:,} images have no prediction file" if result.get("missing") else "")
          + (f"; {result['unknown']:,} prediction files are of no image here" if result.get("unknown") else ""))
    ours, usual = result["limits"][0], result["limits"][-1]
    for limit in result["limits"]:
        if limit["unreachable"]:
            print(f"{pred}: with {limit['max_detections']} detections per image {limit['unreachable']:,} of {faces:,} "
                  f"faces ({limit['unreachable'] / faces:.1%}) cannot be found, whatever the detector")
    if ours is not usual and ours["AP"] is not None:
        print(f"{pred}: {usual['max_detections']} instead of {ours['max_detections']} changes AP by "
              f"{usual['AP'] - ours['AP']:+.4f} and AP50 by {usual['AP50'] - ours['AP50']:+.4f}; "
              f"it cuts off {usual['beyond']:,} detections, {ours['max_detections']} cuts off {ours['beyond']:,}")
