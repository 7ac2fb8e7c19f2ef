"""Short clips for the tests of videos."""

import struct

import cv2
import numpy as np
from stand_in import picture

from manyfaces.inference.video import writer as video_writer

ENDING = video_writer.video_format()[0]  # .webm or, with an encoder of H.264, .mp4
FILM = f"film{ENDING}"


def film(path, count=6, rate=10, codec="MJPG"):
    """A clip of `count` frames of 160 x 120 px: a green square that moves 10 px to the right each frame."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, (160, 120))
    assert writer.isOpened()
    for x in range(count):
        writer.write(np.ascontiguousarray(picture(160, 120, (20 + 10 * (x % 8), 30, 40))[..., ::-1]))
    writer.release()
    return str(path)


def frames_in(path):
    """(list of frames, frames a second)."""
    capture, found = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        found.append(read[1])
    return found, capture.get(cv2.CAP_PROP_FPS)


def uneven(path, steps):
    """An .mp4 of one frame per entry of `steps`, the 0.1 s that each stays; each frame is a grey level brighter by 10.

    It is written evenly, then the table of durations in it (the box stts) is replaced.
    """
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (160, 120))
    for number in range(len(steps)):
        writer.write(np.full((120, 160, 3), 10 * number, np.uint8))
    writer.release()
    data = bytearray(path.read_bytes())

    def number_at(place):
        return struct.unpack(">I", data[place : place + 4])[0]

    place = data.find(b"stts")
    before, step = number_at(place - 4), number_at(place + 16)
    table = struct.pack(">I4sII", 16 + 8 * len(steps), b"stts", 0, len(steps))
    table += b"".join(struct.pack(">II", 1, step * times) for times in steps)
    data[place - 4 : place - 4 + before] = table
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        place = data.find(name) - 4
        data[place : place + 4] = struct.pack(">I", number_at(place) + len(table) - before)
    place = data.find(b"edts")
    data[place : place + 4] = b"free"
    path.write_bytes(data)
    return str(path)
