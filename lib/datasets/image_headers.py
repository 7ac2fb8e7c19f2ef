"""Reads the size of JPEG and PNG files from their headers, without decoding.

Source: JPEG: ITU T.81, annex B (markers and segments). Orientation: Exif 2.3, tag 0x0112, also in PNG's eXIf chunk.
"""

import io
import struct
from typing import BinaryIO

_ORIENTATION = 0x0112
# Start-of-frame markers hold the size; 0xC4, 0xC8 and 0xCC are in their range and mean something else.
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PNG = b"\x89PNG\r\n\x1a\n"


def header_size(file: BinaryIO) -> tuple[int, int] | None:
    """Read the size of a JPEG or PNG.

    Args:
        file: positioned at the start of the image.

    Returns:
        (width, height) in px after EXIF rotation. None for another format or a damaged header: these need a decoder.
    """
    start = file.read(8)
    file.seek(0)
    try:
        if start[:2] == b"\xff\xd8":
            width, height, orientation = _jpeg(file)
        elif start == _PNG:
            width, height, orientation = _png(file)
        else:
            return None
    except (struct.error, ValueError, IndexError):
        return None
    # Orientations 5 to 8 turn the image by a quarter.
    return (height, width) if orientation >= 5 else (width, height)


def is_cut_short(data: bytes) -> bool:
    """Tell whether the bytes are a JPEG or PNG without its end. Decoders fill the missing rest with grey, silently.

    A JPEG ends with the marker FFD9. Cameras may append data after it, and an EXIF thumbnail has its own, so the
    marker is searched between the first scan and the end of the file. A PNG ends with the chunk IEND.
    """
    if data[:2] == b"\xff\xd8":
        if data[-2:] == b"\xff\xd9":
            return False
        try:
            scan = _first_scan(io.BytesIO(data))
        except (struct.error, ValueError):
            return True
        return data.rfind(b"\xff\xd9") < scan
    if data[:8] == _PNG:
        return data.rfind(b"IEND") < 0
    return data[:1] == b"\x89" and _PNG.startswith(data)


def _segments(file):
    """Yield (marker, payload length) per JPEG segment up to the first scan; the file is at the payload."""
    file.seek(2)
    while True:
        byte = file.read(1)
        if byte != b"\xff":
            raise ValueError("no marker where one is expected")
        while byte == b"\xff":  # a marker may be preceded by fill bytes
            byte = file.read(1)
        if not byte:
            raise ValueError("the file ends before the first scan")
        marker = byte[0]
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # these have no payload
            continue
        length = struct.unpack(">H", file.read(2))[0] - 2
        here = file.tell()
        yield marker, length
        if marker == 0xDA:
            return
        file.seek(here + length)


def _first_scan(file):
    for marker, _ in _segments(file):
        if marker == 0xDA:
            return file.tell()
    raise ValueError("no scan")


def _jpeg(file):
    orientation = 1
    for marker, length in _segments(file):
        if marker == 0xE1 and orientation == 1:
            payload = file.read(length)
            if payload[:6] == b"Exif\0\0":
                orientation = _exif_orientation(payload[6:])
        elif marker in _FRAMES:
            height, width = struct.unpack(">xHH", file.read(5))
            if not height:
                raise ValueError("the height is only given after the scan")
            return width, height, orientation
    raise ValueError("no frame")


def _png(file):
    file.seek(8)
    width = height = 0
    while True:
        head = file.read(8)
        if len(head) < 8:
            return width, height, 1
        length, kind = struct.unpack(">I4s", head)
        here = file.tell()
        if kind == b"IHDR":
            width, height = struct.unpack(">II", file.read(8))
        elif kind == b"eXIf":
            return width, height, _exif_orientation(file.read(length))
        elif kind == b"IEND":
            return width, height, 1
        file.seek(here + length + 4)


def _exif_orientation(exif):
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
