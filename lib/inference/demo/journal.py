"""The demonstration's JSON lines: one line an image or frame, written at once, and read again by the next run.

A line is what Detections.to_json gives, so that Detections.from_json reads it, with source, width, height (px of the
full-size image), ms, picture (file name in the folder of pictures) and by (which detector); a frame of a video also has
frame (from 0), seconds, and `"end": true` where it was the video's last.
"""

import hashlib
import json
from pathlib import Path

from ...config import roles_of
from ...errors import InputError
from ...files import write_whole
from ...runtimes.files import stage_files


def detector_mark(detector):
    """Text that changes with the detector's weights and its TEST section: the file's name and 12 digits of a hash."""
    digest, name = hashlib.sha256(), detector.cfg.NAME or detector.cfg.FAMILY
    if detector.source is not None:
        name = Path(detector.source).name
        for file in stage_files(detector.source):
            digest.update(file.read_bytes())
    test = {key: value for key, value in detector.cfg.TEST.items()
            if key != "SCORE" and not roles_of(f"TEST.{key}") & {"drawing", "running"}}  # a line has its own threshold
    test |= dict(detector.cfg.CASCADE) if detector.cfg.FAMILY == "mtcnn" else {}
    digest.update(json.dumps(test, sort_keys=True).encode())
    return f"{name} {digest.hexdigest()[:12]}"


class Journal:
    """The lines at `path`; `done(source)` says what an earlier run did, `add(row)` appends a line.

    by, threshold: of this run. A file of another detector or threshold is an InputError, and so is one that holds
    something else; with anew it is written anew. A last line that was cut short is left out.
    """

    def __init__(self, path, by, threshold, anew=False):
        self.path, self.by, self.threshold, self.file = Path(path), by, threshold, None
        self.rows = [] if anew else self._read()  # (line, row)

    def _read(self):
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        rows = []
        for number, line in enumerate(lines[:-1], 1):  # what stands after the last end of line was cut short
            where = f"{self.path} line {number}"
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict) or not isinstance(row.get("source"), str) or "by" not in row:
                raise InputError(f"{where}: found {line[:40].decode(errors='replace')!r}, expected a line of an "
                                 f"earlier run; choose another --json, or --anew to write it anew")
            for key, now in (("by", self.by), ("threshold", self.threshold)):
                if row.get(key) != now:
                    raise InputError(f"{where}: {key} is {row.get(key)!r}, now it is {now!r}; choose another --json, "
                                     f"or --anew to write it anew")
            rows.append((line, row))
        return rows

    def start(self, sources, pictures, limit=0):
        """The sources that are still to be done; the lines of those are taken out, for they will be written anew.

        pictures: folder where the picture of a source that is done must lie. limit: frames of a video, 0: all.
        """
        done = {row["source"] for _, row in self.rows if self._complete(row, limit)
                and (Path(pictures) / str(row.get("picture"))).is_file()}
        todo = [source for source in sources if source.kind == "camera" or source.where not in done]
        again = {source.where for source in todo}
        kept = [line + b"\n" for line, row in self.rows if row["source"] not in again]
        write_whole(self.path, b"".join(kept))
        self.file = open(self.path, "ab", buffering=0)  # a line is one write: it is there or it is not
        return todo

    @staticmethod
    def _complete(row, limit):
        return "frame" not in row or row.get("end") or (limit and row["frame"] >= limit - 1)

    def add(self, row):
        """Append a dict as a line."""
        self.file.write(json.dumps({**row, "by": self.by}, allow_nan=False).encode() + b"\n")

    def close(self):
        if self.file:
            self.file.close()
