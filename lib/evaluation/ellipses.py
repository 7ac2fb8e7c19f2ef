"""Overlaps of FDDB's ellipses with detections, as masks of pixels.

The masks are those of the benchmark's own program (version of 2010), so that figures compare with the published ones:
OpenCV draws both regions, filled, into images of the photograph's size. That program rounds what it draws: centres and
corners to the nearest pixel, radii down to whole pixels, angles to whole degrees; a rectangle holds both its corners'
pixels, so it is a pixel wider and higher than it says. What leaves the photograph does not count.
"""

import cv2
import numpy as np

# The edge that OpenCV draws around a filled ellipse may lie a pixel outside; one more absorbs the rounding.
_MARGIN = 2


def ellipse_mask(ellipse, size):
    """The pixels of an ellipse within an image, as the window that holds them.

    ellipse: major minor angle cx cy, radii and centre in px, the angle of the major axis against the x axis in
    radians, y downwards. size: (width, height) px. Returns left, top and the mask (h, w) uint8 of 0 and 1, of which h
    or w is 0 where nothing lies within the image. Source: FDDB's evaluation program, EllipseR and EllipsesSingleImage.
    """
    wide, high = int(ellipse[0]), int(ellipse[1])
    degrees = round(180 - (np.pi - ellipse[2]) * 180 / np.pi)
    x, y = (int(np.rint(np.float32(value))) for value in ellipse[3:5])
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    half = np.ceil([np.hypot(wide * cos, high * sin), np.hypot(wide * sin, high * cos)]).astype(int) + _MARGIN
    left, top = max(0, x - half[0]), max(0, y - half[1])
    right, bottom = min(size[0], x + half[0] + 1), min(size[1], y + half[1] + 1)
    mask = np.zeros((max(0, bottom - top), max(0, right - left)), np.uint8)
    if mask.size:
        cv2.ellipse(mask, (x - left, y - top), (wide, high), degrees % 360, 0, 360, 1, cv2.FILLED)
    return int(left), int(top), mask


def rectangle_spans(rectangles, size):
    """(N, 4) int64 left top right bottom: the pixels of the rectangles (N, >=4) x y w h within an image.

    right and bottom are those after the last pixel; an empty one has right <= left or bottom <= top. A negative width
    or height reaches to the other side, as OpenCV draws it.
    """
    x, y, w, h = np.clip(np.asarray(rectangles, np.float64)[:, :4].T, -1e9, 1e9)
    corners = np.rint(np.array([x, y, x + w, y + h], np.float32)).astype(np.int64)
    left, right = np.minimum(corners[0], corners[2]), np.maximum(corners[0], corners[2]) + 1
    top, bottom = np.minimum(corners[1], corners[3]), np.maximum(corners[1], corners[3]) + 1
    return np.stack([np.maximum(left, 0), np.maximum(top, 0), np.minimum(right, size[0]),
                     np.minimum(bottom, size[1])], axis=1)


def mask_overlaps(ellipses, detections, size):
    """Intersection over union of masks, (G, D) float64, of G annotated ellipses with D detections in one image.

    ellipses (G, 5) major minor angle cx cy; detections (D, 5) x y w h score, or (D, 6) major minor angle cx cy score;
    size: (width, height) px of the image. 0 where nothing is common, also for masks without a pixel.
    """
    faces = [ellipse_mask(ellipse, size) for ellipse in ellipses]
    areas = np.array([int(mask.sum(dtype=np.int64)) for *_, mask in faces], np.int64).reshape(-1, 1)
    if detections.shape[1] == 6:
        found = [ellipse_mask(row, size) for row in detections]
        others = np.array([int(mask.sum(dtype=np.int64)) for *_, mask in found], np.int64)
        common = np.array([[_common(a, b) for b in found] for a in faces], np.int64)
    else:
        spans = rectangle_spans(detections, size)
        others = np.prod(np.maximum(spans[:, 2:] - spans[:, :2], 0), axis=1)
        common = np.array([_within(face, spans) for face in faces], np.int64)
    common = common.reshape(len(faces), len(detections))
    return common / np.maximum(areas + others - common, 1)


def _common(a, b):
    """Pixels that two masks with their windows share."""
    left, right = max(a[0], b[0]), min(a[0] + a[2].shape[1], b[0] + b[2].shape[1])
    top, bottom = max(a[1], b[1]), min(a[1] + a[2].shape[0], b[1] + b[2].shape[0])
    if right <= left or bottom <= top:
        return 0
    return cv2.countNonZero(a[2][top - a[1]:bottom - a[1], left - a[0]:right - a[0]]
                            & b[2][top - b[1]:bottom - b[1], left - b[0]:right - b[0]])


def _within(face, spans):
    """Pixels of one mask in each of the rectangles (D, 4): four corners of its table of sums, for all at once."""
    x, y, mask = face
    if not mask.size:
        return np.zeros(len(spans), np.int64)
    high, wide = mask.shape
    left, right = np.clip(spans[:, 0] - x, 0, wide), np.clip(spans[:, 2] - x, 0, wide)
    top, bottom = np.clip(spans[:, 1] - y, 0, high), np.clip(spans[:, 3] - y, 0, high)
    right, bottom = np.maximum(right, left), np.maximum(bottom, top)
    sums = cv2.integral(mask)
    return sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
