"""Turn WIDER FACE's annotation, or any other that the roidb's readers know, into COCO JSON with one category, face."""

import sys
from collections.abc import Sequence

from ...datasets import statistics_table
from ...datasets.coco_writer import write_coco
from ..command_line import argument_parser
from .annotation_options import add_annotation_options, read_annotation

EXAMPLE = """
manyfaces data coco --labels data/wider_face_split/wider_face_val_bbx_gt.txt --images data/WIDER_val/images \\
    --out data/wider_val.json
manyfaces data coco --format voc --labels data/facemask/annotations --images data/facemask/images \\
    --classes with_mask without_mask mask_weared_incorrect --only data/facemask/val.txt --out data/facemask_val.json
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces data coco`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--labels", required=True, metavar="FILE|DIR",
                        help="the annotation: a file (wider: .txt or .mat), or a folder for voc and yolo")
    parser.add_argument("--images", metavar="DIR",
                        help="folder of the images, to read their sizes; without it these are 0")
    parser.add_argument("--out", required=True, metavar="FILE", help="the .json to write")
    add_annotation_options(parser, "wider")
    options = parser.parse_args(arguments)

    roidb = read_annotation(options)
    write_coco(roidb, options.out)
    print(statistics_table(roidb))
    print(f"wrote    {options.out}")
    unknown = sum(not record.width for record in roidb.records)
    if unknown:
        print(f"note: width and height of {unknown:,} images are unknown and written as 0; evaluation does not need "
              "them, but training tools do: give --images", file=sys.stderr)
