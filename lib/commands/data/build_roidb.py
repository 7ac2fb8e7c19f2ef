"""Read an annotation and its images once, print their statistics, and write the roidb that training reads."""

from collections.abc import Sequence

from ...datasets import READERS, save_roidb, statistics_table
from ...errors import InputError
from ..command_line import argument_parser
from .annotation_options import add_annotation_options, read_annotation

EXAMPLE = """
tools/build_roidb.py --format wider --images data/WIDER_train/images \\
    --labels data/wider_face_split/wider_face_train_bbx_gt.txt --out data/pickles/wider_train.pkl
tools/build_roidb.py --format wider --labels data/wider_face_split/wider_face_train.mat    # statistics only
tools/build_roidb.py --format yolo --images set/images --labels set/labels --classes face --out data/pickles/mine.pkl
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of tools/build_roidb.py."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--format", required=True, choices=sorted(READERS), help="format of the annotation")
    parser.add_argument("--labels", required=True, metavar="FILE|DIR",
                        help="the annotation: a file, or a folder for voc and yolo")
    parser.add_argument("--images", metavar="DIR",
                        help="folder of the images; may be left out when only the statistics are wanted")
    parser.add_argument("--out", metavar="FILE", help="the .pkl to write; without it the statistics are only printed")
    add_annotation_options(parser)
    options = parser.parse_args(arguments)
    if options.out and not options.images:
        raise InputError("--out needs --images: a roidb without image sizes cannot train or test")

    roidb = read_annotation(options)
    if options.out:  # before the table: the reader of the output may end early
        save_roidb(roidb, options.out)
    print(statistics_table(roidb))
    if options.out:
        print(f"wrote    {options.out}")
