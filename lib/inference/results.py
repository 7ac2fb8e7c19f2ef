"""Where the detections of a folder of images go: WIDER FACE's folder of small files, or one file of COCO or FDDB.

A folder fills during the work, which can be resumed. One file is written complete, at the end. Beside either are the
settings that found the faces, without which the figures cannot be compared.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets.coco_json import load_coco
from ..datasets.coco_writer import CATEGORY, write_coco
from ..datasets.roidb import Record, Roidb, image_name
from ..errors import InputError
from ..evaluation.files.predictions import write_prediction_file
from ..files import write_whole
from ..parsing import parse_json_file

if TYPE_CHECKING:
    from ..detections import Detections

FORMATS = ("wider", "coco", "fddb")
SETTINGS = "settings.json"


def open_results(out: str | os.PathLike, images: Sequence[str], settings: dict[str, Any] | None = None,
                 resume: bool = False, file_format: str = "wider",
                 labels: str | os.PathLike | None = None) -> FolderResults | FileResults:
    """Open the results of a folder of images.

    Args:
        out: a folder for wider, a file for coco and fddb.
        images: paths below their folder, in the order of a file's entries.
        settings: what decides the predictions.
        resume: wider: leave out images that are done in `out`.
        file_format: one of FORMATS.
        labels: COCO annotation file whose image ids the results have. Without it images are numbered from 1, and
            OUT.images.json, a COCO annotation file without annotations, lists the numbers.

    Raises:
        InputError: the results cannot be written so; raised before anything is detected.
    """
    check_format(file_format, resume, labels)
    if file_format == "wider":
        return FolderResults(out, images, settings, resume)
    return (CocoResults if file_format == "coco" else FddbResults)(out, images, settings, labels)


def check_format(file_format: str, resume: bool = False, labels: str | os.PathLike | None = None) -> None:
    """InputError for an unknown format, or one that does not go with resume or labels: before a net is loaded."""
    if file_format not in FORMATS:
        raise InputError(f"--format {file_format!r}: expected one of {', '.join(FORMATS)}")
    if labels and file_format != "coco":
        raise InputError(f"--labels: only COCO's results have image ids, found --format {file_format}")
    if resume and file_format != "wider":
        raise InputError(f"--resume: {file_format} results are one file, written at the end; use --format wider, "
                         "whose folder `manyfaces data convert` turns into COCO's file")


class FolderResults:
    """DIR/0--Parade/x.jpg gives OUT/0--Parade/x.txt; OUT/settings.json holds the settings.

    Attributes:
        resumed: the images whose prediction file is younger than the settings there, if these are the same.
    """

    def __init__(self, out: str | os.PathLike, images: Sequence[str], settings: dict[str, Any] | None,
                 resume: bool) -> None:
        if Path(out).is_file():
            raise InputError(f"{out}: is a file, expected a folder to write the predictions to")
        self.files = _apart({image: Path(out, image_name(image) + ".txt") for image in images})
        self.settings = Path(out, SETTINGS)
        self.resumed = _already_done(self.files, self.settings, settings) if resume else set()
        if not self.resumed:
            write_whole(self.settings, json.dumps(settings or {}, indent=1))

    def write(self, image: str, found: Detections, size: tuple[int, int]) -> None:
        """Write the Detections of an image of this (width, height) px.

        Raises:
            OSError: the file cannot be written, or the folder was removed since, with what was written before.
        """
        if not self.settings.is_file():
            raise FileNotFoundError(errno.ENOENT, "was removed while the predictions were written", str(self.settings))
        write_prediction_file(self.files[image], image, found.boxes, found.scores)

    def leave_out(self, image: str) -> None:
        """Delete what an earlier run wrote for an image that cannot be read now."""
        if os.path.isfile(self.files[image]):  # False for a name that is too long for a file
            self.files[image].unlink()

    def finish(self) -> None:
        """Everything is written already."""


class FileResults:
    """Results in one file: kept in memory until the end, a few MB for a whole set."""

    resumed: frozenset[str] = frozenset()

    def __init__(self, out: str | os.PathLike, images: Sequence[str], settings: dict[str, Any] | None,
                 labels: str | os.PathLike | None = None) -> None:
        self.out = Path(out)
        if self.out.is_dir():
            raise InputError(f"{out}: is a folder, expected the file to write the detections to")
        _apart({image: image_name(image) for image in images})
        self.images, self.settings = list(images), settings
        self.found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.sizes: dict[str, tuple[int, int]] = {}
        self.check(labels)

    def check(self, labels: str | os.PathLike | None) -> None:
        """InputError for images that the results cannot name; nothing to check by default."""

    def write(self, image: str, found: Detections, size: tuple[int, int]) -> None:
        """Keep the Detections of an image of this (width, height) px."""
        self.found[image], self.sizes[image] = (found.boxes, found.scores), size

    def leave_out(self, image: str) -> None:
        """An image that could not be read has no entry."""

    def finish(self) -> None:
        """Write the file, in the order of the images, and its settings beside it."""
        write_whole(f"{self.out}.{SETTINGS}", json.dumps(self.settings or {}, indent=1))
        self.save({image: self.found[image] for image in self.images if image in self.found})

    def save(self, found: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
        """Write the (boxes, scores) of each image to `out`; each format has its own."""
        raise NotImplementedError


class FddbResults(FileResults):
    """FDDB's list: the image without extension, the number of faces, and `x y w h score` per face."""

    def save(self, found: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
        """Write it; nothing is rounded."""
        from ..evaluation.fddb import write_detections

        write_detections(self.out, found)


class CocoResults(FileResults):
    """COCO's result JSON, and the ids of the images where no annotation file gives them."""

    def check(self, labels: str | os.PathLike | None) -> None:
        self.labels, self.category = labels, CATEGORY
        self.ids = {image: number for number, image in enumerate(self.images, 1)}
        if labels:
            known = load_coco(labels)
            self.ids, self.category = known.ids, known.category
            unknown = [image for image in self.images if image_name(image) not in self.ids]
            if unknown:
                raise InputError(f"{labels}: has no image id for {len(unknown)} of {len(self.images)} images, the "
                                 f"first is {unknown[0]!r}; names there look like {next(iter(self.ids), 'none')!r} "
                                 "(--list detects in some images only)")

    def save(self, found: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
        """Write it; nothing is rounded."""
        from ..evaluation.coco_results import write_coco_results

        write_coco_results(self.out, found, self.ids, self.category)
        if not self.labels:
            none = np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, bool)
            records = [Record("", image, *self.sizes.get(image, (0, 0)), *none) for image in self.images]
            write_coco(Roidb(records, {}, os.path.basename(self.out)), f"{self.out}.images.json")


def _apart(names):
    """`names`, image -> what it is written as; InputError where two images would share one."""
    owners = {}
    for image, name in names.items():
        if owners.setdefault(name, image) != image:
            raise InputError(f"{owners[name]} and {image} would both be written to {name}; rename one or list the "
                             "images with --list")
    return names


def _already_done(files, path, settings):
    """The images whose prediction files are younger than the settings at `path`; InputError where those differ."""
    try:
        then, since = parse_json_file(path), path.stat().st_mtime_ns
        if not isinstance(then, dict):
            raise ValueError("not a dict")
    except FileNotFoundError:
        return set()
    except (OSError, ValueError):
        raise InputError(f"{path}: cannot be read, so it is unknown what wrote the predictions there; leave "
                         f"--resume out to write all of them again") from None
    now = json.loads(json.dumps(settings or {}))
    for key in sorted({*then, *now}):
        if then.get(key) != now.get(key):
            raise InputError(f"{path}: the predictions there have {key} {then.get(key)!r}, now it is {now.get(key)!r}; "
                             f"leave --resume out or choose another --out")
    return {image for image, file in files.items() if os.path.isfile(file) and file.stat().st_mtime_ns >= since}
