"""Compare detectors on annotated images, in one run: AP at IoU 0.5, what each shows, and milliseconds per image.

A MODEL is the name of a shipped detector, an exported model, the public .onnx of YuNet or SCRFD, or a config that has
weights; MODEL@RUNTIME chooses the runtime. The detectors take turns on each image, so that other work on the machine
slows all of them. Time is the median of the whole call, from the decoded image to the boxes. Recall and false faces per
image are those from the score on that the detector itself shows (TEST.DEMO_SCORE).
"""

from __future__ import annotations

import csv
import io
import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..constants import SMALL_FACE
from ..datasets.images import ImageError, read_image
from ..datasets.roidb import Record, load_roidb
from ..errors import InputError, check_whole
from ..evaluation.tables import print_table
from ..evaluation.voc import ap_of, match_faces
from ..files import write_whole
from ..progress import Progress
from ..runtimes import RUNTIMES
from .command_line import argument_parser, quiet_decoders
from .data.annotation_options import add_annotation_options, read_annotation

if TYPE_CHECKING:
    from ..detections import Detections
    from ..inference.base import BaseDetector

EXAMPLE = """
manyfaces compare ssh_mobilenet_v1_025 mtcnn --images photos/ --labels annotations/
manyfaces compare ssh_mobilenet_v1_025 output/mine/mine.onnx --images photos/ --labels labels.json --only held_out.txt
manyfaces compare ssh_mobilenet_v1_025@openvino yunet.onnx --roidb data/pickles/mine_val.pkl --csv compared.csv
"""
KERAS = "keras"
OF_ANNOTATION = ("labels", "images", "classes", "only", "without", "attributes")  # options that a roidb has no use for


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces compare`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("models", nargs="+", metavar="MODEL", help="name, file or folder of a detector, perhaps with "
                        f"@{', @'.join([*RUNTIMES, KERAS])}")
    parser.add_argument("--roidb", metavar="FILE", help=".pkl of `manyfaces data build`, instead of --labels")
    parser.add_argument("--labels", metavar="FILE|DIR", help="the annotation of the images")
    parser.add_argument("--images", metavar="DIR", help="folder of the images")
    add_annotation_options(parser)
    parser.add_argument("--threads", type=int, metavar="N", help="of an exported model's runtime (default: all cores)")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="only the first N images; 0: all")
    parser.add_argument("--csv", metavar="FILE", help="also write the table there")
    options = parser.parse_args(arguments)
    if bool(options.roidb) == bool(options.labels and options.images):
        raise InputError("expected either --roidb, or --images and --labels")
    if options.roidb and (given := [name for name in OF_ANNOTATION if getattr(options, name)]):
        raise InputError(f"--{given[0]} is for an annotation, found --roidb: leave one of the two out")
    check_whole(options.limit, "--limit")
    quiet_decoders()
    records = (load_roidb(options.roidb) if options.roidb else read_annotation(options)).records
    records = records[: options.limit or None]

    from ..inference.detector import Detector  # late, so that --help does not wait for it

    detectors = {}
    for word in dict.fromkeys(options.models):
        name, _, runtime = word.rpartition("@")
        name, chosen = (name, runtime) if name and runtime in (*RUNTIMES, KERAS) else (word, None)
        detectors[word] = Detector.load(name, runtime=chosen, threads=options.threads)
    kept, detections, seconds = detect_in_turns(detectors, records)
    header = ["model", "AP50", f"AP50 under {SMALL_FACE} px", "shown from", "recall", "false per image", "ms"]
    rows = [[word, *figures(detections[word], kept, detector.cfg.TEST.DEMO_SCORE),
             f"{1e3 * statistics.median(seconds[word]):.1f}"] for word, detector in detectors.items()]
    faces = sum(int((~record.ignore).sum()) for record in kept)
    if options.csv:  # before the table: the reader of the output may end early
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([header, *rows])
        write_whole(options.csv, text.getvalue())
    print(f"{len(kept):,} images, {faces:,} faces that count")
    print_table(header, rows)


def detect_in_turns(detectors: dict[str, BaseDetector], records: Sequence[Record]
                    ) -> tuple[list[Record], dict[str, list[Detections]], dict[str, list[float]]]:
    """All detections of each detector in each image, and the seconds of the calls; a first call is not timed.

    Returns:
        The records whose image can be read, and per detector one entry for each of them.

    Raises:
        InputError: no image can be read.
    """
    kept: list[Record] = []
    detections: dict[str, list[Detections]] = {word: [] for word in detectors}
    seconds: dict[str, list[float]] = {word: [] for word in detectors}
    with Progress(len(records), "images") as progress:
        for record in records:
            progress.advance()
            try:
                image = read_image(record.path)
            except ImageError as error:
                progress.note(f"warning: {error}; left out")
                continue
            for word, detector in detectors.items():
                if not kept:
                    detector.detect(image)  # the first call of a net takes longer
                began = time.perf_counter()
                faces = detector.detect(image, threshold=0)
                seconds[word].append(time.perf_counter() - began)
                detections[word].append(faces)
            kept.append(record)
    if not kept:
        raise InputError(f"none of the {len(records):,} images can be read")
    return kept, detections, seconds


def figures(detections: Sequence[Detections], records: Sequence[Record], shown: float) -> list[str]:
    """AP at IoU 0.5, that of small faces, the shown score, recall and false faces per image from it on, as texts."""
    match = match_faces(detections, records)
    whole, small = ap_of(match), ap_of(match, (0, SMALL_FACE))
    above = match.rows[:, 4] >= shown
    judged = (match.best < 0) | ~match.of_faces(match.ignored)  # not on a face that is ignored
    found = int(np.sum(above & judged & match.first))
    false = int(np.sum(above & judged & ~match.first))
    return [f"{whole['ap']:.3f}", f"{small['ap']:.3f}" if small["faces"] else "-", f"{shown:g}",
            f"{found / whole['faces']:.3f}" if whole["faces"] else "-", f"{false / len(records):.2f}"]
