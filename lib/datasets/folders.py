"""Folders of images: lists them, reads them ahead in threads, and reads large images at reduced size."""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..errors import InputError
from .images import ImageError, image_size, read_image
from .roidb import IMAGE_EXTENSIONS, image_name, leaves_folder, slashed
from .text import read_list

LARGE = 64_000_000  # larger images (px) are decoded one at a time: a PNG of 20,000 x 20,000 px takes 1.2 GB
_one_large = threading.Lock()


def find_images(folder: str | os.PathLike) -> list[str]:
    """Find the images below `folder`.

    Hidden files and folders are left out, such as the ._x.jpg that some systems put beside x.jpg.

    Returns:
        Sorted paths below the folder, with "/".

    Raises:
        InputError: when there is no such folder, or no image in it.
    """
    folder = os.fspath(folder)
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder of images")
    images, seen = [], {os.path.realpath(folder)}
    for at, folders, files in os.walk(folder, followlinks=True):
        reached = {name: os.path.realpath(os.path.join(at, name)) for name in folders if not name.startswith(".")}
        folders[:] = [name for name, real in reached.items() if real not in seen]  # a link may lead back
        seen.update(reached.values())
        below = os.path.relpath(at, folder).replace(os.sep, "/")
        images += [name if below == "." else f"{below}/{name}" for name in files
                   if name.lower().endswith(IMAGE_EXTENSIONS) and not name.startswith(".")]
    if not images:
        raise InputError(f"{folder}: holds no image ({', '.join(IMAGE_EXTENSIONS)})")
    return sorted(images)


def listed_images(list_file: str | os.PathLike, images: Sequence[str]) -> list[str]:
    """Find the images that a text file lists.

    Args:
        list_file: one image per line, with or without extension.
        images: paths to choose from, as find_images returns them.

    Returns:
        Paths in the order of the list. A name that is not in `images` gets .jpg, so that reading it reports it as
        missing.

    Raises:
        InputError: when the list is empty, none of its names is in `images`, or one leaves the folder.
    """
    known = {image: image for image in images} | {image_name(image): image for image in reversed(images)}
    names = list(dict.fromkeys(map(slashed, read_list(list_file))))
    outside = [name for name in names if leaves_folder(name)]
    if outside:
        raise InputError(f"{list_file}: {outside[0]!r} leaves the folder of the images; expected a path below it")
    if not any(name in known for name in names):
        raise InputError(f"{list_file}: none of its {len(names)} names is one of the images; the first name is "
                         f"{names[0] if names else 'none'!r}, expected one like {images[0]!r}")
    return [known.get(name, name if name.lower().endswith(IMAGE_EXTENSIONS) else name + ".jpg") for name in names]


def read_within(path: str | os.PathLike, max_pixels: int, limit: int = 0) -> tuple[np.ndarray, tuple[int, int]]:
    """Decode an image at full size, or at a half, quarter or eighth of its sides.

    A JPEG needs only the memory of the reduced image. Other formats are decoded at full size first, large ones one at
    a time.

    Args:
        path: the image file.
        max_pixels: the smallest of these sizes that still has `max_pixels` px or more is used. 0: full size.
        limit: px of a file, as in read_image.

    Returns:
        The image, (H, W, 3) uint8 RGB, and its (width, height) in px at full size.

    Raises:
        ImageError: as read_image does.
    """
    width, height = image_size(path)
    pixels, reduce = width * height, 1
    while max_pixels and reduce < 8 and pixels >= max_pixels * (2 * reduce) ** 2:
        reduce *= 2
    with _one_large if pixels > LARGE else contextlib.nullcontext():
        image = read_image(path, reduce, limit)
    return image, ((width, height) if reduce > 1 else (image.shape[1], image.shape[0]))


def read_ahead(paths: Sequence[str | os.PathLike], max_pixels: int, workers: int = 2, ahead: int = 4,
               limit: int = 0) -> Iterator[tuple[int, np.ndarray | ImageError, tuple[int, int] | None]]:
    """Read images in threads while the caller works on earlier ones.

    Args:
        paths: image files.
        max_pixels: as in read_within.
        workers: number of threads.
        ahead: number of images that may wait for the caller.
        limit: px of a file, as in read_image.

    Yields:
        (number, image, size) in the order of `paths`, image and size as read_within returns them. For an image that
        cannot be read, image is the ImageError and size is None.
    """
    def read(path):
        try:
            return read_within(path, max_pixels, limit)
        except ImageError as error:
            return error, None

    pool, waiting = ThreadPoolExecutor(workers, thread_name_prefix="reader"), deque()
    try:
        coming = iter(paths)
        for number in range(len(paths)):
            while len(waiting) < ahead + 1 and (path := next(coming, None)) is not None:
                waiting.append(pool.submit(read, path))
            yield number, *waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
