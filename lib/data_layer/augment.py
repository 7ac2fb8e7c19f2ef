"""Augmentation: makes a square training sample of a roidb record. One random generator decides everything.

A face is scaled to a random size and the image is cropped around it. Four crops can share an image (mosaic). Light and
resolution change. Faces of which too little is left, or which become too small, become ignore regions: they count
neither as faces nor as background.

Images stay uint8. Measurements decided what is compiled and what OpenCV does, in ms of one core for 640 x 640 px:
shrinking from 1000 px takes 1.6 compiled and 6.2 as INTER_AREA; moving 30 faces takes 0.005 compiled and 0.05 in NumPy.
cv2.resize upwards takes 0.4 to 0.8, cv2.transform 0.16 and cv2.flip 0.05 (NumPy's copy of a mirrored view: 1.8). These
three are near the limit of memory bandwidth, so they are not compiled here.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from easydict import EasyDict

from ..constants import FILL, FLIPPED_LANDMARKS
from ..datasets.roidb import Record
from ..errors import InputError
from . import shrink, visible_faces
from .augment_ssd import ssd_window

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def augment(record: Record, read: Callable[[Record, int], np.ndarray], rng: np.random.Generator, cfg: EasyDict,
            others: Callable[[np.random.Generator], Record] | None = None,
            clean: bool = False) -> dict[str, np.ndarray]:
    """Make one training sample.

    Args:
        record: the image and its faces.
        read: reads the image of a record, (H, W, 3) uint8 RGB; its second argument (1, 2, 4 or 8) divides the sides.
        rng: the only source of randomness.
        cfg: the section AUGMENT.
        others: draws another record for a mosaic. None: no mosaics.
        clean: no mosaic, no covered face and no loss of resolution.

    Returns:
        "image" (S, S, 3) uint8 RGB; "boxes" (N, 4) float32 x1 y1 x2 y2 px; "ignore" (N,) bool; "landmarks" (N, 5, 2)
        float32 x y px, NaN = not labelled. Except for a mosaic also "picture", (4,) float32 x1 y1 x2 y2 px: the rest
        of the image is grey.

    Raises:
        InputError: when the image has another size than the record says.
    """
    size = cfg.SIZE
    if others is not None and not clean and rng.random() < cfg.MOSAIC:
        sample = _mosaic([record] + [others(rng) for _ in range(3)], read, rng, cfg)
    else:
        sample = crop(record, read, rng, cfg, (size, size))
    if rng.random() < cfg.FLIP:
        sample = flip(sample)
    if cfg.TURN and rng.random() < cfg.TURN:
        sample = turn(sample, int(rng.integers(1, 4)))
    image = colour(sample["image"], rng, cfg)
    if cfg.COVER and not clean:
        image = cover_faces(image, sample["boxes"][~sample["ignore"]], rng, cfg.COVER)
    if not clean and rng.random() < cfg.BLUR:
        image = lose_resolution(image, rng, cfg.BLUR_FACTORS)
    return {**sample, "image": image}


def flip(sample: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Mirror a sample left to right. Left and right landmarks change places."""
    width = np.float32(sample["image"].shape[1])
    return {
        "image": cv2.flip(sample["image"], 1),
        "boxes": _flipped(sample["boxes"], width),
        "ignore": sample["ignore"],
        "landmarks": (sample["landmarks"][:, FLIPPED_LANDMARKS] * np.array([-1, 1], np.float32)
                      + np.array([width, 0], np.float32)),
    } | ({"picture": _flipped(sample["picture"], width)} if "picture" in sample else {})


def turn(sample: dict[str, np.ndarray], quarters: int) -> dict[str, np.ndarray]:
    """Turn a square sample counterclockwise by quarter turns: faces of people who lie, and photographs that do."""
    side = np.float32(sample["image"].shape[0])
    for _ in range(quarters):
        image = cv2.rotate(sample["image"], cv2.ROTATE_90_COUNTERCLOCKWISE)
        points = np.stack([sample["landmarks"][..., 1], side - sample["landmarks"][..., 0]], axis=-1)
        sample = {**sample, "image": image, "boxes": _turned(sample["boxes"], side), "landmarks": points} | (
            {"picture": _turned(sample["picture"], side)} if "picture" in sample else {})
    return sample


def _turned(boxes, side):
    """Boxes (..., 4) in a square image that is turned counterclockwise once: x becomes y, and side - x the new y."""
    return np.stack([boxes[..., 1], side - boxes[..., 2], boxes[..., 3], side - boxes[..., 0]], axis=-1)


def _flipped(boxes, width):
    """Boxes (..., 4) in an image of `width` px that is mirrored."""
    return np.stack([width - boxes[..., 2], boxes[..., 1], width - boxes[..., 0], boxes[..., 3]], axis=-1)


def _mosaic(records, read, rng, cfg):
    """Four crops around a random point."""
    size = cfg.SIZE
    x, y = rng.integers(int(0.3 * size), int(0.7 * size) + 1, 2)
    image, crops = np.empty((size, size, 3), np.uint8), []
    for record, (x1, y1, x2, y2) in zip(
        records, ((0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)), strict=True
    ):
        sample = crop(record, read, rng, cfg, (x2 - x1, y2 - y1))
        image[y1:y2, x1:x2] = sample["image"]
        sample["boxes"] = sample["boxes"] + np.array([x1, y1, x1, y1], np.float32)
        sample["landmarks"] = sample["landmarks"] + np.array([x1, y1], np.float32)
        crops.append(sample)
    return {"image": image} | {key: np.concatenate([sample[key] for sample in crops])
                               for key in ("boxes", "ignore", "landmarks")}


def crop(record: Record, read: Callable[[Record, int], np.ndarray], rng: np.random.Generator, cfg: EasyDict,
         size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Cut a window, chosen as cfg.KIND says, out of the image and scale it. Outside the image it is grey.

    Args:
        record: as in augment.
        read: as in augment.
        rng: as in augment.
        cfg: the section AUGMENT.
        size: (width, height) px of the result.

    Returns:
        As augment, with "picture".

    Raises:
        InputError: when the image has another size than the record says.
    """
    shape, image = (record.width, record.height), None
    if not all(shape):  # the roidb was made without images
        image = read(record, 1)
        shape = image.shape[1], image.shape[0]
    faces = record.boxes[~record.ignore]
    if cfg.KIND == "ssd":
        start, sides = ssd_window(shape, faces, rng, cfg)
        scale = [length / side for length, side in zip(size, sides, strict=True)]
    else:
        start, scale = _window(shape, faces, rng, cfg, size)
    reduce = 1 if image is not None else _reduction(record, max(scale))
    image = read(record, reduce) if image is None else image
    if (image.shape[1] * reduce, image.shape[0] * reduce) != shape:
        raise InputError(f"{record.path}: the image has {image.shape[1] * reduce} x {image.shape[0] * reduce} px, the "
                         f"roidb says {shape[0]} x {shape[1]}; build it again with `manyfaces data build`")
    image, scales, shift = cut(image, [x / reduce for x in start], [x * reduce for x in scale], size)
    boxes, ignore, landmarks = visible_faces(record.boxes, record.ignore, record.landmarks,
                                             [x / reduce for x in scales], shift, size, cfg.MIN_FACE, cfg.MIN_VISIBLE)
    ends = [x / reduce * factor + begin for x, factor, begin in zip(shape, scales, shift, strict=True)]
    picture = np.array([*(max(0, round(x)) for x in shift),
                        *(min(x, round(end)) for x, end in zip(size, ends, strict=True))], np.float32)
    return {"image": image, "boxes": boxes, "ignore": ignore, "landmarks": landmarks, "picture": picture}


def _window(shape, faces, rng, cfg, size):
    """Start (x, y) px and scale (x, y) of a window of `size` (width, height) px that may leave the image (zoom-out).

    It contains the centre of a face, except for a fraction cfg.BACKGROUND of the windows. Without these the net would
    receive background far from faces only in small scenes, and detect faces in it at test (docs/ssh.md).
    """
    if cfg.BACKGROUND and rng.random() < cfg.BACKGROUND:
        faces = faces[:0]
    face = rng.choice(faces) if len(faces) else None
    # The net learns little from a window that is mostly grey.
    scale = max(_scale(face, rng, cfg, min(size)), min(size) / (cfg.ZOOM_OUT * max(shape)))
    low, high = cfg.STRETCH
    root = np.exp(rng.uniform(np.log(low), np.log(high)) / 2) if low < high else np.sqrt(low)
    scale = [scale * root, scale / root]
    return [_window_start(None if face is None else (face[i] + face[i + 2]) / 2, size[i] / scale[i], shape[i], rng)
            for i in (0, 1)], scale


def _reduction(record, scale):
    """The factor (1, 2, 4 or 8) by which the decoder may shrink the image; this makes a JPEG cheaper to decode.

    Both sides must be divisible by it, so that points stay exactly where they are. It must not depend on the cache:
    a sample is a function of (seed, epoch, index) only.
    """
    if record.image.lower().endswith((".jpg", ".jpeg")):
        for reduce in (8, 4, 2):
            if scale * reduce <= 1 and record.width % reduce == 0 and record.height % reduce == 0:
                return reduce
    return 1


def _scale(face, rng, cfg, side):
    """Scale of the image: brings the face to a random size, or is random itself; log-uniform in both cases."""
    if cfg.SCALE_CHOICES:
        return float(rng.choice(cfg.SCALE_CHOICES))
    low, high = cfg.SCALES
    if face is not None and cfg.FACE_SIZES and rng.random() < cfg.FACE_PROBABILITY:
        smallest, largest = cfg.FACE_SIZES
        largest = max(min(largest, 0.9 * side), smallest)
        face_size = np.exp(rng.uniform(np.log(smallest), np.log(largest)))
        return float(np.clip(face_size / np.sqrt((face[2] - face[0]) * (face[3] - face[1])), low, high))
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _window_start(centre, length, side, rng):
    """Random start of a window of `length` px on an axis of `side` px, so that it contains `centre`, if not None.

    A window that fits stays inside the image, a larger one contains all of it. A centre outside the image draws at
    most half of the window or of the image out of the other.
    """
    low, high = first, last = min(0.0, side - length), max(0.0, side - length)
    if centre is not None:
        low, high = max(low, centre - 0.98 * length), min(high, centre - 0.02 * length)
    start = rng.uniform(low, high) if low < high else (low + high) / 2
    beyond = min(length, side) / 2
    return min(max(start, first - beyond), last + beyond)


def cut(image: np.ndarray, start: Sequence[float], scale: Sequence[float], size: tuple[int, int]
        ) -> tuple[np.ndarray, tuple[float, float], tuple[float, float]]:
    """Cut a window out of an image and scale it. Outside the image it is grey.

    Whole pixels of the source become whole pixels of the window, so the scales are rounded. Shrinking takes means.

    Args:
        image: (H, W, 3) uint8.
        start: (x, y) of the window in px of the image; it may be outside.
        scale: (x, y) from the image to the window.
        size: (width, height) px of the window.

    Returns:
        The window, (height, width, 3) uint8; the rounded scale (x, y); the shift (x, y). A point of the image is at
        point * scale + shift in the window.
    """
    (x1, x2, to_x1, to_x2), (y1, y2, to_y1, to_y2) = spans = [
        _span(begin, side, length, factor)
        for begin, side, length, factor in zip(start, (image.shape[1], image.shape[0]), size, scale, strict=True)]
    scales = tuple((to_last - to_first) / (last - first) for first, last, to_first, to_last in spans)
    shifts = tuple(to_first - first * factor for (first, _, to_first, _), factor in zip(spans, scales, strict=True))
    window = _resize(image[y1:y2, x1:x2], (to_x2 - to_x1, to_y2 - to_y1))
    if window.shape[:2] != (size[1], size[0]):
        padded = np.full((size[1], size[0], 3), FILL, np.uint8)
        padded[to_y1:to_y2, to_x1:to_x2] = window
        window = padded
    return window, scales, shifts


def _span(begin, side, length, scale):
    """Along one axis: first and end px of the source, and first and end px of the window that they become."""
    first, last = max(0, int(np.floor(begin))), min(side, int(np.ceil(begin + length / scale)))
    last = max(last, first + 1)
    to_first = max(0, round((first - begin) * scale)) if begin < 0 else 0
    to_length = max(1, min(length - to_first, round((last - first) * scale)))
    if length - to_first - to_length == 1:  # a grey line of one pixel
        to_length += 1
    return first, last, to_first, to_first + to_length


def _resize(image, size):
    """The image at `size` (width, height) px: by means of areas where no side grows, else bilinear."""
    if (image.shape[1], image.shape[0]) == tuple(size):
        return np.ascontiguousarray(image)
    if size[0] <= image.shape[1] and size[1] <= image.shape[0]:
        return shrink(image, size)
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)


def colour(image: np.ndarray, rng: np.random.Generator, cfg: EasyDict) -> np.ndarray:
    """Change brightness, contrast, saturation and hue of an image, (H, W, 3) uint8, with one 3 x 4 matrix."""
    matrix, grey = np.eye(3, 4, dtype=np.float32), np.outer(np.ones(3, np.float32), LUMA)
    changed = False
    if rng.random() < cfg.COLOUR:  # hue: a rotation about the grey axis
        angle = np.deg2rad(rng.uniform(-12, 12))
        cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], np.float32) / np.sqrt(3)
        rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
        matrix, changed = rotation.astype(np.float32) @ matrix, True
    grey_image = rng.random() < cfg.GREY
    if grey_image or rng.random() < cfg.COLOUR:  # saturation
        amount = np.float32(0.0 if grey_image else rng.uniform(0.5, 1.5))
        matrix, changed = (amount * np.eye(3, dtype=np.float32) + (1 - amount) * grey) @ matrix, True
    if rng.random() < cfg.COLOUR:  # contrast, about middle grey
        amount = np.float32(rng.uniform(0.6, 1.4))
        matrix = amount * matrix
        matrix[:, 3] += (1 - amount) * FILL
        changed = True
    if rng.random() < cfg.COLOUR:  # brightness
        matrix[:, 3] += np.float32(rng.uniform(-36, 36))
        changed = True
    return cv2.transform(image, matrix) if changed else image


def cover_faces(image: np.ndarray, boxes: np.ndarray, rng: np.random.Generator, probability: float) -> np.ndarray:
    """Cover a part of some faces, as hands, hats, masks and other people do; the boxes stay.

    The cover begins at one edge of the box and takes 0.2 to 0.5 of that side. It is one colour, or a piece of the same
    image from elsewhere.

    Args:
        image: (H, W, 3) uint8.
        boxes: (N, 4) float32 x1 y1 x2 y2 px, of the faces.
        rng: the source of randomness.
        probability: of each face.

    Returns:
        (H, W, 3) uint8; a copy, if a face is covered.
    """
    height, width = image.shape[:2]
    covered = image
    for box in boxes[rng.random(len(boxes)) < probability]:
        edge, fraction = int(rng.integers(4)), rng.uniform(0.2, 0.5)
        ends = box.copy()
        low, high = edge % 2, edge % 2 + 2  # along x or along y, from the lower or from the higher end
        length = fraction * (box[high] - box[low])
        if edge < 2:
            ends[high] = box[low] + length
        else:
            ends[low] = box[high] - length
        x1, y1, x2, y2 = np.round(ends.clip(0, [width, height, width, height])).astype(int)
        if x2 <= x1 or y2 <= y1:
            continue
        if covered is image:
            covered = image.copy()
        if rng.random() < 0.5:
            covered[y1:y2, x1:x2] = rng.integers(0, 256, 3)
        else:
            x, y = rng.integers(0, width - (x2 - x1) + 1), rng.integers(0, height - (y2 - y1) + 1)
            covered[y1:y2, x1:x2] = image[y : y + y2 - y1, x : x + x2 - x1]
    return covered


def lose_resolution(image: np.ndarray, rng: np.random.Generator, factors: Sequence[float]) -> np.ndarray:
    """Make a poor photograph: shrink the image and enlarge it again, or compress it strongly.

    Half of the shrunk images lose more along one side, as if stored at another aspect. Half are compressed while they
    are small, so that the 8 x 8 px blocks of JPEG are enlarged too.

    Args:
        image: (H, W, 3) uint8.
        rng: the source of randomness.
        factors: (lowest, highest) fraction of the sides that an image is shrunk to.

    Returns:
        (H, W, 3) uint8.
    """
    size = image.shape[1], image.shape[0]
    if rng.random() >= 0.7:
        return _compressed(image, rng, 25, 75)
    low, high = factors
    across, down = np.full(2, rng.uniform(low, high)) if rng.random() < 0.5 else rng.uniform(low, high, 2)
    small = _resize(image, [max(1, round(size[0] * across)), max(1, round(size[1] * down))])
    if rng.random() < 0.5:
        small = _compressed(small, rng, 40, 95)
    return cv2.resize(small, size, interpolation=cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC)


def _compressed(image, rng, lowest, highest):
    """The image as a JPEG of quality lowest <= q < highest."""
    _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(lowest, highest))])
    return cv2.imdecode(code, cv2.IMREAD_COLOR)
