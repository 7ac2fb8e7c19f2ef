"""Two public-domain portraits that come with the package, in pictures/: faces without a download.

Rear Admiral Grace Hopper (US Navy) and Eileen Collins (NASA): the pixels of matplotlib's grace_hopper.jpg and of
scikit-image's astronaut.png. All coordinates below are px of these two files, read by hand from an enlarged grid.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from ...errors import InputError
from ..images import read_image

PICTURES = Path(__file__).with_name("pictures")


@dataclass(frozen=True)
class Portrait:
    """A portrait with its face, its outlines, and objects to paste that are not faces.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        box: (4,) float64, x1 y1 x2 y2 of the face in px.
        landmarks: (5, 2) float64, x y in px, in the order of Record.
        head: (H, W) uint8 mask, 0..255, soft at the edge.
        bust: as `head`, with the shoulders.
        objects: slices (y, x) of the image that show no face.
    """

    image: np.ndarray
    box: np.ndarray
    landmarks: np.ndarray
    head: np.ndarray
    bust: np.ndarray
    objects: tuple[tuple[slice, slice], ...]


_HOPPER = {
    "box": (176, 128, 355, 333),
    "landmarks": ((225, 190.5), (308, 187), (266, 238), (230, 278), (305, 276)),
    "head": ((154, 205), (148, 175), (150, 100), (165, 88), (175, 80), (185, 60), (205, 46), (220, 40), (232, 28),
             (260, 23), (290, 28), (303, 42), (325, 50), (345, 65), (354, 83), (363, 88), (370, 105), (371, 165),
             (376, 187), (375, 212), (366, 242), (362, 265), (357, 292), (345, 305), (334, 302), (322, 322),
             (300, 333), (265, 336), (228, 328), (206, 308), (200, 296), (172, 284), (160, 265), (158, 240)),
    "shoulders": ((206, 308), (200, 320), (185, 335), (120, 362), (60, 378), (40, 400), (14, 600), (512, 600),
                  (512, 445), (490, 388), (420, 365), (360, 340), (335, 320), (322, 322), (265, 336)),
    # flag, coat and ribbons, coat and name plate, sky
    "objects": ((0, 0, 140, 330), (290, 380, 500, 590), (30, 400, 210, 590), (385, 0, 512, 340)),
}
_COLLINS = {
    "box": (180, 66, 269, 178),
    "landmarks": ((203.5, 101.5), (246.5, 103.5), (225.5, 127), (203.5, 140.5), (245.5, 141.5)),
    "head": ((172, 122), (163, 117), (155, 104), (153, 75), (158, 56), (175, 41), (195, 26), (215, 18), (232, 16),
             (250, 18), (275, 30), (289, 43), (296, 62), (301, 85), (296, 106), (284, 122), (277, 131), (270, 137),
             (266, 140), (262, 155), (255, 166), (242, 176), (225, 180), (205, 174), (190, 161), (183, 146),
             (181, 132), (174, 130)),
    "shoulders": ((190, 161), (183, 152), (150, 152), (125, 170), (112, 190), (113, 212), (70, 240), (45, 280),
                  (20, 400), (30, 500), (60, 512), (512, 512), (495, 450), (480, 400), (440, 350), (362, 345),
                  (355, 300), (330, 250), (304, 238), (300, 215), (280, 190), (256, 174), (242, 176), (225, 180)),
    # flag, badge, shuttle, helmet, suit with harness
    "objects": ((0, 0, 100, 500), (120, 330, 220, 440), (350, 0, 480, 290), (275, 345, 512, 512), (40, 300, 350, 512)),
}


@lru_cache(maxsize=1)
def portraits() -> tuple[Portrait, Portrait]:
    """Load the two portraits.

    Raises:
        InputError: an image is missing, or is another one.
    """
    return _portrait("hopper.jpg", (600, 512), _HOPPER), _portrait("collins.png", (512, 512), _COLLINS)


def _portrait(name, shape, facts):
    path = PICTURES / name
    image = read_image(path)
    if image.shape[:2] != shape:
        raise InputError(f"{path}: expected {shape[1]}x{shape[0]} pixels, found {image.shape[1]}x{image.shape[0]}; "
                         "reinstall the package")
    head = _mask(shape, facts["head"])
    bust = np.maximum(head, _mask(shape, facts["shoulders"]))
    objects = tuple((slice(y1, y2), slice(x1, x2)) for x1, y1, x2, y2 in facts["objects"])
    return Portrait(image, np.array(facts["box"], np.float64), np.array(facts["landmarks"], np.float64),
                    _soft(head), _soft(bust), objects)


def _mask(shape, polygon):
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.array(polygon, np.int32)], 255)
    return mask


def _soft(mask):
    """The mask reduced by two pixels and blurred, so that no edge of the old background is pasted."""
    return cv2.GaussianBlur(cv2.erode(mask, np.ones((5, 5), np.uint8)), (0, 0), 2)
