"""The demonstration: sources in, drawn pictures and videos, a table of what was found and how long it took."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ..datasets.images import ImageError
from ..datasets.sources import frames
from ..drawing import draw
from ..errors import InputError
from ..files import whole_file, write_whole

JPEG_SIDE = 65500  # px
PARTS = ("net", "decode", "nms")
HEADER = f"{'source':<28} {'size':>11} {'faces':>6} {'best':>6} {'net':>8} {'decode':>8} {'nms':>8}"


@dataclass
class Seen:
    """One row of the table. frames: (number of them) of a video; times: mean ms of a frame."""

    source: str
    size: tuple
    faces: int
    best: float
    times: dict
    frames: int = 1
    detections: list = field(default_factory=list)

    def row(self):
        name = self.source if len(self.source) <= 28 else "..." + self.source[-25:]
        size = f"{self.size[0]}x{self.size[1]}"
        times = " ".join(f"{self.times.get(part, 0.0):8.1f}" for part in PARTS)
        best = f"{self.best:6.3f}" if self.faces else f"{'-':>6}"
        return f"{name:<28} {size:>11} {self.faces:>6,} {best} {times}" + (
            f"  mean of {self.frames:,} frames" if self.frames > 1 else "")


class Demo:
    """Looks at sources one by one: `look(source)` writes a picture or a video to `out` and returns what was Seen.

    score: faces below it are neither drawn nor counted. Before the first image of each size is timed the net sees it
    once, for the first time takes longer than all others. limit: frames of a video at most, 0: all.
    """

    def __init__(self, detector, out, score=None, limit=0):
        self.detector, self.out, self.limit = detector, Path(out), limit
        self.score = detector.cfg.TEST.DEMO_SCORE if score is None else score
        self.warm = set()

    def look(self, source):
        """Seen of a Source. Raises ImageError where it cannot be read, OSError where `out` cannot be written."""
        return self._image(source) if source.kind == "image" else self._video(source)

    def _detect(self, image):
        if image.shape not in self.warm:
            self.warm.add(image.shape)
            self.detector.detect(image)
        found = self.detector.detect(image)
        return found.take(found.scores >= self.score)

    def _image(self, source):
        image, size = source.read(self.detector.cfg.TEST.MAX_PIXELS)
        found = self._detect(image)
        path = self.out / f"{source.name}.jpg"
        drawn = cv2.cvtColor(draw(image, found, self.score, colour_bar=True), cv2.COLOR_RGB2BGR)
        if max(drawn.shape) > JPEG_SIDE:
            raise ImageError(f"{source.where}: {size[0]} x {size[1]} px, a JPEG holds at most {JPEG_SIDE}")
        write_whole(path, cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes(), sync=False)
        found = found.scaled(size[0] / image.shape[1], size[1] / image.shape[0])
        return Seen(source.where, size, len(found), _best([found]), found.times, 1, [found])

    def _video(self, source):
        """Until its end, or until Ctrl-C, which keeps what was seen so far."""
        found, writer = [], None
        with whole_file(self.out / f"{source.name}.mp4", ".mp4", sync=False) as beside:
            try:
                for image, rate in frames(source, self.limit):
                    part = self._detect(image)
                    drawn = draw(image, part, self.score, colour_bar=True)
                    drawn = drawn[: drawn.shape[0] // 2 * 2, : drawn.shape[1] // 2 * 2]  # codecs want even sides
                    writer = writer or _video_writer(beside, rate, drawn)
                    writer.write(cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
                    found.append(part)
            except KeyboardInterrupt:
                if not found:
                    raise
            finally:
                if writer is not None:
                    writer.release()
        times = {part: float(np.mean([each.times[part] for each in found])) for part in PARTS}
        size = image.shape[1], image.shape[0]
        return Seen(source.where, size, sum(map(len, found)), _best(found), times, len(found), found)


def _video_writer(path, rate, frame):
    size = frame.shape[1], frame.shape[0]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), rate, size)
    if not writer.isOpened():
        raise InputError(f"{path.parent}: no video can be written there (mp4v, {size[0]}x{size[1]})")
    return writer


def _best(found):
    return max((float(part.scores[0]) for part in found if len(part)), default=0.0)


def run_demo(demo, sources, note=print, warn=None):
    """Look at all sources; prints the table through `note`, bad ones through `warn`. Returns (list of Seen, failed)."""
    all_seen, failed = [], []
    note(HEADER)
    for source in sources:
        try:
            all_seen.append(demo.look(source))
        except ImageError as error:
            failed.append(source.where)
            (warn or note)(f"warning: {error}; left out")
        else:
            note(all_seen[-1].row())
    return all_seen, failed


def save_json(path, all_seen):
    """Write what was seen: a list of source, width, height, ms, and faces (box x1 y1 x2 y2 px, score, landmarks)."""
    rows = []
    for seen in all_seen:
        row = {"source": seen.source, "width": seen.size[0], "height": seen.size[1], "ms": seen.times}
        faces = [_faces(found) for found in seen.detections]
        rows.append(row | ({"faces": faces[0]} if seen.frames == 1 else {"frames": faces}))
    write_whole(path, (json.dumps(rows, indent=1) + "\n").encode())


def _faces(found):
    faces = [{"box": box, "score": score}
             for box, score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True)]
    if found.landmarks is not None:
        for face, points in zip(faces, found.landmarks.tolist(), strict=True):
            face["landmarks"] = points
    return faces
