"""Headers of the formats whose size has a fixed place, or is written as text, and of TIFF and WebP.

Sources: WebP: RFC 9649. GIF: GIF89a, section 18. BMP: BITMAPCOREHEADER and BITMAPINFOHEADER of the Windows SDK. TIFF:
TIFF 6.0, sections 2 and 15, and BigTIFF. PNM, PAM and PFM: netpbm's manual. Sun raster: rasterfile(5). Radiance HDR:
Ward, The RADIANCE Picture File Format.
"""

from __future__ import annotations

import re
import struct
from typing import BinaryIO

from .common import Stored, exif_orientation

_TEXT = 1 << 16  # bytes within which a header that is text must end
_MOST_CHUNKS = 10_000
_MOST_TAGS = 4096
_EXIF = 1 << 20
_WIDTH, _HEIGHT, _ORIENTATION, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 274, 322, 323
_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # types of TIFF that a size can have


def webp(file: BinaryIO) -> Stored:
    """Header of a WebP: the canvas of the extended form, else the frame of VP8 or VP8L."""
    file.seek(12)
    kind, = struct.unpack("<4s4x", file.read(8))
    start = file.read(10)
    if kind == b"VP8 ":
        if start[3:6] != b"\x9d\x01\x2a":
            raise ValueError("no start code")
        width, height = struct.unpack_from("<HH", start, 6)
        return Stored(width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        bits, = struct.unpack_from("<I", start, 1)
        return Stored((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind != b"VP8X" or len(start) < 10:
        raise ValueError(f"its first chunk is {kind!r}")
    size = int.from_bytes(start[4:7], "little") + 1, int.from_bytes(start[7:10], "little") + 1
    return Stored(*size, _exif_of_webp(file) if start[0] & 8 else 1)


def _exif_of_webp(file):
    at = 12
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            break
        kind, length = struct.unpack("<4sI", head)
        if kind == b"EXIF":
            return exif_orientation(file.read(min(length, _EXIF)).removeprefix(b"Exif\0\0"))
        at += 8 + length + length % 2
    return 1


def gif(file: BinaryIO) -> Stored:
    """Header of a GIF: its logical screen."""
    return Stored(*struct.unpack("<6xHH", file.read(10)))


def bmp(file: BinaryIO) -> Stored:
    """Header of a BMP. A negative height: rows from top to bottom."""
    length, = struct.unpack("<14xI", file.read(18))
    width, height = struct.unpack("<HH", file.read(4)) if length == 12 else struct.unpack("<ii", file.read(8))
    return Stored(width, abs(height))


def tiff(file: BinaryIO) -> Stored:
    """Header of a TIFF or BigTIFF: the first image. A tile may be larger than the image."""
    start = file.read(16)
    order = "<" if start[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", start, 2)[0] == 43
    at, = struct.unpack_from(order + ("Q" if big else "I"), start, 8 if big else 4)
    file.seek(at)
    count, = struct.unpack(order + ("Q" if big else "H"), file.read(8 if big else 2))
    step = 20 if big else 12
    if count > _MOST_TAGS:
        raise ValueError(f"{count} tags")
    entries, tags = file.read(count * step), {}
    for entry in range(0, len(entries) - step + 1, step):
        tag, kind = struct.unpack_from(order + "HH", entries, entry)
        if kind in _INTEGERS and tag not in tags:
            tags[tag], = struct.unpack_from(order + _INTEGERS[kind], entries, entry + (12 if big else 8))
    orientation = tags.get(_ORIENTATION, 1)
    return Stored(tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0), orientation if 1 <= orientation <= 8 else 1,
                  tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_HEIGHT, 0))


def pnm(file: BinaryIO) -> Stored:
    """Header of PBM, PGM, PPM and PFM: words, with comments from # to the end of a line."""
    words = re.match(rb"P\w(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s", file.read(_TEXT))
    if not words:
        raise ValueError("expected width and height")
    return Stored(int(words[1]), int(words[2]))


def pam(file: BinaryIO) -> Stored:
    """Header of a PAM: lines with a word and its value, up to ENDHDR."""
    lines = file.read(_TEXT).split(b"ENDHDR", 1)[0]
    found = dict(re.findall(rb"^(WIDTH|HEIGHT)[ \t]+(\d{1,9})\s*$", lines, re.MULTILINE))
    return Stored(int(found.get(b"WIDTH", 0)), int(found.get(b"HEIGHT", 0)))


def sun_raster(file: BinaryIO) -> Stored:
    """Header of a Sun raster."""
    return Stored(*struct.unpack(">4xII", file.read(12)))


def radiance(file: BinaryIO) -> Stored:
    """Header of a Radiance HDR: the first line after an empty one."""
    found = re.search(rb"\n[ \t\r]*\n[-+]Y\s+(\d{1,9})\s+[-+]X\s+(\d{1,9})\s", file.read(_TEXT))
    if not found:
        raise ValueError("expected `-Y height +X width`")
    return Stored(int(found[2]), int(found[1]))
