"""What FDDB's protocol reads: ten folds of ellipses, detections in one file or one a fold, and the images' sizes."""

import os
from dataclasses import dataclass

import numpy as np

from ...datasets.fddb_text import check_ellipses, fold_files, read_blocks, read_ellipses
from ...datasets.images import image_size
from ...datasets.roidb import IMAGE_EXTENSIONS, image_name
from ...errors import InputError
from ...files import write_whole

FOLDS = range(1, 11)
_FORMS = {5: "x y w h score", 6: "major minor angle cx cy score"}


@dataclass
class Fold:
    """One of the ten parts of the data set: image name -> its ellipses (N, 5) major minor angle cx cy."""

    number: int
    faces: dict


def read_fddb(annotations):
    """The ten Folds of the folder with FDDB-fold-01-ellipseList.txt to FDDB-fold-10-ellipseList.txt.

    Raises InputError for a fold that is missing, a malformed line (with file and line) and an image listed twice.
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


def read_detections(path, folds=None):
    """Detections of FDDB's format: image name -> (N, 5) x y w h score or (N, 6) major minor angle cx cy score.

    path: one file, or a folder of fold-01-out.txt and so on, as the benchmark's own script wants them. Rectangles and
    ellipses are told apart by the number of values. With folds (read_fddb), an image that these do not have raises
    InputError; so does a malformed line. Both name file and line.
    """
    paths = [os.fspath(path)]
    if os.path.isdir(path):
        paths = [os.path.join(path, f"fold-{number:02d}-out.txt") for number in FOLDS]
        paths = [part for part in paths if os.path.isfile(part)]
        if not paths:
            raise InputError(f"{path}: holds no fold-NN-out.txt; give the one file, or a folder of such")
    known = None if folds is None else {name for fold in folds for name in fold.faces}
    found = {}
    for part in paths:
        for block in read_blocks(part, _FORMS):
            if known is not None and block.name not in known:
                raise InputError(f"{block.where}: image {block.name!r} is not in the annotations, whose names look "
                                 f"like {next(iter(known), 'none')!r}")
            if block.name in found:
                raise InputError(f"{block.where}: image {block.name} is also in another of the files in {path}")
            if block.rows.shape[1] == 6:
                check_ellipses(block, part)
            found[block.name] = block.rows
    if not found:
        raise InputError(f"{path}: lists no image")
    return found


def read_sizes(folds, images):
    """Image name -> (width, height) px, from the image files below the folder `images`, whatever their extension.

    Raises InputError that names the first image that is missing, or one that cannot be read.
    """
    if not os.path.isdir(images):
        raise InputError(f"{images}: no such folder of images")
    sizes, names = {}, [name for fold in folds for name in fold.faces]
    for name in names:
        stem = os.path.join(images, *name.split("/"))
        path = next((stem + ending for ending in IMAGE_EXTENSIONS if os.path.isfile(stem + ending)), None)
        if path is None:
            raise InputError(f"{stem}.jpg: no such image; FDDB's masks end where the image does, so the sizes of all "
                             f"{len(names):,} images are needed")
        sizes[name] = image_size(path)
    return sizes


def write_detections(path, detections):
    """Write FDDB's detections, whole or not at all: image -> (boxes (N, 4) float32 x1 y1 x2 y2, scores (N,) float32).

    Images stand in the dict's order, without extension. Nine digits bring every float32 back as it was.
    """
    lines = []
    for image, (boxes, scores) in detections.items():
        boxes, scores = np.asarray(boxes, np.float32).reshape(-1, 4), np.asarray(scores, np.float32)
        rows = np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2], scores]).tolist()
        lines += [image_name(image), str(len(rows)), *(" ".join(f"{value:.9g}" for value in row) for row in rows)]
    write_whole(path, ("\n".join(lines) + "\n").encode())
