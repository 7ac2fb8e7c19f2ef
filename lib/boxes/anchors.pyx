"""Anchor grids, compiled; the twin reference.anchor_grid states the rule."""

import numpy as np

from .levels import anchor_sides, check_grid, grid_lines


def anchor_grid(height, width, stride, sizes, ratios=(1.0,)):
    """Anchors of a feature map; see reference.anchor_grid.

    Args:
        height (int): rows of cells.
        width (int): columns of cells.
        stride (float): px between two cells.
        sizes (Sequence): (N,) square roots of the areas in px, or (N, 2) pairs (width, height) in px.
        ratios (Sequence[float]): (R,) height / width.

    Returns:
        np.ndarray: (height * width * N * R, 4) float32 x1 y1 x2 y2 in px, ordered by row, column, size, then ratio.

    Raises:
        InputError: a number is out of range, or `sizes` has another shape.
    """
    sides = anchor_sides(sizes, ratios)
    height, width, stride = check_grid(height, width, stride, len(sides))
    grid = np.empty((height * width * len(sides), 4), dtype=np.float32)
    if len(grid):
        left, right = grid_lines(width, stride, sides[:, 0])
        top, bottom = grid_lines(height, stride, sides[:, 1])
        fill(left, right, top, bottom, grid)
    return grid


cdef void fill(const float[:, ::1] left, const float[:, ::1] right, const float[:, ::1] top,
               const float[:, ::1] bottom, float[:, ::1] grid) noexcept nogil:
    """left and right are (T, width), top and bottom (T, height): one row per anchor of a cell."""
    cdef Py_ssize_t row, col, t, k = 0
    for row in range(top.shape[1]):
        for col in range(left.shape[1]):
            for t in range(left.shape[0]):
                grid[k, 0] = left[t, col]
                grid[k, 1] = top[t, row]
                grid[k, 2] = right[t, col]
                grid[k, 3] = bottom[t, row]
                k += 1
