"""Turn COCO result JSON into a folder of WIDER prediction files and back; image ids and names come from --gt."""

import os
from collections.abc import Sequence

from ...datasets.coco_json import load_coco
from ...errors import InputError
from ...evaluation.coco_results import read_coco_results, write_coco_rows, write_wider_folder
from ...evaluation.files.predictions import read_predictions
from ...evaluation.pairing import pair_by_name
from ..command_line import argument_parser

EXAMPLE = """
manyfaces data convert --results results.json --gt data/wider_val.json --out output/pred
manyfaces data convert --results output/pred --gt data/wider_val.json --out results.json
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces data convert`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--results", required=True, metavar="FILE|DIR",
                        help="a result file becomes a folder, a folder of event/name.txt becomes a result file")
    parser.add_argument("--gt", required=True, metavar="FILE",
                        help="COCO annotation .json of the images, such as `manyfaces data coco` writes")
    parser.add_argument("--out", required=True, metavar="DIR|FILE", help="the folder or .json to write")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="names of the categories of --gt that are faces; "
                        "without it the only category, or among several the one named face")
    options = parser.parse_args(arguments)

    truth = load_coco(options.gt, options.classes)
    if not os.path.isdir(options.results):
        if os.path.isfile(options.out):
            raise InputError(f"{options.out}: is a file; {options.results} becomes a folder")
        rows = read_coco_results(options.results, truth)
        write_wider_folder(options.out, rows, truth)
        empty = sum(not len(detections) for detections in rows.values())
        print(f"wrote {sum(map(len, rows.values())):,} detections of {len(rows):,} images to {options.out}, "
              f"{empty:,} of them without any")
        return
    if os.path.isdir(options.out):
        raise InputError(f"{options.out}: is a folder; {options.results} becomes a file")
    names = list(truth.ids)
    detections, unknown = pair_by_name(read_predictions(options.results), names, options.gt)
    if unknown:
        raise InputError(f"{options.results}: {unknown} prediction files are of no image in {options.gt}, "
                         "which must hold all of them; a result file has ids only for its images")
    rows = {name: each for name, each in zip(names, detections, strict=True) if each is not None}
    write_coco_rows(options.out, rows, truth.ids, truth.category)
    print(f"wrote {sum(map(len, rows.values())):,} detections of {len(rows):,} images to {options.out}; "
          f"{len(names) - len(rows):,} images have no prediction file")
