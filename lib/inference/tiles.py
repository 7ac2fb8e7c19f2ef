"""Images too large for one call of a net, cut into overlapping tiles whose maps are joined to those of the whole image.

A cell of a fully convolutional net depends on the pixels around it and no others. So a tile reaches beyond the cells
that it delivers. The outer cells, which depend on the edge of the tile, are dropped, and each cell of the whole map
comes from exactly one tile. Tiles begin at multiples of what the net pads to, so that its strides fall on the same
pixels. Decoding and NMS then receive the maps of the whole image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..errors import InputError


class Part(NamedTuple):
    """A tile along one axis, px: it begins at `start` and delivers the cells from `first` to `end`."""

    start: int
    first: int
    end: int


def parts(side: int, count: int, overlap: int, multiple: int) -> tuple[int, list[Part]]:
    """Cut an axis of `side` px into at most `count` tiles of the same length.

    The first and the last tile reach further inside.

    Args:
        side, overlap, multiple: px; side and overlap are multiples of `multiple`, and so are all results.

    Returns:
        (length of every tile in px, tiles).

    Examples:
        >>> length, tiles = parts(960, 3, 64, 32)
        >>> length, *tiles
        (448, Part(start=0, first=0, end=320), Part(start=256, first=320, end=640), Part(start=512, first=640, end=960))
    """
    core, count, length = _cut(side, count, overlap, multiple)
    starts = [min(max(0, number * core - overlap), side - length) for number in range(count)]
    return length, [Part(start, number * core, min(side, (number + 1) * core)) for number, start in enumerate(starts)]


def _cut(side, count, overlap, multiple):
    """(px that each tile delivers, number of tiles, px that each is long)."""
    core = -(-side // count // multiple) * multiple
    count = -(-side // core)
    return core, count, min(side, core + overlap * min(2, count - 1))


def fewest(side: int, room: int, overlap: int, multiple: int) -> int:
    """Number of tiles of at most `room` px that an axis of `side` px needs; 0: they would be too short for the overlap.

    Examples:
        >>> [fewest(960, room, 64, 32) for room in (960, 959, 544, 543, 160, 159)]
        [1, 2, 2, 3, 30, 0]
    """
    if side <= room:
        return 1
    for neighbours in (1, 2):
        core = (room - neighbours * overlap) // multiple * multiple
        if core > 0 and (neighbours == 2 or 2 * core >= side):
            return -(-side // core)
    return 0


def tiles_of(width: int, height: int, max_pixels: int, overlap: int,
             multiple: int) -> tuple[tuple[int, int], list[Part], list[Part]]:
    """Cut an image so that the net receives the fewest pixels.

    Args:
        width, height: px, multiples of `multiple`.
        max_pixels: of a tile.
        overlap: px by which a tile reaches beyond its cells, rounded up to the multiple.

    Returns:
        ((width, height) px of each tile, columns, rows).

    Raises:
        InputError: even the smallest tile has more pixels.
    """
    overlap += -overlap % multiple
    cuts = []  # (pixels in all, columns, rows)
    for number in range(1, width // multiple + 1):
        _, columns, across = _cut(width, number, overlap, multiple)
        if rows := fewest(height, max_pixels // across, overlap, multiple):
            _, rows, down = _cut(height, rows, overlap, multiple)
            cuts.append((across * columns * down * rows, columns, rows))
    if not cuts:
        smallest = _cut(width, width, overlap, multiple)[2] * _cut(height, height, overlap, multiple)[2]
        raise InputError(f"TEST.MAX_PIXELS is {max_pixels:,}: the smallest tile of an image of {width} x {height} px "
                         f"has {smallest:,} px with a TEST.TILE_OVERLAP of {overlap}; raise the first, lower the "
                         f"second, or let large images be scaled down with TEST.LARGE shrink")
    _, columns, rows = min(cuts)
    (across, places), (down, levels) = parts(width, columns, overlap, multiple), parts(height, rows, overlap, multiple)
    return (across, down), places, levels


def maps_of_tiles(run: Callable, show: Callable, width: int, height: int,
                  tiles: tuple[tuple[int, int], list[Part], list[Part]]) -> dict[str, np.ndarray]:
    """Compute the maps (h, w, C) of an image from its tiles.

    Args:
        run: images (1, H, W, 3) -> maps with a batch axis, whose strides divide the multiple of the tiles.
        show: function (x, y, width, height) px -> input of `run` for that rectangle of the image.
        width, height: px of the image.
        tiles: those of tiles_of.
    """
    (across, down), columns, rows = tiles
    maps = {}
    for row in rows:
        for column in columns:
            for name, values in run(show(column.start, row.start, across, down)).items():
                values = np.asarray(values)[0]
                stride = down // len(values)
                if name not in maps:
                    maps[name] = np.empty((height // stride, width // stride, *values.shape[2:]), values.dtype)
                top, left = row.start // stride, column.start // stride
                y, x = (slice(each.first // stride, each.end // stride) for each in (row, column))
                maps[name][y, x] = values[y.start - top : y.stop - top, x.start - left : x.stop - left]
    return maps
