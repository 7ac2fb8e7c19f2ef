"""Testing: a folder of images becomes predictions that tools/evaluate.py reads, as results.py writes them.

DIR/0--Parade/x.jpg gives OUT/0--Parade/x.txt; OUT/settings.json says what found the faces, for a figure without its
scales, flip, threshold and NMS compares with nothing.
"""

import itertools
import time
from pathlib import Path

from ..datasets.folders import find_images, listed_images, read_ahead
from ..datasets.images import ImageError, image_size
from ..progress import Progress
from .base import scaled_size
from .results import open_results


def detect_folder(detector, folder, out, names=None, scales=None, flip=None, settings=None, resume=False,
                  form="wider", labels=None):
    """Detect in all images below `folder`, or in those that the text file `names` lists, and write what is found.

    scales, flip: as Detector.detect has them. settings: dict that is written to OUT/settings.json; with resume, images
    that have a prediction file since then are left out, if the settings there are the same. form, labels: as
    results.open_results has them; coco and fddb make `out` one file, and the settings go to OUT.settings.json. An image
    that cannot be read is one warning line, the others go on. Returns a dict: images (done now), resumed (done before),
    failed (list of names), faces, seconds, and ms, the mean milliseconds an image took in net, decode and nms.
    Raises InputError for bad folders and lists, OSError with the file's name when a file cannot be written.
    """
    images, test = find_images(folder), detector.cfg.TEST
    images = listed_images(names, images) if names else images
    results = open_results(out, images, settings, resume, form, labels)
    images = [image for image in images if image not in results.resumed]
    if test.BATCH > 1:
        images.sort(key=lambda image: _size(Path(folder, image)))  # so that images of like size meet in a batch
    faces, failed, times, began = 0, [], {}, time.perf_counter()
    with Progress(len(images), "images") as progress:
        stream = read_ahead([Path(folder, image) for image in images], detector.shrunk_to, ahead=2 + 2 * test.BATCH)
        for chunk in _batched(((images[number], *read) for number, *read in stream), max(1, test.BATCH)):
            for image, found, size in _detect(detector, chunk, scales, flip):
                if isinstance(found, ImageError):
                    failed.append(image)
                    results.leave_out(image)
                    progress.note(f"warning: {found}; left out")
                    continue
                _note_limit(progress, Path(folder, image), size, scales or test.SCALES, detector)
                results.write(image, found, size)
                faces += len(found)
                times = {part: times.get(part, 0.0) + value for part, value in found.times.items()}
            progress.advance(len(chunk))
    count = len(images) - len(failed)
    if count or results.resumed:
        results.finish()
    return {"images": count, "resumed": len(results.resumed), "failed": failed, "faces": faces,
            "seconds": time.perf_counter() - began, "ms": {part: ms / count for part, ms in times.items()}}


def _detect(detector, chunk, scales, flip):
    """Yield (name, Detections in px of the full-size image or an ImageError, full size) for each (name, image, size).

    An image that was decoded at a part of its size has its scale factors raised, so that the net sees the same; not so
    where TEST.SIZE says what the factors are of.
    """
    test = detector.cfg.TEST
    scales = test.SCALES if scales is None else scales
    readable = [item for item in chunk if not isinstance(item[1], ImageError)]
    yield from (item for item in chunk if isinstance(item[1], ImageError))
    for reduced, part in itertools.groupby(readable, lambda item: round(max(item[2]) / max(item[1].shape[:2]))):
        part = list(part)
        # Above 10 a scale is a length in px. No image that was reduced can be enlarged tenfold below MAX_PIXELS.
        factors = scales if test.SIZE else [scale if scale > 10 else min(10, scale * reduced) for scale in scales]
        for (name, image, size), found in zip(part, _detect_or_say(detector, part, factors, flip), strict=True):
            if isinstance(found, ImageError):
                yield name, found, size
            else:
                yield name, found.scaled(size[0] / image.shape[1], size[1] / image.shape[0]), size


def _detect_or_say(detector, part, scales, flip):
    """Detections of each (name, image, size); where the memory does not suffice one by one, and then an ImageError."""
    try:
        return detector.detect([image for _, image, _ in part], scales, flip)
    except Exception as error:  # each backend has an exception of its own for this
        if not (isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
                or type(error).__name__ == "ResourceExhaustedError"):
            raise
    if len(part) > 1:
        return [found for item in part for found in _detect_or_say(detector, [item], scales, flip)]
    name, _, (width, height) = part[0]
    return [ImageError(f"{name}, {width} x {height} px: the memory does not suffice for it; lower "
                       f"TEST.MAX_PIXELS (now {detector.cfg.TEST.MAX_PIXELS:,})")]


def _note_limit(progress, path, size, scales, detector):
    """A line where an image is seen smaller than was asked for; that it is enlarged less needs no words."""
    test = detector.cfg.TEST
    if test.SIZE:  # a smaller view is what the config asks for
        return
    asked = max(min(scaled_size(*size, scale, test.MAX_SIDE), size) for scale in scales)
    seen = max(scaled_size(*size, scale, test.MAX_SIDE, detector.shrunk_to) for scale in scales)
    if seen < asked:
        progress.note(f"warning: {path}: {size[0]} x {size[1]} px, seen at {seen[0]} x {seen[1]} for TEST.MAX_PIXELS "
                      f"is {test.MAX_PIXELS:,}")


def _size(path):
    try:
        return image_size(path)
    except ImageError:
        return 0, 0  # reported when it is read


def _batched(items, count):
    """Lists of up to `count` items (itertools.batched comes with Python 3.12)."""
    items = iter(items)
    while chunk := list(itertools.islice(items, count)):
        yield chunk
