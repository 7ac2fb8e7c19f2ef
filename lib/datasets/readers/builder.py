"""What the readers share: checks each image and face once, counts what is dropped, and makes the roidb."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np

from ...errors import InputError
from ..folders import files_below
from ..images import ImageError, image_size
from ..roidb import IMAGE_EXTENSIONS, OTHER_EXTENSIONS, Record, Roidb, leaves_folder, slashed
from ..statistics import MOSTLY_OUTSIDE, inside

NO_AREA = "faces without area"
NO_IMAGE = "images missing"
BAD_IMAGE = "images unreadable"
OTHER_SIZE = "images of another size than the annotation says"
OUTSIDE = "faces outside their image"
NAMED = 3  # examples of what is counted that are named
_LARGEST = 1e9  # px; larger than any picture, and float32 holds it


def corners(sides: np.ndarray) -> np.ndarray:
    """Convert boxes from (N, 4) x y w h to (N, 4) x1 y1 x2 y2."""
    return np.concatenate([sides[:, :2], sides[:, :2] + sides[:, 2:]], axis=1)


class RoidbBuilder:
    """Collects the images of one annotation file.

    Args:
        source: the annotation file or folder.
        images: folder of the images, None when they are not at hand.
        missing: "error" or "skip" images that are missing, unreadable or of another size than the annotation says.

    Attributes:
        root: absolute path of `images`, "" without images.
        classes: class -> number of its objects, for Roidb.classes.
        taken: the classes that are faces, for Roidb.taken.
        notes: lines for Roidb.notes.

    Raises:
        InputError: when the folder `images` does not exist.
    """

    def __init__(self, source: str | os.PathLike, images: str | os.PathLike | None, missing: str = "error"):
        if missing not in ("error", "skip"):
            raise ValueError(f"missing={missing!r}: expected 'error' or 'skip'")
        if images is not None and not os.path.isdir(images):
            raise InputError(f"{images}: no such folder of images")
        self.source, self.missing = os.fspath(source), missing
        self.root = "" if images is None else os.path.abspath(images)
        self.classes: Mapping[str, int] = {}
        self.taken: set[str] = set()
        self.notes: list[str] = []
        self._records, self._dropped, self._seen, self._absent = [], {}, {}, []
        self._outside, self._turned, self._corners, self._beyond, self._with_faces = [], 0, 0, 0, 0
        self._fractions = True  # all faces seen so far are between 0 and 1

    @cached_property
    def pictures(self) -> dict[str, list[str]]:
        """Name without extension -> the pictures below the folder of the images that have it, sorted paths."""
        pictures: dict[str, list[str]] = {}
        for path in files_below(self.root, IMAGE_EXTENSIONS + OTHER_EXTENSIONS) if self.root else ():
            pictures.setdefault(os.path.splitext(path)[0], []).append(path)
        return pictures

    def find(self, stem: str, where: str) -> str:
        """Add to `stem` the extension that the image has on disk; .jpg when it is not there or there are no images.

        A stem that ends like an image is returned as it is.

        Raises:
            InputError: names `where`, when several images on disk have this name.
        """
        if stem.lower().endswith(IMAGE_EXTENSIONS + OTHER_EXTENSIONS):
            return stem
        if self.root and os.path.splitext(stem)[1] and os.path.isfile(os.path.join(self.root, *stem.split("/"))):
            return stem
        return self.one_of(self.pictures.get(stem, [stem + ".jpg"]), where)

    def one_of(self, images: Sequence[str], where: str) -> str:
        """The only image of those on disk that `where` can mean.

        Raises:
            InputError: there are several that can be read.
        """
        readable = [image for image in images if image.lower().endswith(IMAGE_EXTENSIONS)] or list(images)
        if len(readable) > 1:
            raise InputError(f"{where}: {' and '.join(readable[:3])} could all be its image; remove or rename all but "
                             "one")
        return readable[0]

    def add(self, image: str, boxes: Sequence | np.ndarray | Callable[[tuple[int, int]], Sequence], where: str,
            landmarks: np.ndarray | Callable[[tuple[int, int]], np.ndarray] | None = None,
            attributes: Mapping[str, Sequence[int] | np.ndarray] | None = None,
            ignore: Sequence[bool] | np.ndarray | None = None, size: tuple[int, int] = (0, 0)) -> None:
        """Add an image with its faces.

        Faces without area and faces outside the image are dropped and counted. A face that is mostly outside becomes
        an ignore region.

        Args:
            image: path below the folder of the images.
            boxes: N times x1 y1 x2 y2 in px, or a function that returns them for a (width, height) in px.
            where: file and line for messages.
            landmarks: (N, 5, 2) x y in px, NaN = not labelled, or a function as for `boxes`. None: none is labelled.
            attributes: name -> N integers.
            ignore: N flags. None: those of the attribute "invalid", if there is one.
            size: (width, height) in px that the annotation says the image has, 0 = not said.

        Raises:
            InputError: when the path leaves the folder, the image was added before, a coordinate is no number of
                pixels; or the image is unreadable or of another size, and `missing` is "error".
        """
        image = slashed(image)
        if leaves_folder(image):
            raise InputError(f"{where}: image {image!r} leaves the folder of the images; expected a path below it")
        if image in self._seen:
            raise InputError(f"{where}: image {image} is listed twice, first at {self._seen[image]}")
        self._seen[image] = where
        size = self._size(image, where, size)
        if size is None:
            return
        boxes = np.asarray(boxes(size) if callable(boxes) else boxes, np.float64)
        count = len(boxes)
        boxes = boxes.reshape(count, 4)
        landmarks = landmarks(size) if callable(landmarks) else landmarks
        landmarks = np.full((count, 5, 2), np.nan, np.float32) if landmarks is None else np.asarray(landmarks)
        for values in (boxes, landmarks):
            farthest = np.fmax.reduce(np.abs(values), axis=None, initial=0)  # a landmark that is not labelled is NaN
            if not farthest < _LARGEST:
                raise InputError(f"{where}: image {image} has a face with the coordinate {farthest:g}, expected pixels")
        columns = {key: np.asarray(values, np.int32).reshape(count) for key, values in (attributes or {}).items()}
        flags = columns.get("invalid", np.zeros(count)) == 1 if ignore is None else np.asarray(ignore, bool)
        # Both before and after rounding to float32: a tiny box far from the origin can lose its area there.
        single = boxes.astype(np.float32)
        area = np.all((boxes[:, 2:] > boxes[:, :2]) & (single[:, 2:] > single[:, :2]), axis=1)
        keep, flags = area.copy(), flags.reshape(count).copy()
        if area.any():
            self._with_faces += 1
            self._fractions &= bool(boxes[area].max() <= 1.001 and (boxes[area] % 1).any())
        if all(size) and area.any() and (boxes[area, :2].min() < 0 or (boxes[area, 2:].max(axis=0) > size).any()):
            fraction = inside(boxes[area], size)
            keep[area] = fraction > 0
            flags[area] |= fraction < MOSTLY_OUTSIDE
            self._doubt(image, boxes[area], fraction, size, where)
        self._count(NO_AREA, count - int(area.sum()))
        self._count(OUTSIDE, int((area & ~keep).sum()))
        self._records.append(Record(
            self.root, image, size[0], size[1], single[keep], landmarks.astype(np.float32).reshape(count, 5, 2)[keep],
            flags[keep], {key: values[keep] for key, values in columns.items()}))

    def pass_over(self, lines: Sequence[str], kind: str) -> None:
        """Note the files of a kind, such as ".xml files", that are passed over: the first lines, then a count."""
        self.notes += lines[:NAMED]
        if len(lines) > NAMED:
            self.notes.append(f"{len(lines) - NAMED:,} more {kind} are passed over for the same reason")

    def finish(self) -> Roidb:
        """Make the Roidb.

        Raises:
            InputError: when images are missing and `missing` is "error", when the file lists no image, or when its
                boxes are fractions and not pixels.
        """
        if self._absent and self.missing == "error":
            raise InputError(f"{self._absent[0]}: no such image; {len(self._absent)} of {len(self._seen)} images "
                             f"listed in {self.source} are missing (--missing skip leaves them out)")
        if not self._seen:
            raise InputError(f"{self.source}: lists no image")
        if self._with_faces and self._fractions:
            raise InputError(f"{self.source}: all faces are between 0 and 1, so they seem to be fractions of the "
                             "image; expected pixels")
        return Roidb(self._records, self._dropped, self.source, dict(self.classes), self.taken,
                     [*self.notes, *self._outside_notes()])

    def _size(self, image, where, said):
        """(width, height) px of an image; None when it is missing, unreadable or not as large as `said`.

        These are counted or raised.
        """
        if not self.root:
            return said if all(said) else (0, 0)
        path = os.path.join(self.root, *image.split("/"))
        if not os.path.isfile(path):
            self._absent.append(path)
            self._count(NO_IMAGE, 1)
            return None
        try:
            size = image_size(path)
        except ImageError as error:
            if self.missing == "error":
                raise InputError(f"{error} (listed at {where}; --missing skip leaves such images out)") from None
            self._count(BAD_IMAGE, 1)
            return None
        if all(said) and size != said:
            if self.missing == "error":
                raise InputError(
                    f"{path}: is {size[0]} x {size[1]} pixels after EXIF rotation, but {where} has width {said[0]} and "
                    f"height {said[1]}: its boxes belong to another image, or to a rotated or scaled one (--missing "
                    "skip leaves such images out)")
            self._count(OTHER_SIZE, 1)
            return None
        return size

    def _doubt(self, image, boxes, fraction, size, where):
        """Remember an image with faces (N, 4) that leave it: what may be wrong with it, and the first as examples."""
        sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)  # x y w h
        as_corners = (sides[:, 2:] > sides[:, :2]).all(axis=1)
        self._corners += bool(as_corners.all() and (fraction < 0.95).any() and (inside(sides, size) > 0.99).all())
        if (fraction >= MOSTLY_OUTSIDE).all():
            return
        self._beyond += 1
        self._turned += size[0] != size[1] and bool((inside(boxes, size[::-1]) > 0.95).all())
        if len(self._outside) < NAMED:
            box = " ".join(f"{value:.6g}" for value in boxes[np.argmin(fraction)])
            self._outside.append(f"{where}: the face {box} (x1 y1 x2 y2) is mostly outside {image}, "
                                 f"which has {size[0]} x {size[1]} px")

    def _outside_notes(self):
        notes = list(self._outside)
        if self._corners * 2 >= max(self._with_faces, 1):
            notes.append(f"the faces of {self._corners} of {self._with_faces} images would fit if their numbers were "
                         "x1 y1 x2 y2 and not x y width height")
        elif self._turned:
            notes.append(f"the faces of {self._turned} of these {self._beyond} images would fit if the image were "
                         "turned by 90 degrees")
        elif self._beyond * 2 >= max(self._with_faces, 1):
            notes.append(f"{self._beyond} of {self._with_faces} images with faces have such ones: the annotation may "
                         "belong to images of another size")
        return notes

    def _count(self, reason, count):
        if count:
            self._dropped[reason] = self._dropped.get(reason, 0) + count
