"""Anchor levels: one feature map and the anchors of each of its cells."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from .checks import FLOAT64, MOST_SIDE, as_array, as_number, as_whole

MOST_ANCHORS = 1 << 28
LONGEST = 1e6  # px: strides and anchors


class Level(NamedTuple):
    """Anchors of one feature map.

    Attributes:
        height: rows of cells.
        width: columns of cells.
        stride: px of the image between two neighbouring cells.
        sizes: square roots of the anchor areas in px, or pairs (width, height) in px.
        ratios: height / width; see anchor_sides.
        border: px by which an anchor may leave the image and still be trained; None = any.
    """

    height: int
    width: int
    stride: float
    sizes: Sequence[float] | Sequence[Sequence[float]]
    ratios: Sequence[float] = (1.0,)
    border: float | None = None

    @property
    def count(self) -> int:  # type: ignore[override]  # hides tuple.count, which nobody needs here
        """Number of anchors."""
        return self.height * self.width * len(self.sizes) * len(self.ratios)


def as_level(level: Any, border: float | None = None) -> Level:
    """Make a Level and check it.

    Args:
        level: a Level, a tuple of its fields, or an object with attributes of these names.
        border: border of a tuple or object that has none of its own, px; None = any.

    Raises:
        InputError: the number of fields is wrong, or a value is out of range.
    """
    if isinstance(level, Level):
        result = level
    elif isinstance(level, tuple | list):
        if not 4 <= len(level) <= 6:
            raise InputError(f"level: found {len(level)} fields, "
                             "expected height, width, stride, sizes[, ratios[, border]]")
        fields = dict(zip(Level._fields, level, strict=False))
        result = Level(**{"border": border, **fields})
    elif not all(hasattr(level, name) for name in Level._fields[:4]):
        raise InputError(f"level: found an object of type {type(level).__name__}, expected a boxes.Level or a tuple")
    else:
        result = Level(level.height, level.width, level.stride, level.sizes,
                      getattr(level, "ratios", (1.0,)), getattr(level, "border", border))
    try:
        return _checked(result)
    except TypeError:  # a list cannot be a cache key
        return _checked.__wrapped__(result)


@functools.lru_cache(maxsize=256)  # the samples of a training share their levels
def _checked(level: Level) -> Level:
    """The level with its numbers checked, as ints, floats and tuples of these."""
    sizes, ratios = as_array(level.sizes, "sizes", dtype=FLOAT64), as_array(level.ratios, "ratios", dtype=FLOAT64)
    height, width, stride = check_grid(level.height, level.width, level.stride, len(anchor_sides(sizes, ratios)))
    border = None if level.border is None else as_number(level.border, "border", 0)
    return Level(height, width, stride, _frozen(sizes), _frozen(ratios), border)


def _frozen(values: np.ndarray) -> tuple:
    return tuple(tuple(value) if isinstance(value, list) else value for value in np.atleast_1d(values).tolist())


def check_grid(height: int, width: int, stride: float, per_cell: int) -> tuple[int, int, float]:
    """Check the cells of a feature map with this many anchors each.

    Returns:
        height, width and stride as int, int and float.

    Raises:
        InputError: a number is out of range, or there are more than MOST_ANCHORS anchors.
    """
    height, width = as_whole(height, "height", 0, MOST_SIDE), as_whole(width, "width", 0, MOST_SIDE)
    stride = as_number(stride, "stride", 0, LONGEST, open_low=True)
    if height * width * per_cell > MOST_ANCHORS:
        raise InputError(f"anchor grid: found {height} x {width} cells with {per_cell} anchors each, expected at most "
                         f"{MOST_ANCHORS} anchors")
    return height, width, stride


def anchor_sides(sizes: Sequence[float] | Sequence[Sequence[float]] | np.ndarray,
                 ratios: Sequence[float] | np.ndarray = (1.0,)) -> np.ndarray:
    """Widths and heights of the anchors of one cell.

    The sides are width / sqrt(ratio) and height * sqrt(ratio), so the area is the same at every ratio. A size that is
    one number is that of a square.

    Args:
        sizes: (N,) square roots of the areas in px, or (N, 2) pairs (width, height) in px, as clustering gives them.
        ratios: (R,) height / width.

    Returns:
        (N * R, 2) float64 widths and heights in px, ordered by size, then by ratio.

    Raises:
        InputError: there is no size or ratio, one is not > 0, or the shape is another one.

    Source: Faster R-CNN, section 3.1.1.

    Examples:
        >>> anchor_sides([16], [1, 4]).tolist(), anchor_sides([(9.4, 15), (25.1, 39.6)]).tolist()
        ([[16.0, 16.0], [8.0, 32.0]], [[9.4, 15.0], [25.1, 39.6]])
    """
    try:
        return _sides(sizes, ratios).copy()  # type: ignore[arg-type]  # TypeError below
    except TypeError:  # a list cannot be a cache key
        return _sides.__wrapped__(sizes, ratios)


@functools.lru_cache(maxsize=256)
def _sides(sizes, ratios):
    sizes, ratios = as_array(sizes, "sizes", dtype=FLOAT64), as_array(ratios, "ratios", dtype=FLOAT64)
    for name, values, most in (("sizes", sizes, LONGEST), ("ratios", ratios, 1e4)):
        if not values.size or not ((values > 0) & (values <= most)).all():
            raise InputError(f"anchors: found {name} {values.ravel()[:20].tolist()}, expected at least one, all > 0 "
                             f"and at most {most:g}")
    if ratios.ndim > 1:  # the number of anchors is counted by its length
        raise InputError(f"anchors: found ratios of shape {ratios.shape}, expected numbers")
    if sizes.ndim > 1 and (sizes.ndim, sizes.shape[1]) != (2, 2):
        raise InputError(f"anchors: found sizes of shape {sizes.shape}, expected numbers, or pairs (width, height)")
    roots = np.sqrt(ratios).reshape(1, -1)
    sides = sizes if sizes.ndim == 2 else np.repeat(sizes.reshape(-1, 1), 2, axis=1)  # (N, 2)
    return np.stack([sides[:, :1] / roots, sides[:, 1:] * roots], axis=-1).reshape(-1, 2)


def grid_lines(cells: int, stride: float, sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper edges of the anchors along one axis.

    The centre of cell c is at (c + 0.5) * stride. An anchor's corners depend only on its row and its column. All code
    of this folder that needs anchors reads their corners from these lines, so all results agree to the bit.

    Args:
        cells: number of cells on this axis.
        stride: px between two cells.
        sides: (T,) float64, sides of the anchors on this axis in px.

    Returns:
        Two (T, cells) float32 arrays, px.
    """
    centres = (np.arange(cells, dtype=np.float64) + 0.5) * stride
    halves = np.asarray(sides, dtype=np.float64)[:, None] / 2
    return (centres - halves).astype(np.float32), (centres + halves).astype(np.float32)
