"""Images that end the process that reads them: found by what the attempts before have left, and given up.

A part that a process begins has a file in a folder of tries until it is finished. A second attempt notes each image
before it is read, so that the image is known that was the last one of an attempt. This holds for every engine, since
nothing but the files is needed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import Counter
from pathlib import Path

START = "start"
DEADLY = 2  # attempts that ended with an image, after which it is given up


class Tries:
    """An attempt at a part.

    Args:
        folder: of the tries; it is made.
        number: of the part.

    Attributes:
        careful: an attempt before did not end, so images are read one by one, and noted.
        given_up: places in the part of the images that are not to be read.
    """

    def __init__(self, folder: str | os.PathLike, number: int) -> None:
        self.path = Path(folder, f"{number:06d}")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        lines = os.pread(self.file, 10_000_000, 0).decode("ascii", "replace").split()
        last = [before for before, line in itertools.pairwise([*lines, START]) if line == START]
        self.careful = START in lines
        self.given_up = {int(line) for line, count in Counter(last).items() if count >= DEADLY and line.isdigit()}
        self._write(START)

    def note(self, place: int) -> None:
        """Say that an image is read next."""
        if self.careful:
            self._write(str(place))

    def _write(self, line):
        with contextlib.suppress(OSError):  # a full disk is reported where the part is written
            os.write(self.file, f"{line}\n".encode())

    def close(self) -> None:
        """The attempt has ended with the process alive."""
        os.close(self.file)
        with contextlib.suppress(OSError):
            self.path.unlink()
