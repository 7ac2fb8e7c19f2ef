"""The sources of a demonstration: images, folders, globs, videos, cameras, or the pictures of the package."""

import contextlib
import glob
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ...datasets.folders import find_images, read_within
from ...datasets.images import ImageError
from ...datasets.toy.data_set import portrait_collage
from ...datasets.toy.portraits import portraits
from ...errors import InputError

VIDEO_EXTENSIONS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")


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

    def read(self, max_pixels: int = 0) -> tuple[np.ndarray, tuple[int, int]]:
        """Read the image, as read_within does.

        Returns:
            (H, W, 3) uint8 RGB, and (width, height) px at full size.

        Raises:
            ImageError: it cannot be read.
        """
        if self.pixels is not None:
            return self.pixels, (self.pixels.shape[1], self.pixels.shape[0])
        return read_within(self.where, max_pixels)


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
    if word.isdigit():
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


def frames(source: Source, limit: int = 0) -> Iterator[tuple[np.ndarray, float]]:
    """Yield the frames of a video or camera.

    Args:
        source: the Source.
        limit: largest number of frames, 0: all.

    Yields:
        ((H, W, 3) uint8 RGB, frames per second; 25 where the source gives no usable rate).

    Raises:
        ImageError: there is no frame.
    """
    capture = cv2.VideoCapture(int(source.where) if source.kind == "camera" else source.where)
    try:
        if not capture.isOpened():
            raise ImageError(_no_camera(source.where) if source.kind == "camera"
                             else f"{source.where}: cannot be opened as a video")
        rate, number = capture.get(cv2.CAP_PROP_FPS), 0
        while not limit or number < limit:
            good, frame = capture.read()
            if not good:
                break
            number += 1
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), rate if 0.1 <= rate <= 480 else 25.0
        if not number:
            what = f"camera {source.where}" if source.kind == "camera" else source.where
            raise ImageError(f"{what}: holds no frame that can be decoded")
    finally:
        capture.release()


def frame_count(source: Source) -> int | None:
    """Number of frames by the video's header; None where it gives none, and for a camera."""
    if source.kind == "camera":
        return None
    capture = cv2.VideoCapture(source.where)
    try:
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT) if capture.isOpened() else 0
    finally:
        capture.release()
    return int(count) if 0 < count < 1e9 else None


def _no_camera(number):
    if not sys.platform.startswith("linux"):
        return f"camera {number}: cannot be opened; is it connected, and may this program use it?"
    there = sorted(glob.glob("/dev/video*"))
    reason = (f"there are {', '.join(there)}; is another program using it, or may you not read it (group video)?"
              if there else "this machine has none (no /dev/video*)")
    return f"camera {number}: cannot be opened; {reason}"
