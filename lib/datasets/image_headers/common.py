"""What the parsers of all formats give, and the orientation in EXIF. Source: Exif 2.3, tag 0x0112; TIFF 6.0."""

from __future__ import annotations

import struct
from typing import NamedTuple

_ORIENTATION = 0x0112


class Stored(NamedTuple):
    """An image as its file stores it.

    Attributes:
        width: px, before turning.
        height: px, before turning.
        orientation: 1..8 as in EXIF: how the pixels are turned.
        pixels: pixels that a decoder needs memory for, where these are more than width x height.
    """

    width: int
    height: int
    orientation: int = 1
    pixels: int = 0


def exif_orientation(exif: bytes) -> int:
    """The orientation, 1..8, in a TIFF structure; 1 when it is absent or invalid."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return 1
    start, = struct.unpack_from(order + "I", exif, 4)
    if start + 2 > len(exif):
        return 1
    entries, = struct.unpack_from(order + "H", exif, start)
    for entry in range(entries):
        at = start + 2 + 12 * entry
        if at + 10 > len(exif):
            break
        tag, kind = struct.unpack_from(order + "HH", exif, at)
        if tag == _ORIENTATION and kind == 3:
            value, = struct.unpack_from(order + "H", exif, at + 8)
            return value if 1 <= value <= 8 else 1
    return 1
