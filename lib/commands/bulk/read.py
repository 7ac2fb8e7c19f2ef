"""Count the rows that `manyfaces bulk` has written, draw some of the images, and convert the rows.

It also works while the run is unfinished, with the parts that are there. Exit code 0 when each image of the source has
one row, 3 when rows are missing, repeated or of other images.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ...errors import InputError, Range, check_whole
from ...inference.results import FORMATS, check_format
from ..command_line import argument_parser

EXAMPLE = """
manyfaces bulk read found
manyfaces bulk read found --sample 20 --draw pictures
manyfaces bulk read found --pred output/pred --json found.jsonl
"""
INCOMPLETE = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of `manyfaces bulk read`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("folder", metavar="DIR", help="the --out of `manyfaces bulk`")
    parser.add_argument("--draw", metavar="DIR", help="draw images that have faces there, chosen at random")
    parser.add_argument("--sample", type=int, default=12, metavar="N", help="number of images to draw")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the choice")
    parser.add_argument("--json", metavar="FILE", help="write one line of JSON per row, as `manyfaces detect --json`")
    parser.add_argument("--pred", metavar="DIR|FILE", help="write predictions for `manyfaces evaluate`, as "
                        "`manyfaces test` does; the run should have had --score 0")
    parser.add_argument("--format", choices=FORMATS, default="wider", help="of --pred")
    parser.add_argument("--labels", metavar="FILE", help="of --pred with --format coco: COCO annotation .json that has "
                        "the image ids")
    options = parser.parse_args(arguments)
    check_whole(options.sample, "--sample", Range(least=1))
    check_format(options.format, labels=options.labels)
    try:
        from ...bulk import results
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        raise InputError("the package pyarrow is not installed: pip install pyarrow") from None

    rows = results.Rows(options.folder)
    counts = results.count(rows)
    print(f"{options.folder}: {counts.rows:,} of {counts.total:,} images, {counts.faces:,} faces from score "
          f"{rows.run['score']:g} on in {counts.with_faces:,} images, {counts.errors:,} errors; by {rows.run['model']}")
    for reason, number in counts.reasons.most_common(5):
        print(f"  {number:,} errors: {reason}")
    if counts.repeated or counts.foreign:
        print(f"  {counts.repeated:,} rows repeat an image, {counts.foreign:,} are of no image of the source: the "
              f"folder was changed; choose a new --out")
    elif counts.rows < counts.total:
        print("  unfinished: the same `manyfaces bulk` continues")
    if options.draw:
        drawn, failed = results.draw_sample(rows, options.draw, options.sample, options.seed)
        print(f"drew {drawn} to {options.draw}" + (f"; {len(failed)} could not be read" if failed else ""))
        for text in failed[:5]:
            print(f"warning: {text}", file=sys.stderr)
    if options.json:
        print(f"wrote {results.write_json_lines(rows, options.json):,} lines to {options.json}")
    if options.pred:
        images, failed_images = results.write_predictions(rows, options.pred, options.format, options.labels)
        print(f"wrote predictions of {images - failed_images:,} images to {options.pred}"
              + (f"; {failed_images:,} have an error and none" if failed_images else ""))
    return 0 if counts.exact else INCOMPLETE
