"""Short clips for the tests of videos."""

import cv2
import numpy as np
from stand_in import picture

from manyfaces.inference.demo import video as video_writer

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
