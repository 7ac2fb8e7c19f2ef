"""Faces cut out of an image: as they are (`crop`), or turned upright by five landmarks (`align`); or hidden (`hide`).

Face recognition nets are trained on faces whose eyes, nose and mouth are at fixed places of a square of 112 px
(SphereFace, arXiv 1704.08063, and ArcFace, arXiv 1801.07698). The similarity transform (rotation, scale, shift) that
moves landmarks there with the least squared error is that of Umeyama, IEEE PAMI 13(4), 1991, equations 40 to 42.
"""

from __future__ import annotations

import operator

import cv2
import numpy as np
from numpy.typing import ArrayLike

from .errors import InputError

# Left eye, right eye, nose, left and right corner of the mouth, px in a square of REFERENCE_SIZE.
REFERENCE_POINTS = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366],
                             [41.5493, 92.3655], [70.7299, 92.2041]])
REFERENCE_SIZE = 112
MAX_SIZE = 4096  # px; a larger size is most likely a typing error
HIDDEN_BY = ("blur", "pixelate")
CELLS = 6  # areas along the longer side of a hidden face: too few for eyes, nose and mouth


def similarity_transform(source: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Rotation, scale and shift that move points to others with the least squared error, without mirroring.

    Args:
        source: (N, 2) x y, N >= 2.
        target: (N, 2) x y.

    Returns:
        (2, 3) float64 matrix M: M @ [x, y, 1] of a source point is near its target.

    Raises:
        ValueError: the shapes are others, a number is not finite, or all source points coincide.

    Examples:
        >>> similarity_transform([[0, 0], [1, 0]], [[5, 5], [5, 7]]).round(6) + 0.0  # a quarter turn, twice as large
        array([[ 0., -2.,  5.],
               [ 2.,  0.,  5.]])
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2 or len(source) < 2:
        raise ValueError(f"points are {source.shape} and {target.shape}, expected (N, 2) for both, with N >= 2")
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise ValueError("points hold NaN or infinity, expected finite numbers")
    from_centre, to_centre = source.mean(axis=0), target.mean(axis=0)
    centred, goal = source - from_centre, target - to_centre
    variance = (centred**2).sum()
    if not variance > 1e-12:
        raise ValueError("the source points coincide, so they have no size and no direction")
    # In two dimensions the rotation of equation 40 has a closed form in dot and cross products of the centred points.
    cosine = (centred * goal).sum() / variance
    sine = (centred[:, 0] * goal[:, 1] - centred[:, 1] * goal[:, 0]).sum() / variance
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.hstack([turn, (to_centre - turn @ from_centre)[:, None]])


def align(image: np.ndarray, landmarks: ArrayLike, size: int = REFERENCE_SIZE) -> np.ndarray:
    """Turn faces upright and scale them to one size, with their landmarks near REFERENCE_POINTS * size / 112.

    What is outside the image is black.

    Args:
        image: (H, W, 3) uint8 RGB.
        landmarks: (N, 5, 2) x y in px.
        size: side of a face in px, 8 to MAX_SIZE.

    Returns:
        (N, size, size, 3) uint8 RGB.

    Raises:
        InputError: the size is wrong, or the landmarks of a face are unknown or coincide; it names the face.
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


def warp(image: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    """Transform an image into a square, without aliasing where it shrinks.

    What is outside the image is black.

    Args:
        image: (H, W, 3) uint8.
        transform: (2, 3) float64 matrix, from px of the image to px of the square.
        size: side of the square in px.

    Returns:
        (size, size, 3) uint8.
    """
    shrink = 1 / np.sqrt(np.linalg.det(transform[:, :2]))  # px of the image per px of the square
    finer = int(np.clip(np.ceil(shrink), 1, max(1, 2 * MAX_SIZE // size)))  # samples per axis for one px of the square
    matrix = transform * finer
    # Only the region of the image that is needed: OpenCV refuses sources of over 32,767 px.
    inverse = cv2.invertAffineTransform(matrix)
    outline = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]]) * (size * finer, size * finer, 1) @ inverse.T
    left, top = np.clip(np.floor(outline.min(axis=0)) - 2, 0, (image.shape[1], image.shape[0])).astype(int)
    right, bottom = np.clip(np.ceil(outline.max(axis=0)) + 2, 0, (image.shape[1], image.shape[0])).astype(int)
    if right <= left or bottom <= top:
        return np.zeros((size, size, 3), np.uint8)
    # OpenCV's pixel centres are at whole numbers, those of this package at one half.
    matrix[:, 2] += matrix[:, :2] @ (left + 0.5, top + 0.5) - 0.5
    warped = cv2.warpAffine(image[top:bottom, left:right], matrix, (size * finer, size * finer), flags=cv2.INTER_LINEAR)
    return cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA) if finer > 1 else warped


def crop(image: np.ndarray, boxes: ArrayLike, margin: float = 0.2) -> list[np.ndarray]:
    """Cut boxes out of an image.

    Args:
        image: (H, W, 3) uint8.
        boxes: (N, 4) x1 y1 x2 y2 in px.
        margin: fraction of a box's side that is added at each end of it, >= 0. The result is rounded outwards to whole
            pixels and clipped to the image.

    Returns:
        (h, w, 3) uint8 copies, one per box.

    Raises:
        InputError: the margin is wrong, or a box is outside the image: then the faces are those of another image, or of
            another size of it.

    Examples:
        >>> [face.shape for face in crop(np.zeros((100, 100, 3), np.uint8), [[10, 20, 30, 60], [90, 0, 110, 50]], 0.5)]
        [(80, 40, 3), (75, 20, 3)]
    """
    crops = []
    for number, (left, top, right, bottom) in enumerate(_with_margin(image, boxes, margin, "crop")):
        if right <= left or bottom <= top:
            x1, y1, x2, y2 = np.asarray(boxes, np.float64).reshape(-1, 4)[number]
            raise InputError(f"crop: face {number}, box {x1:g} {y1:g} {x2:g} {y2:g}, is outside the image of "
                             f"{image.shape[1]} x {image.shape[0]} px; are the faces those of this image?")
        crops.append(image[top:bottom, left:right].copy())
    return crops


def hide(image: np.ndarray, boxes: ArrayLike, how: str = "blur", margin: float = 0.2) -> np.ndarray:
    """Make faces unrecognisable.

    Of a box the mean colours of at most CELLS x CELLS areas remain, and nothing else: `pixelate` shows them as tiles,
    `blur` as smooth transitions. Neither can be undone. Hair, clothes and the scene remain.

    Args:
        image: (H, W, 3) uint8.
        boxes: (N, 4) x1 y1 x2 y2 in px; what is outside the image is left out.
        how: one of HIDDEN_BY.
        margin: fraction of a box's side that is added at each end of it, >= 0.

    Returns:
        (H, W, 3) uint8, a changed copy.

    Raises:
        InputError: `how`, the margin or a box is wrong.

    Examples:
        >>> image = np.zeros((2, 4, 1), np.uint8)
        >>> image[:, 1:3] = 100
        >>> hide(image, [[0, 0, 4, 2]], "pixelate", 0)[..., 0]  # 2 x 1 areas: one for every 2 px at most
        array([[50, 50, 50, 50],
               [50, 50, 50, 50]], dtype=uint8)
    """
    if how not in HIDDEN_BY:
        raise InputError(f"hide: found {how!r}, expected {' or '.join(HIDDEN_BY)}")
    hidden = np.array(image, order="C")
    areas = _with_margin(image, boxes, margin, "hide")
    # Larger ones last: a small box within a large one would show more of the face than the large one leaves.
    for left, top, right, bottom in sorted(areas, key=lambda box: (box[2] - box[0]) * (box[3] - box[1])):
        if right > left and bottom > top:
            # Means of the given image, so that the order of boxes that touch does not matter for what they keep.
            hidden[top:bottom, left:right] = _coarse(image[top:bottom, left:right], how)
    return hidden


def _coarse(face, how):
    """A face as its mean colours in at most CELLS x CELLS areas of 2 x 2 px or more."""
    height, width = face.shape[:2]
    step = max(height, width) / CELLS
    columns, rows = (max(1, min(round(side / step), side // 2)) for side in (width, height))
    means = cv2.resize(np.ascontiguousarray(face), (columns, rows), interpolation=cv2.INTER_AREA)
    between = cv2.INTER_LINEAR if how == "blur" else cv2.INTER_NEAREST
    return cv2.resize(means, (width, height), interpolation=between).reshape(face.shape)


def _with_margin(image, boxes, margin, what):
    """The boxes with a margin, rounded outwards and clipped to the image: a list of (left, top, right, bottom)."""
    if not 0 <= margin < np.inf:
        raise InputError(f"{what}: margin is {margin!r}, expected 0 or more, as a fraction of a box's sides")
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    if not np.isfinite(boxes).all():
        raise InputError(f"{what}: a box holds NaN or infinity, expected px")
    size, extra = (image.shape[1], image.shape[0]), margin * (boxes[:, 2:] - boxes[:, :2])
    first = np.clip(np.floor(boxes[:, :2] - extra), 0, size)
    last = np.clip(np.ceil(boxes[:, 2:] + extra), 0, size)
    return np.hstack([first, last]).astype(int).tolist()
