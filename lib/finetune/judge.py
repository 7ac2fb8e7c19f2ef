"""What a detector finds in the photographs that are held out: AP by height, and which faces it finds and misses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..constants import SMALL_FACE
from ..datasets.images import ImageError, read_image
from ..datasets.roidb import Record
from ..errors import InputError
from ..evaluation.voc import ap_of, match_faces
from ..progress import Progress

if TYPE_CHECKING:
    from ..detections import Detections
    from ..inference.base import BaseDetector

MEDIUM_FACE = 64  # px
BINS = {"all": (0, np.inf), f"under {SMALL_FACE} px": (0, SMALL_FACE),
        f"{SMALL_FACE} to {MEDIUM_FACE} px": (SMALL_FACE, MEDIUM_FACE), f"from {MEDIUM_FACE} px": (MEDIUM_FACE, np.inf)}
"""Heights of the faces of a figure, px."""


@dataclass
class Face:
    """A face or a detection of an image.

    Attributes:
        record: the image.
        box: (4,) x1 y1 x2 y2 px.
        score: of the detection, None of a missed face.
    """

    record: Record
    box: np.ndarray
    score: float | None = None


@dataclass
class Judgement:
    """How a detector performs on a set.

    Attributes:
        figures: name of a bin of heights -> the figures of voc.ap_of.
        found: detections on a face, best first.
        missed: faces without a detection, highest first.
        false: detections on no face, or on one that has a better one; best first.
    """

    figures: dict[str, dict]
    found: list[Face]
    missed: list[Face]
    false: list[Face]

    @property
    def ap(self) -> float:
        """AP at IoU 0.5 of all faces."""
        return self.figures["all"]["ap"]


def readable(records: Sequence[Record], use: str) -> list[Record]:
    """The records whose image can be decoded; one that cannot is reported on stderr.

    Args:
        records: the images.
        use: what they are, for the messages.

    Raises:
        InputError: none can be decoded.
    """
    kept, problem = [], ""
    with Progress(None, "images", every=1e9) as progress:
        for record in records:
            try:
                read_image(record.path)
                kept.append(record)
            except ImageError as error:
                problem = str(error)
                progress.note(f"warning: {problem}; it is left out of {use}")
    if not kept:
        raise InputError(f"none of the {len(records):,} images of {use} can be read; the last: {problem}")
    return kept


def judge(detector: BaseDetector, records: Sequence[Record], shown: float = 0.5,
          scales: Sequence[float] | None = None) -> Judgement:
    """Detect in each image, and compare with its faces at IoU 0.5.

    Args:
        detector: gives all detections from TEST.SCORE on.
        records: images that can be read.
        shown: lowest score of a detection that counts as found or false; AP uses all scores.
        scales: instead of TEST.SCALES.
    """
    test = detector.cfg.TEST
    detections: list[Detections] = []
    with Progress(len(records), "images") as progress:
        for record in records:
            detections.append(detector.detect(read_image(record.path, limit=test.MAX_FILE_PIXELS),
                                               list(scales or test.SCALES), threshold=0))
            progress.advance()
    match = match_faces(detections, records)
    result = Judgement({name: ap_of(match, bounds) for name, bounds in BINS.items()}, [], [], [])
    for found, record in zip(detections, records, strict=True):
        _sort(result, found, record, shown)
    for faces in (result.found, result.false):
        faces.sort(key=lambda face: -(face.score or 0))
    result.missed.sort(key=lambda face: face.box[1] - face.box[3])
    return result


def _sort(result, detections, record, shown):
    """Add the faces of one image to `result`."""
    match = match_faces([detections], [record])
    found = np.zeros(len(record.boxes), bool)
    for row, best, first in zip(match.rows, match.best, match.first, strict=True):
        if row[4] < shown or best >= 0 and record.ignore[best]:
            continue
        box = np.concatenate([row[:2], row[:2] + row[2:4]])
        (result.found if first else result.false).append(Face(record, box, float(row[4])))
        found[best] |= first
    result.missed += [Face(record, record.boxes[i]) for i in np.flatnonzero(~found & ~record.ignore)]
