"""A detector without a net: its faces are green squares, so their places are known exactly and Keras is not needed."""

from pathlib import Path

import cv2
import numpy as np

from manyfaces.config import default_config
from manyfaces.detections import Detections
from manyfaces.inference.detector import Detector
from manyfaces.nets.family import Family

SCORE = np.float32(1) / np.float32(3)  # has no short decimal form
POINTS = np.float32([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])  # fractions of the sides of a face


def picture(width, height, *squares):
    """(height, width, 3) uint8 RGB: green squares (x, y, side) on grey."""
    image = np.full((height, width, 3), 120, np.uint8)
    for x, y, side in squares:
        image[y : y + side, x : x + side] = (0, 255, 0)
    return image


def save(path, image, **options):
    """Write an image in the format of the path's ending; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return path


class Squares(Family):
    """The family: `run`, its net, marks green pixels and records its shapes; `decode` finds connected ones."""

    multiple = 32

    def __init__(self):
        self.shapes = []

    def run(self, images):
        assert images.dtype == np.uint8
        self.shapes.append(images.shape)
        red, green, blue = (images[..., i].astype(int) for i in range(3))
        return {"green": ((green > 180) & (red < 90) & (blue < 90)).astype(np.float32)}

    def decode(self, outputs, size):
        mask = outputs["green"][: size[1], : size[0]].astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        boxes = np.float32([[x, y, x + w, y + h] for x, y, w, h, _ in stats[1:]]).reshape(-1, 4)
        landmarks = boxes[:, None, :2] + POINTS * (boxes[:, 2:] - boxes[:, :2])[:, None]
        return Detections(boxes, np.full(len(boxes), SCORE), landmarks)


def square_detector(source=None, **test):
    """A Detector of green squares; source: path of its weights; keywords are keys of the config's section TEST."""
    cfg = default_config()
    cfg.TEST.update(test)
    family = Squares()
    return Detector(family, family.run, cfg, source and Path(source))
