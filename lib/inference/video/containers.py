"""Whether a video file is as long as its container says, for those that say so.

They are MP4 and MOV, AVI, Matroska and WebM, and ASF (WMV).
"""

from __future__ import annotations

import contextlib
import os
from typing import BinaryIO

MOST_BOXES = 10_000  # of a file; a fragmented MP4 has some per second
ASF = b"\x30\x26\xb2\x75"  # the first bytes of the GUID of its header
ASF_FACTS = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # GUID of the file properties, with the size of the file
EBML, SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"


def is_cut_short(path: str | os.PathLike) -> bool:
    """Whether the end of a file is missing; False where its container does not tell, as in a transport stream."""
    with contextlib.suppress(OSError), open(path, "rb") as file:  # it may have been removed while it was read
        length = os.fstat(file.fileno()).st_size
        head = file.read(12)
        file.seek(0)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return _boxes(file, length)[1]
        if head[:4] == b"RIFF":
            return _riff(file, length)
        return (head[:4] == EBML and _matroska(file, length)) or (head[:4] == ASF and _asf(file, length))
    return False


def index_is_missing(path: str | os.PathLike) -> bool:
    """Whether a file is an MP4 or MOV that ends before its table of frames (moov)."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        kinds = _boxes(file, os.fstat(file.fileno()).st_size)[0]
        return kinds[:1] == [b"ftyp"] and b"moov" not in kinds
    return False


def _boxes(file: BinaryIO, length: int) -> tuple[list[bytes], bool]:
    """The kinds of the boxes of an MP4, and whether the last one ends behind the file."""
    kinds, place = [], 0
    while place < length and len(kinds) < MOST_BOXES:
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return kinds, True
        size = int.from_bytes(head[:4], "big")
        size = int.from_bytes(head[8:], "big") if size == 1 else size or length - place  # 0: up to the end
        kinds.append(head[4:8])
        if size < 8:
            return kinds, False  # damaged, which is something else
        place += size
    return kinds, place > length


def _riff(file, length):
    """Of an AVI: chunks RIFF, more than one where it is large. A recording that was not closed has the size 0."""
    place = 0
    while place < length:
        file.seek(place)
        head = file.read(8)
        size = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or not size:
            return False
        place += 8 + size
    return place > length + 1  # the last byte may be padding


def _matroska(file, length):
    place = 0
    for kind in (EBML, SEGMENT):
        file.seek(place)
        head = file.read(12)
        if head[:4] != kind or len(head) < 5 or not head[4]:
            return False
        digits = 9 - head[4].bit_length()  # the first bit that is set says how many bytes the size has
        size = int.from_bytes(head[4 : 4 + digits], "big") & ((1 << 7 * digits) - 1)
        if size == (1 << 7 * digits) - 1:  # not known: a recording that was not closed
            return False
        place += 4 + digits + size
    return place > length


def _asf(file, length):
    """A broadcast has the size 0."""
    file.seek(0)
    before, found, after = file.read(65536).partition(ASF_FACTS)
    return bool(found) and int.from_bytes(after[24:32], "little") > length
