"""The demonstration: sources in, drawn pictures and videos, a table of what was found and how long it took."""

import contextlib
import itertools
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2

from ...datasets.images import ImageError
from ...drawing import draw
from ...files import write_whole
from ...progress import Progress
from .sources import frame_count, frames
from .video import video_format, whole_video

JPEG_SIDE = 65500  # px
PARTS = ("net", "decode", "nms")
HEADER = f"{'source':<28} {'size':>11} {'faces':>6} {'best':>6} {'net':>8} {'decode':>8} {'nms':>8}"
WARM_SIZES = 3  # a folder of photographs would take twice as long


@dataclass
class Seen:
    """One row of the table. frames: (number of them) of a video; times: mean ms of a frame."""

    source: str
    size: tuple
    faces: int
    best: float
    times: dict
    frames: int = 1

    def row(self):
        name = self.source if len(self.source) <= 28 else "..." + self.source[-25:]
        size = f"{self.size[0]}x{self.size[1]}"
        times = " ".join(f"{self.times.get(part, 0.0):8.1f}" for part in PARTS)
        best = f"{self.best:6.3f}" if self.faces else f"{'-':>6}"
        return f"{name:<28} {size:>11} {self.faces:>6,} {best} {times}" + (
            f"  mean of {self.frames:,} frames" if self.frames > 1 else "")

    def add(self, found):
        """Count another frame's Detections."""
        for part in PARTS:
            before = self.times.get(part, 0.0)
            self.times[part] = before + (found.times.get(part, 0.0) - before) / (self.frames + 1)
        self.frames += 1
        self.faces += len(found)
        self.best = max(self.best, _best(found))


def _best(found):
    return float(found.scores[0]) if len(found) else 0.0


class Demo:
    """Looks at sources one by one: `look(source)` writes a picture or a video to `out` and returns what was Seen.

    score: faces below it are neither drawn nor counted. limit: frames of a video at most, 0: all. journal: a Journal
    that has been started, or None. Before the first image of each of the first sizes is timed the net sees it once, for
    the first time takes longer than all others.
    """

    def __init__(self, detector, out, score=None, limit=0, journal=None):
        self.detector, self.out, self.limit, self.journal = detector, Path(out), limit, journal
        self.score = detector.cfg.TEST.DEMO_SCORE if score is None else score
        self.warm = set()

    def look(self, source):
        """Seen of a Source. Raises ImageError where it cannot be read, OSError where `out` cannot be written.

        KeyboardInterrupt is the end of a camera. A video that it ends keeps the part that was seen, and the next run
        of the same journal begins it anew.
        """
        return self._image(source) if source.kind == "image" else self._video(source)

    def _detect(self, image):
        if image.shape not in self.warm and len(self.warm) < WARM_SIZES:
            self.warm.add(image.shape)
            self.detector.detect(image)
        return self.detector.detect(image).above(self.score)

    def _image(self, source):
        image, size = source.read(self.detector.shrunk_to)
        found = self._detect(image)
        path = self.out / f"{source.name}.jpg"
        drawn = cv2.cvtColor(draw(image, found, self.score, colour_bar=True), cv2.COLOR_RGB2BGR)
        if max(drawn.shape) > JPEG_SIDE:
            raise ImageError(f"{source.where}: {size[0]} x {size[1]} px, a JPEG holds at most {JPEG_SIDE}")
        write_whole(path, cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes(), sync=False)
        found = found.scaled(size[0] / image.shape[1], size[1] / image.shape[0])
        self._note(source, path, size, found)
        return Seen(source.where, size, len(found), _best(found), found.times)

    def _video(self, source):
        camera, path = source.kind == "camera", self.out / (source.name + video_format()[0])
        stream = frames(source, self.limit)
        first, rate = next(stream)  # an ImageError where there is none
        seen, held = Seen(source.where, (first.shape[1], first.shape[0]), 0, 0.0, {}, 0), None
        began = time.perf_counter()
        with (contextlib.suppress(KeyboardInterrupt) if camera else contextlib.nullcontext(),
              Progress(self.limit or frame_count(source), "frames") as progress, whole_video(path, rate) as writer):
            for image, _ in itertools.chain([(first, rate)], stream):
                found = self._detect(image)
                drawn = draw(image, found, self.score, colour_bar=True)
                writer.write(drawn)
                elapsed = time.perf_counter() - began
                if camera:  # a slow net sees fewer frames a second than the camera names: each stays as long as it took
                    for _ in range(round(elapsed * rate) - writer.frames):
                        writer.write(drawn)
                if held:
                    self._note(*held)
                moment = {"frame": seen.frames, "seconds": round(elapsed if camera else seen.frames / rate, 4)}
                held = source, path, seen.size, found, moment
                seen.add(found)
                progress.advance()
        if held is None:
            raise KeyboardInterrupt
        # The last line waits until the video is in its place, for it says that all of it is done.
        held[-1]["end"] = not self.limit or seen.frames < self.limit
        self._note(*held)
        return seen

    def _note(self, source, path, size, found, moment=None):
        """A line of the journal, where there is one."""
        if self.journal:
            self.journal.add({"source": source.where, "width": size[0], "height": size[1], **(moment or {}),
                              "ms": {part: round(ms, 3) for part, ms in found.times.items()}, "picture": path.name,
                              **found.to_dict()})


def run_demo(demo, sources, note=None, warn=None):
    """Look at all sources. note and warn take the lines of the table and those of bad sources; None: standard output
    and error, above the bar that shows the progress. Returns (list of Seen, list of the bad ones' names).
    """
    all_seen, failed = [], []
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(Progress(len(sources), "sources")) if len(sources) > 1 else None
        say = progress.note if progress else _say
        note, warn = note or (lambda text: say(text, sys.stdout)), warn or (lambda text: say(text, sys.stderr))
        note(HEADER)
        for source in sources:
            try:
                all_seen.append(demo.look(source))
            except ImageError as error:
                failed.append(source.where)
                warn(f"warning: {error}; left out")
            else:
                note(all_seen[-1].row())
            if progress:
                progress.advance()
    return all_seen, failed


def _say(text, file):
    print(text, file=file, flush=True)
