"""Reads kind, size and orientation of an image file from its header, without decoding.

A few kB of the file are read at most. FORMATS lists all formats that OpenCV reads here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from .box_files import avif, jpeg_2000
from .common import Stored
from .jpeg_png import jpeg, png
from .plain import bmp, gif, pam, pnm, radiance, sun_raster, tiff, webp

FORMATS: tuple[tuple[str, bytes, Callable[[BinaryIO], Stored]], ...] = (
    ("JPEG", rb"\xff\xd8", jpeg),
    ("PNG", rb"\x89PNG\r\n\x1a\n", png),
    ("WebP", rb"RIFF....WEBP", webp),
    ("GIF", rb"GIF8[79]a", gif),
    ("BMP", rb"BM", bmp),
    ("TIFF", rb"II[*+]\0|MM\0[*+]", tiff),
    ("AVIF", rb"....ftyp.*avi[fs]", avif),
    ("JPEG 2000", rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", jpeg_2000),
    ("PNM", rb"P[1-6][\s#]", pnm),
    ("PFM", rb"P[Ff][\s#]", pnm),
    ("PAM", rb"P7\n", pam),
    ("Sun raster", rb"\x59\xa6\x6a\x95", sun_raster),
    ("Radiance HDR", rb"#\?R(?:ADIANC|GB)E", radiance),
)
"""Name, pattern of the first bytes, and parser of every format."""


class HeaderError(ValueError):
    """The header of an image is damaged or cut short."""


class Header(NamedTuple):
    """What the header of an image says.

    Attributes:
        kind: name of the format.
        width: px of the image as it is seen.
        height: px of the image as it is seen.
        orientation: 1..8 as in EXIF: how the stored pixels are turned.
        pixels: pixels that a decoder needs memory for: width x height, or those of a larger tile.
    """

    kind: str
    width: int
    height: int
    orientation: int
    pixels: int


def read_header(file: BinaryIO) -> Header | None:
    """Read the header of an image.

    Args:
        file: positioned at the start of the image, and seekable.

    Returns:
        The header; None where the first bytes are of no format in FORMATS.

    Raises:
        HeaderError: the file is of one of these formats, but its header is damaged or cut short.
    """
    start = file.read(64)
    found = next((row for row in FORMATS if re.match(row[1], start, re.DOTALL)), None)
    if found is None:
        return None
    kind, _, parse = found
    file.seek(0)
    try:
        stored = parse(file)
    except (struct.error, LookupError, ValueError, OverflowError) as error:
        raise HeaderError(f"{kind} with a damaged header: {error}") from None
    width, height = stored.width, stored.height
    if width < 1 or height < 1:
        raise HeaderError(f"{kind} with a damaged header: {width} x {height} px")
    pixels = max(width * height, stored.pixels)
    return Header(kind, *((height, width) if stored.orientation >= 5 else (width, height)), stored.orientation, pixels)
