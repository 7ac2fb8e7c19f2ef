"""SSD's choice of what a sample shows (arXiv 1512.02325, sections 2.2 and 3.6): zoom-out, then a crop.

Half of the images are laid on a grey canvas of up to four times their sides (zoom-out, for small objects). Then one of
these is drawn: the whole canvas; a crop of any kind; a crop whose overlap with some face is at least 0.1, 0.3, 0.5, 0.7
or 0.9. Both together are one window of the image, so no canvas is ever painted; augment.py cuts the window out and
squeezes it to the square that is trained on, whatever its aspect.

Three things differ from SSD: a face that the crop cuts becomes an ignore region where too little of it is left, while
SSD keeps it by its centre; a crop's centre lies in the image, so that none is mostly grey; and light changes as for
every other sample (augment.colour).
"""

import numpy as np

from ..boxes import overlaps

TRIES = 50  # crops that may fail their constraint before the whole canvas serves
ASPECTS = (0.5, 2.0)  # of a crop, width to height


def ssd_window(shape, faces, rng, cfg):
    """The window of the image that becomes a sample: start (x, y) and sides (width, height), px of the image, float64.

    shape: (width, height) px of the image. faces: (N, 4) float32, those that count; without any, every crop is as good.
    rng: numpy Generator. cfg: the AUGMENT section. The window may leave the image, but its centre does not.
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


def random_crops(start, sides, rng, parts):
    """(TRIES, 4) float64 x1 y1 x2 y2: crops of a canvas, their sides uniform between `parts` of its sides."""
    wanted = rng.uniform(*parts, (TRIES, 2)) * sides
    low = start + rng.uniform(0, 1, (TRIES, 2)) * (sides - wanted)
    return np.concatenate([low, low + wanted], axis=1)


def fitting(crops, image, faces, least):
    """Indices of the crops (T, 4) of a fair aspect around a point of the image whose overlap with some face is `least`.

    image: (4,), the image among the crops. faces: (N, 4).

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
    if least > 0 and len(faces):
        fits &= (overlaps(crops, faces) >= least).any(axis=1)
    return np.flatnonzero(fits)
