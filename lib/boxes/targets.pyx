"""Anchor targets, compiled; the twin reference_targets.anchor_targets states the rule.

The usual method compares every anchor with every face. But the anchors of one size are on a grid, so the cells whose
anchor can have an IoU of at least T with a face form a rectangle around it. An IoU of T needs an intersection of at
least I = T / (1 + T) * (anchor area + face area). So the intersection is at least I / (the smaller of the two heights)
wide, and likewise for its height. Only that rectangle is visited: work grows with the number of anchors that some face
can reach, not with the number of all anchors.
"""

import functools

import numpy as np

from ..errors import InputError
from .levels import anchor_sides, grid_lines
from .reference_targets import check_targets

from libc.math cimport ceil, fabs, floor
from libc.stdint cimport int8_t, int32_t, int64_t

cdef enum:
    MOST_GRIDS = 256

cdef double CAREFUL = 1 - 1e-9  # factor on bounds, so that their rounding never loses an anchor


cdef struct Grid:
    # The anchors of one size and ratio of one level. Rows and columns within the border: first <= i < last.
    const float* left      # (columns) edges of the anchor of each column, and of each row
    const float* right
    const float* top
    const float* bottom
    double stride, low_area, wide, high  # smallest area, longest sides: float32 edges are not exactly equally spaced
    double slack                         # cells by which rounding may move an anchor
    int64_t first_row, last_row, first_col, last_col
    int64_t start, step, columns         # anchor (row, col) is number start + (row * columns + col) * step


cdef struct Face:
    float x1, y1, x2, y2
    double wide, high, area


cdef struct Window:
    int64_t first_row, last_row, first_col, last_col
    double common  # smallest intersection that matters, px^2


def anchor_targets(levels, boxes, ignore, image_size, positive=0.35, negative=0.3, best=0.2, border=None,
                   ignore_overlap=0.5):
    """Label every anchor of a pyramid of levels; see reference_targets.anchor_targets.

    Args:
        levels (Sequence[Level | tuple]): boxes.Level, or tuples (height, width, stride, sizes[, ratios[, border]]).
        boxes (ArrayLike): (N, 4) float32 x1 y1 x2 y2 in px.
        ignore (ArrayLike): (N,) bool, True for a region where nothing is learned.
        image_size (tuple[float, float]): (width, height) in px.
        positive (float): lowest IoU with a face for the label 1.
        negative (float): below this IoU with every face the label is 0.
        best (float | None): lowest IoU at which a face's best anchor is labelled 1 for it; None: no such rule.
        border (float | None): px by which an anchor may leave the image; None = any.
        ignore_overlap (float): fraction of a background anchor that an ignore region must cover for the label -1.

    Returns:
        tuple[np.ndarray, np.ndarray]: labels (A,) int8 1, 0 or -1; matched (A,) int32, rows of `boxes` or -1.

    Raises:
        InputError: a shape is wrong, a threshold is out of range or out of order, a box is not finite, or the levels
            have more than 256 sizes and ratios in all.
    """
    levels, boxes, ignore, (width, height), positive, negative, best, ignore_overlap = check_targets(
        levels, boxes, ignore, image_size, positive, negative, best, border, ignore_overlap)
    total = sum(level.count for level in levels)
    table, lines, whole = grid_table(tuple(levels), width, height)
    if len(table) > MOST_GRIDS:
        raise InputError(f"levels: found {len(table)} sizes and ratios in all, expected at most {MOST_GRIDS}")
    # Without anchors beyond a border, all begin as background and need not be visited for that.
    labels = np.full(total, 0 if whole and negative > 0 else -1, np.int8)
    matched = np.full(total, -1, np.int32)
    if len(table):
        run(table, lines, whole, boxes, ignore.view(np.uint8), positive, negative, -1.0 if best is None else best,
            ignore_overlap, labels, matched, np.zeros(total), np.zeros(len(boxes)), np.full(len(boxes), -1, np.int64))
    return labels, matched


@functools.lru_cache(maxsize=64)  # the samples of a training share their levels, whose grids take 0.2 ms
def grid_table(levels, width, height):
    """Tabulate the anchors of the levels, per size and ratio.

    Returns:
        (K, 14) float64 with a row per size and ratio; the float32 edges that the rows point into; whether all anchors
            are within the border.
    """
    table, lines, start, used, whole = [], [], 0, 0, True
    for level in levels:
        sides = anchor_sides(level.sizes, level.ratios)
        if level.count:
            left, right = grid_lines(level.width, level.stride, sides[:, 0])
            top, bottom = grid_lines(level.height, level.stride, sides[:, 1])
            for t in range(len(sides)):
                edges = left[t], right[t], top[t], bottom[t]
                wide, high = right[t].astype(float) - left[t], bottom[t].astype(float) - top[t]
                far = max(abs(float(edge[end])) for edge in edges for end in (0, -1))
                within = (*inside(top[t], bottom[t], level.border, height),
                          *inside(left[t], right[t], level.border, width))
                table.append((used, level.width, level.height, level.stride, wide.min() * high.min(), wide.max(),
                              high.max(), far, *within, start + t, len(sides)))
                lines.extend(edges)
                used += 2 * (level.width + level.height)
                whole = whole and within == (0, level.height, 0, level.width)
        start += level.count
    return np.array(table, dtype=np.float64).reshape(-1, 14), np.concatenate(lines or [np.zeros(0, np.float32)]), whole


def inside(low, high, border, extent):
    """First and last + 1 of the rows, or columns, whose anchors are within the border."""
    if border is None:
        return 0, len(low)
    # Edges increase with the index, so each condition cuts off one end.
    return (int(np.searchsorted(low.astype(float), -border)),
            int(np.searchsorted(high.astype(float), extent + border, side="right")))


cdef int run(const double[:, ::1] table, const float[::1] lines, bint whole, const float[:, ::1] boxes,
             const unsigned char[::1] ignore, double positive, double negative, double best, double ignore_overlap,
             int8_t[::1] labels, int32_t[::1] matched, double[::1] highest, double[::1] best_overlap,
             int64_t[::1] best_anchor) except -1:
    cdef Py_ssize_t k, g, count = table.shape[0]
    cdef Grid grids[MOST_GRIDS]
    cdef Face face
    cdef double reach = negative if negative > 0 else positive
    with nogil:
        for k in range(count):
            unpack(&grids[k], table, k, lines)
            if negative > 0 and not whole:  # no IoU is below 0, so with negative = 0 nothing is background
                background(&grids[k], labels)
        for g in range(boxes.shape[0]):
            if not ignore[g] and read_face(&face, boxes, g):
                for k in range(count):
                    label_window(&grids[k], &face, g, reach, positive, negative, labels, matched, highest,
                                 best_overlap, best_anchor)
                if best >= 0 and best_overlap[g] < reach:  # else its best anchor was in the windows
                    for k in range(count):
                        find_best(&grids[k], &face, g, best, best_overlap, best_anchor, True)
                    for k in range(count):
                        find_best(&grids[k], &face, g, best, best_overlap, best_anchor, False)
        if best >= 0:
            give_best(best, labels, matched, best_overlap, best_anchor)
        if negative > 0:
            for g in range(boxes.shape[0]):
                if ignore[g] and read_face(&face, boxes, g):
                    for k in range(count):
                        hide_window(&grids[k], &face, negative, ignore_overlap, labels)
    return 0


cdef void unpack(Grid* grid, const double[:, ::1] table, Py_ssize_t k, const float[::1] lines) noexcept nogil:
    cdef int64_t used = <int64_t>table[k, 0], columns = <int64_t>table[k, 1], rows = <int64_t>table[k, 2]
    grid.left = &lines[used]
    grid.right = grid.left + columns
    grid.top = grid.right + columns
    grid.bottom = grid.top + rows
    grid.columns = columns
    grid.stride, grid.low_area, grid.wide, grid.high = table[k, 3], table[k, 4], table[k, 5], table[k, 6]
    # An edge is rounded by at most 6e-8 of its value; the slack is a few times that, in cells.
    grid.slack = 1e-6 * (1 + table[k, 7] / grid.stride)
    grid.first_row, grid.last_row = <int64_t>table[k, 8], <int64_t>table[k, 9]
    grid.first_col, grid.last_col = <int64_t>table[k, 10], <int64_t>table[k, 11]
    grid.start, grid.step = <int64_t>table[k, 12], <int64_t>table[k, 13]


cdef void background(Grid* grid, int8_t[::1] labels) noexcept nogil:
    cdef int64_t row, col
    for row in range(grid.first_row, grid.last_row):
        for col in range(grid.first_col, grid.last_col):
            labels[grid.start + (row * grid.columns + col) * grid.step] = 0


cdef bint read_face(Face* face, const float[:, ::1] boxes, Py_ssize_t g) noexcept nogil:
    """Read a box; False when it has no area, as its IoU with anything is 0."""
    face.x1, face.y1, face.x2, face.y2 = boxes[g, 0], boxes[g, 1], boxes[g, 2], boxes[g, 3]
    face.wide, face.high = <double>face.x2 - face.x1, <double>face.y2 - face.y1
    face.area = face.wide * face.high
    return face.wide > 0 and face.high > 0


cdef bint look_at(Window* window, Grid* grid, Face* face, double common) noexcept nogil:
    """Set the window of cells whose anchor can have this intersection with the face; False when there is none."""
    cdef double low_side = grid.wide if grid.wide < face.wide else face.wide
    cdef double low_high = grid.high if grid.high < face.high else face.high
    cdef double wide = common / low_high, high = common / low_side
    if wide > low_side or high > low_high:
        return False
    window.common = common
    span(face.x1, face.x2, wide, grid.wide, grid.stride, grid.slack, grid.first_col, grid.last_col,
         &window.first_col, &window.last_col)
    span(face.y1, face.y2, high, grid.high, grid.stride, grid.slack, grid.first_row, grid.last_row,
         &window.first_row, &window.last_row)
    return window.first_col < window.last_col and window.first_row < window.last_row


cdef inline void span(double low, double high, double common, double side, double stride, double slack, int64_t first,
                      int64_t last, int64_t* start, int64_t* stop) noexcept nogil:
    """Cells of one axis whose anchor, of length `side`, shares at least `common` px with low..high."""
    cdef double loose = slack + 1e-6 * (fabs(low) + fabs(high)) / stride
    cdef double begin = ceil((low + common - side / 2) / stride - 0.5 - loose)
    cdef double end = floor((high - common + side / 2) / stride - 0.5 + loose) + 1
    # Compared as floats: far outside the image they may not fit an integer.
    # NaN, from numbers beyond any image, takes the first branch: all cells are visited.
    start[0] = first if not begin >= first else (last if begin > last else <int64_t>begin)
    stop[0] = last if not end <= last else (first if end < first else <int64_t>end)


cdef inline double common_side(float low, float high, float other_low, float other_high) noexcept nogil:
    return <double>(high if high < other_high else other_high) - (low if low > other_low else other_low)


cdef inline double for_overlap(double overlap, double areas) noexcept nogil:
    """Intersection at which two boxes whose areas have this sum reach this IoU."""
    return overlap / (1 + overlap) * areas * CAREFUL


cdef void label_window(Grid* grid, Face* face, int64_t g, double reach, double positive, double negative,
                       int8_t[::1] labels, int32_t[::1] matched, double[::1] highest, double[::1] best_overlap,
                       int64_t[::1] best_anchor) noexcept nogil:
    """Update the label of every anchor whose IoU with the face is >= reach; record the face's best anchor of them."""
    cdef Window window
    cdef int64_t row, col, anchor
    cdef double wide, high, tall, common, area, overlap
    if not look_at(&window, grid, face, for_overlap(reach, grid.low_area + face.area)):
        return
    for row in range(window.first_row, window.last_row):
        high = common_side(face.y1, face.y2, grid.top[row], grid.bottom[row])
        if high <= 0:
            continue
        tall = <double>grid.bottom[row] - grid.top[row]
        for col in range(window.first_col, window.last_col):
            wide = common_side(face.x1, face.x2, grid.left[col], grid.right[col])
            common = wide * high
            if wide <= 0 or common < window.common:
                continue
            area = (<double>grid.right[col] - grid.left[col]) * tall
            overlap = common / (area + face.area - common)
            anchor = grid.start + (row * grid.columns + col) * grid.step
            if overlap > highest[anchor]:  # not >=: of equals, the lowest face stays
                highest[anchor] = overlap
                if overlap >= positive:
                    labels[anchor] = 1
                    matched[anchor] = <int32_t>g
                elif overlap >= negative:
                    labels[anchor] = -1
            if overlap > best_overlap[g] or (overlap == best_overlap[g] and anchor < best_anchor[g]):
                best_overlap[g] = overlap
                best_anchor[g] = anchor


cdef void find_best(Grid* grid, Face* face, int64_t g, double best, double[::1] best_overlap,
                    int64_t[::1] best_anchor, bint nearest) noexcept nogil:
    """Raise the face's best IoU with the anchor nearest to it, or with all anchors that can still exceed or equal it.

    The nearest anchors of all grids are tested first: with their IoU most windows shrink to one cell or vanish.
    """
    cdef Window window
    cdef int64_t row, col, anchor
    cdef double wide, high, common, overlap, floor_overlap = best
    if best_overlap[g] > floor_overlap:
        floor_overlap = best_overlap[g]
    if not look_at(&window, grid, face, for_overlap(floor_overlap, grid.low_area + face.area)):
        return
    if nearest:
        window.first_row = (window.first_row + window.last_row - 1) // 2
        window.last_row = window.first_row + 1
        window.first_col = (window.first_col + window.last_col - 1) // 2
        window.last_col = window.first_col + 1
    for row in range(window.first_row, window.last_row):
        high = common_side(face.y1, face.y2, grid.top[row], grid.bottom[row])
        for col in range(window.first_col, window.last_col):
            wide = common_side(face.x1, face.x2, grid.left[col], grid.right[col])
            common = wide * high
            if wide <= 0 or high <= 0 or common < window.common:
                continue
            overlap = common / ((<double>grid.right[col] - grid.left[col])
                                * (<double>grid.bottom[row] - grid.top[row]) + face.area - common)
            anchor = grid.start + (row * grid.columns + col) * grid.step
            if overlap > best_overlap[g] or (overlap == best_overlap[g] and anchor < best_anchor[g]):
                best_overlap[g] = overlap
                best_anchor[g] = anchor


cdef void give_best(double best, int8_t[::1] labels, int32_t[::1] matched, double[::1] best_overlap,
                    int64_t[::1] best_anchor) noexcept nogil:
    """Label each face's best anchor; of two faces with the same one, the face with the higher IoU gets it."""
    cdef Py_ssize_t g
    cdef int64_t anchor
    cdef int32_t rival
    for g in range(best_anchor.shape[0]):
        anchor = best_anchor[g]
        if anchor < 0 or best_overlap[g] < best:
            continue
        rival = -2 - matched[anchor]  # until all faces are done, a claim is stored as -2 - face
        if rival < 0 or best_overlap[g] > best_overlap[rival]:
            matched[anchor] = <int32_t>(-2 - g)
    for g in range(best_anchor.shape[0]):
        anchor = best_anchor[g]
        if anchor >= 0 and matched[anchor] == -2 - g:
            matched[anchor] = <int32_t>g
            labels[anchor] = 1


cdef void hide_window(Grid* grid, Face* region, double negative, double ignore_overlap,
                      int8_t[::1] labels) noexcept nogil:
    """Set background anchors to -1 where their IoU with an ignore region, or covered fraction, is high enough."""
    cdef Window window
    cdef int64_t row, col, anchor
    cdef double wide, high, common, area
    cdef double least = for_overlap(negative, grid.low_area + region.area)
    if ignore_overlap * grid.low_area * CAREFUL < least:
        least = ignore_overlap * grid.low_area * CAREFUL
    if not look_at(&window, grid, region, least):
        return
    for row in range(window.first_row, window.last_row):
        high = common_side(region.y1, region.y2, grid.top[row], grid.bottom[row])
        for col in range(window.first_col, window.last_col):
            anchor = grid.start + (row * grid.columns + col) * grid.step
            wide = common_side(region.x1, region.x2, grid.left[col], grid.right[col])
            if labels[anchor] != 0 or wide <= 0 or high <= 0:
                continue
            common = wide * high
            area = (<double>grid.right[col] - grid.left[col]) * (<double>grid.bottom[row] - grid.top[row])
            if common / area >= ignore_overlap or common / (area + region.area - common) >= negative:
                labels[anchor] = -1
