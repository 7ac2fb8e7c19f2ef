"""Folders of images: which there are, reading them ahead in threads, and images too large to be read whole."""

import contextlib
import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from ..errors import InputError
from .images import ImageError, image_size, read_image
from .roidb import IMAGE_EXTENSIONS, image_name
from .text import read_list

LARGE = 64_000_000  # pixels from which images are decoded one at a time: a PNG of 20,000 x 20,000 takes 1.2 GB
_one_large = threading.Lock()


def find_images(folder):
    """The images below `folder`, sorted, as paths below it with "/". InputError when there is none.

    Hidden files and folders are left out, such as the ._x.jpg that some systems put beside x.jpg.
    """
    folder = os.fspath(folder)
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder of images")
    found, seen = [], {os.path.realpath(folder)}
    for at, folders, files in os.walk(folder, followlinks=True):
        reached = {name: os.path.realpath(os.path.join(at, name)) for name in folders if not name.startswith(".")}
        folders[:] = [name for name, real in reached.items() if real not in seen]  # a link may lead back
        seen.update(reached.values())
        below = os.path.relpath(at, folder).replace(os.sep, "/")
        found += [name if below == "." else f"{below}/{name}" for name in files
                  if name.lower().endswith(IMAGE_EXTENSIONS) and not name.startswith(".")]
    if not found:
        raise InputError(f"{folder}: holds no image ({', '.join(IMAGE_EXTENSIONS)})")
    return sorted(found)


def listed_images(list_file, images):
    """Those of `images` that a text file lists, one a line with or without extension, in the order of the list.

    A name that is not among the images is kept with .jpg, so that reading it says that it is missing.
    Raises InputError when the list is empty or none of its names is known.
    """
    known = {image: image for image in images} | {image_name(image): image for image in reversed(images)}
    names = list(dict.fromkeys(name.replace("\\", "/").removeprefix("./") for name in read_list(list_file)))
    outside = [name for name in names if os.path.isabs(name) or ".." in name.split("/")]
    if outside:
        raise InputError(f"{list_file}: {outside[0]!r} leaves the folder of the images; expected a path below it")
    if not any(name in known for name in names):
        raise InputError(f"{list_file}: none of its {len(names)} names is among the images; they look like "
                         f"{names[0] if names else 'none'!r}, expected such as {images[0]!r}")
    return [known.get(name, name if name.lower().endswith(IMAGE_EXTENSIONS) else name + ".jpg") for name in names]


def read_within(path, max_pixels):
    """An image decoded at full size or at a half, quarter or eighth, whichever is the smallest of max_pixels or more.

    Returns the image (H, W, 3) uint8 RGB and the (width, height) px it would have at full size. max_pixels 0: always
    at full size. A JPEG never takes the memory that this saves; other formats are decoded whole first, large ones one
    at a time. Raises ImageError as read_image does.
    """
    width, height = image_size(path)
    pixels, reduce = width * height, 1
    while max_pixels and reduce < 8 and pixels >= max_pixels * (2 * reduce) ** 2:
        reduce *= 2
    with _one_large if pixels > LARGE else contextlib.nullcontext():
        image = read_image(path, reduce)
    return image, ((width, height) if reduce > 1 else (image.shape[1], image.shape[0]))


def read_ahead(paths, max_pixels, workers=2, ahead=4):
    """Yield (number, image, size) as read_within gives them, in order, read by threads while the caller works.

    For an image that cannot be read, image is the ImageError. At most `ahead` images wait.
    """
    def read(path):
        try:
            return read_within(path, max_pixels)
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
