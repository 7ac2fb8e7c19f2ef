"""An exported model over images: a table of what was found, JSON lines, and pictures where they are wanted."""

import contextlib
import json
import sys
from pathlib import Path

import cv2

from ..datasets.images import ImageError
from ..drawing import draw
from ..errors import InputError
from ..files import write_whole
from .demo.demo import HEADER, Seen
from .demo.sources import find_sources


def find_images_of(words):
    """List of image Sources for words of a command line; InputError for a video or camera: tools/demo.py has those."""
    sources = find_sources(words)
    for source in sources:
        if source.kind != "image":
            raise InputError(f"{source.where}: is a {source.kind}, expected images; tools/demo.py takes it, too, with "
                             f"--weights MODEL")
    return sources


def infer(detector, sources, score=None, out=None, lines=None, note=print, warn=None):
    """Detect in every Source (an image) and report each as soon as it is done.

    score: faces below it are left out; None: TEST.DEMO_SCORE. out: folder for pictures with the faces drawn, or None.
    lines: open text file for one JSON object an image: source, width, height (px), ms (dict of milliseconds) and what
    Detections.to_json holds; None: a table through `note`. The times of the first image hold the start of the runtime.
    Returns (number of images done, list of those that could not be read).
    """
    warn = warn or (lambda text: print(text, file=sys.stderr, flush=True))
    if lines is None:
        note(HEADER)
    failed = []
    for source in sources:
        try:
            image, (width, height) = source.read(detector.shrunk_to)
        except ImageError as error:
            failed.append(source.where)
            warn(f"warning: {error}; left out")
            continue
        found = detector.detect(image).above(score)
        if out is not None:
            drawn = cv2.cvtColor(draw(image, found, found.threshold, colour_bar=True), cv2.COLOR_RGB2BGR)
            write_whole(Path(out) / f"{source.name}.png", cv2.imencode(".png", drawn)[1].tobytes(), sync=False)
        found = found.scaled(width / image.shape[1], height / image.shape[0])
        if lines is None:
            best = float(found.scores[0]) if len(found) else 0.0
            note(Seen(source.where, (width, height), len(found), best, found.times).row())
        else:
            row = {"source": source.where, "width": width, "height": height,
                   "ms": {part: round(ms, 3) for part, ms in found.times.items()}, **found.to_dict()}
            lines.write(json.dumps(row, allow_nan=False) + "\n")
            lines.flush()
    return len(sources) - len(failed), failed


@contextlib.contextmanager
def json_lines(path):
    """A text file to write lines to: standard output for "-", None for None."""
    if path is None or path == "-":
        yield sys.stdout if path else None
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        yield file
