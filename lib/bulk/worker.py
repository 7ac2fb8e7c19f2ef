"""What every engine calls in its processes: the images of a part become its Parquet file."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2

from ..datasets.folders import in_order
from ..datasets.images import ImageError
from ..errors import InputError
from ..inference.demo.journal import detector_mark
from ..inference.folder import detect_items
from .rows import Part, Row, as_part
from .sources.items import Item
from .sources.reading import Read, Reader
from .tries import Tries

if TYPE_CHECKING:
    from ..inference.base import BaseDetector

READERS = 2  # threads of a worker that read and decode while the net runs
WINDOW = 8  # times TEST.BATCH: images among which those of the same size are brought together
WINDOW_PIXELS = 64_000_000


@dataclass(frozen=True)
class Job:
    """What a worker needs besides the images; it can be pickled.

    Attributes:
        open: gives the detector, also in another process.
        model: its detector_mark, which that of each worker must be.
        score: lowest score of a face.
        scales, flip: as in Detector.detect.
        kind, image_column: as in Source.
        tries: folder for Tries; where a machine does not have its parent, one in the temporary folder.
    """

    open: Callable[[], BaseDetector]
    model: str
    score: float
    scales: tuple[float, ...]
    flip: bool | None
    kind: str
    image_column: str | None
    tries: str


class Worker:
    """A detector and what it reads from.

    Raises:
        InputError: the detector is another one than the driver's, or cannot be opened.
    """

    def __init__(self, job: Job) -> None:
        cv2.setNumThreads(1)
        if "OPENCV_LOG_LEVEL" not in os.environ:
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self.job, self.detector = job, job.open()
        mark = detector_mark(self.detector)
        if mark != job.model:
            raise InputError(f"{socket.gethostname()}: has the detector {mark}, expected {job.model}, which the run "
                             f"began with; put the same model there")
        self.detector.cfg.TEST.SCORE = min(self.detector.cfg.TEST.SCORE, job.score)
        self.reader = Reader(job.kind, job.image_column, self.detector.shrunk_to,
                             self.detector.cfg.TEST.MAX_FILE_PIXELS)
        self.tries = job.tries
        if not os.path.isdir(os.path.dirname(job.tries)):
            name = f"manyfaces-bulk-{os.getuid()}-{zlib.crc32(os.fsencode(job.tries)):08x}"
            self.tries = os.path.join(tempfile.gettempdir(), name)

    def part(self, number: int, items: Sequence[Item]) -> Part:
        """Detect in the images of a part."""
        tries = Tries(self.tries, number)
        rows: list[Row | None] = [None] * len(items)
        for window in self._windows(self._read(items, tries), tries.careful):
            for place, faces, size in self._detect(items, window):
                if isinstance(faces, ImageError):
                    rows[place] = Row(items[place].path, None, str(faces))
                else:
                    rows[place] = Row(items[place].path, size, faces.above(self.job.score))
        part = as_part(number, [row for row in rows if row is not None], self.job.model)
        tries.close()
        return part

    def _detect(self, items, window):
        """Yield (place, Detections or ImageError, size). What fails on one image does not end the others."""
        named = [(items[place].path, image, size) for place, image, size in window]
        places = {items[place].path: place for place, _, _ in window}
        try:
            found = list(detect_items(self.detector, named, self.job.scales, self.job.flip))
        except InputError:
            raise
        except Exception as error:  # a defect; alone, its image has an error, and the others have their faces
            if len(window) > 1:
                for item in window:
                    yield from self._detect(items, [item])
                return
            text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            found = [(named[0][0], ImageError(f"{named[0][0]}: the detector failed on it ({text})"), None)]
        for name, faces, size in found:
            yield places[name], faces, size

    def _windows(self, images: Iterator[Read], careful: bool) -> Iterator[list[Read]]:
        """Lists of images that are detected together, those of the same size next to one another."""
        batch = self.detector.cfg.TEST.BATCH
        most = 1 if careful or batch == 1 else WINDOW * batch
        window: list[Read] = []
        pixels = 0
        for read in images:
            window.append(read)
            pixels += 0 if isinstance(read[1], ImageError) else read[1].shape[0] * read[1].shape[1]
            if len(window) >= most or pixels >= WINDOW_PIXELS:
                yield _by_size(window)
                window, pixels = [], 0
        if window:
            yield _by_size(window)

    def _read(self, items: Sequence[Item], tries: Tries) -> Iterator[Read]:
        """The images in their order; read ahead in threads, but one by one where an attempt before did not end."""
        with contextlib.ExitStack() as stack:
            stored = self.reader.stored(items, stack)
            if not tries.careful:
                yield from in_order(stored, self.reader.decoded, READERS, 2)
                return
            for place, item, load in stored:
                if place in tries.given_up:
                    yield place, ImageError(f"{item.path}: ended the process that read it, twice; left out"), None
                    continue
                tries.note(place)
                yield self.reader.decoded((place, item, load))


def _by_size(window):
    return sorted(window, key=lambda read: () if isinstance(read[1], ImageError) else read[1].shape)
