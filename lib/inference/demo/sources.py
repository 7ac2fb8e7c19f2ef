"""The sources of a demonstration: images, folders, globs, videos, cameras, or the pictures of the package."""

import contextlib
import glob
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ...datasets.folders import find_images, read_within
from ...datasets.images import ImageError, is_url
from ...datasets.toy.data_set import portrait_collage
from ...datasets.toy.portraits import portraits
from ...errors import InputError
from .video import in_utf8

VIDEO_EXTENSIONS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
COUNTED = (".mp4", ".m4v", ".mov", ".avi")  # their headers count the frames; others name a duration
PLAYLISTS = (b"ffconcat", b"#EXTM3U", b"<MPD", b"<?xml", b"[playlist]")  # how they begin; those of DASH are XML
USUAL_RATE = 25.0  # frames per second, where a header names no usable rate
MOST_RATE = 60.0  # frames per second of the drawn video of a recording whose frames come unevenly
LONGEST_GAP = 3600.0  # seconds that a frame may stay; a larger step of the time stamps is damage


@dataclass(frozen=True)
class Source:
    """One source.

    Attributes:
        kind: image, video or camera.
        where: path or camera number.
        name: of the output file, without its ending.
        pixels: (H, W, 3) uint8 RGB of an image that is in memory.
    """

    kind: str
    where: str
    name: str
    pixels: np.ndarray | None = None

    def read(self, max_pixels: int = 0, limit: int = 0) -> tuple[np.ndarray, tuple[int, int]]:
        """Read the image, as read_within does.

        Returns:
            (H, W, 3) uint8 RGB, and (width, height) px at full size.

        Raises:
            ImageError: it cannot be read.
        """
        if self.pixels is not None:
            return self.pixels, (self.pixels.shape[1], self.pixels.shape[0])
        return read_within(self.where, max_pixels, limit)


def find_sources(words: Sequence[str | os.PathLike]) -> list[Source]:
    """Find the sources that a command line names; all get different names.

    Args:
        words: images, folders, globs, videos, or numbers of cameras.

    Raises:
        InputError: a word is none of these.
    """
    taken, result = set(), []
    for source in (source for word in words for source in _sources_of(str(word))):
        name, number = source.name, 2
        while name in taken:
            name, number = f"{source.name}_{number}", number + 1
        taken.add(name)
        result.append(Source(source.kind, source.where, name, source.pixels))
    return result


def default_sources(folder: str | os.PathLike) -> list[Source]:
    """The images and videos in `folder`; where there are none, two public-domain portraits and a crowd made of them."""
    if os.path.isdir(folder):
        with contextlib.suppress(InputError):
            return find_sources([folder])
    hopper, collins = (portrait.image for portrait in portraits())
    crowd = portrait_collage(1600, 1000, seed=0)
    return [Source("image", name, name, pixels)
            for name, pixels in (("grace_hopper", hopper), ("astronaut", collins), ("crowd", crowd))]


def _sources_of(word):
    if os.path.isdir(word):
        return _folder(word)
    if os.path.exists(word):
        return [_file(word)]
    if is_url(word):
        raise InputError(f"{word}: is a URL; expected an image, a folder, a glob, a video or the number of a camera; "
                         "download it, or record it to a file")
    if word.isascii() and word.isdigit() and len(word) < 10:
        return [Source("camera", word, f"camera_{word}")]
    paths = sorted(path for path in glob.glob(word, recursive=True) if os.path.isfile(path))
    if paths:
        return [_file(path) for path in paths]
    wild = "nothing matches it" if glob.has_magic(word) else "no such file or folder"
    raise InputError(f"{word}: {wild}; expected an image, a folder, a glob, a video or the number of a camera")


def _folder(folder):
    videos = sorted(str(path) for path in Path(folder).iterdir()
                    if path.suffix.lower() in VIDEO_EXTENSIONS and not path.name.startswith("."))
    try:
        images = [os.path.join(folder, *image.split("/")) for image in find_images(folder, others=True)]
    except InputError:
        if not videos:
            raise
        images = []
    return [_file(path) for path in [*images, *videos]]


def _file(path):
    # A file with an unknown ending is treated as an image; reading it shows what is wrong.
    video = Path(path).suffix.lower() in VIDEO_EXTENSIONS
    return Source("video" if video else "image", path, Path(path).stem)


class Frame(NamedTuple):
    """A frame of a video or camera.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        seconds: when it stands: its time stamp; of a camera the time since the first frame.
    """

    image: np.ndarray
    seconds: float


@dataclass(frozen=True)
class Timing:
    """What a video's header and time stamps say.

    Attributes:
        rate: frames per second on average.
        count: number of frames; None: not known.
        counted: the header counts the frames; False: `count` follows from the duration.
        pace: constant number of frames per second that shows every frame. It is higher than `rate` where some frames
            stay longer than others, as in recordings of a screen.
    """

    rate: float = USUAL_RATE
    count: int | None = None
    counted: bool = False
    pace: float = USUAL_RATE

    def complete(self, frames: int, seconds: float) -> bool:
        """Whether a video that gave this many frames, the last at `seconds`, was read to its end."""
        if self.count is None or frames >= self.count:
            return True
        duration = self.count / self.rate
        return not self.counted and seconds + 1 / self.rate >= duration - max(0.2, duration / 20)


def timing(source: Source, limit: int = 0) -> Timing:
    """Read the Timing of a video; the frames are not decoded. That of a camera names the usual rate.

    Args:
        source: the Source.
        limit: number of frames, 0: all, whose time stamps decide the pace.
    """
    if source.kind == "camera":
        return Timing()
    with _opened(source) as capture:
        rate = _rate(capture)
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT) if capture.isOpened() else 0
        stamps: list[float] = []
        if capture.set(cv2.CAP_PROP_FORMAT, -1):  # packets as they are stored
            with _ending():
                while (not limit or len(stamps) < limit) and capture.grab():
                    stamps.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    return Timing(rate, int(count) if 0 < count < 1e9 else None, Path(source.where).suffix.lower() in COUNTED,
                  _pace(stamps, rate))


def _pace(stamps, rate):
    """The constant rate that shows every frame of a video with these time stamps."""
    steps = np.diff(np.sort(np.array(stamps)))
    steps = steps[(steps > 1e-4) & (steps < LONGEST_GAP)]
    if not len(steps) or np.percentile(steps, 99) < 1.5 * np.percentile(steps, 1):  # even, or with a few lost frames
        return rate
    return float(max(rate, min(MOST_RATE, 1 / np.percentile(steps, 10))))


def _rate(capture):
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 0.1 <= rate <= 480 else USUAL_RATE


@contextlib.contextmanager
def _opened(source):
    """A cv2.VideoCapture, opened or not."""
    with contextlib.ExitStack() as stack:
        if source.kind == "camera":
            capture = cv2.VideoCapture(int(source.where))
        else:
            _check_no_playlist(source.where)
            capture = cv2.VideoCapture(stack.enter_context(in_utf8(source.where)))
        stack.callback(capture.release)
        yield capture


def _check_no_playlist(path):
    """ImageError for a text that names other files or addresses, which FFmpeg would open, whatever the ending is."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        start = file.read(256).lstrip(b"\xef\xbb\xbf \t\r\n")
        if start.startswith(PLAYLISTS):
            raise ImageError(f"{path}: a playlist, which names other files; expected a video")


def _ending():
    """Around the reading of frames: OpenCV raises on some damaged files, which end there."""
    return contextlib.suppress(cv2.error)


def frames(source: Source, limit: int = 0) -> Iterator[Frame]:
    """Yield the frames of a video or camera.

    Args:
        source: the Source.
        limit: largest number of frames, 0: all.

    Raises:
        ImageError: there is no frame.
    """
    camera, number, seconds, began = source.kind == "camera", 0, 0.0, None
    with _opened(source) as capture:
        if not capture.isOpened():
            raise ImageError(_no_camera(source.where) if camera else f"{source.where}: cannot be opened as a video")
        step = 1 / _rate(capture)
        while not limit or number < limit:
            frame = None
            with _ending():
                frame = capture.read()[1]
            if frame is None:
                break
            began = time.perf_counter() if began is None else began
            stamp = time.perf_counter() - began if camera else capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            # A damaged stamp is replaced, so that time never stands still or runs back.
            valid = stamp >= 0 if not number else 0 < stamp - seconds < LONGEST_GAP
            seconds = stamp if valid else seconds + step if number else 0.0
            number += 1
            yield Frame(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), seconds)
        if not number:
            what = f"camera {source.where}" if camera else source.where
            raise ImageError(f"{what}: holds no frame that can be decoded")


def _no_camera(number):
    if not sys.platform.startswith("linux"):
        return f"camera {number}: cannot be opened; is it connected, and may this program use it?"
    there = sorted(glob.glob("/dev/video*"))
    reason = (f"there are {', '.join(there)}; is another program using it, or may you not read it (group video)?"
              if there else "this machine has none (no /dev/video*)")
    return f"camera {number}: cannot be opened; {reason}"
