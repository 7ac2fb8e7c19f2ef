"""What a detector gives: `Detections`; and how any family's net becomes a detector: `Detector`.

image -> pyramid -> net -> decode -> nms -> Detections. The net is a function from an image batch to a dict of maps,
so a Keras model, an exported file or a stand-in of a test all serve; nothing here loads Keras.
"""

import os
import time
from dataclasses import dataclass, field

import cv2
import numpy as np

from .nms import nms, soft_nms

FILL = 114  # grey of the padding that brings images of like size into one batch; as in nets.layers
FLIPPED_LANDMARKS = (1, 0, 2, 4, 3)  # left eye, right eye, nose, left mouth corner, right mouth corner, mirrored


@dataclass
class Detections:
    """Faces in one image, best score first once `Detector` has them.

    boxes (N, 4) float32 x1 y1 x2 y2 px; scores (N,) float32 0..1; landmarks (N, 5, 2) float32 px or None; `times`
    holds milliseconds of net, decode and nms where they were measured.
    """

    boxes: np.ndarray
    scores: np.ndarray
    landmarks: np.ndarray | None = None
    times: dict = field(default_factory=dict)

    def __post_init__(self):
        self.boxes = np.asarray(self.boxes, np.float32).reshape(-1, 4)
        self.scores = np.asarray(self.scores, np.float32).reshape(-1)
        if self.landmarks is not None:
            self.landmarks = np.asarray(self.landmarks, np.float32).reshape(-1, 5, 2)

    def __len__(self):
        return len(self.scores)

    def take(self, index):
        """The faces at `index` (integers or a mask)."""
        return Detections(self.boxes[index], self.scores[index],
                          None if self.landmarks is None else self.landmarks[index], dict(self.times))

    def scaled(self, x, y):
        """The same faces in an image stretched by x and y."""
        boxes = self.boxes * np.float32([x, y, x, y])
        return Detections(boxes, self.scores, None if self.landmarks is None else self.landmarks * np.float32([x, y]),
                          dict(self.times))

    def mirrored(self, width):
        """The same faces in the image flipped left to right; left and right landmarks change places."""
        boxes = np.stack([width - self.boxes[:, 2], self.boxes[:, 1], width - self.boxes[:, 0], self.boxes[:, 3]], 1)
        landmarks = self.landmarks
        if landmarks is not None:
            landmarks = landmarks[:, FLIPPED_LANDMARKS] * np.float32([-1, 1]) + np.float32([width, 0])
        return Detections(boxes, self.scores, landmarks, dict(self.times))

    @staticmethod
    def concatenate(parts):
        """All faces of several Detections; their times are summed."""
        landmarks = [part.landmarks for part in parts]
        times = {}
        for part in parts:
            for key, value in part.times.items():
                times[key] = times.get(key, 0.0) + value
        return Detections(np.concatenate([part.boxes for part in parts]),
                          np.concatenate([part.scores for part in parts]),
                          None if any(points is None for points in landmarks) else np.concatenate(landmarks), times)


class Detector:
    """A family's net with its decoding and NMS.

    family: has `decode(outputs, size)` and, where its net pads at the right and at the bottom, `multiple`, the px that
    height and width are padded to. run: images (B, H, W, 3) uint8 -> dict of maps with a batch axis. cfg: its
    TEST section says scales, flip, thresholds.
    """

    def __init__(self, family, run, cfg):
        self.family, self.run, self.cfg = family, run, cfg

    @staticmethod
    def load(name, weights=None, overrides=()):
        """The detector that ships under `name`, or that of a config file `name`.yml.

        weights: a .weights.h5; None: those that ship. overrides: [KEY, VALUE, ...] of the config. Raises InputError.

        Detector.load("ssh_mobilenet_v1_025").detect(image) gives the faces of an image (H, W, 3) uint8 RGB.
        """
        from . import pretrained  # late, as is Keras: this module serves without a net as well
        from .config import load_config
        from .engine.test import load_detector

        name = os.fspath(name)
        path = name if name.endswith((".yml", ".yaml")) else pretrained.config_file(name)
        return load_detector(load_config(path, overrides), weights)

    def detect(self, images, scales=None, flip=None):
        """Detections of one image (H, W, 3) uint8 RGB, or a list of them for a list of images.

        scales: factors, or shorter sides in px where > 10; None: TEST.SCALES. Images that the net pads to the same size
        share a batch of at most TEST.BATCH images and TEST.MAX_PIXELS pixels.
        """
        if not isinstance(images, (list, tuple)):
            return self.detect([images], scales, flip)[0]
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
            for scale in scales:
                size = scaled_size(image.shape[1], image.shape[0], scale, test.MAX_SIDE, test.MAX_PIXELS)
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
        inputs = np.full((len(batch), padded[1], padded[0], 3), FILL, np.uint8)
        for place, (number, size, mirrored) in zip(inputs, batch, strict=True):
            place[: size[1], : size[0]] = _prepare(images[number], size, mirrored)
        start = time.perf_counter()
        outputs = self.run(inputs)
        net = (time.perf_counter() - start) * 1e3 / len(batch)
        for i, (number, size, mirrored) in enumerate(batch):
            start = time.perf_counter()
            part = self.family.decode({name: values[i] for name, values in outputs.items()}, size)
            part = part.mirrored(size[0]) if mirrored else part
            height, width = images[number].shape[:2]
            part = part.scaled(width / size[0], height / size[1])
            part.times = {"net": net, "decode": (time.perf_counter() - start) * 1e3}
            found[number].append(part)

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
        faces.times["nms"] = (time.perf_counter() - start) * 1e3
        return faces


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


def _prepare(image, size, mirrored):
    if (image.shape[1], image.shape[0]) != size:
        shrinks = size[0] < image.shape[1]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return image[:, ::-1] if mirrored else image
