"""What the readers share: checks each image and face once, counts what is dropped, and makes the roidb."""

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...errors import InputError
from ..images import ImageError, image_size
from ..roidb import IMAGE_EXTENSIONS, Record, Roidb, leaves_folder, slashed

NO_AREA = "faces without area"
NO_IMAGE = "images missing"
BAD_IMAGE = "images unreadable"


def corners(sides: np.ndarray) -> np.ndarray:
    """Convert boxes from (N, 4) x y w h to (N, 4) x1 y1 x2 y2."""
    return np.concatenate([sides[:, :2], sides[:, :2] + sides[:, 2:]], axis=1)


class RoidbBuilder:
    """Collects the images of one annotation file.

    Args:
        source: the annotation file or folder.
        images: folder of the images, None when they are not at hand.
        missing: "error" or "skip" images that are missing or unreadable.

    Attributes:
        root: absolute path of `images`, "" without images.

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
        self._records, self._dropped, self._seen, self._absent = [], {}, {}, []

    def find(self, stem: str) -> str:
        """Add to `stem` the extension that the image has on disk; .jpg when it is not there or there are no images."""
        if os.path.splitext(stem)[1].lower() in IMAGE_EXTENSIONS:
            return stem
        for extension in IMAGE_EXTENSIONS if self.root else ():
            for spelling in (extension, extension.upper()):
                if os.path.isfile(os.path.join(self.root, stem + spelling)):
                    return stem + spelling
        return stem + ".jpg"

    def add(self, image: str, boxes: Sequence | np.ndarray | Callable[[tuple[int, int]], Sequence], where: str,
            landmarks: np.ndarray | None = None, attributes: Mapping[str, Sequence[int] | np.ndarray] | None = None,
            ignore: Sequence[bool] | np.ndarray | None = None) -> None:
        """Add an image with its faces. Faces without area are dropped and counted.

        Args:
            image: path below the folder of the images.
            boxes: N times x1 y1 x2 y2 in px, or a function that returns them for a (width, height) in px.
            where: file and line for messages.
            landmarks: (N, 5, 2) x y in px, NaN = not labelled. None: none is labelled.
            attributes: name -> N integers.
            ignore: N flags. None: those of the attribute "invalid", if there is one.

        Raises:
            InputError: when the path leaves the folder, the image was added before, or it is unreadable and
                `missing` is "error".
        """
        image = slashed(image)
        if leaves_folder(image):
            raise InputError(f"{where}: image {image!r} leaves the folder of the images; expected a path below it")
        if image in self._seen:
            raise InputError(f"{where}: image {image} is listed twice, first at {self._seen[image]}")
        self._seen[image] = where
        size = self._size(image, where)
        if size is None:
            return
        boxes = boxes(size) if callable(boxes) else boxes
        count = len(boxes)
        boxes = np.asarray(boxes, np.float64).reshape(count, 4)
        landmarks = np.full((count, 5, 2), np.nan) if landmarks is None else np.asarray(landmarks)
        columns = {key: np.asarray(values, np.int32).reshape(count) for key, values in (attributes or {}).items()}
        flags = columns.get("invalid", np.zeros(count)) == 1 if ignore is None else np.asarray(ignore, bool)
        # Both before and after rounding to float32: a tiny box far from the origin can lose its area there.
        single = boxes.astype(np.float32)
        keep = np.all((boxes[:, 2:] > boxes[:, :2]) & (single[:, 2:] > single[:, :2]), axis=1)
        self._count(NO_AREA, count - int(keep.sum()))
        self._records.append(Record(
            self.root, image, size[0], size[1], single[keep], landmarks.astype(np.float32).reshape(count, 5, 2)[keep],
            flags.reshape(count)[keep], {key: values[keep] for key, values in columns.items()}))

    def finish(self) -> Roidb:
        """Make the Roidb.

        Raises:
            InputError: when images are missing and `missing` is "error", or when the file lists no image.
        """
        if self._absent and self.missing == "error":
            raise InputError(f"{self._absent[0]}: no such image; {len(self._absent)} of {len(self._seen)} images "
                             f"listed in {self.source} are missing (--missing skip leaves them out)")
        if not self._seen:
            raise InputError(f"{self.source}: lists no image")
        return Roidb(self._records, self._dropped, self.source)

    def _size(self, image, where):
        """(width, height) px of an image; None when it is missing or unreadable, which is counted or raised."""
        if not self.root:
            return 0, 0
        path = os.path.join(self.root, *image.split("/"))
        if not os.path.isfile(path):
            self._absent.append(path)
            self._count(NO_IMAGE, 1)
            return None
        try:
            return image_size(path)
        except ImageError as error:
            if self.missing == "error":
                raise InputError(f"{error} (listed at {where}; --missing skip leaves such images out)") from None
            self._count(BAD_IMAGE, 1)
            return None

    def _count(self, reason, count):
        if count:
            self._dropped[reason] = self._dropped.get(reason, 0) + count
