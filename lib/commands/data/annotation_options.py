"""What the command lines that read an annotation share: which of its faces and images are kept."""

from argparse import ArgumentParser, Namespace

from ...datasets.attributes import add_attributes
from ...datasets.readers import READERS
from ...datasets.roidb import Roidb, select
from ...datasets.statistics import statistics_table
from ...datasets.text import read_list


def add_annotation_options(parser: ArgumentParser) -> None:
    """Add --only, --without, --attributes and --missing."""
    parser.add_argument("--only", metavar="LIST", help="text file of image names: keep these")
    parser.add_argument("--without", metavar="LIST", help="text file of image names: leave these out")
    parser.add_argument("--attributes", metavar="FILE",
                        help="WIDER .txt or .mat of the same images, whose attributes and invalid flags are added")
    parser.add_argument("--missing", choices=("error", "skip"), default="error",
                        help="what to do with images that are missing or unreadable")


def read_annotation(options: Namespace) -> Roidb:
    """Read an annotation and print its statistics. options: format, labels, images and those above."""
    roidb = READERS[options.format](options.labels, options.images, missing=options.missing)
    only, without = (read_list(path) if path else None for path in (options.only, options.without))
    if only or without:
        roidb = select(roidb, only, without, strict=options.missing == "error")
    if options.attributes:
        roidb, counts = add_attributes(roidb, READERS["wider"](options.attributes))
        print("attributes " + ", ".join(f"{count:,} faces {what}" for what, count in counts.items()))
    print(statistics_table(roidb))
    return roidb
