"""What the command lines that read an annotation share: which of its faces and images are kept."""

from argparse import ArgumentParser, Namespace

from ...datasets.attributes import add_attributes
from ...datasets.readers import READERS, WITH_CLASSES
from ...datasets.roidb import Roidb, select
from ...datasets.text import read_list
from ...errors import InputError


def add_annotation_options(parser: ArgumentParser) -> None:
    """Add --classes, --only, --without, --attributes and --missing."""
    parser.add_argument("--classes", nargs="+", metavar="NAME",
                        help="voc, coco, yolo: names of the classes that are faces, for yolo also their numbers; "
                             "without it the only class, or among several the one named face")
    parser.add_argument("--only", metavar="LIST", help="text file of image names: keep these")
    parser.add_argument("--without", metavar="LIST", help="text file of image names: leave these out")
    parser.add_argument("--attributes", metavar="FILE",
                        help="WIDER .txt or .mat of the same images, whose attributes and invalid flags are added")
    parser.add_argument("--missing", choices=("error", "skip"), default="error",
                        help="what to do with images that are missing, unreadable, or of another size than the "
                             "annotation says")


def read_annotation(options: Namespace) -> Roidb:
    """Read an annotation. options: format, labels, images and those above."""
    reader, chosen = READERS[options.format], {}
    if options.classes:
        if options.format not in WITH_CLASSES:
            raise InputError(f"--classes is for {', '.join(WITH_CLASSES)}: {options.format} has no classes")
        chosen = {"classes": options.classes}
    roidb = reader(options.labels, options.images, missing=options.missing, **chosen)
    only, without = (read_list(path) if path else None for path in (options.only, options.without))
    if only is not None or without is not None:
        roidb = select(roidb, only, without, strict=options.missing == "error")
        if roidb.classes or roidb.dropped:
            roidb.notes.append("classes and dropped are counted in the whole annotation, before --only and --without")
    if options.attributes:
        roidb, counts = add_attributes(roidb, READERS["wider"](options.attributes))
        roidb.notes.append("attributes: " + ", ".join(f"{count:,} faces {what}" for what, count in counts.items()))
    return roidb
