"""Crops that MTCNN learns landmarks from: faces with five points, moved, scaled and turned.

They are mirrored when they are loaded (mtcnn_batches.py). Nothing but the points is learnt from them, for in the usual
data (CNN_FacePoint) boxes follow another rule and other faces in the image are not labelled.
"""

import cv2
import numpy as np

from ...constants import FILL
from .samples import whole_pixels, with_landmarks

# Standard deviations of the square's place (in its sides), and of the logarithm of its side to the face's longer one;
# O-Net is asked about the squares of R-Net, most of which lie well. Farther than LIMIT of them none is taken.
SHIFT, SCALE, LIMIT = 0.06, 0.1, 2.5


def landmark_samples(image, record, quota, rng, side, cfg, cut):
    """(images (K, side, side, 3) uint8, landmarks (K, 10) float32 in sides of the crop) of a record's faces.

    image: (H, W, 3) uint8. quota: crops a face on average. rng: numpy Generator of this image. cut: function (image,
    squares (N, 4), side) -> crops. Place and size are normal about the face's; two of three crops are turned about the
    face, normally too, by MTCNN.ROTATION degrees at most.
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
    """Standard normal numbers, clipped at LIMIT."""
    return np.clip(rng.standard_normal(shape), -LIMIT, LIMIT)


def turn(image, landmarks, centre, square, angle):
    """The surroundings of a square, turned counterclockwise by `angle` degrees about `centre` (x, y).

    Returns (part (h, w, 3) of the turned image that holds the square, landmarks (5, 2) in px of the whole turned image,
    (x, y) px where the part begins in it).
    """
    matrix = cv2.getRotationMatrix2D(tuple(centre), angle, 1.0)
    begin, end = np.floor(square[:2]) - 1, np.ceil(square[2:]) + 1
    size = tuple(int(length) for length in end - begin)
    into = matrix.copy()
    into[:, 2] -= begin
    # The centre of pixel i is i + 0.5 in px of the image, and i in those of OpenCV.
    into[:, 2] += into[:, :2] @ [0.5, 0.5] - 0.5
    part = cv2.warpAffine(image, into, size, flags=cv2.INTER_LINEAR, borderValue=(FILL, FILL, FILL))
    return part, landmarks @ matrix[:, :2].T + matrix[:, 2], begin
