"""MTCNN's samples as TFRecord files: one kind and one size of crop per file, all records of equal length.

A record is a tf.train.Example with the features `image` (side * side * 3 bytes, RGB by rows), `label` (int64), `box` (4
floats) and `landmarks` (10 floats). Crops are stored uncompressed, so record n begins at n times the length of a
record: a file is a memory map that gives its records in any order, without an index. Neither way needs TensorFlow;
tf.data.TFRecordDataset reads the files as well. Formats: TFRecord (length, masked CRC-32C, data, masked CRC-32C) and
the wire format of Protocol Buffers.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import numpy as np

from ...errors import InputError
from ...files import whole_file

KINDS = {"positive": 1, "part": -1, "landmark": -2, "negative": 0}  # kind -> label
VALUES = ("image", "box", "landmarks")  # what differs between the records of a file
CRC_MASK = 0xA282EAD8
CHECKED = 1024  # records that are checked together


def masked_crc32c(data: bytes) -> int:
    """The checksum of TFRecord files: CRC-32C (RFC 3720, appendix B.4), rotated right by 15 bits, plus CRC_MASK.

    Examples:
        >>> hex(masked_crc32c(b"123456789"))
        '0xc78ab0e5'
    """
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + CRC_MASK) % 2**32


def record_layout(label: int, side: int) -> tuple[np.dtype, np.ndarray]:
    """How the records of a file are laid out.

    Args:
        label: one of the values of KINDS.
        side: of the crops, px.

    Returns:
        (dtype with the fields of VALUES and `crc`, (L,) uint8 bytes of a record whose values and last checksum are 0).
    """
    features = {"image": (1, bytes(side * side * 3)), "label": (3, varint(label % 2**64)),
                "box": (2, bytes(4 * 4)), "landmarks": (2, bytes(4 * 10))}
    entries, offsets = b"", {}
    for name, (number, data) in features.items():
        entries += field(1, field(1, name.encode()) + field(2, field(number, field(1, data))))
        offsets[name] = len(entries) - len(data)  # the data are at the end of the entry
    example = field(1, entries)
    length = len(example).to_bytes(8, "little")
    head = length + masked_crc32c(length).to_bytes(4, "little")
    before = len(head) + len(example) - len(entries)
    dtype = np.dtype({"names": [*VALUES, "crc"], "offsets": [*(before + offsets[name] for name in VALUES),
                                                             len(head) + len(example)],
                      "formats": [(np.uint8, (side, side, 3)), ("<f4", 4), ("<f4", 10), "<u4"],
                      "itemsize": len(head) + len(example) + 4})
    return dtype, np.frombuffer(head + example + bytes(4), np.uint8)


def varint(number: int) -> bytes:
    """A whole number >= 0 of Protocol Buffers."""
    data = b""
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


def field(number: int, data: bytes) -> bytes:
    """A length-delimited field of Protocol Buffers (wire type 2)."""
    return varint(number << 3 | 2) + varint(len(data)) + data


class SampleWriter:
    """Appends records of one kind to a file that appears atomically when the `with` block ends; without records, none.

    Args:
        path: the .tfrecord.
        kind: one of KINDS.
        side: of the crops, px.

    Attributes:
        count: number of records so far.
    """

    def __init__(self, path: str | os.PathLike, kind: str, side: int):
        self.path, self.count = Path(path), 0
        self.file: BinaryIO | None = None
        self.dtype, self.template = record_layout(KINDS[kind], side)
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> SampleWriter:
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def write(self, images: np.ndarray, boxes: np.ndarray, landmarks: np.ndarray) -> None:
        """Append N records.

        Args:
            images: (N, side, side, 3) uint8 RGB.
            boxes: (N, 4), as fractions of the crop's side.
            landmarks: (N, 10), as fractions of the crop's side.
        """
        if not len(images):
            return
        if self.file is None:
            self.file = self.stack.enter_context(open(self.stack.enter_context(whole_file(self.path)), "wb"))
        rows = np.tile(self.template, (len(images), 1))
        records = rows.view(self.dtype)[:, 0]
        for name, values in zip(VALUES, (images, boxes, landmarks), strict=True):
            records[name] = values
        records["crc"] = [masked_crc32c(row[12:-4].tobytes()) for row in rows]
        self.file.write(rows.data)
        self.count += len(images)


def open_samples(path: str | os.PathLike, kind: str, side: int) -> np.ndarray:
    """The records of a file as a memory map. Each is checked once, here: its checksums, its features and its numbers.

    Args:
        path: the .tfrecord.
        kind: one of KINDS.
        side: of the crops, px.

    Returns:
        (N,) array with the fields image (side, side, 3) uint8, box (4,) and landmarks (10,) float32.

    Raises:
        InputError: the file is missing, cut short, damaged, of another kind or size, or not written by SampleWriter.
    """
    dtype, template = record_layout(KINDS[kind], side)
    path, advice = Path(path), "make the samples again (`manyfaces data samples --overwrite`)"
    try:
        size = path.stat().st_size
        if not size or size % dtype.itemsize:
            raise InputError(f"{path}: has {size:,} bytes, expected a multiple of the {dtype.itemsize:,} of a {kind} "
                             f"record of {side} px; {advice}")
        rows = np.memmap(path, np.uint8, "r").reshape(-1, dtype.itemsize)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); make the samples with `manyfaces data samples`"
                         ) from None
    for first in range(0, len(rows), CHECKED):
        wrong = _first_wrong(rows[first : first + CHECKED], dtype, template)
        if wrong is not None:
            raise InputError(f"{path}: record {first + wrong} of {len(rows)} is damaged, or not a {kind} sample of "
                             f"{side} px that SampleWriter wrote; {advice}")
    return rows.view(dtype)[:, 0]


def _first_wrong(rows: np.ndarray, dtype: np.dtype, template: np.ndarray) -> int | None:
    """Number of the first record whose fixed bytes, checksums or numbers are wrong; None if all are right."""
    fixed: np.ndarray = np.ones(dtype.itemsize, bool)  # the length and its checksum too
    for kind, offset, *_ in (dtype.fields or {}).values():
        fixed[offset : offset + kind.itemsize] = False
    records = np.ascontiguousarray(rows).view(dtype)[:, 0]
    right = (rows[:, np.flatnonzero(fixed)] == template[fixed]).all(axis=1)
    for name in ("box", "landmarks"):
        right &= np.isfinite(records[name]).all(axis=1)
    data, length, value = rows.tobytes(), dtype.itemsize, google_crc32c.value
    crcs = np.array([value(data[at + 12 : at + length - 4]) for at in range(0, len(data), length)], np.uint32)
    right &= ((crcs >> 15 | crcs << 17) + np.uint32(CRC_MASK)) == records["crc"]
    return None if right.all() else int(right.argmin())
