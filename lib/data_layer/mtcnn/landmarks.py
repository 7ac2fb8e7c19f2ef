"""Crops from which MTCNN learns landmarks: faces with five points, moved, scaled and rotated.

They are mirrored when they are loaded (batches.py). Only the points are learnt from them: in the usual data
(CNN_FacePoint) boxes follow another rule, and other faces in the image are not labelled.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from easydict import EasyDict

from ...constants import FILL
from ...datasets.roidb import Record
from .samples import whole_pixels, with_landmarks

# Standard deviations: SHIFT of the square's place, as a fraction of its side; SCALE of the logarithm of its side over
# the face's longer side. Deviations end at LIMIT of them. O-Net receives the squares of R-Net, most of which fit well.
SHIFT, SCALE, LIMIT = 0.06, 0.1, 2.5


def landmark_samples(image: np.ndarray, record: Record, quota: float, rng: np.random.Generator, side: int,
                     cfg: EasyDict, cut: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
                     ) -> tuple[np.ndarray, np.ndarray]:
    """Cut crops of the faces with landmarks.

    Place and size are normally distributed around those of the face. Two of three crops are rotated around the face by
    a normally distributed angle, at most MTCNN.ROTATION degrees.

    Args:
        image: (H, W, 3) uint8.
        record: the faces of the image.
        quota: crops per face on average.
        rng: the generator of this image.
        side: px of the crops.
        cfg: the section MTCNN.
        cut: cuts squares (N, 4) px out of an image, as (N, side, side, 3) uint8.

    Returns:
        Crops (K, side, side, 3) uint8, and landmarks (K, 10) float32, x y as fractions of the crop's side.
    """
    images, points = [np.zeros((0, side, side, 3), np.uint8)], [np.zeros((0, 5, 2))]
    for face in np.flatnonzero(with_landmarks(record, cfg)):
        box, landmarks = record.boxes[face].astype(np.float64), record.landmarks[face].astype(np.float64)
        count = int(quota + rng.random())
        length = (box[2:] - box[:2]).max() * np.exp(SCALE * _normal(rng, count))
        centre = (box[:2] + box[2:]) / 2
        corner = centre + (SHIFT * _normal(rng, (count, 2)) - 0.5) * length[:, None]
        angle = cfg.ROTATION / LIMIT * np.where(rng.random(count) < 2 / 3, _normal(rng, count), 0.0)
        squares = whole_pixels(np.concatenate([corner, corner + length[:, None]], axis=1))
        corner, length = squares[:, :2].astype(np.float64), (squares[:, 2] - squares[:, 0]).astype(np.float64)
        still = angle == 0
        images.append(cut(image, squares[still], side))
        points.append((landmarks - corner[still][:, None]) / length[still][:, None, None])
        for n in np.flatnonzero(~still):
            turned, moved, begin = turn(image, landmarks, centre, squares[n], angle[n])
            images.append(cut(turned, squares[n : n + 1] - np.tile(begin, 2), side))
            points.append((moved - corner[n])[None] / length[n])
    return np.concatenate(images), np.concatenate(points).reshape(-1, 10).astype(np.float32)


def _normal(rng, shape):
    """Standard normal numbers, clipped to +- LIMIT."""
    return np.clip(rng.standard_normal(shape), -LIMIT, LIMIT)


def turn(image: np.ndarray, landmarks: np.ndarray, centre: Sequence[float] | np.ndarray, square: np.ndarray,
         angle: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotate an image counterclockwise around a point, and compute only the area of a square.

    Args:
        image: (H, W, 3) uint8.
        landmarks: (5, 2), x y px.
        centre: (x, y) px.
        square: (4,), x1 y1 x2 y2 px of the rotated image.
        angle: degrees.

    Returns:
        Window (h, w, 3) of the rotated image that contains the square; landmarks (5, 2) in px of the whole rotated
        image; (x, y) px of the window in it.
    """
    matrix: np.ndarray = cv2.getRotationMatrix2D(tuple(centre), angle, 1.0)
    begin, end = np.floor(square[:2]) - 1, np.ceil(square[2:]) + 1
    size = tuple(int(length) for length in end - begin)
    into = matrix.copy()
    into[:, 2] -= begin
    # The centre of pixel i is at i + 0.5 px of the image, and at i in OpenCV.
    into[:, 2] += into[:, :2] @ [0.5, 0.5] - 0.5
    window = cv2.warpAffine(image, into, size, flags=cv2.INTER_LINEAR, borderValue=(FILL, FILL, FILL))
    return window, landmarks @ matrix[:, :2].T + matrix[:, 2], begin
