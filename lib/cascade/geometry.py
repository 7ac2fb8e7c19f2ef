"""Boxes on their way through the cascade: of P-Net's cells, calibrated, squared, and the pixels that are cut out.

Two conventions, CASCADE.BOXES. `continuous` is that of this package: a box's width is x2 - x1, and crops reach beyond
the image where faces do. `inclusive` is that of the authors' MATLAB code and its ports: boxes are whole pixels counted
from 1 with both ends in them (so offsets are of sides one longer), crops end with the image. Weights that were trained
by the second convention find the same faces by either; facenet-pytorch's figures come out to the digit by the second.
"""

import numpy as np

from .pyramid import CELL, STRIDE


def cell_boxes(rows, columns, which, levels, sizes, inclusive):
    """(N, 4) float32 px of the image: the windows of cells. rows, columns, which: (N,) place in a level, number of it
    among `levels`. sizes: (width, height) of the images.
    """
    corner = np.stack([columns, rows], axis=1).astype(np.float32) * STRIDE
    if inclusive:
        scale = np.float32([level.scale for level in levels])[which, None]
        return np.floor(np.concatenate([(corner + 1) / scale, (corner + CELL) / scale], axis=1))
    grow = np.float32([[sizes[level.image][0] / level.width, sizes[level.image][1] / level.height]
                       for level in levels])[which]
    return np.concatenate([corner * grow, (corner + CELL) * grow], axis=1)


def calibrate(boxes, offsets, longer=0):
    """Boxes moved by offsets (N, 4) of their corners in units of their sides, made `longer` (inclusive: 1) first."""
    sides = boxes[:, 2:] - boxes[:, :2] + np.float32(longer)
    return boxes + offsets * np.tile(sides, 2)


def square(boxes, inclusive):
    """The squares around the boxes, of their longer sides and with their centres; continuous: of whole pixels."""
    sides = boxes[:, 2:] - boxes[:, :2]
    longer = sides.max(axis=1, keepdims=True)
    if inclusive:
        corner = boxes[:, :2] + sides * np.float32(0.5) - longer * np.float32(0.5)
        return np.concatenate([corner, corner + longer], axis=1)
    longer = np.maximum(np.rint(longer), 1)
    corner = np.rint((boxes[:, :2] + boxes[:, 2:] - longer) / 2)
    return np.concatenate([corner, corner + longer], axis=1)


def windows(squares, size, inclusive):
    """((N, 4) int64 x1 y1 x2 y2 of the pixels that are cut out, the ends not in it; (N,) bool: some are in the image).

    size: (width, height) px of the image. inclusive: cut off at its borders.
    """
    finite = np.isfinite(squares).all(axis=1)  # a net gone astray
    corners = np.where(finite[:, None], squares, 0).clip(-(2**30), 2**30)
    if inclusive:
        corners = np.trunc(corners) - np.float32([1, 1, 0, 0])
        corners = np.concatenate([corners[:, :2].clip(0), corners[:, 2:].clip(None, np.float32(size))], axis=1)
    corners = corners.astype(np.int64)
    inside = ((corners[:, :2] < np.asarray(size)) & (corners[:, 2:] > 0) & (corners[:, 2:] > corners[:, :2])).all(1)
    return corners, inside & finite


def landmarks_of(squares, points, inclusive):
    """(N, 5, 2) px from O-Net's (N, 10) in sides of the squares."""
    corner, sides = squares[:, None, :2], (squares[:, 2:] - squares[:, :2])[:, None]
    shift = np.float32(inclusive)
    return points.reshape(-1, 5, 2) * (sides + shift) + corner - shift
