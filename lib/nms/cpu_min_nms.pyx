"""Hard suppression by the intersection over the smaller area, compiled; the twin reference.min_nms states the rule.

It ends MTCNN's cascade, where few boxes are left: each one is compared with all kept boxes.
"""

import numpy as np

from ..boxes.checks import as_number
from .reference import check_nms

from libc.stdint cimport int64_t


def min_nms(boxes, scores, threshold):
    """Greedy hard suppression by the intersection over the smaller area; see reference.min_nms.

    Args:
        boxes (ArrayLike): (N, 4) float32 x1 y1 x2 y2 in px.
        scores (ArrayLike): (N,) float32, higher is better.
        threshold (float): intersection over the smaller area, 0..1.

    Returns:
        np.ndarray: (K,) intp indices of the kept boxes, best score first.

    Raises:
        InputError: a shape is wrong, a score is NaN, a corner is not finite, or the threshold is out of range.
    """
    boxes, scores = check_nms(boxes, scores)
    cdef double above = as_number(threshold, "threshold", 0, 1)
    cdef const float[:, ::1] corners = boxes
    cdef Py_ssize_t[::1] order = np.argsort(-scores, kind="stable")
    keep = np.empty(len(boxes), dtype=np.intp)
    cdef Py_ssize_t[::1] kept = keep
    cdef Py_ssize_t n, k, count = 0
    with nogil:
        for n in range(order.shape[0]):
            for k in range(count):
                if smaller_overlap(&corners[kept[k], 0], &corners[order[n], 0]) > above:
                    break
            else:
                kept[count] = order[n]
                count += 1
    return keep[:count].copy()


cdef inline double smaller_overlap(const float* a, const float* b) noexcept nogil:
    """Intersection over the smaller area in float64: the operations of the twin in the same order."""
    cdef double wide = <double>(a[2] if a[2] < b[2] else b[2]) - (a[0] if a[0] > b[0] else b[0])
    cdef double high = <double>(a[3] if a[3] < b[3] else b[3]) - (a[1] if a[1] > b[1] else b[1])
    if wide <= 0 or high <= 0:
        return 0
    cdef double first = area_of(a), second = area_of(b), common = wide * high
    return common / (first if first < second else second)


cdef inline double area_of(const float* box) noexcept nogil:
    cdef double wide = <double>box[2] - box[0], high = <double>box[3] - box[1]
    return (wide if wide > 0 else 0) * (high if high > 0 else 0)
