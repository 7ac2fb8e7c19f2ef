"""Landmarks of faces whose boxes are known already, by O-Net alone."""

import numpy as np

from . import resample
from .geometry import landmarks_of, square, windows

SIDE = 48  # px that O-Net looks at


def landmarks_in_boxes(onet, image, boxes, cfg):
    """(N, 5, 2) float32 px: what O-Net says on the squares around the boxes; NaN where one lies outside the image.

    onet: function crops (N, 48, 48, 3) -> dict with `landmarks`. image: (H, W, 3) uint8 RGB. boxes: (N, 4) px.
    cfg: the section CASCADE, which says how crops are cut. No box is moved: one look, from the box as it is given.
    """
    inclusive = cfg.BOXES == "inclusive"
    squares = square(np.asarray(boxes, np.float32).reshape(-1, 4), inclusive)
    places, inside = windows(squares, image.shape[1::-1], inclusive)
    points = np.full((len(squares), 5, 2), np.nan, np.float32)
    if inside.any():
        crops = resample(image, places[inside], (SIDE, SIDE), cfg.RESAMPLE,
                         dtype=np.uint8 if cfg.ROUND else np.float32)
        found = np.asarray(onet(crops)["landmarks"])
        points[inside] = landmarks_of(squares[inside], found, inclusive)
    return points
