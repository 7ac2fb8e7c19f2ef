"""Image files in, (H, W, 3) uint8 RGB out; whatever is wrong with a file becomes one line that names it.

Grey, palette, CMYK, 16-bit and transparent images come out as 8-bit RGB (transparency is left out), turned as their
EXIF orientation says. Both functions may be called from several threads: OpenCV decodes without the GIL.
"""

import os

import cv2
import numpy as np

from ..errors import InputError
from .image_headers import header_size, is_cut_short

_FLAGS = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4,
          8: cv2.IMREAD_REDUCED_COLOR_8}


class ImageError(InputError):
    """A file that should be an image cannot be read as one."""


def read_image(source, reduce=1):
    """Decode an image: (H, W, 3) uint8 RGB, C-contiguous, EXIF orientation applied.

    source: a path, or the bytes of a file. reduce: 1, 2, 4 or 8 divides each side, rounded up; for JPEG this happens in
    the DCT and saves most of the time.
    Raises ImageError for a file that is absent, empty, cut short or no image.
    """
    if reduce not in _FLAGS:
        raise ValueError(f"reduce={reduce!r}: expected 1, 2, 4 or 8")
    data, where = _bytes(source)
    if not data:
        raise ImageError(f"{where}: empty file, expected an image")
    if is_cut_short(data):
        raise ImageError(f"{where}: cut short after {len(data):,} bytes, its end is missing; copy it again")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), _FLAGS[reduce])
    except (cv2.error, MemoryError) as error:
        reason = getattr(error, "err", None) or "out of memory"
        raise ImageError(f"{where}: cannot be decoded ({' '.join(str(reason).split())})") from None
    if image is None:
        raise ImageError(f"{where}: cannot be decoded, {_what_it_is(data)}")
    # BGR in OpenCV; the reduced modes do not know RGB.
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, image)


def image_size(source):
    """(width, height) in pixels as read_image would give them: JPEG and PNG from the header, the rest by decoding.

    Raises ImageError as read_image does, but does not notice a JPEG or PNG that is cut short behind its header.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        image = read_image(source)
        return image.shape[1], image.shape[0]
    try:
        with open(source, "rb") as file:
            size = header_size(file)
    except OSError as error:
        raise _unreadable(source, error) from None
    if size is None or not all(size):
        image = read_image(source)
        size = image.shape[1], image.shape[0]
    return size


def _bytes(source):
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), f"image of {len(source)} bytes"
    try:
        with open(source, "rb") as file:
            return file.read(), os.fspath(source)
    except OSError as error:
        raise _unreadable(source, error) from None


def _unreadable(path, error):
    reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
    return ImageError(f"{os.fspath(path)}: {reason}")


def _what_it_is(data):
    """Words for what the bytes look like, where that tells the user more than "no image"."""
    start = data[:64]
    if data[:2] == b"\xff\xd8" or data[:8] == b"\x89PNG\r\n\x1a\n":
        return "the file is damaged"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start):
        text = start[:24].decode("ascii").split("\n")[0].strip()
        return f"it holds text ({text!r}...), not an image"
    return f"it is no image format that OpenCV knows or it is damaged (it starts with {start[:4].hex(' ')})"
