"""Image files of a few kB that claim, or really hold, very many pixels; and files that are no images."""

from __future__ import annotations

import re
import struct
import zlib

import cv2
import numpy as np

REAL = (".jpg", ".png", ".webp", ".gif", ".tiff")  # encoded whole: a decoder would need their pixels


def png(width: int, height: int) -> bytes:
    """A valid grey PNG, all black, compressed about a thousand times."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer, row = zlib.compressobj(1), bytes(width + 1)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def real(side: int) -> dict[str, bytes]:
    """Ending -> a valid black square image of this side."""
    image = np.zeros((side, side), np.uint8)
    options = {".webp": [cv2.IMWRITE_WEBP_QUALITY, 1], ".tiff": [cv2.IMWRITE_TIFF_COMPRESSION, 8]}
    found = {".png": png(side, side)}
    for ending in REAL:
        if ending not in found:
            encoded = image if ending != ".gif" else np.zeros((side, side, 3), np.uint8)
            found[ending] = cv2.imencode(ending, encoded, options.get(ending, []))[1].tobytes()
    return found


def claimed(side: int) -> dict[str, bytes]:
    """Ending -> an image whose header was changed, so that it claims this side."""
    small = np.zeros((64, 64, 3), np.uint8)
    found = {}
    for ending, mark, place, form in ((".bmp", b"BM", 18, "<ii"), (".avif", b"ispe", 8, ">II"),
                                      (".jp2", b"\xff\x4f\xff\x51", 8, ">II"), (".jpg", b"\xff\xc0", 5, ">HH"),
                                      (".png", b"IHDR", 4, ">II"), (".gif", b"GIF8", 6, "<HH"),
                                      (".sr", b"\x59\xa6\x6a\x95", 4, ">II")):
        if not cv2.haveImageWriter("a" + ending):
            continue
        data = bytearray(cv2.imencode(ending, small)[1].tobytes())
        at = data.find(mark) + place
        value = min(side, 65535) if "H" in form else side
        data[at : at + struct.calcsize(form)] = struct.pack(form, value, value)
        if ending == ".jp2":  # and the side of its tiles, whose number is bounded
            data[at + 16 : at + 24] = struct.pack(form, value, value)
        found[ending] = bytes(data)
    rows = b"\0" * 1000
    return found | {
        ".ppm": f"P6 {side} {side} 255\n".encode() + rows, ".pgm": f"P5\n# a comment\n{side} {side}\n255\n".encode(),
        ".pfm": f"PF\n{side} {side}\n-1.0\n".encode() + rows,
        ".pam": f"P7\nWIDTH {side}\nHEIGHT {side}\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n".encode() + rows,
        ".hdr": f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {side} +X {side}\n".encode() + rows,
        ".webp": b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8X" + struct.pack("<II", 10, 0)
                 + (min(side, 1 << 24) - 1).to_bytes(3, "little") * 2 + b"VP8 " + bytes(12),
        ".tiff": _tiff(side),
    }


def _tiff(side):
    """Uncompressed, with one strip that is not there."""
    tags = ((256, 4, side), (257, 4, side), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1),
            (278, 4, side), (279, 4, min(side * side, 0xFFFFFFFF)))
    rows = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + rows + bytes(4)


def many_scans(side: int, count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated: a decoder works on all pixels for each."""
    data = cv2.imencode(".jpg", np.zeros((side, side, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    scans = [match.start() for match in re.finditer(b"\xff\xda", data)]
    table = data.rfind(b"\xff\xc4")  # of the last scan, if it has one of its own
    last = data[table if table > scans[-2] else scans[-1] : -2]
    return data[:-2] + last * count + data[-2:]


NO_IMAGES = {
    "text": b"hello", "html": b"<!doctype html><script>alert(1)</script>", "json": b'{"image": "..."}',
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>', "xml": b'<?xml version="1.0"?><!DOCTYPE a []><a/>',
    "zip": b"PK\x03\x04" + bytes(60), "gzip": b"\x1f\x8b\x08" + bytes(60), "pdf": b"%PDF-1.7\n" + bytes(60),
    "elf": b"\x7fELF" + bytes(60), "mp4": b"\0\0\0\x18ftypmp42" + bytes(60), "heic": b"\0\0\0\x18ftypheic" + bytes(60),
    "pickle": b"\x80\x04\x95" + bytes(60), "wav": b"RIFF\x24\0\0\0WAVEfmt " + bytes(60), "zeros": bytes(5000),
    "one byte": b"\xff", "base64": b"/9j/4AAQSkZJRgABAQ" * 40, "data url": b"data:image/png;base64,iVBORw0KGgo=",
    "url": b"http://127.0.0.1/photo.jpg", "path": b"/etc/passwd", "random": bytes(range(7, 256)) * 9,
}
MAGIC = {
    "jpeg": b"\xff\xd8", "png": b"\x89PNG\r\n\x1a\n", "webp": b"RIFF\x10\0\0\0WEBP", "gif": b"GIF89a", "bmp": b"BM",
    "tiff": b"II*\0", "big tiff": b"MM\0+", "avif": b"\0\0\0\x18ftypavif", "jpeg 2000": b"\xff\x4f\xff\x51",
    "pnm": b"P6 ", "pfm": b"PF ", "pam": b"P7\n", "sun": b"\x59\xa6\x6a\x95", "hdr": b"#?RADIANCE\n",
}
"""First bytes of a format, and nothing more."""
