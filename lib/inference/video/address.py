"""What a video is read from: a file, a camera or a stream."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ...datasets.images import ImageError, is_url
from ...datasets.roidb import IMAGE_EXTENSIONS
from ...errors import printable, shown

EXTENSIONS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".ts", ".mts", ".m2ts", ".3gp")
SCHEMES = ("rtsp", "rtsps", "http", "https")


@dataclass(frozen=True)
class Address:
    """Where a video comes from.

    Attributes:
        kind: video (a file, also one behind an http address), camera or stream.
        where: path, number of the camera, or the whole address, which may hold a password.
        name: what messages and JSON call it: without a user, a password and a query.
    """

    kind: str
    where: str
    name: str

    @property
    def live(self) -> bool:
        """Whether frames come in their own time, so that those that come too fast are lost."""
        return self.kind != "video"

    @property
    def is_path(self) -> bool:
        """Whether it is a file of this machine."""
        return self.kind == "video" and not is_url(self.where)


def address_of(source: str | os.PathLike | int) -> Address:
    """The Address of a path, of the number of a camera, or of a URL.

    An address whose path ends as that of a video file does, such as https://host/film.mp4, is read as a file: every
    frame, up to its end. Any other address is a live stream.

    Raises:
        ImageError: it is none of these, or names nothing that exists.

    Examples:
        >>> address_of(0)
        Address(kind='camera', where='0', name='camera 0')
        >>> address_of("rtsp://me:secret@10.0.0.7/live?token=9").name
        'rtsp://10.0.0.7/live'
    """
    if isinstance(source, int) and not isinstance(source, bool):
        if source < 0:
            raise ImageError(f"camera {source}: expected 0 for the first camera, 1 for the second")
        return Address("camera", str(source), f"camera {source}")
    if not isinstance(source, (str, os.PathLike)):
        raise ImageError(f"video: found {shown(source)}, expected a path, the number of a camera, or an address such "
                         f"as rtsp://host/path")
    text = os.fspath(source)
    text = text if isinstance(text, str) else os.fsdecode(text)
    if isinstance(source, str) and is_url(text):
        return _stream(text)
    path = Path(text)
    if path.is_dir():
        raise ImageError(f"{text}: is a folder, expected a video")
    number = camera_number(text)
    if number is not None:
        return Address("camera", number, f"camera {number}")
    if not path.exists():
        raise ImageError(f"{text}: no such file; expected a video, the number of a camera, or an address such as "
                         f"rtsp://host/path")
    return Address("video", text, text)


def camera_number(text: str) -> str | None:
    """The number of the camera that a text names, as 0 or /dev/video0 (Linux); None: it names a file or nothing."""
    device = re.fullmatch(r"/dev/video([0-9]{1,9})", text)
    if device:
        return device[1]
    return text if re.fullmatch(r"[0-9]{1,9}", text) and not os.path.exists(text) else None


def _stream(text):
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise ImageError(f"URL: {error}; expected one such as rtsp://host/path") from None
    scheme = parts.scheme.lower()
    name = f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if "@" in parts.path + parts.query + parts.fragment:  # a password that is not quoted may hold / or ?
        name = f"{scheme}://(hidden)"
    if scheme not in SCHEMES or not parts.hostname:
        raise ImageError(f"{name}: is a URL of a kind that is not read; expected {', '.join(SCHEMES)} with a host, or "
                         f"a file")
    ending = Path(parts.path).suffix.lower()
    if ending in IMAGE_EXTENSIONS:
        raise ImageError(f"{name}: is a URL of an image; download it")
    name = printable(name)
    return Address("video" if ending in EXTENSIONS and scheme.startswith("http") else "stream", text, name)
