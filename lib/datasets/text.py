"""Lines and numbers of annotation files. Any line ending is read, and errors name the file and the line."""

import math
import os
from collections.abc import Iterator

from ..errors import InputError
from ..texts import read_text


def read_lines(path: str | os.PathLike) -> list[str]:
    """Read the stripped lines of a text file (LF, CRLF or CR; encodings: texts.read_text).

    Raises:
        InputError: when the file is absent, a folder or not text.
    """
    lines = read_text(path).split("\n")
    return [line.strip() for line in (lines if lines[-1] else lines[:-1])]


def read_list(path: str | os.PathLike) -> list[str]:
    """Read a list file: one image name per line, up to the first tab. Raises InputError as read_lines does."""
    return [line.partition("\t")[0].rstrip() for line in read_lines(path) if line]


def named_numbers(path: str | os.PathLike) -> Iterator[tuple[str, str, list[float]]]:
    """Read the lines `name number ...` of a text file, divided by spaces or tabs; empty lines are left out.

    Yields:
        (file and line for messages, name, numbers) per line.

    Raises:
        InputError: as read_lines and floats do.
    """
    for number, line in enumerate(read_lines(path), 1):
        if line:
            where = f"{path}, line {number}"
            name, *rest = line.split(maxsplit=1)
            yield where, name, floats(" ".join(rest), where)


def floats(line: str, where: str) -> list[float]:
    """Read all fields of a line as finite floats.

    Raises:
        InputError: names `where` (file and line) and the first field that is not a finite number.

    Examples:
        >>> floats("449 330.5 -1", "labels.txt, line 2")
        [449.0, 330.5, -1.0]
    """
    fields = line.split()
    try:
        values = [float(field) for field in fields]
        if "_" not in line and all(map(math.isfinite, values)):
            return values
    except ValueError:
        pass
    wrong = next(field for field in fields if not is_number(field))
    raise InputError(f"{where}: expected numbers, found {wrong[:40]!r} in {line[:60]!r}")


def is_number(field: str) -> bool:
    """Tell whether the field is a finite number. Python's own 1_0 for 10 is none."""
    try:
        return math.isfinite(float(field)) and "_" not in field
    except ValueError:
        return False
