"""Crops of images for the galleries of the report, as JPEG."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from ....datasets.folders import find_images, read_within
from ....datasets.images import ImageError
from ....datasets.roidb import image_name
from ....errors import InputError
from ...curve import Matches
from ...files.ground_truth import GroundTruth
from .exhibits import Exhibit

SIZE = 160
"""Sides of a crop, px."""
QUALITY = 80
"""Of the JPEG, 0..100."""
GREY = 128
"""Grey level beyond the image's edge."""
MAX_PIXELS = 64_000_000
"""An image of more pixels is decoded at a half or less, so one image takes about 200 MB at most."""


def image_paths(folder: str | os.PathLike, matches: Matches[GroundTruth]) -> dict[str, str]:
    """The image files below a folder: event/name -> path.

    Args:
        folder: of event/name.jpg.
        matches: of match_wider.

    Raises:
        InputError: the folder has none of the matched images.
    """
    folder, files = os.fspath(folder), find_images(folder)
    paths = {image_name(path): os.path.join(folder, path) for path in reversed(files)}
    names = [f"{image.event}/{image.name}" for image in matches.images]
    if not any(name in paths for name in names):
        raise InputError(f"{folder}: has none of the {len(names):,} evaluated images; they look like {names[0]}, "
                         f"found {files[0]}")
    return paths


def add_crops(exhibits: Sequence[Exhibit], paths: dict[str, str], progress: Callable[[], object] | None = None) -> None:
    """Cut the crop of each exhibit out of its image. Every image is read once, and one at a time is in memory.

    Args:
        exhibits: get their window and jpeg here; a damaged image leaves jpeg None, with the reason in problem.
        paths: of image_paths.
        progress: called after each image.
    """
    for name in sorted({exhibit.image for exhibit in exhibits}):
        of_image = [exhibit for exhibit in exhibits if exhibit.image == name]
        try:
            image, size = read_within(paths[name], MAX_PIXELS)
            for exhibit in of_image:
                exhibit.window = inside(exhibit.window, size)
                exhibit.jpeg = encode(crop(image, exhibit.window, image.shape[1] / size[0]))
        except ImageError as error:
            for exhibit in of_image:
                exhibit.problem = str(error).rsplit(": ", 1)[-1]
        if progress:
            progress()


def images_of(exhibits: Sequence[Exhibit]) -> int:
    """Number of images that add_crops will read."""
    return len({exhibit.image for exhibit in exhibits})


def inside(window: tuple[float, float, float], size: tuple[int, int]) -> tuple[float, float, float]:
    """A window (x, y, side) in px, moved into an image of size (width, height), and shrunk where it is larger."""
    side = min(window[2], float(max(size)))
    x, y = (min(max(at, 0.0), length - side) if side <= length else (length - side) // 2
            for at, length in zip(window, size, strict=False))
    return x, y, side


def crop(image: np.ndarray, window: tuple[float, float, float], ratio: float = 1.0, size: int = SIZE) -> np.ndarray:
    """A window of an image, scaled; grey beyond the edges. The memory does not grow with the window.

    Args:
        image: (H, W, 3) uint8.
        window: (x, y, side) in px.
        ratio: px of `image` per px of the window.
        size: sides of the crop, px.

    Returns:
        (size, size, 3) uint8.
    """
    x, y, side = (value * ratio for value in window)
    out, scale = np.full((size, size, 3), GREY, np.uint8), size / side
    low = np.clip(np.floor([x, y]), 0, image.shape[1::-1]).astype(int)
    high = np.clip(np.ceil([x + side, y + side]), 0, image.shape[1::-1]).astype(int)
    if (high <= low).any():
        return out
    # What is inside is scaled to whole px of the crop: at most one px off the boxes that are drawn over it.
    start = np.clip(np.rint((low - (x, y)) * scale), 0, size - 1).astype(int)
    end = np.clip(np.rint((high - (x, y)) * scale), start + 1, size).astype(int)
    width, height = end - start
    pixels = cv2.resize(image[low[1]:high[1], low[0]:high[0]], (int(width), int(height)),
                        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    out[start[1]:end[1], start[0]:end[0]] = pixels
    return out


def encode(image: np.ndarray) -> bytes:
    """(H, W, 3) uint8 RGB as a JPEG."""
    return cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
