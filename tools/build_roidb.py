#!/usr/bin/env python3
"""Read an annotation file and its images once, print what is in them, and write the roidb that training reads."""

import sys

from manyfaces.command_line import argument_parser, run
from manyfaces.datasets import READERS, save_roidb, select, statistics_table
from manyfaces.datasets.attributes import add_attributes
from manyfaces.datasets.text import read_list
from manyfaces.errors import InputError

EXAMPLE = """
tools/build_roidb.py --format wider --images data/WIDER_train/images \\
    --labels data/wider_face_split/wider_face_train_bbx_gt.txt --out data/pickles/wider_train.pkl
tools/build_roidb.py --format wider --labels data/wider_face_split/wider_face_train.mat    # statistics only
"""


def main(arguments=None):
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--format", required=True, choices=sorted(READERS), help="format of the annotation")
    parser.add_argument("--labels", required=True, help="the annotation: a file, or a folder for voc and yolo")
    parser.add_argument("--images", help="folder of the images; may be left out when only the statistics are wanted")
    parser.add_argument("--out", help="the .pkl to write; without it only the statistics are printed")
    parser.add_argument("--only", metavar="LIST", help="text file of image names: keep these")
    parser.add_argument("--without", metavar="LIST", help="text file of image names: leave these out")
    parser.add_argument("--attributes", metavar="FILE",
                        help="WIDER .txt or .mat of the same images, to carry its attributes and invalid flags over")
    parser.add_argument("--missing", choices=("error", "skip"), default="error",
                        help="what to do about images that are absent or unreadable")
    options = parser.parse_args(arguments)
    if options.out and not options.images:
        raise InputError("--out needs --images: a roidb without image sizes cannot train or test")

    roidb = READERS[options.format](options.labels, options.images, missing=options.missing)
    lists = [read_list(path) if path else None for path in (options.only, options.without)]
    if any(lists):
        roidb = select(roidb, *lists, strict=options.missing == "error")
    if options.attributes:
        roidb, counts = add_attributes(roidb, READERS["wider"](options.attributes))
        print("attributes " + ", ".join(f"{count:,} faces {what}" for what, count in counts.items()))
    print(statistics_table(roidb))
    if options.out:
        save_roidb(roidb, options.out)
        print(f"wrote    {options.out}")


if __name__ == "__main__":
    sys.exit(run(main))
