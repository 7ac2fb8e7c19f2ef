"""WIDER FACE's own annotation: `*_bbx_gt.txt` and the `.mat` beside it.

Text: image, number of faces, then a line `x y w h` a face, with or without the six attributes blur expression
illumination invalid occlusion pose. An image without faces has the count 0, followed by one line of zeros (the
official files) or by the next image at once. Both files give the same roidb.
"""

import os

import numpy as np

from ...errors import InputError
from ..text import floats, is_number, read_lines
from .builder import RoidbBuilder

ATTRIBUTES = ("blur", "expression", "illumination", "invalid", "occlusion", "pose")


def read_wider(labels, images=None, missing="error"):
    """Read the official .mat or .txt, told apart by the extension; invalid faces become ignore regions."""
    builder = RoidbBuilder(labels, images, missing)
    entries = _mat_entries(labels) if os.fspath(labels).lower().endswith(".mat") else _txt_entries(labels)
    for image, faces, where in entries:
        boxes = np.concatenate([faces[:, :2], faces[:, :2] + faces[:, 2:4]], axis=1)
        attributes = dict(zip(ATTRIBUTES, faces[:, 4:].astype(np.int32).T, strict=True))
        builder.add(image, boxes, where, attributes=attributes)
    return builder.finish()


def _txt_entries(path):
    """(image, (N, 10) x y w h and attributes or -1, where) of each image of the text file."""
    lines = read_lines(path)
    at = 0
    while at < len(lines):
        image, where = lines[at], f"{path}, line {at + 1}"
        at += 1
        if not image:
            continue
        fields = image.split()
        if len(fields) >= 4 and all(map(is_number, fields)):
            raise InputError(f"{where}: expected an image, found the box {image!r}: the count before it is too small")
        count = lines[at] if at < len(lines) else ""
        if not count.isdecimal():
            raise InputError(f"{path}, line {at + 1}: expected the number of faces of {image}, found {count!r}")
        at += 1
        faces = []
        for _ in range(int(count)):
            faces.append(_face(lines, at, path, image, count, len(faces)))
            at += 1
        if count.strip("0") == "" and at < len(lines) and set(lines[at].split()) == {"0"}:
            at += 1  # the line of zeros in place of a face
        yield image, np.array(faces, np.float64).reshape(-1, 10), where


def _face(lines, at, path, image, count, done):
    line = lines[at] if at < len(lines) else ""
    where = f"{path}, line {at + 1}"
    if not line or not is_number(line.split()[0]):
        raise InputError(f"{where}: expected face {done + 1} of {count} of {image}, found {line[:60]!r}; "
                         "the count may be wrong")
    values = floats(line, where)
    if len(values) not in (4, 10):
        raise InputError(f"{where}: expected x y w h, alone or with six attributes, found {len(values)} numbers")
    return values + [-1] * (10 - len(values))


def _mat_entries(path):
    """The same of the .mat file: cells of events, in each a cell of images."""
    from scipy.io import loadmat  # slow to import, and only this file needs it

    try:
        mat = loadmat(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise InputError(f"{path}: not a MATLAB file ({error})") from None
    try:
        labels = [mat[f"{name}_label_list"] for name in ATTRIBUTES]
        for e, event in enumerate(mat["event_list"][:, 0]):
            for i, file in enumerate(mat["file_list"][e, 0][:, 0]):
                boxes = np.asarray(mat["face_bbx_list"][e, 0][i, 0], np.float64).reshape(-1, 4)
                columns = [np.asarray(label[e, 0][i, 0], np.float64).reshape(-1, 1) for label in labels]
                image = f"{event[0]}/{file[0]}.jpg"
                yield image, np.concatenate([boxes, *columns], axis=1), f"{path}, {image}"
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not laid out as wider_face_train.mat ({type(error).__name__}: {error})") from None
