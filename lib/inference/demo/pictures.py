"""What the demonstration writes of a source: the faces drawn, hidden or cut out."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ...align import HIDDEN_BY, align, crop, hide
from ...datasets.image_headers.jpeg_png import colour_profile
from ...datasets.images import ImageError
from ...drawing import draw
from ...errors import InputError
from ...files import identity, write_whole
from ..video.gaps import HELD, Bridge
from ..video.writer import video_format, whole_video

if TYPE_CHECKING:
    from ...detections import Detections
    from .sources import Source

    AddFrame = Callable[[int, np.ndarray, Detections, float], Any]
    """Takes the number of a frame, (H, W, 3) uint8 RGB, its faces, and its time in seconds."""

DRAWN = "drawn"
CUT_OUT = ("crop", "align")
KINDS = (DRAWN, *HIDDEN_BY, *CUT_OUT)
JPEG_SIDE = 65500  # px, the longest side of a JPEG
LOSSLESS = (".png", ".bmp", ".tif", ".tiff", ".gif", ".pgm", ".ppm", ".webp", ".avif")  # or may be so
FACE_FILE = re.compile(r"(\d{6}_)?\d+\.(jpg|png)")


class Pictures:
    """Writes what is made of images and videos.

    A drawn picture may be smaller than its source. Hidden and cut-out faces have the source's full size, and hold
    pixels only: no EXIF, no place, no preview image. The colour profile of a JPEG or PNG is kept, since colours look
    wrong without it.

    Args:
        folder: where the files go. A picture or video is NAME.ending, and cut-out faces are NAME/1.jpg, 2.jpg, ...
        kind: one of KINDS.
        score: faces below it are left out.
        strip: leave the colour profile out as well.

    Raises:
        InputError: the kind is another.
    """

    def __init__(self, folder: str | os.PathLike, kind: str, score: float, strip: bool = False):
        if kind not in KINDS:
            raise InputError(f"pictures: found {kind!r}, expected one of {', '.join(KINDS)}")
        self.folder, self.kind, self.score, self.strip = Path(folder), kind, score, strip
        self.cut_out = kind in CUT_OUT
        self.wrote: tuple[int, int] | None = None  # device and number of the folder
        self.held: list[tuple[float, np.ndarray]] = []  # (seconds, boxes) of the frames before, where they are hidden

    def path(self, source: Source) -> Path:
        """The file or folder of a source."""
        ending = "" if self.cut_out else video_format()[0] if source.kind != "image" else self._ending(source)
        return self.folder / (source.name + ending)

    def check(self, sources: Sequence[Source]) -> None:
        """Check that no picture would replace a source, its own or another one.

        Raises:
            InputError: names the source that would be lost.
        """
        there = {identity(source.where): source.where for source in sources if os.path.isfile(source.where)}
        for source in sources:
            path = self.path(source)
            if os.path.isfile(path) and (lost := there.get(identity(path))):
                raise InputError(f"{lost}: would be overwritten by the picture of {source.where}; choose another --out")

    def write_image(self, source: Source, path: Path, image: np.ndarray, faces: Detections) -> Path:
        """Write the file or the files of an image (H, W, 3) uint8 RGB.

        Returns:
            Where: `path`, or a .png in its place where a side is too long for a JPEG.

        Raises:
            ImageError: OpenCV cannot make the file.
            OSError: it cannot be written.
        """
        if self.cut_out:
            self.start_faces(path)
            self.write_faces(source, path, image, faces)
            return path
        if self.kind == DRAWN:
            made, profile = self._draw(image, faces), None
        else:
            made, profile = hide(image, faces.boxes, self.kind), None if self.strip else _colour_profile(source)
        if path.suffix == ".jpg" and max(made.shape) > JPEG_SIDE:
            path = path.with_suffix(".png")
        write_whole(path, _encoded(made, path.suffix, source, profile), sync=False)
        return path

    @contextlib.contextmanager
    def video(self, source: Source, path: Path, pace: float, tracked: bool = False) -> Iterator[AddFrame]:
        """Around the frames of a video with `pace` frames per second: a function that adds one.

        Where faces are `tracked`, a hidden face stays hidden in the frames in which its track was lost for a moment.

        Raises:
            as `writes` and `whole_video`.
        """
        self.held = []
        with self.writes(source, path):
            if self.cut_out:
                self.start_faces(path)
                yield lambda number, image, faces, seconds: self.write_faces(source, path, image, faces,
                                                                             f"{number:06}_")
                return
            with whole_video(path, pace) as writer:
                if self.kind == DRAWN or not tracked:
                    yield lambda number, image, faces, seconds: writer.show(self.frame(image, faces, seconds), seconds)
                    return
                bridge = Bridge()

                def show(ready):
                    for image, boxes, seconds in ready:
                        writer.show(hide(image, boxes, self.kind), seconds)

                try:
                    yield lambda number, image, faces, seconds: show(bridge.add(image, faces, seconds))
                finally:
                    show(bridge.rest())  # also after Ctrl-C

    def frame(self, image: np.ndarray, faces: Detections, seconds: float) -> np.ndarray:
        """What a video shows of a frame (H, W, 3) uint8 RGB. A hidden box stays hidden for HELD seconds more."""
        if self.kind == DRAWN:
            return self._draw(image, faces)
        self.held = [(at, boxes) for at, boxes in self.held if seconds - at <= HELD] + [(seconds, faces.boxes)]
        return hide(image, np.concatenate([boxes for _, boxes in self.held]), self.kind)

    def start_faces(self, path: Path) -> None:
        """Make the folder of cut-out faces, without those of an earlier run."""
        path.mkdir(parents=True, exist_ok=True)
        for file in path.iterdir():
            if FACE_FILE.fullmatch(file.name):
                file.unlink()

    def write_faces(self, source: Source, path: Path, image: np.ndarray, faces: Detections, before: str = "") -> None:
        """Write each face of an image to the folder `path`, best first; `before` begins the file names.

        Raises:
            InputError: faces are to be aligned by landmarks, and this detector finds none.
        """
        numbers = np.arange(1, len(faces) + 1)
        if self.kind == "align":
            if faces.landmarks is None:
                raise InputError("--align: this detector finds no landmarks, by which faces are turned upright; take "
                                 "--crop, or a detector with landmarks such as ssh_mobilenet_v1_025")
            known = np.isfinite(faces.landmarks).all(axis=(1, 2))
            cut, numbers = list(align(image, faces.landmarks[known])), numbers[known]
        else:
            cut = crop(image, faces.boxes)
        profile = None if self.strip else _colour_profile(source)
        for number, face in zip(numbers.tolist(), cut, strict=True):
            ending = self._ending(source)
            write_whole(path / f"{before}{number}{ending}", _encoded(face, ending, source, profile), sync=False)

    @contextlib.contextmanager
    def writes(self, source: Source, path: Path) -> Iterator[None]:
        """Around the writing of a source.

        Raises:
            ImageError: the name of the source is too long for that of the picture.
            OSError: it cannot be written, or what was written before was removed since.
        """
        if self.wrote and identity(self.folder) != self.wrote:
            raise FileNotFoundError(errno.ENOENT, "was removed while pictures were written to it", str(self.folder))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.lstat(path)  # a name that is too long is an error here, before the work
            yield
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise ImageError(f"{source.where}: {error.strerror} for its picture") from None
        self.wrote = self.wrote or identity(self.folder)

    def _draw(self, image, faces):
        # A face that continues a track may have a lower score than one that begins it.
        score = self.score if faces.ids is None else min(self.score, faces.threshold)
        return draw(image, faces, score, colour_bar=True)

    def _ending(self, source):
        return ".png" if self.kind != DRAWN and source.where.lower().endswith(LOSSLESS) else ".jpg"


def _encoded(image, ending, source, profile=None):
    """Bytes of a picture file; ImageError where OpenCV cannot make one of the source."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 92] if ending == ".jpg" else []
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    try:
        if profile is None:
            good, data = cv2.imencode(ending, pixels, options)
        else:
            good, data = cv2.imencodeWithMetadata(ending, pixels, [cv2.IMAGE_METADATA_ICCP],
                                                  [np.frombuffer(profile, np.uint8)], options)
    except cv2.error:
        good = False
    if not good:
        raise ImageError(f"{source.where}: its picture of {image.shape[1]} x {image.shape[0]} px cannot be written as "
                         f"{ending}")
    return data.tobytes()


def _colour_profile(source):
    """The colour profile of an image file, or None. OpenCV writes one from 4.12 on."""
    if source.kind != "image" or source.pixels is not None or not hasattr(cv2, "imencodeWithMetadata"):
        return None
    with open(source.where, "rb") as file:
        return colour_profile(file.read())
