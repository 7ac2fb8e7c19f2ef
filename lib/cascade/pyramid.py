"""The image pyramid of P-Net, all its levels on one canvas.

A level shrinks the image so that faces of one size fill P-Net's window of 12 px. Instead of one call of the net a level
there is one a canvas, on which levels lie side by side: P-Net pads nothing, so a window within a level sees that level
alone, and the cells of windows across a seam are left out. A canvas is looked at in strips that overlap by a window,
all of one height: so no image is too large, what the net works on stays in the processor's cache, strips can be looked
at side by side, and runtimes that compile anew for every size meet few.
"""

from dataclasses import dataclass

import numpy as np

from . import resample_into
from .lanes import side_by_side

CELL, STRIDE = 12, 2  # px: P-Net's window, and from one to the next
MULTIPLE = 128  # px: the width of a canvas is a multiple of it
CANVAS_PIXELS = 2**21  # of the images on one, and of one call of the net at most
STRIP_PIXELS, LOWEST, HIGHEST = 2**16, 32, 128  # of a strip; px from one to the next, in multiples of LOWEST


@dataclass
class Level:
    """One level of an image's pyramid. scale: of the image; (width, height) px; (x, y) px on the canvas, even."""

    image: int
    scale: float
    width: int
    height: int
    x: int = 0
    y: int = 0

    @property
    def block(self):
        """(width, height) px on the canvas: even, so that every cell has a whole window."""
        return self.width + self.width % 2, self.height + self.height % 2

    @property
    def cells(self):
        """(columns, rows) of cells whose windows lie in the level."""
        return tuple(max(0, (side - CELL) // STRIDE + 1) for side in self.block)


def levels_of(number, width, height, min_face, factor):
    """Levels of image `number`, the largest first: a face of min_face px has 12 px in the first, `factor` times as many
    in each that follows, and the last is the smallest whose shorter side still has 12 px.

    >>> [(level.width, level.height) for level in levels_of(0, 100, 60, 20, 0.7)]
    [(61, 37), (43, 26), (30, 18), (21, 13)]
    """
    levels, scale = [], CELL / min_face
    shorter = min(width, height) * scale
    while shorter >= CELL:
        levels.append(Level(number, scale, int(width * scale + 1), int(height * scale + 1)))
        scale, shorter = scale * factor, shorter * factor
    return levels


def canvases(sizes, min_face, factor):
    """Lists of Levels that share a canvas: all of an image's, and those of several small images. sizes: (width, height)
    px of the images.
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


def pack(levels):
    """(width, height) px of a canvas that holds the levels; sets their x and y. No two overlap.

    The largest first, each into the smallest free rectangle that takes it; what is left of that at the right and below
    are two free ones (a guillotine packing). Below them all there is room without end.
    """
    width = max(level.block[0] for level in levels)
    width += -width % MULTIPLE
    free, bottom = [], 0
    for level in sorted(levels, key=lambda level: (-level.height, -level.width)):
        wide, high = level.block
        fitting = [place for place in free if place[2] >= wide and place[3] >= high]
        if fitting:
            x, y, room, height = min(fitting, key=lambda place: place[2] * place[3])
            free.remove((x, y, room, height))
        else:
            x, y, room, height = 0, bottom, width, high
            bottom += high
        level.x, level.y = x, y
        right, below = (x + wide, y, room - wide, high), (x, y + high, room, height - high)
        if (room - wide) * height > room * (height - high):  # the cut that leaves the larger rectangle in one piece
            right, below = (x + wide, y, room - wide, height), (x, y + high, wide, height - high)
        free += [right, below]
    step = strip_step(width)
    return width, CELL - STRIDE + step * max(1, -(-(bottom - CELL + STRIDE) // step))


def strip_step(width):
    """px from a strip of a canvas to the next."""
    return min(max(STRIP_PIXELS // width // LOWEST * LOWEST, LOWEST), HIGHEST)


def draw(images, levels, method, dtype=np.uint8, lanes=1):
    """The canvas (height, width, 3) of `dtype` with the levels of `images` on it; sets their places."""
    width, height = pack(levels)
    canvas = np.zeros((height, width, 3), dtype)

    def level_on_canvas(level):
        block = canvas[level.y : level.y + level.block[1], level.x : level.x + level.block[0]]
        resample_into(images[level.image], block[: level.height, : level.width], method)
        block[level.height :] = block[level.height - 1]  # an odd side is made even with what is at the edge
        block[:, level.width :] = block[:, level.width - 1 : level.width]

    side_by_side(level_on_canvas, levels, lanes)
    return canvas


def strips(canvas, pixels):
    """List of (first row of cells, part of the canvas), every cell in just one: single ones, or as many together as
    have `pixels`.
    """
    height, width = canvas.shape[:2]
    step = strip_step(width)
    step *= max(1, pixels // width // step)
    return [(row // STRIDE, canvas[row : row + step + CELL - STRIDE]) for row in range(0, height - CELL + STRIDE, step)]


def owners(levels, rows, columns):
    """(rows, columns) int16: the number of the level in which a canvas's cell lies, -1 across a seam."""
    result = np.full((rows, columns), -1, np.int16)
    for number, level in enumerate(levels):
        wide, high = level.cells
        result[level.y // STRIDE : level.y // STRIDE + high, level.x // STRIDE : level.x // STRIDE + wide] = number
    return result
