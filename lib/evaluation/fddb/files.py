"""The input of FDDB's protocol: ten folds of ellipses, detections in one file or one per fold, and image sizes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...datasets.fddb_text import check_ellipses, fold_files, read_blocks, read_ellipses
from ...datasets.folders import files_below
from ...datasets.images import image_size
from ...datasets.roidb import IMAGE_EXTENSIONS, image_name
from ...errors import InputError, printable
from ...files import write_whole

FOLDS = range(1, 11)
_FORMS = {5: "x y w h score", 6: "major minor angle cx cy score"}


@dataclass
class Fold:
    """One of the ten folds of the data set.

    Attributes:
        number: 1 to 10.
        faces: image name -> (N, 5) float64 major minor angle cx cy, in px and radians.
    """

    number: int
    faces: dict[str, np.ndarray]


def read_fddb(annotations: str | os.PathLike) -> list[Fold]:
    """Read the ten folds.

    Args:
        annotations: folder of FDDB-fold-01-ellipseList.txt to FDDB-fold-10-ellipseList.txt.

    Raises:
        InputError: a fold is missing, a line is malformed (with file and line), or an image is listed twice.
    """
    files, folds, seen = fold_files(annotations), [], {}
    for number in FOLDS:
        if number not in files:
            raise InputError(f"{annotations}: FDDB-fold-{number:02d}-ellipseList.txt is missing; all ten folds are "
                             f"needed, found {', '.join(map(str, sorted(files)))}")
        blocks = read_ellipses(files[number])
        for block in blocks:
            if block.name in seen:
                raise InputError(f"{block.where}: image {block.name} is listed twice, first at {seen[block.name]}")
            seen[block.name] = block.where
        folds.append(Fold(number, {block.name: block.rows for block in blocks}))
    return folds


def read_detections(path: str | os.PathLike, folds: Sequence[Fold] | None = None) -> dict[str, np.ndarray]:
    """Read detections in FDDB's format. Rectangles and ellipses are told apart by the number of values.

    Args:
        path: one file, or a folder of fold-01-out.txt and so on, as the benchmark's own script needs them.
        folds: of read_fddb; None: any image is accepted.

    Returns:
        Image name -> (N, 5) x y w h score or (N, 6) major minor angle cx cy score.

    Raises:
        InputError: names file and line, for an image that the folds do not have and for a malformed line; or there is
            no detection file.
    """
    paths = [os.fspath(path)]
    if os.path.isdir(path):
        paths = [os.path.join(path, f"fold-{number:02d}-out.txt") for number in FOLDS]
        paths = [file for file in paths if os.path.isfile(file)]
        if not paths:
            raise InputError(f"{path}: has no fold-NN-out.txt; expected one file, or a folder of such files")
    known = None if folds is None else {name for fold in folds for name in fold.faces}
    detections = {}
    for file in paths:
        for block in read_blocks(file, _FORMS):
            if known is not None and block.name not in known:
                raise InputError(f"{block.where}: image {block.name!r} is not in the annotations, whose names look "
                                 f"like {next(iter(known), 'none')!r}")
            if block.name in detections:
                raise InputError(f"{block.where}: image {block.name} is also in another of the files in {path}")
            if block.rows.shape[1] == 6:
                check_ellipses(block, file)
            detections[block.name] = block.rows
    if not detections:
        raise InputError(f"{path}: lists no image")
    return detections


def read_sizes(folds: Sequence[Fold], images: str | os.PathLike) -> dict[str, tuple[int, int]]:
    """Read the sizes of all images.

    Args:
        folds: of read_fddb.
        images: folder of the image files, with any extension.

    Returns:
        Image name -> (width, height) in px.

    Raises:
        InputError: the folder or an image is missing or cannot be read; the first one is named.
    """
    if not os.path.isdir(images):
        raise InputError(f"{images}: no such folder of images")
    paths = {image_name(path): path for path in reversed(files_below(images, IMAGE_EXTENSIONS))}
    sizes, names = {}, [name for fold in folds for name in fold.faces]
    for name in names:
        path = os.path.join(images, *paths.get(name, f"{name}.jpg").split("/"))
        if name not in paths:
            raise InputError(f"{path}: no such image; FDDB's masks end where the image does, so the sizes of all "
                             f"{len(names):,} images are needed")
        sizes[name] = image_size(path)
    return sizes


def write_detections(path: str | os.PathLike, detections: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Write detections in FDDB's format, atomically. Nine digits restore every float32.

    Args:
        path: the file to write.
        detections: image name -> (boxes (N, 4) float32 x1 y1 x2 y2 in px, scores (N,) float32). The images are written
            in this order, without extension; unprintable characters of a name are written as
            escapes such as %n.
    """
    lines = []
    for image, (boxes, scores) in detections.items():
        boxes, scores = np.asarray(boxes, np.float32).reshape(-1, 4), np.asarray(scores, np.float32)
        rows = np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2], scores]).tolist()
        # An escape begins with %, because a backslash separates folders to readers of lists.
        lines += [printable(image_name(image)).replace("\\", "%"), str(len(rows)),
                  *(" ".join(f"{value:.9g}" for value in row) for row in rows)]
    write_whole(path, "\n".join(lines) + "\n")
