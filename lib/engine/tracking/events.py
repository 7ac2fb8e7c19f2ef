"""TensorBoard's event files: scalars and pictures, appended one whole record at a time.

Formats: TFRecord (length, masked CRC-32C, data, masked CRC-32C); tensorflow/core/util/event.proto and
tensorflow/core/framework/summary.proto in the wire format of Protocol Buffers. A record is written by the caller's own
thread, so that a failing disk is an OSError there.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from ...data_layer.mtcnn.tfrecords import field, masked_crc32c, varint
from ...files import append_whole

VERSION = b"brain.Event:2"
START = 1  # SessionLog.START: a reader hides the events of earlier files from this step on
RGB = 3  # Summary.Image.colorspace


class EventFile:
    """One event file, which is made by its first record.

    Args:
        folder: a run of TensorBoard; it is made.
        purged: step from which on earlier events of the run are hidden; None: none are.

    Attributes:
        path: the file.
    """

    def __init__(self, folder: str | os.PathLike, purged: int | None = None) -> None:
        now = time.time()
        self.path = Path(folder) / f"events.out.tfevents.{now:017.6f}.{socket.gethostname()}.{os.getpid()}"
        self.head = record(event(now, field(3, VERSION)))
        if purged is not None:
            self.head += record(event(now, _whole(2, purged), field(7, _whole(1, START))))

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Append scalars by name; OSError where they cannot be written."""
        self._add(step, [field(1, name.encode()) + _float(2, value) for name, value in values.items()])

    def image(self, name: str, image: np.ndarray, step: int) -> None:
        """Append a picture (H, W, 3) uint8 RGB; OSError where it cannot be written."""
        encoded = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
        picture = _whole(1, image.shape[0]) + _whole(2, image.shape[1]) + _whole(3, RGB) + field(4, encoded)
        self._add(step, [field(1, name.encode()) + field(4, picture)])

    def _add(self, step, values):
        data = record(event(time.time(), _whole(2, step), field(5, b"".join(field(1, value) for value in values))))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        append_whole(self.path, self.head + data)
        self.head = b""


def record(data: bytes) -> bytes:
    """Data as a record of a TFRecord file."""
    length = len(data).to_bytes(8, "little")
    return b"".join([length, masked_crc32c(length).to_bytes(4, "little"),
                     data, masked_crc32c(data).to_bytes(4, "little")])


def event(seconds: float, *fields: bytes) -> bytes:
    """An Event of this time (since 1970) with these encoded fields."""
    return b"\x09" + struct.pack("<d", seconds) + b"".join(fields)


def _whole(number, value):
    return varint(number << 3) + varint(value)


def _float(number, value):
    return varint(number << 3 | 5) + struct.pack("<f", value)
