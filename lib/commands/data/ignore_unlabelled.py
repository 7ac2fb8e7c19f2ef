"""Mark faces that nobody labelled as ignored: a detector finds them, and a training then leaves them alone.

An unlabelled face is learnt as background. A detection of --score or more becomes an ignored region where it overlaps
no face and no ignored region of the annotation by an IoU of --iou or more. Nothing is removed, and no face is added. A
detector marks its own mistakes, too: what it takes for a face is then not learnt as background.
"""

from collections.abc import Sequence
from dataclasses import replace

from ...errors import POSITIVE_FRACTION, check_number
from ..command_line import argument_parser, quiet_decoders
from ..detector_options import add_detector_options, detector_from

EXAMPLE = """
manyfaces data ignore --roidb data/pickles/mine_train.pkl --cfg tiny_mobilenet_v1_025 \\
    --out data/pickles/mine_train_ignore.pkl
manyfaces train --cfg ssh_mobilenet_v1_025 --set TRAIN.DATASETS mine_train_ignore
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces data ignore`."""
    parser = argument_parser(__doc__, EXAMPLE)
    add_detector_options(parser)
    parser.add_argument("--roidb", required=True, metavar="FILE", help="roidb of `manyfaces data build`")
    parser.add_argument("--out", required=True, metavar="FILE", help="the roidb with more ignored regions")
    parser.add_argument("--score", type=float, default=0.5, help="lowest score of a detection (default: %(default)s)")
    parser.add_argument("--iou", type=float, default=0.2, help="from this IoU with a labelled face on a detection is "
                        "that face (default: %(default)s)")
    options = parser.parse_args(arguments)
    check_number(options.score, "--score")
    check_number(options.iou, "--iou", POSITIVE_FRACTION)
    quiet_decoders()

    from ...datasets.attributes import ignoring
    from ...datasets.images import ImageError
    from ...datasets.roidb import load_roidb, save_roidb
    from ...progress import Progress, print_line

    roidb, detector = load_roidb(options.roidb), detector_from(options)
    records, added, images = [], 0, 0
    with Progress(len(roidb), "images") as progress:
        for record in roidb.records:
            try:
                found = detector.detect(record.path, threshold=options.score)
                more = ignoring(record, found.boxes, options.iou)
            except ImageError as error:
                print_line(f"warning: {error}; its record stays as it is")
                more = record
            new = len(more.boxes) - len(record.boxes)
            added, images = added + new, images + (new > 0)
            records.append(more)
            progress.advance()
    save_roidb(replace(roidb, records=records), options.out)
    faces = sum(int((~record.ignore).sum()) for record in records)
    print(f"wrote {options.out}: {added:,} regions in {images:,} of {len(roidb):,} images are ignored now; {faces:,} "
          f"faces count as before")
