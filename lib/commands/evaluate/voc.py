"""`manyfaces evaluate voc`: AP at IoU 0.5 on Pascal VOC's XML annotation, by the height of the faces."""

import contextlib
from argparse import ArgumentParser, Namespace

from ...datasets import READERS, select
from ...datasets.text import read_list
from ...evaluation.by_height import bin_name, evaluate_roidb
from ...evaluation.tables import print_table
from .shared import add_folder_arguments, print_warnings, read_folder, write_json

COLUMNS = ("ap50", "ap50_small", "images", "faces", "small", "ignored", "detections", "missing", "unknown")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of this protocol."""
    parser.add_argument("--gt", required=True, metavar="DIR",
                        help="folder of .xml files; a difficult object is ignored")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="names of the objects that are faces; without it "
                        "the only name, or among several the one named face")
    parser.add_argument("--images", metavar="DIR", help="folder of the images, for .xml files that name a wrong image")
    parser.add_argument("--list", metavar="FILE", help="text file of image names: evaluate these only")
    add_folder_arguments(parser)


def evaluate(options: Namespace) -> None:
    """Evaluate, print the tables and write --json."""
    truth = READERS["voc"](options.gt, options.images, classes=options.classes)
    if options.list:
        truth = select(truth, only=read_list(options.list))
    results = []
    for folder in options.pred:
        predictions, skipped = read_folder(folder, options.lenient)
        result = {"pred": folder, "protocol": "voc", "subset": options.subset}
        result |= evaluate_roidb(predictions, truth, subset=options.subset)
        results.append(result | ({"skipped": skipped} if skipped else {}))
    with contextlib.ExitStack() as last:  # also where the reader of the tables ends early (`| head`)
        last.callback(write_json, options.json, results)
        print_table(["pred", *COLUMNS], [[result["pred"], *(result[c] for c in COLUMNS)] for result in results])
        print()
        print_table(["pred", "height", "faces", "found", "ap50"],
                    [[result["pred"], bin_name(row["low"], row["high"]), row["faces"], row["found"], row["ap50"]]
                     for result in results for row in result["heights"] if row["faces"]])
        print_warnings(results)
