"""What every detector does with images: read them, bring them to the scales, put them into batches, apply NMS."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import cv2
import numpy as np

from ..config import check_group, check_value
from ..data_layer import shrink
from ..datasets.images import ImageError
from ..datasets.pixels import rgb_image
from ..detections import Detections
from ..errors import InputError, check_number
from ..nms import nms, soft_nms

if TYPE_CHECKING:
    from easydict import EasyDict
    from PIL.Image import Image

    from .video.detect import Video

ERRORS = ("raise", "return")
CHUNK_PIXELS = 64_000_000  # of images that are in memory together, 192 MB

View = tuple[int, tuple[int, int], bool]
"""An image as it goes into a batch: its number, the (width, height) px to resize it to, whether it is mirrored."""


class BaseDetector(ABC):
    """Base of Detector and CascadeDetector.

    Attributes:
        cfg: the config. Its TEST section has the scales and thresholds.
        source: path of the weights or of the exported model, None for a detector that was made of neither.
    """

    @property
    def multiple(self) -> int:
        """px: images that are padded to multiples of it at the same size share a batch."""
        return 1

    def __init__(self, cfg: EasyDict, source: os.PathLike | None = None) -> None:
        self.cfg, self.source = cfg, source

    def __repr__(self) -> str:
        return (f"{type(self).__name__}({self.cfg.NAME or self.cfg.FAMILY}"
                f"{f' from {self.source}' if self.source else ''})")

    @overload
    def detect(self, images: list | tuple, scales: Sequence[float] | None = None, flip: bool | None = None,
               errors: Literal["raise"] = "raise", threshold: float | None = None) -> list[Detections]: ...

    @overload
    def detect(self, images: str | os.PathLike | bytes | np.ndarray | Image, scales: Sequence[float] | None = None,
               flip: bool | None = None, errors: Literal["raise"] = "raise",
               threshold: float | None = None) -> Detections: ...

    @overload
    def detect(self, images: list | tuple, scales: Sequence[float] | None = None, flip: bool | None = None, *,
               errors: Literal["return"], threshold: float | None = None) -> list[Detections | ImageError]: ...

    @overload
    def detect(self, images: str | os.PathLike | bytes | np.ndarray | Image, scales: Sequence[float] | None = None,
               flip: bool | None = None, *, errors: Literal["return"],
               threshold: float | None = None) -> Detections | ImageError: ...

    def detect(self, images, scales=None, flip=None, errors="raise", threshold=None):
        """Find the faces of one image, or of each image of a list or tuple.

        Images that are padded to the same size share a batch of at most TEST.BATCH images and TEST.MAX_PIXELS pixels.
        A larger image is cut into tiles or scaled down, as TEST.LARGE says. Of a long list, only as many images as
        have CHUNK_PIXELS together are in memory. Several threads may call this at once.

        Args:
            images: a path, the bytes of an image file, an array (H, W, 3) uint8 RGB (grey and RGBA too), a PIL image,
                or a list or tuple of these.
            scales: factors, or shorter sides in px where > 10, of the image, or of TEST.SIZE where that is set; None:
                TEST.SCALES.
            flip: also search the mirrored image; None: TEST.FLIP.
            errors: what an image that cannot be read does. raise: it ends the work; return: the
                list has its ImageError instead of Detections, and the others are detected.
            threshold: lowest score of a face. None: TEST.DEMO_SCORE, from which on a person would call it a face.
                Lower values give more faces, down to TEST.SCORE; evaluation needs them all: 0.

        Returns:
            Detections of one image, or a list of Detections for a list, best first. Boxes are in px of the image that
            `manyfaces.datasets.pixels.rgb_image` gives.

        Raises:
            ImageError: names the image that cannot be read, by its path or its place in the list.
            InputError: scales, threshold, or a key of TEST that was changed, is not allowed; it says what is expected.
        """
        if errors not in ERRORS:
            raise InputError(f"errors is {errors!r}, expected {' or '.join(ERRORS)}")
        check_group(self.cfg, "TEST")
        scales = self.cfg.TEST.SCALES if scales is None else check_value("TEST.SCALES", scales, "scales")
        threshold = self.cfg.TEST.DEMO_SCORE if threshold is None else check_number(threshold, "threshold")
        alone, results = not isinstance(images, (list, tuple)), []
        for chunk in _chunks([images] if alone else images, self.cfg.TEST.MAX_FILE_PIXELS, alone, errors == "return"):
            found = iter(self._detect([item for item in chunk if not isinstance(item, ImageError)], scales, flip))
            results += [item if isinstance(item, ImageError) else next(found).above(threshold) for item in chunk]
        return results[0] if alone else results

    def video(self, source: str | os.PathLike | int, threshold: float | None = None, track: bool = False,
              realtime: bool = False, note: Callable[[str], object] | None = None) -> Video:
        """Find the faces of a video, frame by frame.

        A camera or stream gives its newest frame each time: those that come while one is in work are skipped. A stream
        that is lost is connected again for up to a minute.

        Args:
            source: path of a video, number of a camera (0 is the first), or the address of a stream: rtsp or http. An
                http address that ends as a video file does (.mp4) is read as a file.
            threshold: lowest score of a face; None: TEST.DEMO_SCORE.
            track: each face gets an id that it keeps from frame to frame (`faces.ids`, `face.id`), and smoothed
                landmarks. A face that was found once is followed down to a score of 0.1. Needs SciPy.
            realtime: give a frame of a file when it is due, and skip those that are late.
            note: takes lines about streams that are lost and back; None: standard error.

        Returns:
            An iterator of (frame (H, W, 3) uint8 RGB, seconds, Detections). It counts `skipped` and `damaged` frames.
            It ends with `close()`, with the end of a `with` block, or by itself.

        Raises:
            ImageError: the source cannot be opened, or holds no frame.
            VideoEnded: an ImageError after the last frame of a file that is cut short, or of a stream that is lost.
            InputError: the threshold is not allowed, or SciPy is missing.

        Examples:
            >>> for frame, seconds, faces in detector.video("film.mp4", track=True):  # doctest: +SKIP
            ...     print(f"{seconds:.2f} s", [(face.id, face.score) for face in faces])
        """
        from .video.detect import open_video

        return open_video(self, source, threshold, track, realtime, note)

    @property
    @abstractmethod
    def shrunk_to(self) -> int:
        """px (width x height) to which larger images are scaled down before the net receives them; 0: none are."""

    @abstractmethod
    def _detect_batch(self, views: list[np.ndarray], padded: tuple[int, int], scales: list[float]) -> list[Detections]:
        """Faces of each view before NMS over scales, in px of the view.

        Args:
            views: images (H, W, 3) uint8, resized and mirrored.
            padded: (width, height) px to which all of them are padded.
            scales: width of each view divided by the width of its image.
        """

    def _compared(self, boxes: np.ndarray) -> np.ndarray:
        """The boxes (N, 4) px whose IoU decides in NMS."""
        return boxes

    def landmarks_in(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray | None:
        """Landmarks (N, 5, 2) px of faces whose boxes (N, 4) px are known; None where this detector has to find them
        first. NaN for a box outside the image.
        """
        return None

    def _detect(self, images: list[np.ndarray], scales: Sequence[float], flip: bool | None) -> list[Detections]:
        """Detections of each array (H, W, 3) uint8."""
        flip = self.cfg.TEST.FLIP if flip is None else flip
        candidates: list[list[Detections]] = [[] for _ in images]
        for padded, batch in self._batches(images, scales, flip):
            views = [_view(images[number], size, mirrored) for number, size, mirrored in batch]
            factors = [size[0] / images[number].shape[1] for number, size, _ in batch]
            for (number, size, mirrored), faces in zip(batch, self._detect_batch(views, padded, factors), strict=True):
                start = time.perf_counter()
                times = faces.times
                height, width = images[number].shape[:2]
                faces = faces.mirrored(size[0]) if mirrored else faces
                faces = faces.scaled(width / size[0], height / size[1])
                faces.times = times | {"decode": times["decode"] + (time.perf_counter() - start) * 1e3}
                candidates[number].append(faces)
        return [self._suppress(parts) for parts in candidates]

    def _batches(self, images: list[np.ndarray], scales: Sequence[float],
                 flip: bool) -> Iterator[tuple[tuple[int, int], list[View]]]:
        """Yield (padded size, views) of each batch."""
        test = self.cfg.TEST
        groups: dict[tuple[int, int], list[View]] = {}
        for number, image in enumerate(images):
            width, height = test.SIZE or (image.shape[1], image.shape[0])
            sizes = [scaled_size(width, height, scale, test.MAX_SIDE, self.shrunk_to) for scale in scales]
            for size in dict.fromkeys(sizes):  # a limit may bring several scales to one size
                padded = (size[0] + -size[0] % self.multiple, size[1] + -size[1] % self.multiple)
                for mirrored in (False, True)[: 1 + bool(flip)]:
                    groups.setdefault(padded, []).append((number, size, mirrored))
        for padded, group in groups.items():
            room = test.MAX_PIXELS // (padded[0] * padded[1]) if test.MAX_PIXELS else test.BATCH
            count = max(1, min(test.BATCH, room))
            for i in range(0, len(group), count):
                yield padded, group[i : i + count]

    def _suppress(self, candidates: list[Detections]) -> Detections:
        """Detections of one image after NMS over all its scales, best first, at most TEST.KEEP."""
        test = self.cfg.TEST
        faces = Detections.concatenate(candidates)
        start = time.perf_counter()
        boxes = self._compared(faces.boxes)
        if test.NMS_METHOD == "hard":
            faces = faces.take(nms(boxes, faces.scores, test.NMS, test.KEEP))
        else:
            kept, scores = soft_nms(boxes, faces.scores, test.NMS_METHOD, test.NMS, min_score=test.SCORE)
            faces = faces.take(kept[: test.KEEP])
            faces.scores = scores[: test.KEEP]
        faces.times["nms"] = faces.times.get("nms", 0.0) + (time.perf_counter() - start) * 1e3
        return faces


def _chunks(images: Sequence[Any], limit: int, alone: bool,
            keep_errors: bool) -> Iterator[list[np.ndarray | ImageError]]:
    """Yield lists of arrays, as many as have CHUNK_PIXELS together, of a list of images of any kind.

    Args:
        limit: most pixels of a file.
        alone: the list is not of the caller: the message of an error calls its image just `image`.
        keep_errors: an image that cannot be read gives its ImageError.
    """
    chunk: list[np.ndarray | ImageError] = []
    pixels = 0
    for number, image in enumerate(images):
        try:
            array = rgb_image(image, "image" if alone else f"image {number} of {len(images)}", limit)
        except ImageError as error:
            if not keep_errors:
                raise
            chunk.append(error.with_traceback(None))  # which would keep this list alive
            continue
        chunk.append(array)
        pixels += array.shape[0] * array.shape[1]
        if pixels >= CHUNK_PIXELS:
            yield chunk
            chunk, pixels = [], 0
    if chunk:
        yield chunk


def scaled_size(width: int, height: int, scale: float, max_side: int = 0, max_pixels: int = 0) -> tuple[int, int]:
    """Size of the net's input for one scale.

    Args:
        scale: a factor up to 10, else the shorter side in px.
        max_side: px, limit of the longer side; 0: none.
        max_pixels: limit of the area in px; 0: none.

    Returns:
        (width, height) px.

    Examples:
        >>> scaled_size(1024, 768, 0.5), scaled_size(1024, 768, 600), scaled_size(1024, 768, 2, max_side=1600)
        ((512, 384), (800, 600), (1600, 1200))
        >>> scaled_size(20000, 10000, 1, max_pixels=2_000_000)
        (2000, 1000)
    """
    factor = scale if scale <= 10 else scale / min(width, height)
    if max_side:
        factor = min(factor, max_side / max(width, height))
    if max_pixels:
        factor = min(factor, (max_pixels / (width * height)) ** 0.5)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _view(image: np.ndarray, size: tuple[int, int], mirrored: bool) -> np.ndarray:
    """The image (H, W, 3) resized to (width, height) px, mirrored where asked."""
    height, width = image.shape[:2]
    if size[0] <= width and size[1] <= height and size != (width, height):
        image = shrink(image, size)  # INTER_AREA in a quarter of its time
    elif size != (width, height):
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if size[0] < width else cv2.INTER_LINEAR)
    return image[:, ::-1] if mirrored else image
