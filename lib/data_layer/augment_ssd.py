"""SSD's choice of the window of an image that becomes a sample: zoom-out, then a crop.

Half of the images are put on a grey canvas of up to four times their sides (zoom-out, for small objects). Then one of
these is drawn: the whole canvas; any crop; a crop whose IoU with some face is at least 0.1, 0.3, 0.5, 0.7 or 0.9. Both
steps give one window of the image, so the canvas is never drawn. augment.py cuts the window out and squeezes it to the
training square, whatever its aspect.

Three things differ from SSD. A cut face becomes an ignore region when too little of it is left; SSD keeps it if its
centre is inside. The centre of a crop is in the image, so that no crop is mostly grey. Light changes as for every other
sample (augment.colour).

Source: arXiv 1512.02325, sections 2.2 and 3.6.
"""

from collections.abc import Sequence

import numpy as np
from easydict import EasyDict

from ..boxes import overlaps

TRIES = 50  # crops that may fail their constraint before the whole canvas is used
ASPECTS = (0.5, 2.0)  # of a crop, width to height


def ssd_window(shape: tuple[int, int], faces: np.ndarray, rng: np.random.Generator, cfg: EasyDict
               ) -> tuple[np.ndarray, np.ndarray]:
    """Choose the window of an image that becomes a sample. It may leave the image, but its centre does not.

    Args:
        shape: (width, height) px of the image.
        faces: (N, 4) float32, x1 y1 x2 y2 px, without ignore regions. Without faces every crop is accepted.
        rng: the source of randomness.
        cfg: the section AUGMENT.

    Returns:
        Start (x, y) and sides (width, height) of the window, float64, in px of the image.
    """
    start, sides = np.zeros(2), np.array(shape, np.float64)
    image = np.array([0, 0, *shape], np.float64)
    if rng.random() < cfg.EXPAND_PROBABILITY:
        canvas = sides * rng.uniform(1, max(1.0, cfg.EXPAND))
        start, sides = -rng.uniform(0, 1, 2) * (canvas - sides), canvas
    choice = rng.integers(2 + len(cfg.CROP_OVERLAPS))
    if choice == 0:
        return start, sides
    crops = random_crops(start, sides, rng, cfg.CROP_SIDES)
    fits = fitting(crops, image, faces, 0.0 if choice == 1 else cfg.CROP_OVERLAPS[choice - 2])
    if not len(fits):
        return start, sides
    crop = crops[fits[0]]
    return crop[:2], crop[2:] - crop[:2]


def random_crops(start: np.ndarray, sides: np.ndarray, rng: np.random.Generator, fractions: Sequence[float]
                 ) -> np.ndarray:
    """Draw crops of a canvas.

    Args:
        start: (x, y) of the canvas.
        sides: (width, height) of the canvas.
        rng: the source of randomness.
        fractions: (lowest, highest) side of a crop as a fraction of the canvas side; uniform.

    Returns:
        (TRIES, 4) float64, x1 y1 x2 y2.
    """
    crop_sides = rng.uniform(fractions[0], fractions[1], (TRIES, 2)) * sides
    low = start + rng.uniform(0, 1, (TRIES, 2)) * (sides - crop_sides)
    return np.concatenate([low, low + crop_sides], axis=1)


def fitting(crops: np.ndarray, image: np.ndarray, faces: np.ndarray, lowest: float) -> np.ndarray:
    """Find the crops with an aspect within ASPECTS, their centre in the image, and enough IoU with some face.

    Args:
        crops: (T, 4), x1 y1 x2 y2.
        image: (4,), the image in the same coordinates.
        faces: (N, 4), in the same coordinates.
        lowest: the IoU that is enough. 0, or no faces: any crop.

    Returns:
        (M,) indices of crops, in order.

    Examples:
        >>> crops = np.float64([[0, 0, 9, 3], [0, 0, 8, 4], [2, 0, 6, 4], [-4, 0, 2, 4]])
        >>> fitting(crops, np.float64([0, 0, 20, 9]), np.float32([[2, 0, 6, 4]]), 0.5).tolist()
        [1, 2]
        >>> fitting(crops, np.float64([0, 0, 20, 9]), np.float32([[2, 0, 6, 4]]), 0.0).tolist()
        [1, 2]
    """
    low, high = crops[:, :2], crops[:, 2:]
    sides, centres = high - low, (low + high) / 2
    aspect = sides[:, 0] / sides[:, 1]
    fits = (aspect >= ASPECTS[0]) & (aspect <= ASPECTS[1])
    fits &= ((centres > image[:2]) & (centres < image[2:])).all(axis=1)
    if lowest > 0 and len(faces):
        fits &= (overlaps(crops, faces) >= lowest).any(axis=1)
    return np.flatnonzero(fits)
