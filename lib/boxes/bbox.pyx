"""IoU of boxes, compiled; the twin reference.overlaps states the rule."""

import numpy as np

from .reference import check_overlaps


def overlaps(boxes, others):
    """IoU of every box with every other one; see reference.overlaps.

    Args:
        boxes (ArrayLike): (N, 4) float32 x1 y1 x2 y2 in px.
        others (ArrayLike): (K, 4) float32 x1 y1 x2 y2 in px.

    Returns:
        np.ndarray: (N, K) float32, 0..1.

    Raises:
        InputError: an array has another shape, or a corner is not finite.
    """
    cdef const float[:, ::1] rows, columns
    cdef float[:, ::1] table
    boxes, others = check_overlaps(boxes, others)
    result = np.empty((len(boxes), len(others)), dtype=np.float32)
    if result.size:
        # Transposed, so that the inner loop reads each coordinate in order and the compiler can vectorise it.
        rows, columns, table = boxes, np.ascontiguousarray(others.T), result
        with nogil:
            fill(rows, columns, table)
    return result


cdef void fill(const float[:, ::1] boxes, const float[:, ::1] others, float[:, ::1] result) noexcept nogil:
    cdef Py_ssize_t i, j, count = others.shape[1]
    cdef const float* left = &others[0, 0]
    cdef const float* top = &others[1, 0]
    cdef const float* right = &others[2, 0]
    cdef const float* bottom = &others[3, 0]
    cdef float* row
    cdef float x1, y1, x2, y2
    cdef double area, other, wide, high, common
    for i in range(boxes.shape[0]):
        x1, y1, x2, y2 = boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3]
        area = positive(<double>x2 - x1) * positive(<double>y2 - y1)
        row = &result[i, 0]
        for j in range(count):
            wide = positive(<double>(x2 if x2 < right[j] else right[j]) - (x1 if x1 > left[j] else left[j]))
            high = positive(<double>(y2 if y2 < bottom[j] else bottom[j]) - (y1 if y1 > top[j] else top[j]))
            common = wide * high
            other = positive(<double>right[j] - left[j]) * positive(<double>bottom[j] - top[j])
            # 0 / 1 where the boxes do not intersect: no branch, and never 0 / 0.
            row[j] = <float>(common / ((area + other - common) if common > 0 else 1.0))


cdef inline double positive(double value) noexcept nogil:
    return value if value > 0 else 0.0
