"""Lines and numbers of annotation files: any line ending, and errors that name the file and the line."""

import math

from ..errors import InputError


def read_lines(path):
    """The stripped lines of a text file (LF, CRLF or CR; UTF-8, with or without a byte order mark).

    Raises InputError when the file is absent, a folder or not text.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            return [line.strip() for line in file]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, expected a text file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file (byte {error.start} is no UTF-8)") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def read_list(path):
    """The non-empty lines of a list file: one image name a line."""
    return [line for line in read_lines(path) if line]


def named_numbers(path):
    """Yield (where, first field, list of the other fields as floats) of each line `name number ...` that is not empty.

    where: file and line, for errors. Raises InputError as read_lines and floats do.
    """
    for number, line in enumerate(read_lines(path), 1):
        if line:
            where = f"{path}, line {number}"
            name, _, rest = line.partition(" ")
            yield where, name, floats(rest, where)


def floats(line, where):
    """All fields of a line as finite floats; InputError names `where` and the field that is none."""
    fields = line.split()
    try:
        values = [float(field) for field in fields]
        if all(map(math.isfinite, values)):
            return values
    except ValueError:
        pass
    wrong = next(field for field in fields if not is_number(field))
    raise InputError(f"{where}: expected numbers, found {wrong[:40]!r} in {line[:60]!r}")


def is_number(field):
    """True when the field is a finite number."""
    try:
        return math.isfinite(float(field))
    except ValueError:
        return False
