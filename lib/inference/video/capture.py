"""OpenCV's VideoCapture: opened with time limits, never for a playlist, and closed again.

OpenCV and not PyAV: it is there already. It turns frames by the rotation in the file, knows their time stamps, has time
limits for streams, and reads on behind a damaged packet. PyAV would add sound, H.264 output and a mark on frames that
the decoder repaired, at 104 MB and a second FFmpeg with encoders under the GPL.
"""

from __future__ import annotations

import contextlib
import glob
import os
import sys
from collections.abc import Iterator

import cv2

from ...datasets.images import ImageError
from .address import Address
from .containers import index_is_missing
from .writer import in_utf8

PLAYLISTS = (b"ffconcat", b"#EXTM3U", b"<MPD", b"<?xml", b"[playlist]")  # how they begin; those of DASH are XML
PATIENCE = 10.0  # seconds that a stream has to answer; half of it between two of its frames


@contextlib.contextmanager
def opened(address: Address, patience: float = PATIENCE) -> Iterator[cv2.VideoCapture]:
    """A cv2.VideoCapture, opened or not.

    Args:
        address: the Address.
        patience: seconds that a stream has to answer; half of it between two of its frames.

    Raises:
        ImageError: the file is a playlist, which names other files, or no regular file.
    """
    with contextlib.ExitStack() as stack:
        if address.kind == "camera":
            capture = cv2.VideoCapture(int(address.where))
        elif address.is_path:
            if os.path.exists(address.where) and not os.path.isfile(address.where):  # a pipe would block for ever
                raise ImageError(f"{address.name}: is not a regular file, expected a video")
            _check_no_playlist(address.where)
            capture = cv2.VideoCapture(stack.enter_context(in_utf8(address.where)))
        else:
            capture = cv2.VideoCapture(address.where, cv2.CAP_FFMPEG, [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1000 * patience),
                cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(500 * patience)])
        stack.callback(capture.release)
        yield capture


def _check_no_playlist(path):
    """ImageError for a text that names other files or addresses, which FFmpeg would open, whatever the ending is."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        start = file.read(256).lstrip(b"\xef\xbb\xbf \t\r\n")
        if start.startswith(PLAYLISTS):
            raise ImageError(f"{path}: a playlist, which names other files; expected a video")


def ending() -> contextlib.AbstractContextManager:
    """Around the reading of frames: OpenCV raises on some damaged ones."""
    return contextlib.suppress(cv2.error)


def check_opened(capture: cv2.VideoCapture, address: Address, max_pixels: int = 0, waited: float = 0) -> None:
    """Check that frames can be expected.

    Args:
        capture: what `opened` gave.
        address: the Address, for the message.
        max_pixels: largest number of pixels of a frame; 0: any.
        waited: seconds that the opening took, for the message.

    Raises:
        ImageError: nothing was opened, or the frames are too large.
    """
    if not capture.isOpened():
        raise ImageError(_reason(address, waited))
    width, height = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if max_pixels and width * height > max_pixels:
        raise ImageError(f"{address.name}: its frames have {width} x {height} px, expected at most {max_pixels:,} px "
                         f"(TEST.MAX_FILE_PIXELS)")


def _reason(address, waited):
    if address.kind == "camera":
        return _no_camera(address.where)
    if address.is_path:
        lost = index_is_missing(address.where)
        return (f"{address.name}: cannot be opened as a video" + (
            "; its index (moov) at the end is missing: it is cut short, copy it again" if lost else ""))
    return (f"{address.name}: no video came in {waited:.1f} s; is the address right, does the other side run, and are "
            f"user and password right?")


def _no_camera(number):
    if not sys.platform.startswith("linux"):
        return f"camera {number}: cannot be opened; is it connected, and may this program use it?"
    there = sorted(glob.glob("/dev/video*"))
    reason = (f"there are {', '.join(there)}; is another program using it, or may you not read it (group video)?"
              if there else "this machine has none (no /dev/video*)")
    return f"camera {number}: cannot be opened; {reason}"
