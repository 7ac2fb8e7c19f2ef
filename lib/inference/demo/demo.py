"""The demonstration: sources in; pictures and videos, a table of counts and times, JSON lines out."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...align import HIDDEN_BY
from ...datasets.images import ImageError
from ...errors import check_number, check_whole, printable
from ...progress import Progress
from ..cascade_detector import CascadeDetector
from ..video.detect import open_video
from ..video.reader import VideoEnded
from ..video.timing import timing
from .pictures import DRAWN, Pictures
from .sources import Source

if TYPE_CHECKING:
    from easydict import EasyDict

    from ...detections import Detections
    from ..base import BaseDetector
    from .journal import Journal, Printed

PARTS = ("net", "decode", "nms")
HEADER = f"{'source':<28} {'size':>11} {'faces':>6} {'best':>6} {'net ms':>10} {'decode ms':>10} {'nms ms':>10}"
FILLED = 640  # px: a face that fills an image of this size is found whole
WARM_SIZES = 3  # more would double the time of a folder of photographs of many sizes


@dataclass
class Seen:
    """One row of the table.

    Attributes:
        source: path, camera number or address.
        size: (width, height) px.
        faces: number of faces, of a video in all frames.
        best: highest score.
        times: part -> ms, of a video the mean per frame.
        frames: number of frames, 1 for an image.
        warning: what is wrong with it, empty for nothing.
        complete: it was read to its end; False for a video that is cut short, and a stream that was lost.
        notes: what a reader of the table should know: damaged and skipped frames, tracks.
    """

    source: str
    size: tuple[int, int]
    faces: int
    best: float
    times: dict[str, float]
    frames: int = 1
    warning: str = ""
    complete: bool = True
    notes: str = ""

    def row(self) -> str:
        """The line of the table."""
        name = printable(self.source)
        name = name if len(name) <= 28 else "..." + name[-25:]
        size = f"{self.size[0]}x{self.size[1]}"
        times = " ".join(f"{self.times.get(part, 0.0):10.1f}" for part in PARTS)
        best = f"{self.best:6.3f}" if self.faces else f"{'-':>6}"
        return f"{name:<28} {size:>11} {self.faces:>6,} {best} {times}" + (
            f"  mean of {self.frames:,} frames" if self.frames > 1 else "") + self.notes

    def add(self, detections: Detections) -> None:
        """Count the Detections of another frame."""
        for part in PARTS:
            before = self.times.get(part, 0.0)
            self.times[part] = before + (detections.times.get(part, 0.0) - before) / (self.frames + 1)
        self.frames += 1
        self.faces += len(detections)
        self.best = max(self.best, _best(detections))


def _best(detections):
    return float(detections.scores[0]) if len(detections) else 0.0


class Demo:
    """Runs a detector on one source after another.

    The net runs once more before the first image of each of the first WARM_SIZES sizes is timed: its first call for a
    size takes longer than all others.

    Args:
        detector: a Detector or CascadeDetector.
        out: folder for pictures and videos; None: none are written.
        score: faces below it are neither shown nor counted; None: TEST.HIDE_SCORE where faces are hidden, else
            TEST.DEMO_SCORE.
        limit: largest number of frames of a video, 0: all.
        journal: a Journal that has been started, or a Printed; None: no JSON lines.
        kind: what pictures show, one of pictures.KINDS.
        strip: pictures have no colour profile either.
        track: the faces of a video get ids.
        realtime: frames of a video file that are late are skipped.
        say: takes lines about streams that are lost and back; None: standard error.

    Raises:
        InputError: the score is not from 0 to 1, the limit is below 0, or the kind is another.
    """

    def __init__(self, detector: BaseDetector, out: str | os.PathLike | None, score: float | None = None,
                 limit: int = 0, journal: Journal | Printed | None = None, kind: str = DRAWN, strip: bool = False,
                 track: bool = False, realtime: bool = False, say: Callable[[str], object] | None = None):
        self.detector, self.limit, self.journal = detector, check_whole(limit, "limit"), journal
        self.track, self.realtime, self.say = track, realtime, say
        self.score = check_number(shown_from(detector.cfg.TEST, kind) if score is None else score, "score")
        self.kind = kind
        self.pictures = None if out is None else Pictures(out, kind, self.score, strip)
        # What is drawn may be a smaller copy; faces are hidden and cut out at full size.
        self.pixels = detector.shrunk_to if kind == DRAWN else 0
        self.warm = set()

    def look(self, source: Source) -> Seen:
        """Find the faces of a source, write its picture or video and its JSON lines.

        Ctrl-C ends a camera in the regular way. A video that it interrupts keeps the frames so far, and the next run
        with the same journal starts that video again.

        Raises:
            ImageError: the source cannot be read.
            OSError: `out` cannot be written.
        """
        return self._image(source) if source.kind == "image" else self._video(source)

    def _detect(self, image, threshold=None):
        scales = halves(self.detector, image.shape[:2]) if self.kind in HIDDEN_BY else None
        if image.shape not in self.warm and len(self.warm) < WARM_SIZES:
            self.warm.add(image.shape)
            self.detector.detect(image, scales=scales)
        return self.detector.detect(image, scales=scales, threshold=self.score if threshold is None else threshold)

    def _image(self, source):
        path = self.pictures.path(source) if self.pictures else None
        image, size = source.read(self.pixels, self.detector.cfg.TEST.MAX_FILE_PIXELS)
        detections = self._detect(image)
        if self.pictures and path:
            with self.pictures.writes(source, path):
                path = self.pictures.write_image(source, path, image, detections)
        detections = detections.scaled(size[0] / image.shape[1], size[1] / image.shape[0])
        self._note(source, path, size, detections)
        return Seen(source.where, size, len(detections), _best(detections), detections.times)

    def _video(self, source):
        path = self.pictures.path(source) if self.pictures else None
        video = open_video(self.detector, source.address, self.score, self.track, self.realtime, self.say, self._detect)
        with video:
            first = next(video)  # an ImageError where there is none
            seen = Seen(source.where, (first.image.shape[1], first.image.shape[0]), 0, 0.0, {}, 0)
            try:
                self._frames(source, path, video, first, seen)
                seen.warning = video.warning
            except VideoEnded as error:
                seen.warning, seen.complete = str(error), False
            seen.notes = _notes(video)
        return seen

    def _frames(self, source, path, video, first, seen):
        """Write the frames of an open Video and their JSON lines; VideoEnded once all is written."""
        times = video.frames.header
        if path and source.address.is_path:  # only a written video needs the pace of all frames
            times = timing(source.address, self.limit)
        held = ended = None
        with (contextlib.suppress(KeyboardInterrupt) if source.live else contextlib.nullcontext(),
              Progress(self.limit or times.count, "frames") as progress,
              self.pictures.video(source, path, times.pace, self.track) if self.pictures and path
              else contextlib.nullcontext() as add):
            try:
                for image, seconds, faces in itertools.chain([first], video):
                    if add:
                        add(video.number, image, faces, seconds)
                    if held:
                        self._note(*held)
                    held = source, path, seen.size, faces, {"frame": video.number, "seconds": round(seconds, 4)}
                    seen.add(faces)
                    progress.advance()
                    if self.limit and seen.frames >= self.limit:
                        break
            except VideoEnded as error:
                ended = error
        if held is None:
            raise KeyboardInterrupt
        # The last line waits until the video is in its place, because it says that the whole video is done.
        counts = {"damaged": video.damaged, "skipped": video.skipped}
        held[-1].update({"end": not ended and (source.live or video.complete)},
                        **{key: count for key, count in counts.items() if count})
        self._note(*held)
        if ended:
            raise ended

    def _picture(self, path):
        return {"picture": path.name} | ({"shows": self.kind} if self.kind != DRAWN else {})

    def _note(self, source, path, size, detections, moment=None):
        """Add a JSON line, where a journal is kept."""
        if self.journal:
            self.journal.add({"source": source.where, "width": size[0], "height": size[1], **(moment or {}),
                              "ms": {part: round(ms, 3) for part, ms in detections.times.items()},
                              **(self._picture(path) if path else {}),
                              **detections.to_dict()})


def _notes(video):
    """What the table says behind a video."""
    counts = ((video.damaged, "damaged skipped"), (video.skipped, "skipped to keep up"),
              (video.tracker.count if video.tracker else 0, "tracks"))
    return "".join(f", {number:,} {what}" for number, what in counts if number)


def halves(detector: BaseDetector, size: Sequence[int]) -> list[float] | None:
    """The scales at which faces to hide are searched: also halves, quarters and so on of an image (height, width).

    A face that fills a large photograph is larger than what a detector of one scale was trained on, which finds parts
    of it. None, which is TEST.SCALES, for detectors that see every image in the same size, and where TEST.SCALES was
    chosen.
    """
    if detector.shrunk_to or isinstance(detector, CascadeDetector) or list(detector.cfg.TEST.SCALES) != [1.0]:
        return None
    count = max(0, math.ceil(math.log2(max(size) / FILLED)))
    return [2.0**-number for number in range(count + 1)]


def shown_from(test: EasyDict, kind: str) -> float:
    """The lowest score of a face that pictures of this kind show: a hidden face may not be missed."""
    return test.HIDE_SCORE if kind in HIDDEN_BY else test.DEMO_SCORE


def run_demo(demo: Demo, sources: Sequence[Source], note: Callable[[str], object] | None = None,
             warn: Callable[[str], object] | None = None) -> tuple[list[Seen], list[str]]:
    """Run a Demo on all sources.

    Args:
        demo: the Demo.
        sources: what find_sources gives.
        note: takes the lines of the table; None: standard output, above the progress bar.
        warn: takes the lines that name unreadable sources; None: standard error.

    Returns:
        (rows of the table, names of the sources that could not be read).
    """
    rows, failed = [], []
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(Progress(len(sources), "sources")) if len(sources) > 1 else None
        say = progress.note if progress else _say
        note, warn = note or (lambda text: say(text, sys.stdout)), warn or (lambda text: say(text, sys.stderr))
        note(HEADER)
        demo.say = demo.say or warn
        for source in sources:
            try:
                rows.append(demo.look(source))
            except ImageError as error:
                failed.append(source.where)
                warn(f"warning: {error}; left out")
            else:
                note(rows[-1].row())
                if rows[-1].warning:
                    warn(f"warning: {printable(rows[-1].warning)}")
            if progress:
                progress.advance()
    return rows, failed


def _say(text, file):
    print(text, file=file, flush=True)
