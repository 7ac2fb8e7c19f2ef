"""Headers of JPEG and PNG, their colour profile, and what may be wrong: cut short, or claims too much.

Source: JPEG: ITU T.81, annex B (markers and segments). PNG: its third edition, section 5; EXIF is in the chunk eXIf.
Profiles: ICC.1:2022, section 7.2 and annex B.4; PNG, section 11.3.2.3.
"""

import io
import itertools
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from .common import Stored, exif_orientation

# Start-of-frame markers hold the size; 0xC4, 0xC8 and 0xCC are in their range and mean something else.
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_PNG = b"\x89PNG\r\n\x1a\n"
_GARBAGE = 1 << 16  # bytes between two segments that are skipped, as libjpeg does
_MOST = 100_000  # segments or chunks: more than any real file has
_PROFILE = 1 << 22  # bytes of a colour profile; those of displays have 500 to 4,000, of printers a million
_SCANS = 500  # of a progressive JPEG: each takes the time of a whole image; encoders write about 10


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


def has_too_many_scans(data: bytes) -> bool:
    """Tell whether the bytes are a progressive JPEG of so many scans that decoding it is meant to take for ever."""
    if data[:2] != b"\xff\xd8":
        return False
    try:
        frames = [marker for marker, _ in _segments(io.BytesIO(data)) if marker in _FRAMES]
    except (struct.error, ValueError):
        return False
    return bool(_PROGRESSIVE.intersection(frames)) and data.count(b"\xff\xda") > _SCANS


def has_too_long_chunk(data: bytes) -> bool:
    """Tell whether the bytes are a PNG with a chunk that is longer than the file; OpenCV would take that memory."""
    if data[:8] != _PNG:
        return False
    last = next((length for kind, length in _chunks(io.BytesIO(data)) if kind == b"IEND" or length > len(data)), 0)
    return last > len(data)


def colour_profile(data: bytes) -> bytes | None:
    """The ICC profile of RGB pixels in the bytes of a JPEG or PNG; None where there is none, or a damaged one."""
    try:
        profile = _jpeg_profile(data) if data[:2] == b"\xff\xd8" else _png_profile(data) if data[:8] == _PNG else b""
    except (struct.error, ValueError, zlib.error):
        return None
    whole = len(profile) == int.from_bytes(profile[:4], "big")
    return profile if whole and profile[16:20] == b"RGB " else None


def _jpeg_profile(data):
    file, parts, count = io.BytesIO(data), {}, 0
    for marker, length in _segments(file):
        payload = file.read(length) if marker == 0xE2 else b""  # other things use this marker too, such as previews
        if payload[:12] == b"ICC_PROFILE\0" and length >= 14:
            parts[payload[12]], count = payload[14:], payload[13]
    return b"".join(parts.get(number, b"") for number in range(1, count + 1)) if len(parts) == count else b""


def _png_profile(data):
    file = io.BytesIO(data)
    for kind, length in itertools.islice(_chunks(file), _MOST):
        if kind == b"iCCP":
            name, _, rest = file.read(min(length, _PROFILE)).partition(b"\0")
            return zlib.decompressobj().decompress(rest[1:], _PROFILE) if len(name) < 80 else b""
        if kind == b"IDAT":
            break
    return b""


def _segments(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield (marker, payload length) per JPEG segment up to the first scan; the file is at the payload."""
    file.seek(2)
    for _ in range(_MOST):
        byte, skipped = file.read(1), 0
        while byte and byte != b"\xff" and skipped < _GARBAGE:
            byte, skipped = file.read(1), skipped + 1
        while byte == b"\xff":  # a marker may be preceded by fill bytes
            byte = file.read(1)
        if not byte or skipped == _GARBAGE:
            raise ValueError("no marker where one is expected")
        marker = byte[0]
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:  # these have no payload
            continue
        if marker == 0xD9:
            raise ValueError("the file ends before the first scan")
        length = struct.unpack(">H", file.read(2))[0] - 2
        here = file.tell()
        yield marker, length
        if marker == 0xDA:
            return
        file.seek(here + length)
    raise ValueError("too many segments")


def _first_scan(file):
    for marker, _ in _segments(file):
        if marker == 0xDA:
            return file.tell()
    raise ValueError("no scan")


def jpeg(file: BinaryIO) -> Stored:
    """Header of a JPEG: the size in its frame, the orientation in the first EXIF before it."""
    orientation = 1
    for marker, length in _segments(file):
        if marker == 0xE1 and orientation == 1:
            payload = file.read(length)
            if payload[:6] == b"Exif\0\0":
                orientation = exif_orientation(payload[6:])
        elif marker in _FRAMES:
            height, width = struct.unpack(">xHH", file.read(5))
            if not height:
                raise ValueError("the height is only given after the scan")
            return Stored(width, height, orientation)
    raise ValueError("no frame")


def png(file: BinaryIO) -> Stored:
    """Header of a PNG: the size in IHDR; eXIf may follow the pixels."""
    width = height = 0
    for kind, length in itertools.islice(_chunks(file), _MOST):
        if kind == b"IHDR":
            width, height = struct.unpack(">II", file.read(8))
        elif kind == b"eXIf":
            return Stored(width, height, exif_orientation(file.read(min(length, 1 << 20))))
        elif kind == b"IEND":
            break
    return Stored(width, height)


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield (kind, payload length) per PNG chunk; the file is at the payload."""
    at = file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        yield kind, length
        at = file.seek(at + 12 + length)
