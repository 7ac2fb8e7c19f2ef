"""The demonstration's JSON lines: one line per image or frame, written at once, and read again by the next run.

A line is what Detections.to_json gives, so that Detections.from_json reads it, with source, width, height (px of the
full-size image), ms, picture (file name in the folder of pictures, where one was written; a folder for cut-out faces),
shows (where that is not the faces drawn: blur, pixelate, crop or align) and by (which detector). A frame of a video
also has frame (from 0), seconds, and `"end": true` where it was the last of the video (false: it is cut short), with
the numbers of damaged and skipped frames if there were any.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...cascade.stages import is_cascade
from ...config import roles_of
from ...errors import InputError
from ...files import append_whole, identity, write_whole
from ...locks import hold, release
from ...parsing import parse_json
from ...runtimes.files import model_files
from .pictures import DRAWN

if TYPE_CHECKING:
    from ..base import BaseDetector
    from .sources import Source


def detector_mark(detector: BaseDetector) -> str:
    """Text that changes with the detector's weights and its TEST section: the file's name and 12 digits of a hash."""
    digest, name = hashlib.sha256(), detector.cfg.NAME or detector.cfg.FAMILY
    if detector.source is not None:
        name = Path(detector.source).name
        for file in model_files(detector.source):
            digest.update(file.read_bytes())
    test = {key: value for key, value in detector.cfg.TEST.items()
            if key != "SCORE" and not roles_of(f"TEST.{key}") & {"drawing", "running"}}  # a line has its own threshold
    test |= dict(detector.cfg.CASCADE) if is_cascade(detector.cfg) else {}
    digest.update(json.dumps(test, sort_keys=True).encode())
    return f"{name} {digest.hexdigest()[:12]}"


def _line(row, by):
    return json.dumps({**row, "by": by}, allow_nan=False)


class Printed:
    """JSON lines on standard output: no later run continues from them.

    Args:
        by: the detector_mark of this run.
    """

    def __init__(self, by: str):
        self.by = by

    def add(self, row: dict) -> None:
        """Print a dict as a line."""
        print(_line(row, self.by), flush=True)

    def close(self) -> None:
        """Nothing to do."""


class Journal:
    """JSON lines in a file, from which a later run continues. A last line that was cut short is ignored.

    Args:
        path: the file; it need not exist.
        by: the detector_mark of this run.
        threshold: the lowest score of this run.
        overwrite: ignore what the file holds.
        tracked: the lowest score of a face that continues a track; None: faces are not tracked.

    Raises:
        InputError: the file holds something else, or lines of another detector or threshold; or another process is
            writing it.
    """

    def __init__(self, path: str | os.PathLike, by: str, threshold: float, overwrite: bool = False,
                 tracked: float | None = None):
        self.path, self.by, self.threshold, self.tracked = Path(path), by, threshold, tracked
        hold(self.path, ", or choose another --json", is_file=True)
        self.written: tuple[int, int] | None = None  # identity of the file that start() has written
        self.rows = [] if overwrite else self._read()  # (line, row)

    def _read(self):
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        rows = []
        for number, line in enumerate(lines[:-1], 1):  # what follows the last end of line was cut short
            where = f"{self.path} line {number}"
            try:
                row = parse_json(line)
            except ValueError:
                row = None
            if not isinstance(row, dict) or not isinstance(row.get("source"), str) or "by" not in row:
                raise InputError(f"{where}: found {line[:40].decode(errors='replace')!r}, expected a line of an "
                                 f"earlier run; choose another --json, or --overwrite to replace the file")
            for key, now in (("by", self.by), ("threshold", self.threshold)):
                if row.get(key) != now and not (key == "threshold" and "frame" in row and row.get(key) == self.tracked):
                    raise InputError(f"{where}: {key} is {row.get(key)!r}, now it is {now!r}; choose another --json, "
                                     f"or --overwrite to replace the file")
            rows.append((line, row))
        return rows

    def start(self, sources: Sequence[Source], pictures: str | os.PathLike | None, limit: int = 0,
              kind: str = DRAWN) -> list[Source]:
        """Make the file ready for new lines; lines of sources that are to be done again are removed from it.

        Args:
            sources: all sources of this run.
            pictures: folder that must hold the picture of a source that is done; None: no pictures are wanted.
            limit: largest number of frames of a video, 0: all.
            kind: what the pictures must show, one of pictures.KINDS.

        Returns:
            The sources that are still to be done.
        """
        done = {row["source"] for _, row in self.rows if self._complete(row, limit)
                and (pictures is None or (row.get("shows", DRAWN) == kind
                                          and (Path(pictures) / str(row.get("picture"))).exists()))}
        # What an address gives may change, and its query, which tells two of them apart, is not in the lines.
        todo = [source for source in sources if source.live or source.url or source.where not in done]
        again = {source.where for source in todo}
        kept = [line + b"\n" for line, row in self.rows if row["source"] not in again]
        write_whole(self.path, b"".join(kept))
        self.written = identity(self.path)
        return todo

    @staticmethod
    def _complete(row, limit):
        return "frame" not in row or row.get("end") or (limit and row["frame"] >= limit - 1)

    def add(self, row: dict) -> None:
        """Append a dict as a line.

        Raises:
            OSError: it cannot be written, or the file was removed since, with the lines before.
        """
        if identity(self.path) != self.written:
            raise FileNotFoundError(errno.ENOENT, "was removed while lines were written to it", str(self.path))
        append_whole(self.path, _line(row, self.by).encode() + b"\n")

    def close(self) -> None:
        """Let other processes write the file."""
        release(self.path, is_file=True)
