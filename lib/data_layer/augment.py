"""Augmentation: a roidb record becomes a square training sample, driven by one random generator.

Small data needs much of it: a face is brought to a random size and the crop is laid around it, four crops can share
an image (mosaic), light and resolution change. Faces that are cut too far or become too small turn into ignore
regions, so that the net is neither taught nor punished there.

Images stay uint8 throughout. What is compiled and what OpenCV does was decided by measurement, in ms of one core for
640 x 640 px: shrinking from 1000 px takes 1.6 compiled and 6.2 as INTER_AREA, moving 30 faces 0.005 and 0.05 in NumPy;
cv2.resize upwards takes 0.4 to 0.8, cv2.transform 0.16 and cv2.flip 0.05, near what memory allows, so they stay
(NumPy's copy of a mirrored view takes 1.8).
"""

import cv2
import numpy as np

from ..constants import FILL, FLIPPED_LANDMARKS
from ..errors import InputError
from . import shrink, visible_faces
from .augment_ssd import ssd_window

LUMA = np.float32([0.299, 0.587, 0.114])  # ITU-R BT.601


def augment(record, read, rng, cfg, others=None, clean=False):
    """One training sample: dict of image (S, S, 3) uint8 RGB, boxes (N, 4), ignore (N,), landmarks (N, 5, 2), picture.

    picture: (4,) px, the part of the image that is no grey; a mosaic has none.

    record: roidb Record. read: function (Record, reduce) -> image, its sides divided by reduce (1, 2, 4 or 8). rng:
    numpy Generator, all chance comes from it. cfg: the AUGMENT section. others: function rng -> Record, for mosaics.
    clean: no mosaic and no loss of resolution.
    """
    size = cfg.SIZE
    if others is not None and not clean and rng.random() < cfg.MOSAIC:
        sample = _mosaic([record] + [others(rng) for _ in range(3)], read, rng, cfg)
    else:
        sample = crop(record, read, rng, cfg, (size, size))
    if rng.random() < cfg.FLIP:
        sample = flip(sample)
    image = colour(sample["image"], rng, cfg)
    if not clean and rng.random() < cfg.BLUR:
        image = lose_resolution(image, rng, cfg.BLUR_FACTORS)
    return {**sample, "image": image}


def flip(sample):
    """The sample mirrored left to right; the left eye becomes the right one, and the mouth's corners change too."""
    width = np.float32(sample["image"].shape[1])
    boxes, landmarks = sample["boxes"], sample["landmarks"]
    return {
        "image": cv2.flip(sample["image"], 1),
        "boxes": np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1),
        "ignore": sample["ignore"],
        "landmarks": landmarks[:, FLIPPED_LANDMARKS] * np.float32([-1, 1]) + np.float32([width, 0]),
    } | ({"picture": _flipped(sample["picture"], width)} if "picture" in sample else {})


def _flipped(box, width):
    return np.stack([width - box[2], box[1], width - box[0], box[3]])


def _mosaic(records, read, rng, cfg):
    """Four crops around a random point."""
    size = cfg.SIZE
    x, y = rng.integers(int(0.3 * size), int(0.7 * size) + 1, 2)
    image, parts = np.empty((size, size, 3), np.uint8), []
    for record, (x1, y1, x2, y2) in zip(
        records, ((0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)), strict=True
    ):
        part = crop(record, read, rng, cfg, (x2 - x1, y2 - y1))
        image[y1:y2, x1:x2] = part["image"]
        part["boxes"] = part["boxes"] + np.float32([x1, y1, x1, y1])
        part["landmarks"] = part["landmarks"] + np.float32([x1, y1])
        parts.append(part)
    return {"image": image} | {k: np.concatenate([p[k] for p in parts]) for k in ("boxes", "ignore", "landmarks")}


def crop(record, read, rng, cfg, size):
    """A window of the image that cfg.KIND chooses, scaled to `size` (width, height) px; grey outside the image."""
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
                         f"roidb says {shape[0]} x {shape[1]}; build it again with tools/build_roidb.py")
    image, scales, shift = cut(image, [x / reduce for x in start], [x * reduce for x in scale], size)
    boxes, ignore, landmarks = visible_faces(record.boxes, record.ignore, record.landmarks,
                                             [x / reduce for x in scales], shift, size, cfg.MIN_FACE, cfg.MIN_VISIBLE)
    ends = [x / reduce * factor + at for x, factor, at in zip(shape, scales, shift, strict=True)]
    picture = np.float32([*(max(0, round(x)) for x in shift),
                          *(min(x, round(end)) for x, end in zip(size, ends, strict=True))])
    return {"image": image, "boxes": boxes, "ignore": ignore, "landmarks": landmarks, "picture": picture}


def _window(shape, faces, rng, cfg, size):
    """Start (x, y) px and scale (x, y) of a window of `size` (width, height) px that may leave the image (zoom-out).

    It is laid around a face, but for cfg.BACKGROUND of them: without these, what is far from any face would be seen
    in small scenes only, and be taken for faces at test (docs/ssh.md).
    """
    if cfg.BACKGROUND and rng.random() < cfg.BACKGROUND:
        faces = faces[:0]
    face = rng.choice(faces) if len(faces) else None
    # A window that is mostly grey teaches little.
    scale = max(_scale(face, rng, cfg, min(size)), min(size) / (cfg.ZOOM_OUT * max(shape)))
    low, high = cfg.STRETCH
    root = np.exp(rng.uniform(np.log(low), np.log(high)) / 2) if low < high else np.sqrt(low)
    scale = [scale * root, scale / root]
    return [_window_start(None if face is None else (face[i] + face[i + 2]) / 2, size[i] / scale[i], shape[i], rng)
            for i in (0, 1)], scale


def _reduction(record, scale):
    """By how much the decoder may shrink the image: a JPEG costs less so, and it is to become smaller anyway.

    Only where both sides divide by it, so that a point keeps its place exactly. It must not depend on what is cached:
    the sample would no longer follow from (seed, epoch, index) alone.
    """
    if record.image.lower().endswith((".jpg", ".jpeg")):
        for reduce in (8, 4, 2):
            if scale * reduce <= 1 and record.width % reduce == 0 and record.height % reduce == 0:
                return reduce
    return 1


def _scale(face, rng, cfg, side):
    """Scale of the image: by the size that the chosen face is to have, or at random; log-uniform in either case."""
    if cfg.SCALE_CHOICES:
        return float(rng.choice(cfg.SCALE_CHOICES))
    low, high = cfg.SCALES
    if face is not None and cfg.FACE_SIZES and rng.random() < cfg.FACE_PROBABILITY:
        smallest, largest = cfg.FACE_SIZES
        largest = max(min(largest, 0.9 * side), smallest)
        wanted = np.exp(rng.uniform(np.log(smallest), np.log(largest)))
        return float(np.clip(wanted / np.sqrt((face[2] - face[0]) * (face[3] - face[1])), low, high))
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _window_start(centre, length, side, rng):
    """Start of a window of `length` on an axis of `side` px, so that it holds `centre` (None: anything).

    A window that fits stays inside the image, a larger one holds all of it.
    """
    low, high = min(0.0, side - length), max(0.0, side - length)
    if centre is not None:
        low, high = max(low, centre - 0.98 * length), min(high, centre - 0.02 * length)
    return rng.uniform(low, high) if low < high else (low + high) / 2


def cut(image, start, scale, size):
    """The window at `start` (x, y) px of the image, scaled: (image, (scale x, scale y), (shift x, shift y)).

    Whole pixels of the source become whole pixels of the result, so the scales differ from `scale` (x, y) by rounding;
    a point moves to point * scale + shift. Shrinking averages, as a smaller photograph would look.
    """
    (x1, x2, to_x1, to_x2), (y1, y2, to_y1, to_y2) = spans = [
        _span(begin, side, length, factor)
        for begin, side, length, factor in zip(start, (image.shape[1], image.shape[0]), size, scale, strict=True)]
    scales = tuple((to_last - to_first) / (last - first) for first, last, to_first, to_last in spans)
    shifts = tuple(to_first - first * factor for (first, _, to_first, _), factor in zip(spans, scales, strict=True))
    part = _resize(image[y1:y2, x1:x2], (to_x2 - to_x1, to_y2 - to_y1))
    if part.shape[:2] != (size[1], size[0]):
        whole = np.full((size[1], size[0], 3), FILL, np.uint8)
        whole[to_y1:to_y2, to_x1:to_x2] = part
        part = whole
    return part, scales, shifts


def _span(begin, side, length, scale):
    """Along one axis: pixels first..last of the source, and which pixels of the window they become."""
    first, last = max(0, int(np.floor(begin))), min(side, int(np.ceil(begin + length / scale)))
    last = max(last, first + 1)
    to_first = max(0, round((first - begin) * scale)) if begin < 0 else 0
    to_length = max(1, min(length - to_first, round((last - first) * scale)))
    if length - to_first - to_length == 1:  # no grey line of one pixel
        to_length += 1
    return first, last, to_first, to_first + to_length


def _resize(image, size):
    """Resized to (width, height) px: the mean of the covered area where that is smaller, bilinear where it is not."""
    if (image.shape[1], image.shape[0]) == tuple(size):
        return np.ascontiguousarray(image)
    if size[0] <= image.shape[1] and size[1] <= image.shape[0]:
        return shrink(image, size)
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)


def colour(image, rng, cfg):
    """Brightness, contrast, saturation and hue in one 3 x 4 matrix, applied to uint8 in one pass."""
    matrix, grey = np.eye(3, 4, dtype=np.float32), np.outer(np.ones(3, np.float32), LUMA)
    changed = False
    if rng.random() < cfg.COLOUR:  # hue: a rotation about the grey axis
        angle = np.deg2rad(rng.uniform(-12, 12))
        cross = np.float32([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
        about = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
        matrix, changed = about.astype(np.float32) @ matrix, True
    grey_image = rng.random() < cfg.GREY
    if grey_image or rng.random() < cfg.COLOUR:  # saturation
        amount = np.float32(0.0 if grey_image else rng.uniform(0.5, 1.5))
        matrix, changed = (amount * np.eye(3, dtype=np.float32) + (1 - amount) * grey) @ matrix, True
    if rng.random() < cfg.COLOUR:  # contrast, about middle grey
        amount = np.float32(rng.uniform(0.6, 1.4))
        matrix = amount * matrix
        matrix[:, 3] += (1 - amount) * 114
        changed = True
    if rng.random() < cfg.COLOUR:  # brightness
        matrix[:, 3] += np.float32(rng.uniform(-36, 36))
        changed = True
    return cv2.transform(image, matrix) if changed else image


def lose_resolution(image, rng, factors):
    """A poor photograph: shrunk to `factors` (lowest, highest) of its sides and brought back, or compressed hard.

    Half of the shrunk ones lose more along one side (pictures that were kept at another aspect), and half are
    compressed while they are small, so that the marks of JPEG's 8 x 8 px blocks grow with them.
    """
    size = image.shape[1], image.shape[0]
    if rng.random() >= 0.7:
        return _compressed(image, rng, 25, 75)
    across, down = np.full(2, rng.uniform(*factors)) if rng.random() < 0.5 else rng.uniform(*factors, 2)
    small = _resize(image, [max(1, round(size[0] * across)), max(1, round(size[1] * down))])
    if rng.random() < 0.5:
        small = _compressed(small, rng, 40, 95)
    return cv2.resize(small, size, interpolation=cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC)


def _compressed(image, rng, lowest, highest):
    _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(lowest, highest))])
    return cv2.imdecode(code, cv2.IMREAD_COLOR)
