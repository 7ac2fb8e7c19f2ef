"""Folders: the one walk through their files, lists of images, images read ahead in threads and at reduced size."""

import contextlib
import itertools
import os
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from ..errors import InputError, printable
from .images import ImageError, Source, image_size, read_image
from .roidb import IMAGE_EXTENSIONS, OTHER_EXTENSIONS, image_name, leaves_folder, slashed
from .text import read_list

LARGE = 64_000_000  # larger images (px) are decoded one at a time: a PNG of 20,000 x 20,000 px takes 1.2 GB
_one_large = threading.Lock()
Item = TypeVar("Item")
Result = TypeVar("Result")


def walk(folder: str | os.PathLike) -> Iterator[tuple[str, list[str]]]:
    """Go through a folder and all folders below it, in the order of their names.

    Links to folders are followed. A link that leads back to a folder it is in is not, and below a link no folder is
    entered twice, so the walk ends. Hidden files and folders are left out, such as the ._x.jpg that some systems put
    beside x.jpg. A folder that cannot be read gives a warning on stderr.

    Yields:
        (path of a folder below `folder` with "/", "" for itself; sorted names of its files).
    """
    top = os.fspath(folder)
    # Per folder: its path; its path below `top`; real paths of it and of those it is in; real paths entered below the
    # link that led here, None where none did.
    waiting: list[tuple[str, str, tuple[str, ...], set[str] | None]] = [(top, "", (os.path.realpath(top),), None)]
    while waiting:
        at, below, inside, seen = waiting.pop()
        try:
            with os.scandir(at) as found:
                entries = sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda e: e.name)
        except OSError as error:
            print(f"warning: {printable(at)}: cannot be read ({error.strerror}); left out", file=sys.stderr, flush=True)
            continue
        yield below, [entry.name for entry in entries if _is(entry, "file")]
        for entry in reversed(entries):
            if not _is(entry, "folder"):
                continue
            linked = entry.is_symlink()
            real = os.path.realpath(entry.path) if linked or seen is not None else os.path.join(inside[-1], entry.name)
            if real in inside or seen is not None and real in seen:
                continue
            entered = {real} if linked and seen is None else seen
            if entered is not None:
                entered.add(real)
            waiting.append((entry.path, f"{below}/{entry.name}".lstrip("/"), (*inside, real), entered))


def _is(entry: os.DirEntry[str], kind: str) -> bool:
    """Whether an entry is a "folder", or a "file": also a link to nothing, which reading it reports.

    A pipe is neither: opening it would wait for a writer.
    """
    try:
        if kind == "folder":
            return entry.is_dir()
        return entry.is_file() or entry.is_symlink() and not os.path.exists(entry.path)
    except OSError:  # a link to itself
        return kind == "file"


def files_below(folder: str | os.PathLike, extensions: tuple[str, ...]) -> list[str]:
    """Find the files below `folder` that end in one of these lower-case extensions, as `walk` does.

    Returns:
        Sorted paths below the folder, with "/".
    """
    return sorted(f"{below}/{name}" if below else name for below, names in walk(folder) for name in names
                  if name.lower().endswith(extensions))


def find_images(folder: str | os.PathLike, others: bool = False) -> list[str]:
    """Find the images below `folder`, as `walk` does.

    Args:
        folder: the folder.
        others: also pictures of the kinds that OpenCV does not read, such as HEIC: reading them says what they are.

    Returns:
        Sorted paths below the folder, with "/".

    Raises:
        InputError: when there is no such folder, or no image in it.
    """
    folder = os.fspath(folder)
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder of images")
    images = files_below(folder, IMAGE_EXTENSIONS + (OTHER_EXTENSIONS if others else ()))
    if not images:
        raise InputError(f"{folder}: holds no image ({', '.join(IMAGE_EXTENSIONS)})")
    return images


def listed_images(list_file: str | os.PathLike, images: Sequence[str]) -> list[str]:
    """Find the images that a text file lists.

    Args:
        list_file: one image per line, with or without extension.
        images: paths to choose from, as find_images returns them.

    Returns:
        Paths in the order of the list. A name that is not in `images` gets .jpg, so that reading it reports it as
        missing.

    Raises:
        InputError: when the list is empty, none of its names is in `images`, one leaves the folder, or one is without
            extension and belongs to several images.
    """
    known = {image: image for image in images} | {image_name(image): image for image in reversed(images)}
    several = Counter(map(image_name, images))
    names = list(dict.fromkeys(map(slashed, read_list(list_file))))
    twice = [name for name in names if several[name] > 1]
    if twice:
        both = " and ".join(image for image in images if image_name(image) == twice[0])
        raise InputError(f"{list_file}: {twice[0]!r} could be {both}; write it with its extension")
    outside = [name for name in names if leaves_folder(name)]
    if outside:
        raise InputError(f"{list_file}: {outside[0]!r} leaves the folder of the images; expected a path below it")
    if not any(name in known for name in names):
        raise InputError(f"{list_file}: none of its {len(names)} names is one of the images; the first name is "
                         f"{names[0] if names else 'none'!r}, expected one like {images[0]!r}")
    return [known.get(name, name if name.lower().endswith(IMAGE_EXTENSIONS + OTHER_EXTENSIONS) else name + ".jpg")
            for name in names]


def read_within(path: Source, max_pixels: int, limit: int = 0) -> tuple[np.ndarray, tuple[int, int]]:
    """Decode an image at full size, or at a half, quarter or eighth of its sides.

    A JPEG needs only the memory of the reduced image. Other formats are decoded at full size first, large ones one at
    a time.

    Args:
        path: the image file, or its bytes.
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

    for number, result in enumerate(in_order(paths, read, workers, ahead)):
        yield number, *result


def in_order(items: Iterable[Item], function: Callable[[Item], Result], workers: int = 2,
             ahead: int = 4) -> Iterator[Result]:
    """Call a function on items in threads while the caller works on earlier results.

    Args:
        items: what it is called on; they are taken in the caller's thread.
        function: its results come in the order of the items.
        workers: number of threads.
        ahead: number of results that may wait for the caller.
    """
    pool, waiting = ThreadPoolExecutor(workers, thread_name_prefix="reader"), deque()
    try:
        coming = iter(items)
        while True:
            for item in itertools.islice(coming, ahead + 1 - len(waiting)):
                waiting.append(pool.submit(function, item))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
