"""The detectors of a service, the work on an image, and the state of the process."""

from __future__ import annotations

import asyncio
import io
import math
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..datasets.image_headers import HeaderError, read_header
from ..datasets.images import ImageError, read_image
from ..inference.detector import Detector
from .answers import Gone, Problem
from .bodies import Held, Receive
from .lanes import Lanes
from .logs import Log
from .metrics import Metrics
from .settings import Keys, Settings

if TYPE_CHECKING:
    from ..inference.base import BaseDetector

_WARM_UP = (480, 640)  # px, height and width
_MOST_RETRY = 60  # s
_TILE = 4_000_000  # px of a call of the net: the same faces as from larger tiles, in a third of the memory
_MOST_OVERLAP = 512  # px, from which on tiles of that size would be mostly overlap
_SCAN, _MOST_SCANS = b"\xff\xda", 100  # of a progressive JPEG: each takes time for all pixels; encoders write some 10
_THIN = 64  # px: nets pad short sides, so a longer image of the same pixels would take longer


class Work(NamedTuple):
    """What a thread made of an image.

    Attributes:
        answer: the object of the JSON, or the Problem.
        seconds: in the thread.
        pixels: of the image.
    """

    answer: dict[str, Any] | Problem
    seconds: float
    pixels: int = 0


class Service:
    """What all requests of a process share.

    Args:
        settings: limits and names.
        keys: API keys; none: no key is asked for.
        log: where events go.

    Attributes:
        detectors: by their names in requests; filled by `open`.
        speeds: processor seconds per megapixel of each, on one thread.
        landmarks: whether each gives any.
        active: requests that are being read or answered.
        stopping: whether new requests are refused.
    """

    def __init__(self, settings: Settings, keys: Keys | None = None, log: Log | None = None) -> None:
        self.settings, self.keys, self.log = settings, keys or Keys(), log or Log()
        self.metrics = Metrics()
        self.held = Held(settings.most_held)
        self.lanes = Lanes(settings.lanes, settings.queue)
        self.detectors: dict[str, BaseDetector] = {}
        self.speeds: dict[str, float] = {}
        self.landmarks: dict[str, bool] = {}
        self.active, self.stopping = 0, False
        self._mean = 0.1  # s of an image, for Retry-After

    def open(self) -> None:
        """Load the detectors and run each once, so that the first request does not wait.

        Raises:
            InputError: as Detector.load.
        """
        import cv2

        cv2.setNumThreads(1)  # the lanes are the threads
        image = np.random.default_rng(0).integers(0, 255, (*_WARM_UP, 3), np.uint8)
        for name, source in self.settings.named_models().items():
            detector = Detector.load(source, threads=1, runtime=self.settings.runtime,
                                     precision=self.settings.precision)
            test = detector.cfg.TEST
            if isinstance(detector, Detector) and not detector.shrunk_to and test.TILE_OVERLAP <= _MOST_OVERLAP:
                test.MAX_PIXELS = min(test.MAX_PIXELS or _TILE, _TILE)
            detector.detect(image)
            start = time.thread_time()
            self.landmarks[name] = detector.detect(image).landmarks is not None
            self.speeds[name] = (time.thread_time() - start) / image[..., 0].size * 1e6
            self.detectors[name] = detector
        self._mean = max(self.speeds.values()) / 2

    @property
    def default(self) -> str:
        """Name of the model of a request that names none."""
        return next(iter(self.detectors))

    def detector(self, name: str | None) -> tuple[str, BaseDetector]:
        """(name, detector); Problem where the service does not have it."""
        found = self.detectors.get(name or self.default)
        if found is None:
            raise Problem("unknown_model", f"This service has no model of that name; it has: "
                          f"{', '.join(self.detectors)}.")
        return name or self.default, found

    def check_room(self, images: int = 1) -> None:
        """Problem where the queue has no room for so many images."""
        if not self.lanes.has_room(images):
            wait = math.ceil(self.lanes.pending * self._mean / self.lanes.count)
            raise Problem("busy", "The queue is full; try again after the seconds of Retry-After.",
                          min(max(wait, 1), _MOST_RETRY))

    async def detect(self, images: Sequence[bytes | bytearray | memoryview], model: str, threshold: float | None,
                     receive: Receive) -> list[Work]:
        """Detect in several images, each as it gets a thread.

        Args:
            images: bytes of the files.
            model: name that `detector` gave.
            threshold: lowest score; None: the model's own.
            receive: of the request, whose next message is that the client has left.

        Raises:
            Problem: the queue has no room.
            Gone: the client has left; what waited is dropped.
        """
        self.check_room(len(images))
        detector = self.detectors[model]
        futures = [self.lanes.submit(partial(self._work, detector, data, threshold)) for data in images]
        everything, left = asyncio.gather(*futures), asyncio.ensure_future(_gone(receive))
        everything.add_done_callback(lambda future: future.cancelled() or future.exception())  # nobody may ask for it
        try:
            await asyncio.wait((everything, left), return_when=asyncio.FIRST_COMPLETED)
            if not everything.done():
                raise Gone
            done = everything.result()
        finally:
            for future in futures:
                future.cancel()
            left.cancel()
        for work in done:
            self._mean += (work.seconds - self._mean) / 20
            self.metrics.work.labels(model).observe(work.seconds)
            if not isinstance(work.answer, Problem):
                self.metrics.images.labels(model).inc()
                self.metrics.faces.labels(model).inc(len(work.answer["faces"]))
        return done

    def _work(self, detector: BaseDetector, data: Any, threshold: float | None) -> Work:
        """What a thread does with the bytes of an image."""
        start = time.perf_counter()
        pixels = 0
        answer: dict[str, Any] | Problem
        try:
            image = decode(data, self.settings.max_pixels)
            pixels = image.shape[0] * image.shape[1]
            faces = detector.detect(image, threshold=threshold).to_dict()
            ms = round((time.perf_counter() - start) * 1e3, 1)
            answer = {"width": image.shape[1], "height": image.shape[0], "ms": ms, **faces}
        except Problem as problem:
            answer = problem.with_traceback(None)
        except MemoryError:
            answer = Problem("busy", "The service is out of memory for this image; try again later.", 5)
        return Work(answer, time.perf_counter() - start, pixels)


def decode(data: bytes | bytearray | memoryview, max_pixels: int) -> np.ndarray:
    """An image as the package reads it: upright, RGB. Its header is judged before anything is decoded.

    Raises:
        Problem: it is no image, is damaged, or has too many pixels.
    """
    if not len(data):
        raise Problem("empty_body", "There is no byte to read; send the bytes of an image file.")
    try:
        header = read_header(io.BytesIO(data))
        known = header is not None
    except HeaderError:
        header, known = None, True
    if header is not None:
        pixels = max(header.pixels, max(header.width, _THIN) * max(header.height, _THIN))
        if pixels > max_pixels:
            raise Problem("image_too_large", f"The image has {header.width:,} x {header.height:,} px, more than the "
                          f"{max_pixels:,} px that this service accepts (a side below {_THIN} px counts as {_THIN}); "
                          "scale it down.")
        if header.kind == "JPEG" and bytes(data).count(_SCAN) > _MOST_SCANS:
            raise Problem("unreadable_image", f"The JPEG has more than {_MOST_SCANS} scans, which would take very "
                          "long; save it again.")
    try:
        return read_image(data, limit=max_pixels)
    except ImageError as error:
        raise Problem("unreadable_image" if known else "not_an_image", f"{error}.") from None


async def _gone(receive):
    while (await receive())["type"] != "http.disconnect":
        pass
