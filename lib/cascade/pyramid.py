"""The image pyramid of P-Net, with all levels on one canvas.

A level is the image shrunk so that faces of one size fill P-Net's window of 12 px. The net is called once per canvas
instead of once per level: the levels are placed next to each other. P-Net pads nothing, so a window inside a level
receives pixels of that level only, and the cells of windows across a seam are left out.

A canvas is processed in strips of one height that overlap by a window. So there is no limit on the image's size, the
net's data stays in the processor's cache, strips can run in parallel, and runtimes that compile for every new size get
few sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from . import resample_into
from .lanes import side_by_side

CELL, STRIDE = 12, 2  # px: side of P-Net's window, and step between windows
MULTIPLE = 128  # px: the width of a canvas is a multiple of it
CANVAS_PIXELS = 2**21  # largest sum of the levels on one canvas with several images, and largest call of the net
STRIP_PIXELS, LOWEST, HIGHEST = 2**16, 32, 128  # pixels of a strip; limits of the step in px, a multiple of LOWEST


@dataclass
class Level:
    """One level of an image's pyramid.

    Attributes:
        image: index of the image.
        scale: factor that the image is scaled by.
        width: px.
        height: px.
        x: left edge on the canvas in px, even.
        y: upper edge on the canvas in px, even.
    """

    image: int
    scale: float
    width: int
    height: int
    x: int = 0
    y: int = 0

    @property
    def block(self) -> tuple[int, int]:
        """(width, height) on the canvas in px: even, so that every cell has a whole window."""
        return self.width + self.width % 2, self.height + self.height % 2

    @property
    def cells(self) -> tuple[int, int]:
        """(columns, rows): numbers of cells whose windows are inside the level."""
        columns, rows = (max(0, (side - CELL) // STRIDE + 1) for side in self.block)
        return columns, rows


def levels_of(number: int, width: int, height: int, min_face: float, factor: float) -> list[Level]:
    """Levels of one image, the largest first.

    A face of min_face px has 12 px in the first level, and `factor` times as many in each next one. The last level is
    the smallest one whose shorter side still has 12 px.

    Args:
        number: index of the image.
        width: px of the image.
        height: px of the image.
        min_face: side of the smallest face in px.
        factor: ratio of two successive scales, < 1.

    Examples:
        >>> [(level.width, level.height) for level in levels_of(0, 100, 60, 20, 0.7)]
        [(61, 37), (43, 26), (30, 18), (21, 13)]
    """
    levels, scale = [], CELL / min_face
    shorter = min(width, height) * scale
    while shorter >= CELL:
        levels.append(Level(number, scale, int(width * scale + 1), int(height * scale + 1)))
        scale, shorter = scale * factor, shorter * factor
    return levels


def canvases(sizes: Sequence[tuple[int, int]], min_face: float, factor: float) -> list[list[Level]]:
    """Group the levels of all images by canvas: all levels of an image share one, and several small images do.

    Args:
        sizes: (width, height) in px per image.
        min_face: see levels_of, as for `factor`.

    Returns:
        One list of levels per canvas.
    """
    result, area = [], 0
    for number, (width, height) in enumerate(sizes):
        levels = levels_of(number, width, height, min_face, factor)
        own = sum(level.width * level.height for level in levels)
        if not result or area + own > CANVAS_PIXELS:
            result.append([])
            area = 0
        result[-1] += levels
        area += own
    return [levels for levels in result if levels]


def pack(levels: Sequence[Level]) -> tuple[int, int]:
    """Place levels on a canvas without overlap, and set their x and y.

    Levels are placed from the largest to the smallest, each in the smallest free rectangle that holds it. The rest of
    that rectangle, to the right and below, becomes two free ones (guillotine packing). The canvas grows downwards.

    Returns:
        (width, height) of the canvas in px.
    """
    width = max(level.block[0] for level in levels)
    width += -width % MULTIPLE
    free, bottom = [], 0
    for level in sorted(levels, key=lambda level: (-level.height, -level.width)):
        wide, high = level.block
        fitting = [rectangle for rectangle in free if rectangle[2] >= wide and rectangle[3] >= high]
        if fitting:
            x, y, room, height = min(fitting, key=lambda rectangle: rectangle[2] * rectangle[3])
            free.remove((x, y, room, height))
        else:
            x, y, room, height = 0, bottom, width, high
            bottom += high
        level.x, level.y = x, y
        right, below = (x + wide, y, room - wide, high), (x, y + high, room, height - high)
        if (room - wide) * height > room * (height - high):  # the cut that keeps the larger rectangle whole
            right, below = (x + wide, y, room - wide, height), (x, y + high, wide, height - high)
        free += [right, below]
    step = strip_step(width)
    return width, CELL - STRIDE + step * max(1, -(-(bottom - CELL + STRIDE) // step))


def strip_step(width: int) -> int:
    """px from one strip of a canvas of this width to the next."""
    return min(max(STRIP_PIXELS // width // LOWEST * LOWEST, LOWEST), HIGHEST)


def draw(images: Sequence[np.ndarray], levels: Sequence[Level], method: str, dtype: DTypeLike = np.uint8,
         lanes: int = 1) -> np.ndarray:
    """Draw the levels on a new canvas and set their places.

    Args:
        images: (H, W, 3) uint8 arrays.
        levels: levels of these images that share the canvas.
        method: `mean` or `smooth`, see resample.
        dtype: uint8, or float32 for values that are not rounded.
        lanes: number of threads.

    Returns:
        (height, width, 3) canvas of `dtype`.
    """
    width, height = pack(levels)
    canvas = np.zeros((height, width, 3), dtype)

    def level_on_canvas(level):
        block = canvas[level.y : level.y + level.block[1], level.x : level.x + level.block[0]]
        resample_into(images[level.image], block[: level.height, : level.width], method)
        block[level.height :] = block[level.height - 1]  # repeat the edge to make an odd side even
        block[:, level.width :] = block[:, level.width - 1 : level.width]

    side_by_side(level_on_canvas, levels, lanes)
    return canvas


def strips(canvas: np.ndarray, pixels: int) -> list[tuple[int, np.ndarray]]:
    """Cut a canvas into overlapping strips, so that every cell is in exactly one.

    Args:
        canvas: (height, width, 3).
        pixels: strips are joined to larger ones up to this many pixels; 0 = not joined.

    Returns:
        (first row of cells, view of the canvas) per strip.
    """
    height, width = canvas.shape[:2]
    step = strip_step(width)
    step *= max(1, pixels // width // step)
    return [(row // STRIDE, canvas[row : row + step + CELL - STRIDE]) for row in range(0, height - CELL + STRIDE, step)]


def owners(levels: Sequence[Level], rows: int, columns: int) -> np.ndarray:
    """(rows, columns) int16: index of the level that holds each cell of a canvas; -1 across a seam."""
    result = np.full((rows, columns), -1, np.int16)
    for number, level in enumerate(levels):
        wide, high = level.cells
        result[level.y // STRIDE : level.y // STRIDE + high, level.x // STRIDE : level.x // STRIDE + wide] = number
    return result
