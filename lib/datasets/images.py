"""Reads image files as (H, W, 3) uint8 RGB. Errors are one line that names the file.

Grey, palette, CMYK, 16-bit and transparent images become 8-bit RGB (transparency is left out), rotated by their EXIF
orientation. Several threads may call these functions: OpenCV decodes without the GIL.
"""

import os

import cv2
import numpy as np

from ..errors import InputError
from .image_headers import header_size, is_cut_short

_FLAGS = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4,
          8: cv2.IMREAD_REDUCED_COLOR_8}


class ImageError(InputError):
    """A file that should be an image cannot be read as an image."""


def read_image(source: str | os.PathLike | bytes | bytearray | memoryview, reduce: int = 1) -> np.ndarray:
    """Decode an image and apply its EXIF orientation.

    Args:
        source: a path, or the bytes of a file.
        reduce: 1, 2, 4 or 8 divides each side, rounded up. A JPEG is reduced in the DCT, which saves most of the time.

    Returns:
        (H, W, 3) uint8 RGB, C-contiguous.

    Raises:
        ImageError: when the file is absent, empty, cut short or not an image.
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
    # OpenCV's reduced modes give BGR only.
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, image)


def image_size(source: str | os.PathLike | bytes | bytearray | memoryview) -> tuple[int, int]:
    """Find the (width, height) in px of the image that read_image returns.

    JPEG and PNG files are not decoded, only their header is read.

    Raises:
        ImageError: as read_image does, but not for a JPEG or PNG that is cut short after its header.
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
    """Describe for a message what the bytes look like."""
    start = data[:64]
    if data[:2] == b"\xff\xd8" or data[:8] == b"\x89PNG\r\n\x1a\n":
        return "the file is damaged"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start):
        text = start[:24].decode("ascii").split("\n")[0].strip()
        return f"it holds text ({text!r}...), not an image"
    return f"it is damaged or not an image format that OpenCV knows (it starts with {start[:4].hex(' ')})"
