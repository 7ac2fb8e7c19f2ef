"""Anchor levels: one feature map and the anchors that stand on each of its cells."""

import math
from typing import NamedTuple

import numpy as np

from ..errors import InputError


class Level(NamedTuple):
    """Anchors of one feature map of (height, width) cells, `stride` image pixels apart.

    sizes: square roots of the anchor areas in pixels, or pairs (width, height); ratios: height / width; see
    anchor_sides. border: pixels by which an anchor may leave the image and still be trained; None = any.
    """

    height: int
    width: int
    stride: float
    sizes: tuple
    ratios: tuple = (1.0,)
    border: float | None = None

    @property
    def count(self):
        return self.height * self.width * len(self.sizes) * len(self.ratios)


def as_level(level, border=None):
    """A Level from a tuple of its fields or an object that has them; `border` serves where the level names none."""
    if isinstance(level, Level):
        found = level
    elif isinstance(level, tuple | list):
        if not 4 <= len(level) <= 6:
            raise InputError(f"level: found {len(level)} fields, "
                             "expected height, width, stride, sizes[, ratios[, border]]")
        fields = dict(zip(Level._fields, level, strict=False))
        found = Level(**{"border": border, **fields})
    else:
        found = Level(level.height, level.width, level.stride, level.sizes,
                      getattr(level, "ratios", (1.0,)), getattr(level, "border", border))
    found = found._replace(height=int(found.height), width=int(found.width), stride=float(found.stride))
    check_grid(found.height, found.width, found.stride)
    if found.border is not None and not float(found.border) >= 0:
        raise InputError(f"border: found {found.border}, expected None or a number >= 0")
    return found


def check_grid(height, width, stride):
    if height < 0 or width < 0:
        raise InputError(f"anchor grid: found {height} x {width} cells, expected numbers >= 0")
    if not (stride > 0 and math.isfinite(stride)):
        raise InputError(f"stride: found {stride}, expected a number > 0")


def anchor_sides(sizes, ratios=(1.0,)):
    """Widths and heights of a cell's anchors, size by size and, within a size, ratio by ratio.

    sizes: (N,) square roots of the areas, or (N, 2) pairs (width, height), as clustering a data set's boxes gives them.
    Returns (len(sizes) * len(ratios), 2) float64: width / sqrt(ratio), height * sqrt(ratio), so that the area is the
    same at every ratio (Faster R-CNN, section 3.1.1); a size that is one number is that of a square.

    >>> anchor_sides([16], [1, 4]).tolist(), anchor_sides([(9.4, 15), (25.1, 39.6)]).tolist()
    ([[16.0, 16.0], [8.0, 32.0]], [[9.4, 15.0], [25.1, 39.6]])
    """
    sizes = np.asarray(sizes, dtype=np.float64)
    roots = np.sqrt(np.asarray(ratios, dtype=np.float64)).reshape(1, -1)
    if sizes.size == 0 or roots.size == 0 or not ((sizes > 0).all() and (roots > 0).all()):
        raise InputError(f"anchors: found sizes {sizes.ravel().tolist()} and ratios {(roots ** 2).ravel().tolist()}, "
                         "expected at least one of each, all > 0")
    if sizes.ndim > 1 and (sizes.ndim, sizes.shape[1]) != (2, 2):
        raise InputError(f"anchors: found sizes of shape {sizes.shape}, expected numbers, or pairs (width, height)")
    sides = sizes if sizes.ndim == 2 else np.repeat(sizes.reshape(-1, 1), 2, axis=1)  # (N, 2)
    return np.stack([sides[:, :1] / roots, sides[:, 1:] * roots], axis=-1).reshape(-1, 2)


def grid_lines(cells, stride, sides):
    """Lower and upper edges of anchors along one axis: centre of cell c at (c + 0.5) * stride.

    sides: (T,) float64, the anchors' sides on this axis. Returns two (T, cells) float32 arrays. An anchor's corners
    depend on its row or its column only, and everything here that needs anchors reads them from these lines, so all
    agree to the bit.
    """
    centres = (np.arange(cells, dtype=np.float64) + 0.5) * stride
    halves = np.asarray(sides, dtype=np.float64)[:, None] / 2
    return (centres - halves).astype(np.float32), (centres + halves).astype(np.float32)
