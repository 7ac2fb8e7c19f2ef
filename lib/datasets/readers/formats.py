"""Which format an annotation has, by the content of its files."""

import os
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ...errors import InputError
from ...texts import decoded
from ..folders import files_below, walk
from ..roidb import IMAGE_EXTENSIONS
from ..text import is_number

TITLES = {"wider": "WIDER FACE", "retinaface": "RetinaFace's label.txt", "ssh": "the list of SSH's reproduction",
          "voc": "Pascal VOC", "coco": "COCO", "yolo": "YOLO", "fddb": "FDDB's ellipses",
          "landmarks": "CNN_FacePoint's landmark list"}
IN_FOLDERS = ("voc", "yolo", "fddb")  # the reader takes a folder of files; of the others it takes one file
_ENDINGS = (".xml", ".json", ".txt", ".mat")
_EXAMINED = 300  # files per ending
_HEAD = 1 << 16  # bytes of a text file


class Format(NamedTuple):
    """What was found.

    Attributes:
        name: a key of READERS.
        labels: file or folder for its reader.
        why: what it was recognised by, for the reader of a log.
    """

    name: str
    labels: str
    why: str


def find_format(labels: str | os.PathLike) -> Format:
    """Recognise the format of an annotation file, or of those in a folder.

    Args:
        labels: the file or folder. Files below the folder that are no annotation are passed over.

    Raises:
        InputError: nothing was recognised, or files of several formats, or several files where a reader takes one;
            lists what was seen.
    """
    labels = os.fspath(labels)
    if os.path.isfile(labels):
        return _of_file(labels)
    if not os.path.isdir(labels):
        raise InputError(f"{labels}: no such annotation file or folder")
    kinds: dict[str, list[str]] = {}
    files = files_below(labels, _ENDINGS)
    for ending in _ENDINGS:
        of_ending = [path for path in files if path.lower().endswith(ending)]
        step = max(1, len(of_ending) // _EXAMINED)
        for path in of_ending[::step]:
            kind = kind_of(os.path.join(labels, path))
            if kind:
                kinds.setdefault(kind, []).append(path)
    if not kinds:
        raise InputError(f"{labels}: no annotation was recognised among {_seen(labels)}; expected one of {_titles()}; "
                         "choose with --format")
    if len(kinds) > 1:
        found = " and ".join(f"{TITLES[kind]} ({len(paths):,} files, such as {paths[0]})"
                             for kind, paths in sorted(kinds.items()))
        raise InputError(f"{labels}: holds annotations of several formats: {found}; name the file or folder that "
                         f"counts, or choose with --format {' or '.join(sorted(kinds))}")
    (kind, paths), = kinds.items()
    if kind not in IN_FOLDERS:
        if len(paths) > 1:
            raise InputError(f"{labels}: holds {len(paths):,} files of {TITLES[kind]}, such as {paths[0]} and "
                             f"{paths[1]}; name the one that counts instead of the folder")
        return Format(kind, os.path.join(labels, paths[0]), _why(kind, paths))
    below = os.path.commonpath([os.path.dirname(path) for path in paths])  # set/labels/x.txt where the set was named
    return Format(kind, os.path.join(labels, below) if below else labels, _why(kind, paths))


def _of_file(path):
    kind = kind_of(path)
    if kind is None:
        raise InputError(f"{path}: not recognised as an annotation; expected one of {_titles()}; choose with --format")
    if kind in ("voc", "yolo"):
        raise InputError(f"{path}: is one file of {TITLES[kind]}, which has one per image; name their folder")
    return Format(kind, path, _why(kind, [path]))


def kind_of(path: str) -> str | None:
    """The format that a file has by its ending and content; None: it is no annotation."""
    ending = os.path.splitext(path)[1].lower()
    if ending == ".mat":  # compressed: only its name says what is inside
        return "wider" if os.path.basename(path).lower().startswith("wider_") else None
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
            text = decoded(head, path)
            begin = text.lstrip()[:1]
            if begin == "{" and ending in (".json", ""):
                data = head + file.read()
                return "coco" if b'"annotations"' in data and b'"images"' in data else None
    except (OSError, InputError):  # its reader says more if the user names it
        return None
    if begin == "<":
        return "voc" if ending == ".xml" and "<annotation" in text.lower() else None
    if ending not in (".txt", ""):
        return None
    lines = text.splitlines()
    if len(text) > _HEAD // 4:
        lines = lines[:-1]  # may be cut
    return _kind_of_lines([line.strip() for line in lines if line.strip()][:60])


def _kind_of_lines(lines: Sequence[str]) -> str | None:
    if not lines:
        return None
    first, named = lines[0], lines[0].lower().endswith(IMAGE_EXTENSIONS)
    if first.startswith("#"):
        return "retinaface" if named else None
    rows = [line.split() for line in lines]
    if all(all(map(is_number, row)) for row in rows):
        return "yolo" if all(map(_is_label, rows)) else None
    if len(rows) > 1 and lines[1].isdecimal():
        count = len(rows[2]) if len(rows) > 2 and all(map(is_number, rows[2])) else 0
        if count == 6:
            return "fddb"
        return "wider" if named and count in (0, 4, 10) else None
    if all(len(row) > 1 and not is_number(row[0]) and all(map(is_number, row[1:])) for row in rows):
        if all(len(row) == 15 for row in rows):
            return "landmarks"
        return "ssh" if all(len(row) % 4 == 1 for row in rows) else None
    return None


def _is_label(row):
    """Whether numbers are a line of YOLO: a class, then fractions of the image."""
    return len(row) >= 5 and row[0].isdecimal() and all(-0.1 <= float(value) <= 1.1 for value in row[1:5])


def _why(kind, paths):
    what = {"voc": "<annotation> in", "coco": 'the keys "images" and "annotations" in', "wider": "boxes in",
            "yolo": "lines of a class and fractions in"}.get(kind, "lines in")
    more = f" and {len(paths) - 1:,} more of those examined" if len(paths) > 1 else ""
    return f"{TITLES[kind]}: {what} {paths[0]}{more}"


def _titles():
    return ", ".join(f"{name} ({title})" for name, title in TITLES.items())


def _seen(folder):
    """Words for the files below a folder: their number by ending."""
    endings = Counter(os.path.splitext(name)[1].lower() or "no ending" for _, names in walk(folder) for name in names)
    return ", ".join(f"{count:,} {ending}" for ending, count in endings.most_common(6)) or "no files"
