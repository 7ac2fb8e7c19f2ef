"""Testing: a folder of images becomes predictions that `manyfaces evaluate` reads, written by results.py.

DIR/0--Parade/x.jpg gives OUT/0--Parade/x.txt. OUT/settings.json says what found the faces, because a figure without its
scales, flip, threshold and NMS cannot be compared.
"""

from __future__ import annotations

import errno
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import check_value
from ..datasets.folders import find_images, listed_images, read_ahead
from ..datasets.images import ImageError, image_size
from ..errors import printable
from ..progress import Progress
from .base import scaled_size
from .results import open_results

if TYPE_CHECKING:
    from ..detections import Detections
    from .base import BaseDetector


def detect_folder(detector: BaseDetector, folder: str | os.PathLike, out: str | os.PathLike,
                  names: str | os.PathLike | None = None, scales: Sequence[float] | None = None,
                  flip: bool | None = None, settings: dict[str, Any] | None = None, resume: bool = False,
                  file_format: str = "wider", labels: str | os.PathLike | None = None) -> dict[str, Any]:
    """Detect in all images below a folder and write the predictions.

    An image that cannot be read is reported in a warning line, and the others continue.

    Args:
        out: folder for the predictions; for coco and fddb one file.
        names: text file that lists the images; None: all images below `folder`.
        scales, flip: as in Detector.detect.
        settings: written to OUT/settings.json; for coco and fddb to OUT.settings.json.
        resume: leave out images that have a prediction file, if the settings there are the same.
        file_format, labels: as in results.open_results.

    Returns:
        images (done now), resumed (done before), failed (list of names), faces, seconds, and ms: mean milliseconds per
        image in net, decode and nms.

    Raises:
        InputError: a bad folder or list.
        OSError: with the file's name, when a file cannot be written.
    """
    images, test = find_images(folder, others=True), detector.cfg.TEST
    scales = test.SCALES if scales is None else check_value("TEST.SCALES", scales, "scales")
    images = listed_images(names, images) if names else images
    results = open_results(out, images, settings, resume, file_format, labels)
    images = [image for image in images if image not in results.resumed]
    if test.BATCH > 1:
        images.sort(key=lambda image: _size(Path(folder, image)))  # images of similar size then share a batch
    faces, failed, times, began = 0, [], {}, time.perf_counter()
    with Progress(len(images), "images") as progress:
        stream = read_ahead([Path(folder, image) for image in images], detector.shrunk_to, ahead=2 + 2 * test.BATCH,
                            limit=test.MAX_FILE_PIXELS)
        for chunk in _batched(((images[number], *read) for number, *read in stream), max(1, test.BATCH)):
            for image, found, size in detect_items(detector, chunk, scales, flip):
                if isinstance(found, ImageError):
                    failed.append(image)
                    results.leave_out(image)
                    progress.note(f"warning: {found}; left out")
                    continue
                _note_limit(progress, Path(folder, image), size, scales, detector)
                try:
                    results.write(image, found, size)
                except OSError as error:
                    if error.errno != errno.ENAMETOOLONG:
                        raise
                    failed.append(image)
                    progress.note(f"warning: {printable(image)}: {error.strerror} for its prediction file; left out")
                    continue
                faces += len(found)
                times = {part: times.get(part, 0.0) + value for part, value in found.times.items()}
            progress.advance(len(chunk))
    count = len(images) - len(failed)
    if count or results.resumed:
        results.finish()
    return {"images": count, "resumed": len(results.resumed), "failed": failed, "faces": faces,
            "seconds": time.perf_counter() - began, "ms": {part: ms / count for part, ms in times.items()}}


def detect_items(detector: BaseDetector, chunk: Sequence[tuple[str, Any, Any]],
                 scales: Sequence[float], flip: bool | None) -> Iterator[tuple[str, Detections | ImageError, Any]]:
    """Detect in images that read_within has decoded, perhaps at a fraction of their size.

    Args:
        detector: the detector.
        chunk: (name, image (H, W, 3) uint8, (width, height) px at full size) per image; one that could not be read is
            its ImageError, and its size is None.
        scales, flip: as in Detector.detect.

    Yields:
        (name, Detections in px of the full-size image or an ImageError, size); those that cannot be read come first.

    The scale factors of an image that was decoded at a fraction of its size are raised, so that the net receives the
    same pixels. Where TEST.SIZE is set, the factors are of that size and stay.
    """
    test = detector.cfg.TEST
    readable = [item for item in chunk if not isinstance(item[1], ImageError)]
    yield from (item for item in chunk if isinstance(item[1], ImageError))
    for reduced, group in itertools.groupby(readable, lambda item: round(max(item[2]) / max(item[1].shape[:2]))):
        part = list(group)
        # Above 10 a scale is a length in px. No image that was reduced can be enlarged tenfold below MAX_PIXELS.
        factors = scales if test.SIZE else [scale if scale > 10 else min(10, scale * reduced) for scale in scales]
        for (name, image, size), found in zip(part, _detect_or_say(detector, part, factors, flip), strict=True):
            if isinstance(found, ImageError):
                yield name, found, size
            else:
                yield name, found.scaled(size[0] / image.shape[1], size[1] / image.shape[0]), size


def _detect_or_say(detector, chunk, scales, flip):
    """Detections of each (name, image, size). Where the memory is too small, one by one, and then an ImageError."""
    try:
        return detector.detect([image for _, image, _ in chunk], scales, flip, threshold=0)
    except Exception as error:  # each backend has its own exception for this
        if not (isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
                or type(error).__name__ == "ResourceExhaustedError"):
            raise
    if len(chunk) > 1:
        return [found for item in chunk for found in _detect_or_say(detector, [item], scales, flip)]
    name, _, (width, height) = chunk[0]
    return [ImageError(f"{name}, {width} x {height} px: not enough memory for it; lower "
                       f"TEST.MAX_PIXELS (now {detector.cfg.TEST.MAX_PIXELS:,})")]


def _note_limit(progress: Progress, path: Path, size: tuple[int, int], scales: Sequence[float],
                detector: BaseDetector) -> None:
    """A line where an image is scaled down further than was asked for. An image that is enlarged less needs none."""
    test = detector.cfg.TEST
    if test.SIZE:  # the config asks for a smaller image
        return
    asked = max(min(scaled_size(*size, scale, test.MAX_SIDE), size) for scale in scales)
    scaled = max(scaled_size(*size, scale, test.MAX_SIDE, detector.shrunk_to) for scale in scales)
    if scaled < asked:
        progress.note(f"warning: {printable(str(path))}: {size[0]} x {size[1]} px, scaled down to {scaled[0]} x "
                      f"{scaled[1]} because TEST.MAX_PIXELS is {test.MAX_PIXELS:,}")


def _size(path):
    try:
        return image_size(path)
    except ImageError:
        return 0, 0  # reported when it is read


def _batched(items, count):
    """Lists of up to `count` items (itertools.batched comes with Python 3.12)."""
    rest = iter(items)
    while chunk := list(itertools.islice(rest, count)):
        yield chunk
