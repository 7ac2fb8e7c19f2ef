"""Anchor grids, compiled; the rule is stated by the twin, reference.anchor_grid."""

import numpy as np

from .levels import anchor_sides, check_grid, grid_lines


def anchor_grid(height, width, stride, sizes, ratios=(1.0,)):
    """(height * width * len(sizes) * len(ratios), 4) float32 anchors: see reference.anchor_grid."""
    check_grid(height, width, stride)
    sides = anchor_sides(sizes, ratios)
    grid = np.empty((height * width * len(sides), 4), dtype=np.float32)
    if len(grid):
        left, right = grid_lines(width, stride, sides[:, 0])
        top, bottom = grid_lines(height, stride, sides[:, 1])
        fill(left, right, top, bottom, grid)
    return grid


cdef void fill(const float[:, ::1] left, const float[:, ::1] right, const float[:, ::1] top,
               const float[:, ::1] bottom, float[:, ::1] grid) noexcept nogil:
    """Lines are (T, width) and (T, height): one row for each anchor of a cell."""
    cdef Py_ssize_t row, col, t, k = 0
    for row in range(top.shape[1]):
        for col in range(left.shape[1]):
            for t in range(left.shape[0]):
                grid[k, 0] = left[t, col]
                grid[k, 1] = top[t, row]
                grid[k, 2] = right[t, col]
                grid[k, 3] = bottom[t, row]
                k += 1
