"""The demonstration: sources in; pictures and videos with the faces drawn, a table of counts and times, JSON lines."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from ...datasets.images import ImageError
from ...drawing import draw
from ...errors import check_number, check_whole, printable
from ...files import identity, write_whole
from ...progress import Progress
from .sources import Source, frames, timing
from .video import video_format, whole_video

if TYPE_CHECKING:
    from ...detections import Detections
    from ..base import BaseDetector
    from .journal import Journal, Printed

JPEG_SIDE = 65500  # px, the longest side of a JPEG
PARTS = ("net", "decode", "nms")
HEADER = f"{'source':<28} {'size':>11} {'faces':>6} {'best':>6} {'net ms':>10} {'decode ms':>10} {'nms ms':>10}"
WARM_SIZES = 3  # more would double the time of a folder of photographs of many sizes


@dataclass
class Seen:
    """One row of the table.

    Attributes:
        source: path or camera number.
        size: (width, height) px.
        faces: number of faces, of a video in all frames.
        best: highest score.
        times: part -> ms, of a video the mean per frame.
        frames: number of frames, 1 for an image.
        warning: what is wrong with it, empty for nothing.
    """

    source: str
    size: tuple[int, int]
    faces: int
    best: float
    times: dict[str, float]
    frames: int = 1
    warning: str = ""

    def row(self) -> str:
        """The line of the table."""
        name = printable(self.source)
        name = name if len(name) <= 28 else "..." + name[-25:]
        size = f"{self.size[0]}x{self.size[1]}"
        times = " ".join(f"{self.times.get(part, 0.0):10.1f}" for part in PARTS)
        best = f"{self.best:6.3f}" if self.faces else f"{'-':>6}"
        return f"{name:<28} {size:>11} {self.faces:>6,} {best} {times}" + (
            f"  mean of {self.frames:,} frames" if self.frames > 1 else "")

    def add(self, detections: Detections) -> None:
        """Count the Detections of another frame."""
        for part in PARTS:
            before = self.times.get(part, 0.0)
            self.times[part] = before + (detections.times.get(part, 0.0) - before) / (self.frames + 1)
        self.frames += 1
        self.faces += len(detections)
        self.best = max(self.best, _best(detections))


def _encoded(drawn, ending, source):
    """Bytes of a picture file; ImageError where OpenCV cannot make one of the source."""
    try:
        good, data = cv2.imencode(ending, drawn, [cv2.IMWRITE_JPEG_QUALITY, 92] if ending == ".jpg" else [])
    except cv2.error:
        good = False
    if not good:
        raise ImageError(f"{source.where}: its picture of {drawn.shape[1]} x {drawn.shape[0]} px cannot be written as "
                         f"{ending}")
    return data.tobytes()


def _best(detections):
    return float(detections.scores[0]) if len(detections) else 0.0


class Demo:
    """Runs a detector on one source after another.

    The net runs once more before the first image of each of the first WARM_SIZES sizes is timed: its first call for a
    size takes longer than all others.

    Args:
        detector: a Detector or CascadeDetector.
        out: folder for pictures and videos; None: none are written.
        score: faces below it are neither drawn nor counted; None: TEST.DEMO_SCORE.
        limit: largest number of frames of a video, 0: all.
        journal: a Journal that has been started, or a Printed; None: no JSON lines.

    Raises:
        InputError: the score is not from 0 to 1, or the limit is below 0.
    """

    def __init__(self, detector: BaseDetector, out: str | os.PathLike | None, score: float | None = None,
                 limit: int = 0, journal: Journal | Printed | None = None):
        self.detector, self.limit, self.journal = detector, check_whole(limit, "limit"), journal
        self.out = None if out is None else Path(out)
        self.score = check_number(detector.cfg.TEST.DEMO_SCORE if score is None else score, "score")
        self.warm = set()
        self.wrote: tuple[int, int] | None = None  # device and number of the folder that the pictures are in

    def look(self, source: Source) -> Seen:
        """Find the faces of a source, write its picture or video and its JSON lines.

        Ctrl-C ends a camera in the regular way. A video that it interrupts keeps the frames so far, and the next run
        with the same journal starts that video again.

        Raises:
            ImageError: the source cannot be read.
            OSError: `out` cannot be written.
        """
        return self._image(source) if source.kind == "image" else self._video(source)

    def _detect(self, image):
        if image.shape not in self.warm and len(self.warm) < WARM_SIZES:
            self.warm.add(image.shape)
            self.detector.detect(image)
        return self.detector.detect(image, threshold=self.score)

    def _drawn(self, image, detections):
        return draw(image, detections, self.score, colour_bar=True)

    def _image(self, source):
        image, size = source.read(self.detector.shrunk_to, self.detector.cfg.TEST.MAX_FILE_PIXELS)
        detections, path = self._detect(image), None
        if self.out is not None:
            drawn = cv2.cvtColor(self._drawn(image, detections), cv2.COLOR_RGB2BGR)
            ending = ".jpg" if max(drawn.shape) <= JPEG_SIDE else ".png"
            path = self.out / (source.name + ending)
            with self._writes(source, path):
                write_whole(path, _encoded(drawn, ending, source), sync=False)
        detections = detections.scaled(size[0] / image.shape[1], size[1] / image.shape[0])
        self._note(source, path, size, detections)
        return Seen(source.where, size, len(detections), _best(detections), detections.times)

    def _video(self, source):
        camera = source.kind == "camera"
        path = None if self.out is None else self.out / (source.name + video_format()[0])
        stream = frames(source, self.limit)
        first = next(stream)  # an ImageError where there is none
        times, seconds = timing(source, self.limit if path else 1), 0.0  # only a drawn video needs the pace of all
        seen, held = Seen(source.where, (first.image.shape[1], first.image.shape[0]), 0, 0.0, {}, 0), None
        with (contextlib.suppress(KeyboardInterrupt) if camera else contextlib.nullcontext(),
              Progress(self.limit or times.count, "frames") as progress,
              self._writes(source, path),
              whole_video(path, times.pace) if path else contextlib.nullcontext() as writer):
            for image, seconds in itertools.chain([first], stream):
                detections = self._detect(image)
                if writer:
                    writer.show(self._drawn(image, detections), seconds)
                if held:
                    self._note(*held)
                held = source, path, seen.size, detections, {"frame": seen.frames, "seconds": round(seconds, 4)}
                seen.add(detections)
                progress.advance()
        if held is None:
            raise KeyboardInterrupt
        # The last line waits until the video is in its place, because it says that the whole video is done.
        reached_end = not self.limit or seen.frames < self.limit
        held[-1]["end"] = reached_end and times.complete(seen.frames, seconds)
        self._note(*held)
        if reached_end and not held[-1]["end"]:
            seen.warning = (f"{source.where}: ends after {seen.frames:,} of the {times.count:,} frames that its header "
                            f"names; is it cut short?")
        return seen

    @contextlib.contextmanager
    def _writes(self, source, path):
        """Around the writing of a source's picture or video; path: None where none is written.

        Raises:
            ImageError: the name of the source is too long for that of the picture.
            OSError: it cannot be written, or what was written before was removed since.
        """
        if path is None:
            yield
            return
        if self.wrote and identity(path.parent) != self.wrote:
            raise FileNotFoundError(errno.ENOENT, "was removed while pictures were written to it", str(path.parent))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.lstat(path)  # a name that is too long is an error here, before the work
            yield
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise ImageError(f"{source.where}: {error.strerror} for its picture") from None
        self.wrote = self.wrote or identity(path.parent)

    def _note(self, source, path, size, detections, moment=None):
        """Add a JSON line, where a journal is kept."""
        if self.journal:
            self.journal.add({"source": source.where, "width": size[0], "height": size[1], **(moment or {}),
                              "ms": {part: round(ms, 3) for part, ms in detections.times.items()},
                              **({"picture": path.name} if path else {}), **detections.to_dict()})


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
