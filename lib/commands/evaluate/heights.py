"""`manyfaces evaluate heights`: recall at IoU 0.5 by the height of the faces, of several detectors on one roidb."""

import contextlib
import csv
import io
import math
from argparse import ArgumentParser, Namespace
from pathlib import Path

from ...constants import HEIGHT_EDGES
from ...datasets import load_roidb
from ...errors import POSITIVE_FRACTION, InputError, Range, check_number
from ...evaluation.by_height import bin_name, recall_by_height
from ...evaluation.tables import print_table
from ...files import write_whole
from .shared import add_folder_arguments, method_names, print_warnings, read_folder, write_json

COLUMNS = ("set", "detector", "point", "score", "precision", "height", "faces", "recall")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of this protocol."""
    parser.add_argument("--roidb", required=True, metavar="FILE", help=".pkl of `manyfaces data build`")
    parser.add_argument("--precision", type=float, default=0.9, metavar="P",
                        help="one row per detector is at the lowest score that keeps this precision (default: 0.9)")
    parser.add_argument("--score", type=float, default=0.02, metavar="S",
                        help="the other row is at this score, whatever the precision (default: 0.02)")
    parser.add_argument("--edges", default=",".join(map(str, HEIGHT_EDGES)), metavar="PX,PX",
                        help="heights in px at which one bin ends and the next begins (default: %(default)s)")
    parser.add_argument("--csv", metavar="FILE", help="also write the table there, one line per bin; rows of "
                        "other data sets stay")
    add_folder_arguments(parser)
    parser.add_argument("--names", metavar="A,B", help="names of the detectors, in the order of --pred")


def evaluate(options: Namespace) -> None:
    """Evaluate, print the tables and write --json."""
    names, edges = method_names(options.pred, options.names), _edges(options.edges)
    check_number(options.precision, "--precision", POSITIVE_FRACTION)
    check_number(options.score, "--score", Range())
    truth, results, rows, before = load_roidb(options.roidb), [], [], None
    for name, folder in zip(names, options.pred, strict=True):
        predictions, skipped = read_folder(folder, options.lenient)
        result = {"pred": folder, "name": name, "protocol": "heights", "subset": options.subset}
        result |= recall_by_height(predictions, truth, options.precision, options.score, options.subset, edges)
        results.append(result | ({"skipped": skipped} if skipped else {}))
        faces = ["faces", "", "", f"{result['faces']:,}", *(f"{part['faces']:,}" for part in
                                                            result["points"][0]["heights"])]
        rows += [faces] if faces != before else []  # with --subset the images may differ
        before = faces
        rows += [[name, _digits(point["score"], 4), _digits(point["precision"]), _digits(point["recall"]),
                  *(_digits(part["recall"]) for part in point["heights"])] for point in result["points"]]
    bins = [bin_name(part["low"], part["high"]) for part in results[0]["points"][0]["heights"]]
    with contextlib.ExitStack() as last:  # also where the reader of the tables ends early (`| head`)
        last.callback(write_json, options.json, results)
        if options.csv:
            asked = {"precision": f"precision {options.precision:g}", "score": f"score {options.score:g}"}
            last.callback(_write_csv, Path(options.csv), Path(options.roidb).stem, results, asked)
        print(f"recall at IoU 0.5 by height in px: at the lowest score with precision {options.precision:g}, and from "
              f"score {options.score:g} on")
        print_table(["", "score", "precision", "recall", *bins], rows)
        for result in results:
            if result["missing"]:
                print(f"{result['name']}: {result['missing']:,} images have no prediction file"
                      + (" and are left out" if options.subset else "; their faces count"))
        print_warnings(results)


def _write_csv(path, data_set, results, asked):
    """Replace the rows of a data set in a CSV file. asked: names of the points in the file."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ",".join(COLUMNS)
    kept = list(csv.DictReader(io.StringIO(text)))
    if kept and tuple(kept[0]) != COLUMNS:
        raise InputError(f"{path}, line 1: expected the columns {', '.join(COLUMNS)}, found {', '.join(kept[0])}")
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row for row in kept if row["set"] != data_set)
    for result in results:
        for point in result["points"]:
            row = {"set": data_set, "detector": result["name"], "point": asked[point["asked"]],
                   "score": _digits(point["score"], 4), "precision": _digits(point["precision"])}
            writer.writerow(row | {"height": "all", "faces": result["faces"], "recall": _digits(point["recall"])})
            for part in point["heights"]:
                writer.writerow(row | {"height": bin_name(part["low"], part["high"]), "faces": part["faces"],
                                       "recall": _digits(part["recall"])})
    write_whole(path, stream.getvalue())


def _edges(text):
    """(10.0, 20.0) of "10,20"."""
    try:
        edges = tuple(float(word) for word in text.split(","))
    except ValueError:
        edges = ()
    if not edges or not all(low < high < math.inf for low, high in zip((0.0, *edges), edges, strict=False)):
        raise InputError(f"--edges {text!r}: expected rising heights in px, such as 10,20,60")
    return edges


def _digits(value, digits=3):
    return "-" if value is None else f"{value:.{digits}f}"
