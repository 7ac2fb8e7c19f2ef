"""WIDER FACE's own annotation: `*_bbx_gt.txt` and the `.mat` beside it. Both give the same roidb.

Text: image, number of faces, then one line per face: `x y w h` in px, with or without the six attributes blur
expression illumination invalid occlusion pose. An image without faces has the count 0, and then one line of zeros (in
the official files) or the next image.

Source: readme.txt of wider_face_split.zip.
"""

import os

import numpy as np

from ...errors import InputError
from ..matlab import read_mat
from ..roidb import Roidb
from ..text import floats, is_number, read_lines
from .builder import RoidbBuilder, corners

ATTRIBUTES = ("blur", "expression", "illumination", "invalid", "occlusion", "pose")


def read_wider(labels: str | os.PathLike, images: str | os.PathLike | None = None, missing: str = "error") -> Roidb:
    """Read an official annotation file. Invalid faces become ignore regions.

    Args:
        labels: wider_face_*_bbx_gt.txt or wider_face_*.mat; the extension decides.
        images: folder of the images, None when they are not at hand.
        missing: "error" or "skip" images that are missing or unreadable.

    Raises:
        InputError: names the file and line that is wrong.
    """
    builder = RoidbBuilder(labels, images, missing)
    entries = _mat_entries(labels) if os.fspath(labels).lower().endswith(".mat") else _txt_entries(labels)
    for image, faces, where in entries:
        if np.abs(faces[:, 4:]).max(initial=0) >= 2**31:
            raise InputError(f"{where}: an attribute of {image} is {np.abs(faces[:, 4:]).max():g}, expected a small "
                             "number")
        attributes = dict(zip(ATTRIBUTES, faces[:, 4:].astype(np.int32).T, strict=True))
        builder.add(image, corners(faces[:, :4]), where, attributes=attributes)
    return builder.finish()


def _txt_entries(path):
    """Yield (image, (N, 10) x y w h and attributes, -1 where the file has none, where) per image of the text file."""
    every = read_lines(path)
    lines = [(number, line) for number, line in enumerate(every, 1) if line]
    lines.append((len(every) + 1, ""))  # the end
    at = 0
    while at < len(lines) - 1:
        number, image = lines[at]
        where = f"{path}, line {number}"
        fields = image.split()
        if len(fields) >= 4 and all(map(is_number, fields)):
            raise InputError(f"{where}: expected an image, found the box {image!r}: the count before it is too small")
        number, count = lines[at + 1]
        if not count.isdecimal() or len(count) > 9:  # int() refuses thousands of digits
            raise InputError(f"{path}, line {number}: expected the number of faces of {image}, found {count[:60]!r}")
        at += 2
        faces = []
        for _ in range(int(count)):
            faces.append(_face(*lines[min(at, len(lines) - 1)], path, image, count, len(faces)))
            at += 1
        if not int(count) and at < len(lines) and _is_zeros(lines[at][1]):
            at += 1  # the line of zeros instead of a face
        yield image, np.array(faces, np.float64).reshape(-1, 10), where


def _is_zeros(line):
    """Whether a line is the zeros, such as 0 or 0.0, that replace the faces of an image without faces."""
    fields = line.split()
    return bool(fields) and all(is_number(field) and float(field) == 0 for field in fields)


def _face(number, line, path, image, count, done):
    where = f"{path}, line {number}"
    if not line or not is_number(line.split()[0]):
        raise InputError(f"{where}: expected face {done + 1} of {count} of {image}, found {line[:60]!r}; "
                         "the count may be wrong")
    values = floats(line, where)
    if len(values) not in (4, 10):
        raise InputError(f"{where}: expected x y w h, alone or with six attributes, found {len(values)} numbers")
    return values + [-1] * (10 - len(values))


def _mat_entries(path):
    """Yield the same of the .mat file: a cell per event, in it a cell per image."""
    attributes = [f"{name}_label_list" for name in ATTRIBUTES]
    mat = read_mat(path, ("event_list", "file_list", "face_bbx_list", *attributes))
    try:
        labels = [mat[name] for name in attributes]
        for e, event in enumerate(mat["event_list"][:, 0]):
            for i, file in enumerate(mat["file_list"][e, 0][:, 0]):
                boxes = np.asarray(mat["face_bbx_list"][e, 0][i, 0], np.float64).reshape(-1, 4)
                columns = [np.asarray(label[e, 0][i, 0], np.float64).reshape(-1, 1) for label in labels]
                image = f"{event[0]}/{file[0]}.jpg"
                faces = np.concatenate([boxes, *columns], axis=1)
                if not np.isfinite(faces).all():
                    raise ValueError(f"{image} has a face with a number that is not finite")
                yield image, faces, f"{path}, {image}"
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not structured like wider_face_train.mat "
                         f"({type(error).__name__}: {error})") from None
