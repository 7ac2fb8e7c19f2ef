"""The sources of a demonstration: images, folders, globs, videos, cameras, streams, or the package's own pictures."""

import contextlib
import dataclasses
import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...datasets.folders import find_images, read_within
from ...datasets.images import is_url
from ...datasets.toy.data_set import portrait_collage
from ...datasets.toy.portraits import portraits
from ...errors import InputError
from ..video.address import EXTENSIONS, Address, address_of, camera_number

EXPECTED = "expected an image, a folder, a glob, a video, the number of a camera, or an address such as rtsp://host/path"


@dataclass(frozen=True)
class Source:
    """One source.

    Attributes:
        kind: image, video, camera or stream.
        where: path, camera number, or address without a password.
        name: of the output file, without its ending.
        pixels: (H, W, 3) uint8 RGB of an image that is in memory.
        url: the whole address of a stream.
    """

    kind: str
    where: str
    name: str
    pixels: np.ndarray | None = None
    url: str = ""

    @property
    def live(self) -> bool:
        """Whether it has no end of its own: a camera or stream."""
        return self.kind in ("camera", "stream")

    @property
    def address(self) -> Address:
        """Where the frames of a video, camera or stream come from."""
        if self.kind == "camera":
            return Address("camera", self.where, f"camera {self.where}")
        return Address(self.kind, self.url or self.where, self.where)

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
        words: images, folders, globs, videos, numbers of cameras, or addresses of streams.

    Raises:
        InputError: a word is none of these.
    """
    taken, result = set(), []
    for source in (source for word in words for source in _sources_of(str(word))):
        name, number = source.name, 2
        while name in taken:
            name, number = f"{source.name}_{number}", number + 1
        taken.add(name)
        result.append(dataclasses.replace(source, name=name))
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
    if (number := camera_number(word)) is not None:
        return [Source("camera", number, f"camera_{number}")]
    if os.path.exists(word):
        return [_file(word)]
    if is_url(word):
        address = address_of(word)
        return [Source(address.kind, address.name, _file_name(address.name), url=address.where)]
    paths = sorted(path for path in glob.glob(word, recursive=True) if os.path.isfile(path))
    if paths:
        return [_file(path) for path in paths]
    wild = "nothing matches it" if glob.has_magic(word) else "no such file or folder"
    raise InputError(f"{word}: {wild}; {EXPECTED}")


def _file_name(address):
    """A name of letters, digits, points and lines for the video of an address."""
    name = re.sub(r"[^\w.-]+", "_", address.partition("://")[2]).strip("._")
    return (Path(name).stem if Path(name).suffix.lower() in EXTENSIONS else name)[:100]


def _folder(folder):
    videos = sorted(str(path) for path in Path(folder).iterdir()
                    if path.suffix.lower() in EXTENSIONS and not path.name.startswith("."))
    try:
        images = [os.path.join(folder, *image.split("/")) for image in find_images(folder, others=True)]
    except InputError:
        if not videos:
            raise
        images = []
    return [_file(path) for path in [*images, *videos]]


def _file(path):
    # A file with an unknown ending is treated as an image; reading it shows what is wrong.
    video = Path(path).suffix.lower() in EXTENSIONS
    return Source("video" if video else "image", path, Path(path).stem)
