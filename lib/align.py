"""Faces cut out of an image: as they stand (`crop`), or turned upright by five landmarks (`align`).

Face recognition nets are trained on faces whose eyes, nose and mouth lie at fixed places of a square of 112 px
(SphereFace, arXiv 1704.08063, and ArcFace, arXiv 1801.07698). The similarity transform (turn, scale, shift) that
brings landmarks there with the least squared error is that of Umeyama, IEEE PAMI 13(4), 1991, equations 40 to 42.
"""

import operator

import cv2
import numpy as np

from .errors import InputError

# Left eye, right eye, nose, left and right corner of the mouth, px in a square of REFERENCE_SIZE.
REFERENCE_POINTS = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366],
                             [41.5493, 92.3655], [70.7299, 92.2041]])
REFERENCE_SIZE = 112
MAX_SIZE = 4096  # px; a larger face is a slip of the keyboard


def similarity_transform(source, target):
    """The (2, 3) matrix M of a turn, scale and shift that brings `source` to `target` with the least squared error.

    source, target: (N, 2), N >= 2: M @ [x, y, 1] is near (x', y'). Mirroring is never part of it.
    Raises ValueError for other shapes, numbers that are not finite, or source points that all coincide.

    >>> similarity_transform([[0, 0], [1, 0]], [[5, 5], [5, 7]]).round(6) + 0.0  # a quarter turn, twice as large
    array([[ 0., -2.,  5.],
           [ 2.,  0.,  5.]])
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2 or len(source) < 2:
        raise ValueError(f"points are {source.shape} and {target.shape}, expected twice (N, 2) with N >= 2")
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise ValueError("points hold NaN or infinity, expected finite numbers")
    from_centre, to_centre = source.mean(axis=0), target.mean(axis=0)
    source, target = source - from_centre, target - to_centre
    variance = (source**2).sum()
    if not variance > 1e-12:
        raise ValueError("the source points coincide, so they have no size and no direction")
    # With two columns the turn of equation 40 has a closed form: of dot and cross products of the centred points.
    cosine = (source * target).sum() / variance
    sine = (source[:, 0] * target[:, 1] - source[:, 1] * target[:, 0]).sum() / variance
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.hstack([turn, (to_centre - turn @ from_centre)[:, None]])


def align(image, landmarks, size=REFERENCE_SIZE):
    """Faces with their landmarks at REFERENCE_POINTS * size / 112: (N, size, size, 3) uint8 RGB.

    image: (H, W, 3) uint8 RGB. landmarks: (N, 5, 2) px. What lies outside the image is black.
    Raises InputError that names the face whose landmarks are not known or coincide, or a wrong size.
    """
    try:
        size = operator.index(size)
    except TypeError:
        size = 0
    if not 8 <= size <= MAX_SIZE:
        raise InputError(f"align: expected a size of 8 to {MAX_SIZE} px, a whole number, such as {REFERENCE_SIZE}")
    landmarks = np.asarray(landmarks, np.float64).reshape(-1, 5, 2)
    faces = np.zeros((len(landmarks), size, size, 3), np.uint8)
    for number, points in enumerate(landmarks):
        try:
            transform = similarity_transform(points, REFERENCE_POINTS * (size / REFERENCE_SIZE))
        except ValueError as error:
            raise InputError(f"align: face {number}: {error}; leave that face out with "
                             f"faces[np.isfinite(faces.landmarks).all(axis=(1, 2))]") from None
        faces[number] = warp(image, transform, size)
    return faces


def warp(image, transform, size):
    """The square of `size` px that `transform` (2, 3) brings the image to, without aliasing where it shrinks.

    image: (H, W, 3) uint8. Returns (size, size, 3) uint8; what lies outside the image is black.
    """
    shrink = 1 / np.sqrt(np.linalg.det(transform[:, :2]))  # px of the image for one of the square
    finer = int(np.clip(np.ceil(shrink), 1, max(1, 2 * MAX_SIZE // size)))  # samples a side for one px of the square
    matrix = transform * finer
    # Only the part of the image that is seen: OpenCV refuses sources of over 32,767 px.
    inverse = cv2.invertAffineTransform(matrix)
    seen = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]]) * (size * finer, size * finer, 1) @ inverse.T
    left, top = np.clip(np.floor(seen.min(axis=0)) - 2, 0, (image.shape[1], image.shape[0])).astype(int)
    right, bottom = np.clip(np.ceil(seen.max(axis=0)) + 2, 0, (image.shape[1], image.shape[0])).astype(int)
    if right <= left or bottom <= top:
        return np.zeros((size, size, 3), np.uint8)
    # And OpenCV's pixel centres are whole numbers, ours lie at one half.
    matrix[:, 2] += matrix[:, :2] @ (left + 0.5, top + 0.5) - 0.5
    warped = cv2.warpAffine(image[top:bottom, left:right], matrix, (size * finer, size * finer), flags=cv2.INTER_LINEAR)
    return cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA) if finer > 1 else warped


def crop(image, boxes, margin=0.2):
    """A list of (h, w, 3) uint8 copies of the image, one a box.

    image: (H, W, 3) uint8. boxes: (N, 4) x1 y1 x2 y2 px, each grown at each side by `margin` (>= 0) of that side,
    rounded outwards to whole pixels, cut off at the image. Raises InputError for another margin, or a box that lies
    outside the image: then the faces are those of another image, or of another size of it.

    >>> [part.shape for part in crop(np.zeros((100, 100, 3), np.uint8), [[10, 20, 30, 60], [90, 0, 110, 50]], 0.5)]
    [(80, 40, 3), (75, 20, 3)]
    """
    if not 0 <= margin < np.inf:
        raise InputError(f"crop: margin is {margin!r}, expected 0 or more, in parts of a box's sides")
    height, width = image.shape[:2]
    parts = []
    for number, (x1, y1, x2, y2) in enumerate(np.asarray(boxes, np.float64).reshape(-1, 4)):
        dx, dy = margin * (x2 - x1), margin * (y2 - y1)
        left, top = max(0, int(np.floor(x1 - dx))), max(0, int(np.floor(y1 - dy)))
        right, bottom = min(width, int(np.ceil(x2 + dx))), min(height, int(np.ceil(y2 + dy)))
        if right <= left or bottom <= top:
            raise InputError(f"crop: face {number}, box {x1:g} {y1:g} {x2:g} {y2:g}, lies outside the image of "
                             f"{width} x {height} px; are the faces those of this image?")
        parts.append(image[top:bottom, left:right].copy())
    return parts
