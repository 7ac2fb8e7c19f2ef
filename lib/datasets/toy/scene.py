"""Draws the toy scenes: backgrounds, objects, and heads pasted with a soft edge at any size and angle."""

from collections.abc import Sequence

import cv2
import numpy as np

from ...constants import FLIPPED_LANDMARKS
from .portraits import Portrait, portraits


def background(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Draw a background of clouds, gradient, stripes or tiles, with shapes on top.

    Returns:
        (height, width, 3) float32, 0..255.
    """
    canvas = _clouds(rng, width, height)
    kind = rng.integers(4)
    if kind == 1:
        angle = rng.uniform(0, 2 * np.pi)
        y, x = np.mgrid[:height, :width].astype(np.float32)
        ramp = np.cos(angle) * x / width + np.sin(angle) * y / height
        canvas = 0.4 * canvas + 0.6 * (_colour(rng) + (ramp - ramp.min())[..., None] * (_colour(rng) - _colour(rng)))
    elif kind == 2:
        angle, period = rng.uniform(0, np.pi), rng.uniform(6, 60)
        y, x = np.mgrid[:height, :width].astype(np.float32)
        wave = np.sin((np.cos(angle) * x + np.sin(angle) * y) * (2 * np.pi / period))[..., None]
        canvas = 0.5 * canvas + 0.5 * (_colour(rng) + wave * rng.uniform(20, 60, 3).astype(np.float32))
    elif kind == 3:
        cells = rng.integers(2, 24, 2)
        tiles = rng.uniform(0, 255, (*cells, 3)).astype(np.float32)
        canvas = 0.5 * canvas + 0.5 * cv2.resize(tiles, (width, height), interpolation=cv2.INTER_NEAREST)
    canvas = np.clip(canvas, 0, 255).astype(np.uint8)  # OpenCV draws smooth edges on bytes only
    for _ in range(rng.integers(0, 14)):
        _shape(rng, canvas)
    return canvas.astype(np.float32)


def _clouds(rng, width, height):
    """Noise of several octaves around one colour."""
    canvas = np.zeros((height, width, 3), np.float32) + _colour(rng)
    for octave in range(1, 8):
        cells = (min(2**octave + 1, height), min(2**octave + 1, width))
        noise = rng.normal(0, rng.uniform(4, 70) / octave, (*cells, 3 if rng.random() < 0.5 else 1)).astype(np.float32)
        layer = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
        canvas += layer if layer.ndim == 3 else layer[..., None]
    return canvas


def _colour(rng):
    """Any colour, or one close to skin: colour alone must not tell faces from background."""
    if rng.random() < 0.3:
        return (np.array([215, 165, 140]) * rng.uniform(0.4, 1.1) + rng.normal(0, 8, 3)).astype(np.float32)
    return rng.uniform(0, 255, 3).astype(np.float32)


def _shape(rng, canvas):
    height, width = canvas.shape[:2]
    centre = rng.integers(0, (width, height)).tolist()
    size = np.exp(rng.uniform(np.log(6), np.log(150), 2)).astype(int).tolist()
    colour = tuple(map(float, _colour(rng)))
    fill = -1 if rng.random() < 0.7 else int(rng.integers(1, 6))
    if rng.random() < 0.5:
        cv2.ellipse(canvas, centre, size, float(rng.uniform(0, 180)), 0, 360, colour, fill, cv2.LINE_AA)
    else:
        corners = cv2.boxPoints((tuple(map(float, centre)), tuple(map(float, size)), float(rng.uniform(0, 90))))
        cv2.polylines(canvas, [corners.astype(np.int32)], True, colour, max(fill, 1), cv2.LINE_AA)
        if fill < 0:
            cv2.fillPoly(canvas, [corners.astype(np.int32)], colour, cv2.LINE_AA)


def add_object(rng: np.random.Generator, canvas: np.ndarray) -> None:
    """Paste an object of a portrait (flag, coat, badge, helmet) onto the float32 canvas, at any size and angle."""
    portrait = portraits()[rng.integers(2)]
    piece = portrait.image[portrait.objects[rng.integers(len(portrait.objects))]]
    height, width = piece.shape[:2]
    if rng.random() < 0.5:
        mask = np.full((height, width), 255, np.uint8)
    else:
        mask = np.zeros((height, width), np.uint8)
        cv2.ellipse(mask, (width // 2, height // 2), (int(width * 0.45), int(height * 0.45)), 0, 0, 360, 255, -1)
    scale = np.exp(rng.uniform(np.log(14), np.log(220))) / height
    target = rng.uniform(0, (canvas.shape[1], canvas.shape[0]))
    matrix = similarity((width / 2, height / 2), target, scale, rng.uniform(-0.6, 0.6), rng.random() < 0.5)
    paste(canvas, piece, mask, matrix, rng)


def similarity(origin: Sequence[float] | np.ndarray, target: Sequence[float] | np.ndarray, scale: float, angle: float,
               flip: bool) -> np.ndarray:
    """Make the (2, 3) matrix that moves the point `origin` to `target`.

    It mirrors left to right first if `flip`, then scales and rotates by `angle` radians.
    """
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[-cos if flip else cos, -sin], [-sin if flip else sin, cos]])
    return np.column_stack([linear, np.asarray(target) - linear @ np.asarray(origin)])


def face_of(portrait: Portrait, matrix: np.ndarray, flip: bool) -> tuple[np.ndarray, np.ndarray]:
    """Move the face of a portrait.

    The box of a rotated face is the box around the rotated ellipse in the portrait's box. The box around the rotated
    box would be too large.

    Args:
        portrait: whose face it is.
        matrix: (2, 3), from similarity.
        flip: whether the matrix mirrors.

    Returns:
        Box (4,) x1 y1 x2 y2 and landmarks (5, 2) x y, in px of the target.
    """
    centre = matrix[:, :2] @ (portrait.box[:2] + portrait.box[2:]) / 2 + matrix[:, 2]
    half = np.sqrt((matrix[:, :2] ** 2) @ ((portrait.box[2:] - portrait.box[:2]) / 2) ** 2)
    landmarks = portrait.landmarks @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([centre - half, centre + half]), landmarks[FLIPPED_LANDMARKS, :] if flip else landmarks


def paste(canvas: np.ndarray, image: np.ndarray, mask: np.ndarray, matrix: np.ndarray,
          rng: np.random.Generator | None = None) -> None:
    """Draw an image onto the canvas, in place.

    Args:
        canvas: (height, width, 3) float32, 0..255.
        image: (H, W, 3) uint8.
        mask: (H, W) uint8, 0 = transparent, 255 = opaque.
        matrix: (2, 3), moves points of the image to the canvas. Coordinates are continuous: (0, 0) is the corner of
            the first pixel.
        rng: varies the light of the image. None: the light stays.
    """
    # Halve until less than a factor of two is left: a warp alone would skip pixels.
    while np.hypot(*matrix[:, 0]) < 0.5 and min(image.shape[:2]) > 1:
        half = (max(image.shape[1] // 2, 1), max(image.shape[0] // 2, 1))
        factors = np.array([image.shape[1] / half[0], image.shape[0] / half[1]])
        image, mask = (cv2.resize(array, half, interpolation=cv2.INTER_AREA) for array in (image, mask))
        matrix = np.column_stack([matrix[:, :2] * factors, matrix[:, 2]])
    height, width = image.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) @ matrix[:, :2].T + matrix[:, 2]
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, (canvas.shape[1], canvas.shape[0]))
    if (high <= low).any():
        return
    # In OpenCV (0, 0) is the centre of the first pixel.
    shift = matrix[:, :2].sum(axis=1) / 2 - 0.5 + matrix[:, 2] - low
    local = np.column_stack([matrix[:, :2], shift])
    size = tuple(int(side) for side in high - low)
    moved = cv2.warpAffine(image, local, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(mask, local, size, flags=cv2.INTER_LINEAR).astype(np.float32)[..., None] / 255
    moved = moved.astype(np.float32)
    if rng is not None:
        moved = _relit(rng, moved)
    window = canvas[low[1]:high[1], low[0]:high[0]]
    window += alpha * (moved - window)


def _relit(rng, image):
    """The image in another brightness, contrast and tint, with light from one side."""
    mean = image.mean()
    image = (image - mean) * rng.uniform(0.6, 1.3) + mean * rng.uniform(0.5, 1.3)
    image = image * rng.normal(1, 0.06, 3).astype(np.float32)
    side = np.linspace(-1, 1, image.shape[1], dtype=np.float32) * np.float32(rng.uniform(-0.3, 0.3))
    return np.clip(image * (1 + side)[None, :, None], 0, 255).astype(np.float32)
