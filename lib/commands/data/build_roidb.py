"""Read an annotation and its images once, print their statistics, and write the roidb that training reads."""

import os
from collections.abc import Sequence

from ...datasets import save_roidb, split, statistics_table
from ...errors import InputError
from ..command_line import argument_parser
from .annotation_options import add_annotation_options, read_annotation

EXAMPLE = """
manyfaces data build --format wider --images data/WIDER_train/images \\
    --labels data/wider_face_split/wider_face_train_bbx_gt.txt --out data/pickles/wider_train.pkl
manyfaces data build --format wider --labels data/wider_face_split/wider_face_train.mat    # statistics only
manyfaces data build --format yolo --images set/images --labels set/labels --classes face --out data/pickles/mine.pkl
manyfaces data build --images set/images --labels set/labels --split 0.9 --out data/pickles/mine.pkl
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces data build`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--labels", required=True, metavar="FILE|DIR",
                        help="the annotation: a file, or a folder for voc and yolo")
    parser.add_argument("--images", metavar="DIR",
                        help="folder of the images; may be left out when only the statistics are wanted")
    parser.add_argument("--out", metavar="FILE", help="the .pkl to write; without it the statistics are only printed")
    parser.add_argument("--split", type=float, metavar="FRACTION",
                        help="write this fraction of the images to OUT_train.pkl and the others to OUT_select.pkl; a "
                        "hash of the image's name decides, so an image keeps its side when others are added")
    add_annotation_options(parser)
    options = parser.parse_args(arguments)
    if options.out and not options.images:
        raise InputError("--out needs --images: a roidb without image sizes cannot train or test")
    if options.split is not None and not options.out:
        raise InputError("--split needs --out: it divides what is written")

    roidb = read_annotation(options)
    written = {options.out: roidb} if options.out else {}
    if options.split is not None:
        stem, ending = os.path.splitext(options.out)
        written = dict(zip((f"{stem}_train{ending}", f"{stem}_select{ending}"), split(roidb, options.split),
                           strict=True))
    for path, records in written.items():  # before the table: the reader of the output may end early
        save_roidb(records, path)
    print(statistics_table(roidb))
    for path, records in written.items():
        print(f"wrote    {path}" + (f": {len(records):,} images" if options.split is not None else ""))
