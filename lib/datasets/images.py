"""Reads image files as (H, W, 3) uint8 RGB. Errors are one line that names the file.

Grey, palette, CMYK, 16-bit and transparent images become 8-bit RGB (transparency is left out), rotated by their EXIF
orientation. The size in the header is checked before anything is decoded.
Several threads may call these functions: OpenCV decodes without the GIL.
"""

from __future__ import annotations

import io
import os
import re
from typing import BinaryIO

import cv2
import numpy as np

from ..errors import InputError
from .image_headers import Header, HeaderError, read_header
from .image_headers.jpeg_png import has_too_long_chunk, has_too_many_scans, is_cut_short
from .roidb import OTHER_EXTENSIONS

MAX_FILE_PIXELS = 178_956_970
"""Default limit of the pixels of an image file: 0.5 GB when decoded. It is Pillow's limit too."""
LIMIT_VARIABLE = "MANYFACES_MAX_FILE_PIXELS"

Source = str | os.PathLike | bytes | bytearray | memoryview
"""A path, or the bytes of an image file."""

_URL = re.compile(r"(?i)[a-z][a-z0-9+.-]+://|(?:https?|ftp|file|s3|gs):/|data:\w+/")  # pathlib makes one / of //
_FLAGS = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4,
          8: cv2.IMREAD_REDUCED_COLOR_8}


class ImageError(InputError):
    """A file that should be an image cannot be read as an image."""


def read_image(source: Source, reduce: int = 1, limit: int = 0) -> np.ndarray:
    """Decode an image, upright. Of an animation it decodes the first frame.

    Args:
        source: a path, or the bytes of a file.
        reduce: 1, 2, 4 or 8 divides each side, rounded up. A JPEG is reduced in the DCT, which saves most of the time.
        limit: px (width x height). A file with more is refused by its header, before it is decoded. 0: as in
            pixel_limit.

    Returns:
        (H, W, 3) uint8 RGB, C-contiguous.

    Raises:
        ImageError: when the file is absent, empty, cut short, too large or not an image.
    """
    if reduce not in _FLAGS:
        raise ValueError(f"reduce={reduce!r}: expected 1, 2, 4 or 8")
    data, where, header = _read(source, limit)
    # OpenCV turns an AVIF by its EXIF only, although its container (irot, imir) decides; and where the EXIF is damaged,
    # it may read another orientation than image_size does. Of a TIFF it turns the pixels in any case.
    own_turn = header.kind != "TIFF"
    own_reduction = header.kind == "TIFF" and header.orientation >= 5  # OpenCV does not turn what it reduces
    flags = _FLAGS[1 if own_reduction else reduce] | (cv2.IMREAD_IGNORE_ORIENTATION if own_turn else 0)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, MemoryError) as error:
        raise ImageError(f"{where}: cannot be decoded ({_reason(error)})") from None
    if image is None:
        raise ImageError(f"{where}: cannot be decoded, the file is damaged or a {header.kind} that OpenCV "
                         "does not read")
    if own_turn:
        image = _upright(image, header.orientation)
    if own_reduction and reduce > 1:
        image = cv2.resize(image, (-(-header.width // reduce), -(-header.height // reduce)),
                           interpolation=cv2.INTER_AREA)
    # OpenCV's reduced modes give BGR only.
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, image)


def image_size(source: Source) -> tuple[int, int]:
    """Find the (width, height) in px of the image that read_image returns, however large.

    Nothing is decoded: a few kB of the file are read.

    Raises:
        ImageError: as read_image does, but not for a file that is damaged or cut short after its header.
    """
    file, where = _opened(source)
    with file:
        header = _header(file, where)
    if header is None:  # a JPEG that is only its first bytes is cut short, others are damaged
        header = _read(source, 0)[2]
    return header.width, header.height


def pixel_limit(limit: int = 0) -> int:
    """The largest number of pixels that a file may have.

    Args:
        limit: this number, where it is not 0.

    Returns:
        `limit`, else the number in the environment variable MANYFACES_MAX_FILE_PIXELS, else MAX_FILE_PIXELS.

    Raises:
        InputError: the variable is not a number of more than 0.
    """
    if limit:
        return limit
    text = os.environ.get(LIMIT_VARIABLE, "").strip() or str(MAX_FILE_PIXELS)
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text)):
        raise InputError(f"{LIMIT_VARIABLE}: found {text[:40]!r}, expected a number of px such as {MAX_FILE_PIXELS}")
    return int(text)


def _read(source: Source, limit: int) -> tuple[bytes, str, Header]:
    """All bytes of an image that may be decoded, its name for messages, and its header."""
    file, where = _opened(source)
    with file:
        header = _header(file, where)
        if header is not None and header.pixels > pixel_limit(limit):
            raise ImageError(f"{where}: {header.width:,} x {header.height:,} px ({header.kind}), more than the limit "
                             f"of {pixel_limit(limit):,} px; if that is meant, raise TEST.MAX_FILE_PIXELS, limit= or "
                             f"the environment variable {LIMIT_VARIABLE}")
        try:
            file.seek(0)
            data = file.read()
        except (OSError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or "out of memory"
            raise ImageError(f"{where}: cannot be read ({reason})") from None
    if is_cut_short(data):
        raise ImageError(f"{where}: cut short after {len(data):,} bytes, its end is missing; copy it again")
    if header is None:
        raise ImageError(f"{where}: cannot be decoded, the file is damaged: its header gives no size")
    if has_too_long_chunk(data):
        raise ImageError(f"{where}: cannot be decoded, the file is damaged: a chunk is longer than the file")
    if header.kind == "JPEG" and has_too_many_scans(data):
        raise ImageError(f"{where}: cannot be decoded, a progressive JPEG with hundreds of scans")
    return data, where, header


def is_url(text: str) -> bool:
    """Whether a text is an address and no path."""
    return bool(_URL.match(text))


def _opened(source: Source) -> tuple[BinaryIO, str]:
    """A seekable file at its start, and its name for messages."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(source), f"image of {len(source)} bytes"
    path = os.fspath(source)
    text = path if isinstance(path, str) else os.fsdecode(path)
    if is_url(text):
        raise ImageError(f"{text[:100]}: is a URL, expected a path; download it, or give the bytes of its file")
    if not text:
        raise ImageError("'': cannot be the path of an image")
    try:
        file = open(source, "rb")
        if not file.seekable():  # a pipe
            with file:
                return io.BytesIO(file.read()), text
        return file, text
    except OSError as error:
        raise _unreadable(source, error) from None
    except ValueError:  # a NUL byte, or a character that no file name has
        raise ImageError(f"{text[:100]!r}: cannot be the path of an image") from None


def _header(file: BinaryIO, where: str) -> Header | None:
    """The header; None where it is damaged or cut short. ImageError where the file is of no known format."""
    try:
        start = file.read(64)
        if not start:
            raise ImageError(f"{where}: empty file, expected an image")
        file.seek(0)
        header = read_header(file)
    except HeaderError:
        return None
    except OSError as error:
        raise _unreadable(where, error) from None
    if header is not None and header.kind == "TIFF" and where.lower().endswith(OTHER_EXTENSIONS):
        raise ImageError(f"{where}: not read, it is a camera's raw file, of which OpenCV decodes only the preview; "
                         "convert it to JPEG or PNG")
    if header is None and not is_cut_short(start):
        raise ImageError(f"{where}: cannot be decoded, {_what_it_is(start)}")
    return header


def _upright(image, orientation):
    """The stored pixels turned and mirrored by an orientation of EXIF, 1..8."""
    if orientation >= 5:
        image = cv2.transpose(image)
    upside_down, mirrored = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    if upside_down or mirrored:
        image = cv2.flip(image, -1 if upside_down and mirrored else 0 if upside_down else 1)
    return image


def _reason(error):
    if "MAX_IMAGE" in str(error):
        return "more than OpenCV's own limit; set OPENCV_IO_MAX_IMAGE_PIXELS before Python starts"
    return " ".join(str(getattr(error, "err", None) or "out of memory").split())


def _unreadable(path, error):
    reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
    return ImageError(f"{os.fspath(path)}: {reason}")


def _what_it_is(start):
    """Describe for a message what the first bytes of a file of no known format look like."""
    if re.match(b"(?s)....ftyp(?:hei|hev|mif1|msf1)", start):
        return "it is HEIC, which OpenCV does not read; convert it to JPEG or PNG"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start):
        text = start[:24].decode("ascii").split("\n")[0].strip()
        return f"it holds text ({text!r}...), not an image"
    return f"it is damaged or not an image format that OpenCV knows (it starts with {start[:4].hex(' ')})"
