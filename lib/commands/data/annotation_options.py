"""What the command lines that read an annotation share: its format, and which of its faces and images are kept."""

from argparse import ArgumentParser, Namespace, _ArgumentGroup

from ...datasets.attributes import add_attributes
from ...datasets.readers import AUTO, READERS, WITH_CLASSES, find_format
from ...datasets.roidb import Roidb, select
from ...datasets.text import read_list
from ...errors import InputError, printable


def add_annotation_options(parser: ArgumentParser | _ArgumentGroup, default: str | None = AUTO) -> None:
    """Add --format with this default, --classes, --only, --without, --attributes and --missing."""
    parser.add_argument("--format", default=default, choices=(AUTO, *sorted(READERS)),
                        help="format of the annotation; auto: by the content of its files")
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
    """Read an annotation. options: labels, images and those above. Where auto finds its format, print which and why."""
    name, labels, chosen = options.format, options.labels, {}
    if name == AUTO:
        name, labels, why = find_format(labels)
        print(f"format   {printable(why)}", flush=True)
    if options.classes:
        if name not in WITH_CLASSES:
            raise InputError(f"--classes is for {', '.join(WITH_CLASSES)}: {name} has no classes")
        chosen = {"classes": options.classes}
    roidb = READERS[name](labels, options.images, missing=options.missing, **chosen)
    only, without = (read_list(path) if path else None for path in (options.only, options.without))
    if only is not None or without is not None:
        roidb = select(roidb, only, without, strict=options.missing == "error")
        if roidb.classes or roidb.dropped:
            roidb.notes.append("classes and dropped are counted in the whole annotation, before --only and --without")
    if options.attributes:
        roidb, counts = add_attributes(roidb, READERS["wider"](options.attributes))
        roidb.notes.append("attributes: " + ", ".join(f"{count:,} faces {what}" for what, count in counts.items()))
    return roidb
