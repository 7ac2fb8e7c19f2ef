"""Headers of the formats that are made of ISO boxes: AVIF and JPEG 2000.

Sources: AVIF: ISO/IEC 14496-12 (boxes), ISO/IEC 23008-12 (meta, ispe, irot, imir); of several, irot turns first.
JPEG 2000: ITU T.800, A.5.1 (SIZ) and annex I (boxes).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from .common import Stored, exif_orientation

_MOST_BOXES = 4096
_META = 1 << 20  # bytes of a meta or moov box that are read: more than any still image has
_EXIF = 1 << 16
# Orientation of EXIF for (quarter turns against the clock, axis of mirroring: 0 top and bottom, 1 left and right).
_TURNS = {(0, None): 1, (0, 1): 2, (2, None): 3, (0, 0): 4, (1, 0): 5, (3, None): 6, (3, 0): 7, (1, None): 8,
          (2, 0): 2, (2, 1): 4, (3, 1): 5, (1, 1): 7}


def avif(file: BinaryIO) -> Stored:
    """Header of an AVIF: size and turn of its primary image; of a sequence without one, those of its first track."""
    for kind, length in _top_boxes(file):
        if kind == b"meta":
            start = file.tell()
            return _primary(file.read(min(length, _META))[4:], file, start)
        if kind == b"moov":
            for track in (data for name, data in _boxes(file.read(min(length, _META))) if name == b"trak"):
                header = dict(_boxes(track)).get(b"tkhd")
                if header is not None and len(header) >= 84:
                    width, height = struct.unpack(">II", header[-8:])
                    return Stored(width >> 16, height >> 16)
    raise ValueError("neither an image nor a track")


def _primary(meta, file, start):
    """Size and turn of the primary item. Without irot and imir the EXIF decides, as for other formats."""
    parts = dict(_boxes(meta))
    wide = parts[b"pitm"][0] > 0
    item, = struct.unpack_from(">I" if wide else ">H", parts[b"pitm"], 4)
    properties = dict(_boxes(parts[b"iprp"]))
    known = list(_boxes(properties[b"ipco"]))
    mine = [known[index - 1] for index in _associations(properties[b"ipma"]).get(item, ()) if 0 < index <= len(known)]
    found = {kind: data for kind, data in mine}
    width, height = struct.unpack_from(">II", found[b"ispe"], 4)
    turn = found[b"irot"][0] & 3 if found.get(b"irot") else 0
    axis = found[b"imir"][0] & 1 if found.get(b"imir") else None
    if b"irot" in found or b"imir" in found:
        return Stored(width, height, _TURNS[turn, axis])
    return Stored(width, height, _exif_item(parts, file))


def _associations(data):
    """Numbers of the properties, counted from 1, of each item."""
    version, flags = data[0], data[3]
    count, = struct.unpack_from(">I", data, 4)
    at, found = 8, {}
    for _ in range(min(count, _MOST_BOXES)):
        item, number = struct.unpack_from(">IB" if version else ">HB", data, at)
        at += 5 if version else 3
        numbers = struct.unpack_from(f">{number}{'H' if flags & 1 else 'B'}", data, at)
        at += number * (2 if flags & 1 else 1)
        found[item] = [n & (0x7FFF if flags & 1 else 0x7F) for n in numbers]  # the first bit: it is essential
    return found


def _exif_item(parts, file):
    """Orientation in the item Exif; 1 where there is none, or it is not simply a range of the file."""
    try:
        data = parts[b"iinf"]
        entries = [entry for kind, entry in _boxes(data[8 if data[0] else 6:]) if kind == b"infe"]
        items = [struct.unpack_from(">H" if entry[0] == 2 else ">I", entry, 4)[0] for entry in entries
                 if entry[0] >= 2 and entry[8 if entry[0] == 2 else 10 :][:4] == b"Exif"]
        offset, length = _places(parts[b"iloc"])[items[0]]
    except (KeyError, IndexError, struct.error):
        return 1
    file.seek(offset)
    payload = file.read(min(length, _EXIF))
    skip = int.from_bytes(payload[:4], "big")
    return exif_orientation(payload[4 + skip :]) if skip < len(payload) else 1


def _places(data):
    """(offset, length) of the first range of each item."""
    version = data[0]
    sizes = data[4] >> 4, data[4] & 15, data[5] >> 4, data[5] & 15  # bytes of offset, length, base and index
    index = sizes[3] if version else 0
    count, = struct.unpack_from(">I" if version == 2 else ">H", data, 6)
    at, found = 10 if version == 2 else 8, {}

    def number(size):
        nonlocal at
        if at + size > len(data):
            raise IndexError("iloc is cut short")
        value, at = int.from_bytes(data[at : at + size], "big"), at + size
        return value

    for _ in range(min(count, _MOST_BOXES)):
        item = number(4 if version == 2 else 2)
        at += 2 if version else 0  # how it is stored: within the file, or elsewhere
        at += 2  # data reference
        base, extents = number(sizes[2]), number(2)
        for extent in range(min(extents, _MOST_BOXES)):
            at += index
            place = base + number(sizes[0]), number(sizes[1])
            if extent == 0:
                found[item] = place
    return found


def jpeg_2000(file: BinaryIO) -> Stored:
    """Header of a JPEG 2000: the size of the code stream, bare or in the box jp2c."""
    if file.read(2) == b"\xff\x4f":
        return _code_stream(file)
    file.seek(0)
    for kind, _ in _top_boxes(file):
        if kind == b"jp2c":
            file.seek(2, 1)
            return _code_stream(file)
    raise ValueError("no code stream")


def _code_stream(file):
    marker, x1, y1, x0, y0, wide, high, left, top, components = struct.unpack(">H4x8IH", file.read(40))
    if marker != 0xFF51 or components > 4 or not wide or not high or left > x0 or top > y0:
        raise ValueError("it does not begin with a valid SIZ")
    tiles = -(-(x1 - left) // wide) * -(-(y1 - top) // high)
    if tiles > 65535:
        raise ValueError(f"{tiles} tiles")
    return Stored(x1 - x0, y1 - y0)


def _top_boxes(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield (kind, payload length) per box of a file; the file is at the payload."""
    at = 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        begin = 8
        if length == 1:
            length, begin = struct.unpack(">Q", file.read(8))[0], 16
        if length == 0:  # up to the end of the file
            yield kind, 1 << 62
            return
        if length < begin:
            raise ValueError(f"a box of {length} bytes")
        yield kind, length - begin
        at += length


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (kind, payload) per box in bytes."""
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        length = length or len(data) - at
        if length < 8 or at + length > len(data):
            raise ValueError(f"a box {kind!r} of {length} bytes")
        yield kind, data[at + 8 : at + length]
        at += length
