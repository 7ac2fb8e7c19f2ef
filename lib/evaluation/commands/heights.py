"""tools/evaluate.py heights: recall at IoU 0.5 by the height of the faces, of several detectors on one roidb."""

from ...datasets import load_roidb
from ...errors import InputError
from ..by_height import RECALL_HEIGHTS, bin_name, recall_by_height
from ..report import print_table
from .shared import add_folder_arguments, method_names, read_folder, write_json


def add_arguments(parser):
    parser.add_argument("--roidb", required=True, metavar="FILE", help=".pkl of tools/build_roidb.py")
    parser.add_argument("--precision", type=float, default=0.9, metavar="P",
                        help="one row a detector is at the lowest score that keeps this precision (default: 0.9)")
    parser.add_argument("--score", type=float, default=0.02, metavar="S",
                        help="the other row is at this score, whatever the precision (default: 0.02)")
    parser.add_argument("--edges", default=",".join(map(str, RECALL_HEIGHTS)), metavar="PX,PX",
                        help="heights in px at which one bin ends and the next begins (default: %(default)s)")
    add_folder_arguments(parser)
    parser.add_argument("--names", metavar="A,B", help="what to call the detectors, in the order of --pred")


def evaluate(options):
    names, edges = method_names(options.pred, options.names), _edges(options.edges)
    if not 0 < options.precision <= 1:
        raise InputError(f"--precision {options.precision:g}: expected more than 0 and at most 1")
    truth, results, rows, before = load_roidb(options.roidb), [], [], None
    for name, folder in zip(names, options.pred, strict=True):
        predictions, skipped = read_folder(folder, options.lenient)
        result = {"pred": folder, "name": name, "protocol": "heights", "subset": options.subset}
        result |= recall_by_height(predictions, truth, options.precision, options.score, options.subset, edges)
        results.append(result | ({"skipped": skipped} if skipped else {}))
        faces = ["faces", "", "", f"{result['faces']:,}", *(f"{part['faces']:,}" for part in
                                                            result["points"][0]["heights"])]
        rows += [faces] if faces != before else []  # with --subset each may have images of its own
        before = faces
        rows += [[name, _digits(point["score"], 4), _digits(point["precision"]), _digits(point["recall"]),
                  *(_digits(part["recall"]) for part in point["heights"])] for point in result["points"]]
    bins = [bin_name(part["low"], part["high"]) for part in results[0]["points"][0]["heights"]]
    print(f"recall at IoU 0.5 by height in px: at the lowest score with precision {options.precision:g}, and from "
          f"score {options.score:g} on")
    print_table(["", "score", "precision", "recall", *bins], rows)
    for result in results:
        if result["missing"]:
            print(f"{result['name']}: {result['missing']:,} images have no prediction file"
                  + (" and are left out" if options.subset else "; their faces count"))
    write_json(options.json, results)


def _edges(text):
    """(10.0, 20.0) of "10,20"."""
    try:
        edges = tuple(float(part) for part in text.split(","))
    except ValueError:
        edges = ()
    if not edges or any(low >= high for low, high in zip((0.0, *edges), edges, strict=False)):
        raise InputError(f"--edges {text!r}: expected heights in px that rise, such as 10,20,60")
    return edges


def _digits(value, digits=3):
    return "-" if value is None else f"{value:.{digits}f}"
