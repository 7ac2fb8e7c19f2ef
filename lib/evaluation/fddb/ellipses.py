"""IoU of FDDB's ellipses with detections, as masks of pixels.

The masks are those of the benchmark's own program (version of 2010), so figures compare with the published ones: OpenCV
draws both regions, filled, into images of the photograph's size. That program rounds what it draws: centres and corners
to the nearest pixel, radii down to whole pixels, angles to whole degrees. A rectangle includes the pixels of both its
corners, so it is a pixel wider and higher than its sides. What is outside the photograph does not count.
"""

from __future__ import annotations

import cv2
import numpy as np

# px around the reach of an ellipse, which is rounded up already: another OpenCV might draw a wider edge.
_MARGIN = 1


def ellipse_mask(ellipse: np.ndarray, size: tuple[int, int]) -> tuple[int, int, np.ndarray]:
    """The pixels of an ellipse within an image, as the window that holds them.

    Args:
        ellipse: major minor angle cx cy: radii and centre in px, the angle of the major axis against the x axis in
            radians, y downwards.
        size: (width, height) of the image, px.

    Returns:
        left, top and the mask (h, w) uint8 of 0 and 1; h or w is 0 where the ellipse is outside the image.

    Source: FDDB's evaluation program, EllipseR and EllipsesSingleImage.
    """
    return _masks(_rounded([ellipse]), size)[0]


def _rounded(ellipses):
    """(N, 5) int64: radii, angle in degrees from 0 to 359, and centre, of (N, >=5), rounded as the benchmark does."""
    ellipses = np.asarray(ellipses, np.float64)
    degrees = np.rint(180 - (np.pi - ellipses[:, 2]) * 180 / np.pi) % 360
    return np.column_stack([ellipses[:, :2], degrees, np.rint(ellipses[:, 3:5].astype(np.float32))]).astype(np.int64)


def _windows(ellipses, size):
    """(N, 4) int64 left top right bottom of the pixels within the image that _rounded ellipses (N, 5) can reach."""
    major, minor, degrees, x, y = ellipses.T
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    wide = np.ceil(np.hypot(major * cos, minor * sin)).astype(np.int64) + _MARGIN
    high = np.ceil(np.hypot(major * sin, minor * cos)).astype(np.int64) + _MARGIN
    return np.stack([np.maximum(x - wide, 0), np.maximum(y - high, 0), np.minimum(x + wide + 1, size[0]),
                     np.minimum(y + high + 1, size[1])], axis=1)


def _masks(ellipses, size):
    """What ellipse_mask returns, for each of the _rounded ellipses (N, 5)."""
    masks, windows = [], _windows(ellipses, size)
    for (major, minor, degrees, x, y), (left, top, right, bottom) in zip(ellipses.tolist(), windows.tolist(),
                                                                         strict=True):
        mask = np.zeros((max(0, bottom - top), max(0, right - left)), np.uint8)
        if mask.size:
            cv2.ellipse(mask, (x - left, y - top), (major, minor), degrees, 0, 360, 1, cv2.FILLED)
        masks.append((left, top, mask))
    return masks


def rectangle_spans(rectangles: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The pixels of rectangles within an image. A negative side reaches to the other side, as OpenCV draws it.

    Args:
        rectangles: (N, >=4), x y w h in px.
        size: (width, height) of the image, px.

    Returns:
        (N, 4) int64, left top right bottom in px. right and bottom are those after the last pixel; an empty span has
        right <= left or bottom <= top.
    """
    x, y, w, h = np.asarray(rectangles, np.float64)[:, :4].T
    with np.errstate(over="ignore"):  # beyond every image, and clipped
        corners = np.array([x, y, x + w, y + h])
    corners = np.rint(np.clip(corners, -1e9, 1e9).astype(np.float32)).astype(np.int64)
    left, right = np.minimum(corners[0], corners[2]), np.maximum(corners[0], corners[2]) + 1
    top, bottom = np.minimum(corners[1], corners[3]), np.maximum(corners[1], corners[3]) + 1
    return np.stack([np.maximum(left, 0), np.maximum(top, 0), np.minimum(right, size[0]),
                     np.minimum(bottom, size[1])], axis=1)


def mask_ious(ellipses: np.ndarray, detections: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """IoU of the masks of annotated ellipses and detections in one image.

    Args:
        ellipses: (G, 5), major minor angle cx cy.
        detections: (D, 5) x y w h score, or (D, 6) major minor angle cx cy score.
        size: (width, height) of the image, px.

    Returns:
        (G, D) float64, 0..1; 0 where no pixel is common, also for masks without a pixel.
    """
    faces = _masks(_rounded(ellipses.reshape(-1, 5)), size)
    common = np.zeros((len(faces), len(detections)), np.int64)
    areas = np.array([cv2.countNonZero(mask) if mask.size else 0 for *_, mask in faces], np.int64)[:, None]
    if detections.shape[1] == 6:
        rows = _rounded(detections)
        # Most detections touch no face, and then their area is not needed.
        near = np.flatnonzero(_meet(_windows(_rounded(ellipses), size), _windows(rows, size)).any(axis=0))
        masks, others = _masks(rows[near], size), np.zeros(len(rows), np.int64)
        others[near] = [cv2.countNonZero(mask) for *_, mask in masks]
        for column, other in zip(near.tolist(), masks, strict=True):
            common[:, column] = [_common(face, other) for face in faces]
    else:
        spans = rectangle_spans(detections, size)
        others = np.prod(np.maximum(spans[:, 2:] - spans[:, :2], 0), axis=1)
        for row, face in zip(common, faces, strict=True):
            row[:] = _within(face, spans)
    return common / np.maximum(areas + others - common, 1)


def _meet(a, b):
    """(N, M) bool: which spans (N, 4) and (M, 4), left top right bottom, have a pixel in common."""
    return (np.maximum(a[:, None, :2], b[:, :2]) < np.minimum(a[:, None, 2:], b[:, 2:])).all(axis=2)


def _common(a, b):
    """Pixels that two masks with their windows share."""
    left, right = max(a[0], b[0]), min(a[0] + a[2].shape[1], b[0] + b[2].shape[1])
    top, bottom = max(a[1], b[1]), min(a[1] + a[2].shape[0], b[1] + b[2].shape[0])
    if right <= left or bottom <= top:
        return 0
    return cv2.countNonZero(a[2][top - a[1]:bottom - a[1], left - a[0]:right - a[0]]
                            & b[2][top - b[1]:bottom - b[1], left - b[0]:right - b[0]])


def _within(face, spans):
    """(D,) pixels of one mask in each of the spans (D, 4), from the four corners in its table of sums."""
    x, y, mask = face
    if not mask.size:
        return np.zeros(len(spans), np.int64)
    high, wide = mask.shape
    # An empty rectangle is outside the image, so both its sides end up at the same edge.
    left, right = np.clip(spans[:, 0] - x, 0, wide), np.clip(spans[:, 2] - x, 0, wide)
    top, bottom = np.clip(spans[:, 1] - y, 0, high), np.clip(spans[:, 3] - y, 0, high)
    sums = cv2.integral(mask)
    return sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
