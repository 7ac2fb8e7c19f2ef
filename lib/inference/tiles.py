"""Images too large for one call of a net, cut into overlapping tiles whose maps are put together to those of the whole.

A cell of a fully convolutional net sees the pixels around it and no others. So a tile reaches beyond the cells that it
answers for, the cells out there, which see the tile's edge, are dropped, and each cell of the whole comes from exactly
one tile. Tiles begin at multiples of what the net pads to, so that its strides fall on the same pixels. Decoding and
NMS then meet the maps of the whole image and know nothing of tiles.
"""

from typing import NamedTuple

import numpy as np

from ..errors import InputError


class Part(NamedTuple):
    """A tile along one axis, px: it is shown from `start` on and answers for the cells from `first` to `end`."""

    start: int
    first: int
    end: int


def parts(side, count, overlap, multiple):
    """(length px of every tile, list of Parts) for an axis of `side` px in at most `count` tiles of the same length.

    side and overlap: multiples of `multiple`, as all results are. The first and the last tile reach further inside.

    >>> parts(960, 3, 64, 32)
    (448, [Part(start=0, first=0, end=320), Part(start=256, first=320, end=640), Part(start=512, first=640, end=960)])
    """
    core, count, length = _cut(side, count, overlap, multiple)
    starts = [min(max(0, number * core - overlap), side - length) for number in range(count)]
    return length, [Part(start, number * core, min(side, (number + 1) * core)) for number, start in enumerate(starts)]


def _cut(side, count, overlap, multiple):
    """(px that each tile answers for, number of tiles, px that each is long)."""
    core = -(-side // count // multiple) * multiple
    count = -(-side // core)
    return core, count, min(side, core + overlap * min(2, count - 1))


def fewest(side, room, overlap, multiple):
    """How many tiles of at most `room` px an axis of `side` px needs; 0: they would be too short for the overlap.

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


def tiles_of(width, height, max_pixels, overlap, multiple):
    """((width, height) px of each tile, columns as Parts, rows as Parts): the cut that shows the net the fewest pixels.

    width, height: px, multiples of `multiple`. max_pixels: of a tile. overlap: px by which a tile reaches beyond its
    cells, rounded up to the multiple. Raises InputError where even the smallest tile has more pixels.
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


def maps_of_tiles(run, show, width, height, tiles):
    """The net's dict of maps (h, w, channels) of an image of width x height px, from its tiles (tiles_of).

    run: images (1, H, W, 3) -> dict of maps with a batch axis, whose strides divide the multiple of the tiles. show:
    function (x, y, width, height) px -> what `run` takes, of that part of the image.
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
                y, x = (slice(part.first // stride, part.end // stride) for part in (row, column))
                maps[name][y, x] = values[y.start - top : y.stop - top, x.start - left : x.stop - left]
    return maps
