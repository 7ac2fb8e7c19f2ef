"""Augmentation: a roidb record becomes a square training sample, driven by one random generator.

Small data needs much of it: a face is brought to a random size and the crop is laid around it, four crops can share
an image (mosaic), light and resolution change. Faces that are cut too far or become too small turn into ignore
regions, so that the net is neither taught nor punished there.
"""

import cv2
import numpy as np

from ..detector import FLIPPED_LANDMARKS

FILL = 114  # grey of what lies outside an image, as in nets.layers
LUMA = np.float32([0.299, 0.587, 0.114])  # ITU-R BT.601


def augment(record, read, rng, cfg, others=None, clean=False):
    """One training sample: dict of image (S, S, 3) uint8 RGB, boxes (N, 4), ignore (N,), landmarks (N, 5, 2).

    record: roidb Record. read: Record -> image. rng: numpy Generator, all chance comes from it. cfg: the AUGMENT
    section. others: function rng -> Record, for mosaics. clean: no mosaic and no loss of resolution.
    """
    size = cfg.SIZE
    if others is not None and not clean and rng.random() < cfg.MOSAIC:
        sample = _mosaic([record] + [others(rng) for _ in range(3)], read, rng, cfg)
    else:
        sample = _crop(record, read(record), rng, cfg, (size, size))
    if rng.random() < cfg.FLIP:
        sample = flip(sample)
    image = colour(sample["image"], rng, cfg)
    if not clean and rng.random() < cfg.BLUR:
        image = lose_resolution(image, rng)
    return {**sample, "image": np.ascontiguousarray(image)}


def flip(sample):
    """The sample mirrored left to right; the left eye becomes the right one, and the mouth's corners change too."""
    width = np.float32(sample["image"].shape[1])
    boxes, landmarks = sample["boxes"], sample["landmarks"]
    return {
        "image": sample["image"][:, ::-1],
        "boxes": np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1),
        "ignore": sample["ignore"],
        "landmarks": landmarks[:, FLIPPED_LANDMARKS] * np.float32([-1, 1]) + np.float32([width, 0]),
    }


def _mosaic(records, read, rng, cfg):
    """Four crops around a random point."""
    size = cfg.SIZE
    x, y = rng.integers(int(0.3 * size), int(0.7 * size) + 1, 2)
    image, parts = np.empty((size, size, 3), np.uint8), []
    for record, (x1, y1, x2, y2) in zip(
        records, ((0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)), strict=True
    ):
        part = _crop(record, read(record), rng, cfg, (x2 - x1, y2 - y1))
        image[y1:y2, x1:x2] = part["image"]
        part["boxes"] = part["boxes"] + np.float32([x1, y1, x1, y1])
        part["landmarks"] = part["landmarks"] + np.float32([x1, y1])
        parts.append(part)
    return {"image": image} | {k: np.concatenate([p[k] for p in parts]) for k in ("boxes", "ignore", "landmarks")}


def _crop(record, image, rng, cfg, size):
    """A window of the image, scaled to `size` (width, height) px; outside the image it is grey (zoom-out)."""
    faces = np.flatnonzero(~record.ignore)
    face = record.boxes[rng.choice(faces)] if len(faces) else None
    shape = image.shape[1], image.shape[0]
    # A window that is mostly grey teaches little.
    scale = max(_scale(face, rng, cfg, min(size)), min(size) / (cfg.ZOOM_OUT * max(shape)))
    start = [_window_start(None if face is None else (face[i] + face[i + 2]) / 2, size[i] / scale, shape[i], rng)
             for i in (0, 1)]
    image, scales, shift = cut(image, start, scale, size)
    factor = np.float32([*scales, *scales])
    boxes = record.boxes * factor + np.float32([*shift, *shift])
    landmarks = record.landmarks * np.float32(scales) + np.float32(shift)
    return {"image": image, **visible_faces(boxes, record.ignore, landmarks, size, cfg.MIN_FACE, cfg.MIN_VISIBLE)}


def _scale(face, rng, cfg, side):
    """Scale of the image: by the size that the chosen face is to have, or at random; log-uniform in either case."""
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

    Whole pixels of the source become whole pixels of the result, so the scales differ from `scale` by rounding; a
    point moves to point * scale + shift. Shrinking averages (INTER_AREA), as a smaller photograph would look.
    """
    spans, scales, shifts = [], [], []
    for begin, side, length in zip(start, (image.shape[1], image.shape[0]), size, strict=True):
        first, last = max(0, int(np.floor(begin))), min(side, int(np.ceil(begin + length / scale)))
        last = max(last, first + 1)
        to_first = max(0, round((first - begin) * scale)) if begin < 0 else 0
        to_length = max(1, min(length - to_first, round((last - first) * scale)))
        to_length = length - to_first if length - to_first - to_length == 1 else to_length
        spans.append((first, last, to_first, to_first + to_length))
        scales.append(to_length / (last - first))
        shifts.append(to_first - first * scales[-1])
    (x1, x2, to_x1, to_x2), (y1, y2, to_y1, to_y2) = spans
    part = cv2.resize(image[y1:y2, x1:x2], (to_x2 - to_x1, to_y2 - to_y1),
                      interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    if part.shape[:2] != (size[1], size[0]):
        whole = np.full((size[1], size[0], 3), FILL, np.uint8)
        whole[to_y1:to_y2, to_x1:to_x2] = part
        part = whole
    return part, tuple(scales), tuple(shifts)


def visible_faces(boxes, ignore, landmarks, size, min_face, min_visible):
    """Boxes clipped to a window of `size` (width, height); those outside go, doubtful ones become ignore regions.

    A face is ignored where less than `min_visible` of its area is inside or its shorter side is under `min_face` px.
    Landmarks outside the window become NaN, all five of that face. Returns a dict of boxes, ignore, landmarks.
    """
    limits = np.float32([*size, *size])
    clipped = np.clip(boxes, 0, limits).astype(np.float32)
    sides, whole = clipped[:, 2:] - clipped[:, :2], boxes[:, 2:] - boxes[:, :2]
    kept = (sides > 0).all(axis=1)
    visible = sides.prod(axis=1) / np.maximum(whole.prod(axis=1), 1e-9)
    ignore = ignore | (visible < min_visible) | (whole.min(axis=1) < min_face)
    inside = ((landmarks >= 0) & (landmarks <= limits[:2])).all(axis=(1, 2))
    landmarks = np.where(inside[:, None, None], landmarks, np.nan).astype(np.float32)
    return {"boxes": clipped[kept], "ignore": ignore[kept], "landmarks": landmarks[kept]}


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
    return cv2.transform(np.ascontiguousarray(image), matrix) if changed else image


def lose_resolution(image, rng):
    """A poor photograph: shrunk and brought back, or compressed hard."""
    image = np.ascontiguousarray(image)
    if rng.random() < 0.7:
        factor = rng.uniform(0.4, 0.9)
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        kind = cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC
        return cv2.resize(small, (image.shape[1], image.shape[0]), interpolation=kind)
    quality = int(rng.integers(25, 75))
    _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(code, cv2.IMREAD_COLOR)
