"""Crops of images for the galleries of the report: where they are, cut, scaled, as JPEG."""

import os

import cv2
import numpy as np

from ....datasets.folders import find_images, read_within
from ....datasets.images import ImageError
from ....datasets.roidb import image_name
from ....errors import InputError

SIZE = 160  # px, the sides of a crop
QUALITY = 80
GREY = 128  # beyond the image's edge
# An image of more pixels is decoded at a half or less; so one image takes some 200 MB at the most.
MAX_PIXELS = 64_000_000


def image_paths(folder, matches):
    """The image files below a folder, dict event/name -> path. Raises InputError when it has none of those matched."""
    folder, found = os.fspath(folder), find_images(folder)
    paths = {image_name(path): os.path.join(folder, path) for path in reversed(found)}
    names = [f"{image.event}/{image.name}" for image in matches.images]
    if not any(name in paths for name in names):
        raise InputError(f"{folder}: none of the {len(names):,} images that were looked at is here; they look like "
                         f"{names[0]}, here is {found[0]}")
    return paths


def add_crops(exhibits, paths, progress=None):
    """Cut the crop of each exhibit out of its image; every image is read once and only one is held.

    paths: of image_paths. A damaged image leaves jpeg None and says so in problem. progress: called with no argument
    after each image.
    """
    for name in sorted({exhibit.image for exhibit in exhibits}):
        part = [exhibit for exhibit in exhibits if exhibit.image == name]
        try:
            image, size = read_within(paths[name], MAX_PIXELS)
            for exhibit in part:
                exhibit.window = inside(exhibit.window, size)
                exhibit.jpeg = encode(crop(image, exhibit.window, image.shape[1] / size[0]))
        except ImageError as error:
            for exhibit in part:
                exhibit.problem = str(error).rsplit(": ", 1)[-1]
        if progress:
            progress()


def images_of(exhibits):
    """How many images add_crops will read."""
    return len({exhibit.image for exhibit in exhibits})


def inside(window, size):
    """A window (x, y, side) moved into an image of size (width, height), and made smaller where it is larger."""
    side = min(window[2], float(max(size)))
    start = (min(max(at, 0.0), length - side) if side <= length else (length - side) // 2
             for at, length in zip(window, size, strict=False))
    return *start, side


def crop(image, window, ratio=1.0, size=SIZE):
    """The window (x, y, side) of an image (H, W, 3) uint8 as (size, size, 3) uint8; grey beyond the edges.

    ratio: px of `image` a px of the window. The memory taken does not grow with the window.
    """
    x, y, side = (value * ratio for value in window)
    out, scale = np.full((size, size, 3), GREY, np.uint8), size / side
    low = np.clip(np.floor([x, y]), 0, image.shape[1::-1]).astype(int)
    high = np.clip(np.ceil([x + side, y + side]), 0, image.shape[1::-1]).astype(int)
    if (high <= low).any():
        return out
    # The part inside is scaled to whole px of the crop: at most one px off the boxes that are drawn over it.
    start = np.clip(np.rint((low - (x, y)) * scale), 0, size - 1).astype(int)
    end = np.clip(np.rint((high - (x, y)) * scale), start + 1, size).astype(int)
    width, height = end - start
    part = cv2.resize(image[low[1]:high[1], low[0]:high[0]], (int(width), int(height)),
                      interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    out[start[1]:end[1], start[0]:end[0]] = part
    return out


def encode(image):
    """(H, W, 3) uint8 RGB as the bytes of a JPEG."""
    return cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
