"""Writes videos in a format that this OpenCV can write, and browsers play if possible; a file appears atomically."""

import contextlib
import functools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ...errors import InputError
from ...files import whole_file
from ...progress import silent
from ...runtimes.files import is_utf8

# H.264 where there is an encoder: OpenCV's own packages have none. VP8, which they have, takes a quarter of VP9's time.
# Browsers play both, and neither of the other two.
FORMATS = ((".mp4", "avc1"), (".webm", "VP80"), (".mp4", "mp4v"), (".avi", "MJPG"))
ALIKE = 24.0  # grey levels, mean difference of a frame that was written and read back; noise has 85


@functools.lru_cache(maxsize=1)
def video_format() -> tuple[str, str]:
    """The first of FORMATS that this OpenCV writes: a short film that is read back has to show what was written.

    Returns:
        (ending, four letters of the codec).

    Raises:
        InputError: it writes none of them.
    """
    with tempfile.TemporaryDirectory() as folder:
        for ending, codec in FORMATS:
            if _works(Path(folder, codec + ending), codec):
                return ending, codec
    raise InputError(f"this OpenCV ({cv2.__version__}) writes no video: tried {', '.join(c for _, c in FORMATS)}; "
                     f"pip install --force-reinstall opencv-python-headless")


def _works(path, codec):
    """Whether a film of three frames is the same when it is read back."""
    ramp = np.arange(64, dtype=np.uint8)
    frames = [np.dstack([np.add.outer(ramp, ramp + 40 * number)] * 3).astype(np.uint8) for number in range(3)]
    with silent():  # OpenCV names the encoders that it lacks, and no log level stops that
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25, (64, 64))
        opened = writer.isOpened()
        for frame in frames if opened else ():
            writer.write(frame)
        writer.release()
        capture = cv2.VideoCapture(str(path)) if opened else None
        shown = [capture.read()[1] for _ in frames] if capture else []
        if capture:
            capture.release()
    return bool(shown) and all(
        image is not None and image.shape == frame.shape and np.abs(image.astype(int) - frame).mean() < ALIKE
        for image, frame in zip(shown, frames, strict=True))


class VideoWriter:
    """Appends frames to a video; the first frame decides its size, whose sides are even because codecs need that.

    Args:
        path: the file.
        rate: frames per second.

    Attributes:
        frames: number of frames written so far.
    """

    def __init__(self, path: Path, rate: float):
        self.path, self.rate, self.codec = path, rate, video_format()[1]
        self.writer: cv2.VideoWriter | None = None
        self.frames, self.start = 0, 0.0
        self.shown: np.ndarray | None = None  # the last frame that `show` was given
        self.waits = False  # it is not in the file

    def show(self, frame: np.ndarray, seconds: float) -> None:
        """Append a frame (H, W, 3) uint8 RGB that is shown from `seconds` on; the one before is repeated until then.

        Of several frames that fall on one of the video, the first is written.
        """
        if self.shown is None:
            self.start = seconds
        place = round((seconds - self.start) * self.rate)
        while self.shown is not None and self.frames < place:
            self.write(self.shown)
        self.shown, self.waits = frame, self.frames > place
        if not self.waits:
            self.write(frame)

    def write(self, frame: np.ndarray) -> None:
        """Append a frame (H, W, 3) uint8 RGB."""
        frame = frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]
        if self.writer is None:
            self.size = frame.shape[1], frame.shape[0]
            with silent():
                self.writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter.fourcc(*self.codec), self.rate, self.size)
            if not self.writer.isOpened():
                raise InputError(f"{self.path.parent}: no video can be written there ({self.codec}, "
                                 f"{self.size[0]}x{self.size[1]}, {self.rate:g} frames per second)")
        if (frame.shape[1], frame.shape[0]) != self.size:  # a stream that changes its size: OpenCV would drop it
            frame = cv2.resize(frame, self.size)
        self.writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        self.frames += 1

    def close(self) -> None:
        """Finish the file, with the last frame in any case."""
        if self.waits and self.shown is not None:
            self.write(self.shown)
            self.waits = False
        if self.writer is not None:
            self.writer.release()


@contextlib.contextmanager
def whole_video(path: str | os.PathLike, rate: float) -> Iterator[VideoWriter]:
    """A VideoWriter whose file appears at `path` when the block ends well, or on Ctrl-C with the frames so far."""
    interrupted = None
    with whole_file(path, Path(path).suffix, sync=False) as temporary, in_utf8(temporary) as reachable:
        writer = VideoWriter(Path(reachable), rate)
        try:
            yield writer
        except KeyboardInterrupt as error:
            interrupted = error
            if not writer.frames:
                raise
        finally:
            writer.close()
        _check(reachable, path, writer)
    if interrupted:
        raise interrupted


@contextlib.contextmanager
def in_utf8(path: str | os.PathLike) -> Iterator[str]:
    """A path by which OpenCV reaches a video, which need not exist yet: a link where the path is not UTF-8."""
    if is_utf8(path):
        yield os.fspath(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        link = os.path.join(folder, f"video{Path(path).suffix}")
        os.symlink(os.path.abspath(path), link)
        yield link


def _check(written, path, writer):
    """Raise InputError if the video cannot be read, or not to its end: OpenCV does not report that a write failed."""
    capture = cv2.VideoCapture(written)
    try:
        whole = capture.isOpened() and capture.get(cv2.CAP_PROP_FRAME_COUNT) >= writer.frames - 1
        if not whole or not capture.read()[0]:
            raise InputError(f"{path}: the video of {writer.frames} frames could not be written; is the disk full?")
    finally:
        capture.release()
