"""The demonstration: sources in; pictures and videos with the faces drawn, a table of counts and times, JSON lines."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ...datasets.images import ImageError
from ...drawing import draw
from ...files import write_whole
from ...progress import Progress
from .sources import Source, frame_count, frames
from .video import video_format, whole_video

if TYPE_CHECKING:
    from ...detections import Detections
    from ..base import BaseDetector
    from .journal import Journal, Printed
    from .video import VideoWriter

JPEG_SIDE = 65500  # px, the longest side of a JPEG
PARTS = ("net", "decode", "nms")
HEADER = f"{'source':<28} {'size':>11} {'faces':>6} {'best':>6} {'net':>8} {'decode':>8} {'nms':>8}"
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
    """

    source: str
    size: tuple[int, int]
    faces: int
    best: float
    times: dict[str, float]
    frames: int = 1

    def row(self) -> str:
        """The line of the table."""
        name = self.source if len(self.source) <= 28 else "..." + self.source[-25:]
        size = f"{self.size[0]}x{self.size[1]}"
        times = " ".join(f"{self.times.get(part, 0.0):8.1f}" for part in PARTS)
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
    """

    def __init__(self, detector: BaseDetector, out: str | os.PathLike | None, score: float | None = None,
                 limit: int = 0, journal: Journal | Printed | None = None):
        self.detector, self.limit, self.journal = detector, limit, journal
        self.out = None if out is None else Path(out)
        self.score = detector.cfg.TEST.DEMO_SCORE if score is None else score
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

    def _detect(self, image):
        if image.shape not in self.warm and len(self.warm) < WARM_SIZES:
            self.warm.add(image.shape)
            self.detector.detect(image)
        return self.detector.detect(image).above(self.score)

    def _drawn(self, image, detections):
        return draw(image, detections, self.score, colour_bar=True)

    def _image(self, source):
        image, size = source.read(self.detector.shrunk_to)
        detections, path = self._detect(image), None
        if self.out is not None:
            path = self.out / f"{source.name}.jpg"
            drawn = cv2.cvtColor(self._drawn(image, detections), cv2.COLOR_RGB2BGR)
            if max(drawn.shape) > JPEG_SIDE:
                raise ImageError(f"{source.where}: {size[0]} x {size[1]} px, a JPEG holds at most {JPEG_SIDE}")
            write_whole(path, cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes(), sync=False)
        detections = detections.scaled(size[0] / image.shape[1], size[1] / image.shape[0])
        self._note(source, path, size, detections)
        return Seen(source.where, size, len(detections), _best(detections), detections.times)

    def _video(self, source):
        camera = source.kind == "camera"
        path = None if self.out is None else self.out / (source.name + video_format()[0])
        stream = frames(source, self.limit)
        first, rate = next(stream)  # an ImageError where there is none
        seen, held = Seen(source.where, (first.shape[1], first.shape[0]), 0, 0.0, {}, 0), None
        began = time.perf_counter()
        with (contextlib.suppress(KeyboardInterrupt) if camera else contextlib.nullcontext(),
              Progress(self.limit or frame_count(source), "frames") as progress,
              whole_video(path, rate) if path else contextlib.nullcontext() as writer):
            for image, _ in itertools.chain([(first, rate)], stream):
                detections = self._detect(image)
                elapsed = time.perf_counter() - began
                if writer:
                    self._write(writer, self._drawn(image, detections), round(elapsed * rate) if camera else 0)
                if held:
                    self._note(*held)
                moment = {"frame": seen.frames, "seconds": round(elapsed if camera else seen.frames / rate, 4)}
                held = source, path, seen.size, detections, moment
                seen.add(detections)
                progress.advance()
        if held is None:
            raise KeyboardInterrupt
        # The last line waits until the video is in its place, because it says that the whole video is done.
        held[-1]["end"] = not self.limit or seen.frames < self.limit
        self._note(*held)
        return seen

    @staticmethod
    def _write(writer: VideoWriter, drawn: np.ndarray, due: int) -> None:
        """Write a frame, and again until `due` are written.

        A slow net handles fewer frames per second than the camera gives, so each stays as long as it took.
        """
        writer.write(drawn)
        for _ in range(due - writer.frames):
            writer.write(drawn)

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
            if progress:
                progress.advance()
    return rows, failed


def _say(text, file):
    print(text, file=file, flush=True)
