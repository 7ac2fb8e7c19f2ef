"""How any family's net becomes a detector: `Detector`.

image -> pyramid -> net -> decode -> nms -> Detections. The net is a function from an image batch to a dict of maps,
so a Keras model, an exported file or a stand-in of a test all serve; nothing here loads Keras.
"""

import functools
import time

import cv2
import numpy as np

from ..constants import FILL
from ..data_layer import shrink
from ..datasets.pixels import rgb_image
from ..detections import Detections
from ..nms import nms, soft_nms
from .tiles import maps_of_tiles, tiles_of

CHUNK_PIXELS = 64_000_000  # of images that are looked at together, 192 MB


class Detector:
    """A family's net with its decoding and NMS.

    family: has `decode(outputs, size)` and, where its net pads at the right and at the bottom, `multiple`, the px that
    height and width are padded to: the strides of its maps divide it, and a large image may be cut into tiles. Where
    what it looks for depends on the scale, `at_scale(outputs, scale)`.
    run: images (B, H, W, 3) uint8 -> dict of maps with a batch axis. cfg: its TEST section says scales, flip,
    thresholds. source: path of the weights or of the model file, where there is one.
    """

    def __init__(self, family, run, cfg, source=None):
        self.family, self.run, self.cfg, self.source = family, run, cfg, source

    def __repr__(self):
        return f"Detector({self.cfg.NAME or self.cfg.FAMILY}{f' from {self.source}' if self.source else ''})"

    @staticmethod
    def load(name, weights=None, overrides=(), runtime=None, threads=None, precision=None):
        """A detector, ready to run: the model is read once, here.

        name: that of shipped weights (manyfaces.pretrained.names()), an exported model (.onnx, .xml, .tflite, with its
        sidecar .json), or a config (.yml) with `weights`, a .weights.h5. overrides: [KEY, VALUE, ...] of the config; an
        exported model lets only keys of TEST be changed. runtime: "openvino", "onnxruntime", "litert" or "keras"; None:
        the fastest that is installed and can read it. threads: of an exported model's runtime; None: all cores.
        precision: "float32"; "bf16", in half the time with hardly other boxes, by OpenVINO on processors that can;
        "int8" of a model that was exported so; None: as the model is.
        Raises InputError that says which names there are, what is installed, and what to install.

        >>> from manyfaces.datasets.toy.portraits import portraits
        >>> Detector.load("ssh_mobilenet_v1_025").detect(portraits()[0].image).above()  # doctest: +ELLIPSIS
        Detections(1 face, best 0.9..., with landmarks)
        """
        from .loading import open_detector  # late: this module serves without a model as well

        return open_detector(name, weights, overrides, runtime, threads, precision)

    def detect(self, images, scales=None, flip=None):
        """Detections of one image, or a list of them for a list (or tuple) of images.

        An image is a path, the bytes of an image file, an array (H, W, 3) uint8 RGB (grey and RGBA serve as well) or a
        PIL image; boxes are in px of the image as `manyfaces.datasets.pixels.rgb_image` gives it. All faces from
        TEST.SCORE on are in: `.above()` leaves those that are worth showing. scales: factors, or shorter sides in px
        where > 10, of the image, or of TEST.SIZE where that is set; None: TEST.SCALES. flip: also look at the mirrored
        image; None: TEST.FLIP. Images that the net pads to the same size share a batch of at most TEST.BATCH images and
        TEST.MAX_PIXELS pixels, and a larger image is cut into tiles or scaled down, as TEST.LARGE says; of a long list
        only as many are in memory as fit CHUNK_PIXELS. May be called from several threads at once.
        Raises ImageError that names the image which is none: its path, or its place in the list.
        """
        if not isinstance(images, (list, tuple)):
            return self._detect([rgb_image(images)], scales, flip)[0]
        found = []
        for chunk in _chunks(images):
            found += self._detect(chunk, scales, flip)
        return found

    @property
    def shrunk_to(self):
        """px (width x height) that larger images are scaled down to before the net sees them; 0: none are."""
        cut = hasattr(self.family, "detect") or getattr(self.family, "multiple", 1) > 1  # a cascade has strips
        return 0 if cut and self.cfg.TEST.LARGE == "tile" else self.cfg.TEST.MAX_PIXELS

    def _detect(self, images, scales, flip):
        """List of Detections for a list of arrays (H, W, 3) uint8."""
        test = self.cfg.TEST
        scales = test.SCALES if scales is None else scales
        flip = test.FLIP if flip is None else flip
        found = [[] for _ in images]
        for padded, batch in self._batches(images, scales, flip):
            self._run_batch(images, padded, batch, found)
        return [self._suppress(parts) for parts in found]

    def _batches(self, images, scales, flip):
        """Yield (padded size, list of (image number, (width, height) to bring it to, mirrored)) for each batch."""
        test, multiple, groups = self.cfg.TEST, getattr(self.family, "multiple", 1), {}
        for number, image in enumerate(images):
            width, height = test.SIZE or (image.shape[1], image.shape[0])
            sizes = [scaled_size(width, height, scale, test.MAX_SIDE, self.shrunk_to) for scale in scales]
            for size in dict.fromkeys(sizes):  # a limit may bring several scales to one size
                padded = tuple(side + -side % multiple for side in size)
                for mirrored in (False, True)[: 1 + bool(flip)]:
                    groups.setdefault(padded, []).append((number, size, mirrored))
        for padded, group in groups.items():
            room = test.MAX_PIXELS // (padded[0] * padded[1]) if test.MAX_PIXELS else test.BATCH
            count = max(1, min(test.BATCH, room))
            for i in range(0, len(group), count):
                yield padded, group[i : i + count]

    def _run_batch(self, images, padded, batch, found):
        """Detections of each member of a batch, appended to `found` of its image."""
        if hasattr(self.family, "detect"):  # a cascade: from images to faces in its own way
            sized = [np.ascontiguousarray(_prepare(images[number], *how)) for number, *how in batch]
            for (number, size, mirrored), part in zip(batch, self.family.detect(self.run, sized), strict=True):
                part = part.mirrored(size[0]) if mirrored else part
                height, width = images[number].shape[:2]
                found[number].append(part.scaled(width / size[0], height / size[1]))
            return
        start = time.perf_counter()
        all_maps = self._maps([_prepare(images[number], *how) for number, *how in batch], padded)
        net = (time.perf_counter() - start) * 1e3 / len(batch)
        for maps, (number, size, mirrored) in zip(all_maps, batch, strict=True):
            start = time.perf_counter()
            height, width = images[number].shape[:2]
            if hasattr(self.family, "at_scale"):
                maps = self.family.at_scale(maps, size[0] / width)
            part = self.family.decode(maps, size)
            part = part.mirrored(size[0]) if mirrored else part
            part = part.scaled(width / size[0], height / size[1])
            part.times = {"net": net, "decode": (time.perf_counter() - start) * 1e3}
            found[number].append(part)

    def _maps(self, sized, padded):
        """The net's dict of maps of each of the images, arrays of at most `padded` (width, height) px."""
        (width, height), test = padded, self.cfg.TEST
        if self.shrunk_to or not test.MAX_PIXELS or width * height <= test.MAX_PIXELS:
            outputs = self.run(_filled(sized, 0, 0, width, height))
            return [{name: values[i] for name, values in outputs.items()} for i in range(len(sized))]
        tiles = tiles_of(width, height, test.MAX_PIXELS, test.TILE_OVERLAP, self.family.multiple)
        return [maps_of_tiles(self.run, functools.partial(_filled, [image]), width, height, tiles) for image in sized]

    def _suppress(self, parts):
        """One image's Detections after NMS over all its scales, best first, at most TEST.KEEP."""
        test = self.cfg.TEST
        faces = Detections.concatenate(parts)
        start = time.perf_counter()
        if test.NMS_METHOD == "hard":
            faces = faces.take(nms(faces.boxes, faces.scores, test.NMS, test.KEEP))
        else:
            kept, scores = soft_nms(faces.boxes, faces.scores, test.NMS_METHOD, test.NMS, min_score=test.SCORE)
            faces = faces.take(kept[: test.KEEP])
            faces.scores = scores[: test.KEEP]
        faces.threshold = test.DEMO_SCORE
        faces.times["nms"] = faces.times.get("nms", 0.0) + (time.perf_counter() - start) * 1e3
        return faces


def _chunks(images):
    """Yield lists of arrays, as many as have CHUNK_PIXELS together, of a list of images of any kind."""
    chunk, pixels = [], 0
    for number, image in enumerate(images):
        chunk.append(rgb_image(image, f"image {number} of {len(images)}"))
        pixels += chunk[-1].shape[0] * chunk[-1].shape[1]
        if pixels >= CHUNK_PIXELS:
            yield chunk
            chunk, pixels = [], 0
    if chunk:
        yield chunk


def scaled_size(width, height, scale, max_side=0, max_pixels=0):
    """(width, height) px of the input for a scale: a factor up to 10, else the shorter side in px.

    The longer side is held to max_side and the area to max_pixels where those are not 0.

    >>> scaled_size(1024, 768, 0.5), scaled_size(1024, 768, 600), scaled_size(1024, 768, 2, max_side=1600)
    ((512, 384), (800, 600), (1600, 1200))
    >>> scaled_size(20000, 10000, 1, max_pixels=2_000_000)
    (2000, 1000)
    """
    factor = scale if scale <= 10 else scale / min(width, height)
    if max_side:
        factor = min(factor, max_side / max(width, height))
    if max_pixels:
        factor = min(factor, (max_pixels / (width * height)) ** 0.5)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _filled(images, x, y, width, height):
    """(B, height, width, 3) uint8: the images from (x, y) px on, and grey where one ends."""
    inputs = np.full((len(images), height, width, 3), FILL, np.uint8)
    for place, image in zip(inputs, images, strict=True):
        part = image[y : y + height, x : x + width]
        place[: part.shape[0], : part.shape[1]] = part
    return inputs


def _prepare(image, size, mirrored):
    height, width = image.shape[:2]
    if size[0] <= width and size[1] <= height and size != (width, height):
        image = shrink(image, size)  # INTER_AREA in a quarter of its time
    elif size != (width, height):
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if size[0] < width else cv2.INTER_LINEAR)
    return image[:, ::-1] if mirrored else image
