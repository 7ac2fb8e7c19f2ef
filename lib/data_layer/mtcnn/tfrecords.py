"""MTCNN's samples as TFRecord files: one kind and one size of crop a file, all records equally long.

A record is a tf.train.Example with the features `image` (side * side * 3 bytes, RGB by rows), `label` (int64), `box` (4
floats) and `landmarks` (10 floats). Crops lie there uncompressed, so record n begins at n times the length of a record:
a file is a memory map that gives its records in any order, without an index beside it. Neither way needs TensorFlow;
tf.data.TFRecordDataset reads the files as well. Formats: TFRecord (length, masked CRC-32C, data, masked CRC-32C) and
the wire format of Protocol Buffers.
"""

import contextlib
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...files import whole_file
from .. import masked_crc32c

KINDS = {"positive": 1, "part": -1, "landmark": -2, "negative": 0}  # kind -> label
VALUES = ("image", "box", "landmarks")  # what differs between the records of a file


def record_layout(label, side):
    """(dtype, template) of a file's records: where the fields of VALUES lie, and the bytes of a record that has zeros.

    label: one of KINDS; side: px of the crops. The checksum of the data is left zero in the template.
    """
    parts = {"image": (1, bytes(side * side * 3)), "label": (3, _varint(label % 2**64)),
             "box": (2, bytes(4 * 4)), "landmarks": (2, bytes(4 * 10))}
    entries, offsets = b"", {}
    for name, (number, data) in parts.items():
        entries += _field(1, _field(1, name.encode()) + _field(2, _field(number, _field(1, data))))
        offsets[name] = len(entries) - len(data)  # the data end the entry
    example = _field(1, entries)
    length = len(example).to_bytes(8, "little")
    head = length + masked_crc32c(np.frombuffer(length, np.uint8)[None]).astype("<u4").tobytes()
    before = len(head) + len(example) - len(entries)
    dtype = np.dtype({"names": [*VALUES, "crc"], "offsets": [*(before + offsets[name] for name in VALUES),
                                                             len(head) + len(example)],
                      "formats": [(np.uint8, (side, side, 3)), ("<f4", 4), ("<f4", 10), "<u4"],
                      "itemsize": len(head) + len(example) + 4})
    return dtype, np.frombuffer(head + example + bytes(4), np.uint8)


def _varint(number):
    data = b""
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


def _field(number, data):
    """A field of Protocol Buffers that is counted in bytes (wire type 2)."""
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


class SampleWriter:
    """Records of one kind, appended to a file that appears whole when the `with` block ends; no file without records.

    path: the .tfrecord; kind: of KINDS; side: px of the crops. `count`: records so far.
    """

    def __init__(self, path, kind, side):
        self.path, self.count, self.file = Path(path), 0, None
        self.dtype, self.template = record_layout(KINDS[kind], side)
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def write(self, images, boxes, landmarks):
        """Append N records: images (N, side, side, 3) uint8, boxes (N, 4), landmarks (N, 10), in sides of the crop."""
        if not len(images):
            return
        if self.file is None:
            self.file = self.stack.enter_context(open(self.stack.enter_context(whole_file(self.path)), "wb"))
        rows = np.tile(self.template, (len(images), 1))
        records = rows.view(self.dtype)[:, 0]
        for name, values in zip(VALUES, (images, boxes, landmarks), strict=True):
            records[name] = values
        records["crc"] = masked_crc32c(rows[:, 12:-4])
        self.file.write(rows)
        self.count += len(images)


def open_samples(path, kind, side):
    """The records of a file, (N,) with fields image (side, side, 3) uint8, box (4,) and landmarks (10,) float32.

    It is a memory map: what is not looked at is not read. Raises InputError for a file that is absent, cut short, of
    another kind or size, or not written by SampleWriter.
    """
    dtype, template = record_layout(KINDS[kind], side)
    path, again = Path(path), "make the samples again (tools/mtcnn_samples.py --anew)"
    try:
        size = path.stat().st_size
        if not size or size % dtype.itemsize:
            raise InputError(f"{path}: has {size:,} bytes, no multiple of the {dtype.itemsize:,} of a {kind} record of "
                             f"{side} px; {again}")
        rows = np.memmap(path, np.uint8, "r").reshape(-1, dtype.itemsize)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); make the samples with tools/mtcnn_samples.py"
                         ) from None
    first = rows[0].copy()
    crc, fields = masked_crc32c(first[None, 12:-4])[0], first.view(dtype)
    whole = crc == fields["crc"][0]
    for name in dtype.names:
        fields[name] = 0
    if not whole or not np.array_equal(first, template):
        raise InputError(f"{path}: its first record is no {kind} sample of {side} px as this program writes them; "
                         f"{again}")
    return rows.view(dtype)[:, 0]
