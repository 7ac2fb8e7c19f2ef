"""Draw detections into an image: boxes in the colour of their score, landmarks as dots, and a colour bar.

Lines, dots and letters grow with the image, so that a picture of 10,000 px is as readable as one of 600 px. Around
small faces they stay thin, so that the face remains visible.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import ArrayLike

from .errors import check_number

LOWEST = 0.5  # lowest score of the bar, or min_score if that is lower
# Left eye, right eye, nose, left and right corner of the mouth: left is the image's left.
LANDMARK_COLOURS = ((255, 60, 60), (255, 225, 0), (0, 230, 120), (255, 0, 220), (0, 200, 255))
SMALLEST_WITH_DOTS = 14  # px, shorter side of a box; five dots would hide a smaller face
FRACTION = 4  # fractional bits of OpenCV's fixed-point coordinates
LIMIT = 2**15  # px; coordinates are clipped to it, since OpenCV takes 32-bit integers


class Drawable(Protocol):
    """What `draw` needs of `Detections`: boxes (N, 4) px, scores (N,), landmarks (N, 5, 2) px and ids (N,) or None."""

    boxes: np.ndarray
    scores: np.ndarray
    landmarks: np.ndarray | None
    ids: np.ndarray | None


def draw(image: np.ndarray, detections: Drawable, min_score: float = 0.5, colour_bar: bool = False,
         landmarks: bool = True) -> np.ndarray:
    """Draw detections into a copy of an image.

    Args:
        image: (H, W, 3) uint8 RGB; it is not changed.
        detections: the faces.
        min_score: faces below it are left out.
        colour_bar: add a strip at the right that explains the colours. Its width is about 0.1 of the image's mean side.
        landmarks: draw them if there are any.

    Returns:
        (H, W, 3) uint8 RGB; wider with colour_bar.

    Raises:
        ValueError: the image has another shape or type.
        InputError: min_score is not from 0 to 1.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
    drawn = np.array(image, order="C")
    min_score = check_number(min_score, "min_score")
    low = min(LOWEST, min_score)
    kept = np.flatnonzero(detections.scores >= min_score)
    kept = kept[np.argsort(detections.scores[kept], kind="stable")]  # the highest score on top
    colours = score_colours(detections.scores[kept], low)
    line = max(1.0, np.sqrt(image.shape[0] * image.shape[1]) / 350)  # px
    for index, colour in zip(kept, colours.tolist(), strict=True):
        box = detections.boxes[index]
        side = float(min(box[2] - box[0], box[3] - box[1]))
        _box(drawn, box, colour, max(1, round(min(line, side / 10))))
        if landmarks and detections.landmarks is not None and side >= SMALLEST_WITH_DOTS:
            _dots(drawn, detections.landmarks[index], max(1.0, min(1.2 * line, side / 20)))
        if detections.ids is not None:
            _label(drawn, f"{detections.ids[index]}", box, colour, line)
    return np.concatenate([drawn, bar(image.shape[0], image.shape[1], low)], axis=1) if colour_bar else drawn


def score_colours(scores: ArrayLike, low: float = LOWEST) -> np.ndarray:
    """Colours of scores (N,), as (N, 3) uint8 RGB: blue up to `low`, then green, red at 1 (OpenCV's turbo map)."""
    fraction = np.clip((np.asarray(scores, np.float64) - low) / max(1 - low, 1e-9), 0, 1)
    # Both ends of the map are nearly black; from 0.1 to 0.88 it is bright.
    return _turbo()[np.round(255 * (0.1 + 0.78 * fraction)).astype(np.uint8).reshape(-1)]


@lru_cache(maxsize=1)
def _turbo():
    """(256, 3) uint8 RGB."""
    return cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_TURBO)[:, 0, ::-1]


def bar(height: int, width: int, low: float = LOWEST) -> np.ndarray:
    """The strip that explains the colours, (height, W, 3) uint8 RGB, for an image of this height and width in px."""
    letter = int(max(9, np.sqrt(height * width) / 40))  # px, height of a digit
    letter = max(3, min(letter, height // 5))  # room for two labels
    stroke = max(1, letter // 9)
    scale = letter / cv2.getTextSize("0", cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)[0][1]
    (text, digits), _ = cv2.getTextSize("0.0", cv2.FONT_HERSHEY_SIMPLEX, scale, stroke)
    gap, ramp = max(1, letter // 2), max(3, letter)
    strip = np.full((height, gap + ramp + gap + text + gap, 3), 255, np.uint8)
    top, bottom = digits, max(digits + 1, height - digits)  # so that the outer labels stay inside
    rows = np.linspace(1, low, bottom - top)
    strip[top:bottom, gap : gap + ramp] = score_colours(rows, low)[:, None]
    for label in _labels(low, (bottom - top) / (1.6 * digits)):
        y = top + (1 - label) / max(1 - low, 1e-9) * (bottom - top - 1)
        cv2.line(strip, (gap + ramp, round(y)), (gap + ramp + gap // 2, round(y)), (0, 0, 0), stroke)
        cv2.putText(strip, f"{label:.1f}", (2 * gap + ramp, round(y + digits / 2)), cv2.FONT_HERSHEY_SIMPLEX, scale,
                    (0, 0, 0), stroke, cv2.LINE_AA)
    return strip


def _labels(low, room):
    """Labels of the bar: tenths from `low` to 1, at most about `room` of them, always with 1."""
    tenths = range(int(np.ceil(round(10 * low, 6))), 11)
    step = next((step for step in (1, 2, 5) if (len(tenths) - 1) / step <= room), 10)
    return [tenth / 10 for tenth in tenths if (10 - tenth) % step == 0]


def _box(image, box, colour, thickness):
    corners = _fixed(box)
    cv2.rectangle(image, corners[:2], corners[2:], colour, thickness, cv2.LINE_AA, FRACTION)


def _label(image, text, box, colour, line):
    """Write the number of a track above its box, or below the upper edge where there is no room."""
    scale, stroke = max(0.4, line / 3), max(1, round(line / 1.5))
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, stroke)
    left, top = (round(float(value)) for value in np.clip(box[:2], -LIMIT, LIMIT))
    left = max(0, min(left, image.shape[1] - width - 4))
    top = top - height - below - 2 if top >= height + below + 2 else max(0, top)
    cv2.rectangle(image, (left, top), (left + width + 3, top + height + below + 2), colour, cv2.FILLED)
    grey = 255 if np.dot(colour, (0.299, 0.587, 0.114)) < 128 else 0
    cv2.putText(image, text, (left + 2, top + height + 1), cv2.FONT_HERSHEY_SIMPLEX, scale, (grey,) * 3, stroke,
                cv2.LINE_AA)


def _dots(image, points, radius):
    radius = round(radius * 2**FRACTION)
    for point, colour in zip(points, LANDMARK_COLOURS, strict=True):
        if np.isfinite(point).all():
            cv2.circle(image, _fixed(point), radius, colour, cv2.FILLED, cv2.LINE_AA, FRACTION)


def _fixed(values):
    """Continuous px as OpenCV's fixed-point numbers; its pixel centres are whole numbers, here they are at one half."""
    values = np.clip(np.asarray(values, np.float64) - 0.5, -LIMIT, LIMIT)
    return tuple(np.round(values * 2**FRACTION).astype(int).tolist())
