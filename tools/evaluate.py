#!/usr/bin/env python3
"""Average precision of prediction folders: WIDER FACE's official easy / medium / hard, or that on any roidb."""

import json
import sys
import time

from manyfaces.command_line import argument_parser, run
from manyfaces.datasets import load_roidb
from manyfaces.evaluation import (
    Skipped,
    evaluate_roidb,
    evaluate_wider,
    print_table,
    read_ground_truth,
    read_predictions,
)
from manyfaces.files import write_whole

EXAMPLE = """
tools/evaluate.py wider --pred output/ssh_mobilenet_v1_025/pred --gt data/wider/ground_truth
tools/evaluate.py roidb --pred output/ssh_mobilenet_v1_025/pred_facemask --roidb data/pickles/facemask_val.pkl
"""


def main(arguments=None):
    parser = argument_parser(__doc__, EXAMPLE)
    commands = parser.add_subparsers(dest="protocol", required=True, metavar="wider|roidb")
    wider = commands.add_parser("wider", help="the official protocol and ground truth of WIDER FACE")
    wider.add_argument("--gt", required=True, metavar="DIR",
                       help="folder of wider_face_val.mat and wider_{easy,medium,hard}_val.mat")
    roidb = commands.add_parser("roidb", help="AP at IoU 0.5 on a roidb, all faces and those under 20 px")
    roidb.add_argument("--roidb", required=True, metavar="FILE", help=".pkl of tools/build_roidb.py")
    for command in (wider, roidb):
        command.add_argument("--pred", required=True, action="append", metavar="DIR",
                             help="folder of event/name.txt files; may be given several times")
        command.add_argument("--subset", action="store_true",
                             help="evaluate only the images that have a prediction file")
        command.add_argument("--lenient", action="store_true", help="skip and count malformed files and lines")
        command.add_argument("--json", metavar="FILE", help="write the results there as well")
    options = parser.parse_args(arguments)

    truth = read_ground_truth(options.gt) if options.protocol == "wider" else load_roidb(options.roidb)
    evaluate = evaluate_wider if options.protocol == "wider" else evaluate_roidb
    results = []
    for folder in options.pred:
        start = time.perf_counter()
        skipped = Skipped() if options.lenient else None
        result = evaluate(read_predictions(folder, skipped), truth, subset=options.subset)
        result |= {"pred": folder, "protocol": options.protocol, "subset": options.subset,
                   "seconds": round(time.perf_counter() - start, 3)}
        if skipped:
            result["skipped"] = {"files": skipped.files, "lines": skipped.lines, "wrong counts": skipped.counts}
            print_skipped(folder, skipped)
        results.append(result)
    columns = (["easy", "medium", "hard", "images", "predictions", "unknown"] if options.protocol == "wider"
               else ["ap50", "ap50_small", "wider", "images", "faces", "small", "missing", "unknown"])
    rows = [[result["pred"], *(result[column] for column in columns)] for result in results]
    print_table(["pred", *columns], rows)
    if options.json:
        write_whole(options.json, (json.dumps(results, indent=1) + "\n").encode())


def print_skipped(folder, skipped):
    """What a lenient reading left out, with the first few places."""
    if skipped.messages:
        print(f"{folder}: skipped {skipped.files} files and {skipped.lines} lines; {skipped.counts} counts were wrong")
    for message in skipped.messages[:5]:
        print(f"  {message}")


if __name__ == "__main__":
    sys.exit(run(main))
