"""tools/evaluate.py wider: easy, medium and hard by the official rules."""

import time

from ..ground_truth import read_ground_truth
from ..report import print_table
from ..wider import evaluate_wider
from .shared import add_folder_arguments, read_folder, write_json

COLUMNS = ("easy", "medium", "hard", "images", "predictions", "unknown")


def add_arguments(parser):
    parser.add_argument("--gt", required=True, metavar="DIR",
                        help="folder of wider_face_val.mat and wider_{easy,medium,hard}_val.mat")
    add_folder_arguments(parser)


def evaluate(options):
    truth, results = read_ground_truth(options.gt), []
    for folder in options.pred:
        start = time.perf_counter()
        predictions, skipped = read_folder(folder, options.lenient)
        result = evaluate_wider(predictions, truth, subset=options.subset)
        result |= {"pred": folder, "protocol": "wider", "subset": options.subset,
                   "seconds": round(time.perf_counter() - start, 3)}
        results.append(result | ({"skipped": skipped} if skipped else {}))
    print_table(["pred", *COLUMNS], [[result["pred"], *(result[c] for c in COLUMNS)] for result in results])
    write_json(options.json, results)
