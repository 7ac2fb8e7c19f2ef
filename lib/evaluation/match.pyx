"""The box that each prediction belongs to, compiled. The twin in reference.py states the rule.

Boxes whose IoU is `iou` or more have left edges that are close together. So the boxes of an image are sorted by their
left edge, and a prediction is compared only with the few in its reach.
"""

import numpy as np
from libc.math cimport INFINITY, copysign, fabs, trunc

from ..boxes.checks import as_number
from .reference import check_matching, int32_corners

cdef double EXACT = 16000  # px: with corners up to this, neither an area nor the sum of two is limited by int32


def best_boxes(predictions, images, boxes, owners, iou, extra=1.0):
    """(P,) intp indices into boxes; -1: none. See reference.best_boxes."""
    iou, extra = as_number(iou, "iou", 0, 1, open_low=True), as_number(extra, "extra", 0)
    predictions, images, boxes, owners = check_matching(predictions, images, boxes, owners)
    best = np.full(len(predictions), -1, np.intp)
    if not len(predictions) or not len(boxes):
        return best
    order = np.lexsort((boxes[:, 0], owners))  # by image, then by left edge
    count = int(max(images.max(), np.max(owners))) + 1
    starts = np.searchsorted(owners[order], np.arange(count + 1)).astype(np.intp)
    match(predictions, images, boxes[order], order.astype(np.intp), starts, iou, extra, best)
    return best


cdef void match(const double[:, ::1] predictions, const Py_ssize_t[::1] images, const double[:, ::1] boxes,
                const Py_ssize_t[::1] order, const Py_ssize_t[::1] starts, double iou, double extra,
                Py_ssize_t[::1] best) noexcept nogil:
    cdef Py_ssize_t p, low, end, winner
    cdef double x1, y1, x2, y2, area, wide, most, slack, value, left, right
    for p in range(predictions.shape[0]):
        x1, y1 = predictions[p, 0], predictions[p, 1]
        x2, y2 = x1 + predictions[p, 2], y1 + predictions[p, 3]
        wide = x2 - x1 + extra
        area = wide * (y2 - y1 + extra)
        # An IoU of `iou` covers at least that fraction of either width w and v: then v <= w / iou, and the left edge of
        # the box lies at most w (1 - iou) to the right of ours and at most v (1 - iou) to its left. The slack absorbs
        # rounding.
        slack = 1 + 1e-9 * ((x1 if x1 > 0 else -x1) + wide / iou)
        left, right = x1 - wide / iou * (1 - iou) - slack, x1 + wide * (1 - iou) + slack
        end = starts[images[p] + 1]
        low = first_from(boxes, starts[images[p]], end, left)
        most, winner = iou, -1
        while low < end and boxes[low, 0] <= right:
            value = intersection_over_union(x1, y1, x2, y2, area, &boxes[low, 0], extra)
            # Of equal IoU the first box in the ground truth's order wins, not the first by its edge.
            if value > most or value == most and (winner < 0 or order[low] < winner):
                most, winner = value, order[low]
            low += 1
        best[p] = winner


cdef inline Py_ssize_t first_from(const double[:, ::1] boxes, Py_ssize_t low, Py_ssize_t high,
                                  double left) noexcept nogil:
    """The first of the rows low..high, sorted by their left edge, that has its left edge at `left` or beyond."""
    cdef Py_ssize_t middle
    while low < high:
        middle = (low + high) // 2
        if boxes[middle, 0] < left:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline double intersection_over_union(double x1, double y1, double x2, double y2, double area, const double* box,
                                           double extra) noexcept nogil:
    cdef double right = box[0] + box[2], bottom = box[1] + box[3]
    cdef double wide = (x2 if x2 < right else right) - (x1 if x1 > box[0] else box[0]) + extra
    cdef double high = (y2 if y2 < bottom else bottom) - (y1 if y1 > box[1] else box[1]) + extra
    if not (wide > 0 and high > 0):
        return -1
    return wide * high / (area + (right - box[0] + extra) * (bottom - box[1] + extra) - wide * high)


def official_boxes(predictions, images, boxes, owners):
    """(P,) intp indices into boxes; -1: none. See reference.official_boxes."""
    predictions, images, boxes, owners = check_matching(predictions, images, boxes, owners)
    corners = int32_corners(boxes)
    best = np.full(len(predictions), -1, np.intp)
    if not len(predictions) or not len(corners):
        return best
    order = np.lexsort((corners[:, 0], owners))  # by image, then by left edge
    count = int(max(images.max(), np.max(owners))) + 1
    starts = np.searchsorted(owners[order], np.arange(count + 1)).astype(np.intp)
    match_int32(predictions, images, np.ascontiguousarray(corners[order]), order.astype(np.intp), starts,
                bool(np.abs(corners).max() > EXACT), best)
    return best


cdef void match_int32(const double[:, ::1] predictions, const Py_ssize_t[::1] images, const double[:, ::1] boxes,
                      const Py_ssize_t[::1] order, const Py_ssize_t[::1] starts, bint far,
                      Py_ssize_t[::1] best) noexcept nogil:
    cdef Py_ssize_t p, low, end, winner
    cdef double x1, y1, x2, y2, area, wide, most, value, left, right
    for p in range(predictions.shape[0]):
        x1, y1 = predictions[p, 0], predictions[p, 1]
        x2, y2 = x1 + predictions[p, 2], y1 + predictions[p, 3]
        wide = x2 - x1 + 1
        area = wide * (y2 - y1 + 1)
        low, end = starts[images[p]], starts[images[p] + 1]
        left, right = -INFINITY, INFINITY
        if not (far or fabs(x1) > EXACT or fabs(y1) > EXACT or fabs(x2) > EXACT or fabs(y2) > EXACT):
            # The common part is at most as high as the box and has more than a third of its area (half, but for
            # rounding). So it is a third as wide as the box, and at most as wide as the rounded prediction.
            left, right = x1 - 2 * wide - 3, x2 + 1
            low = first_from(boxes, low, end, left)
        x1, y1, x2, y2 = int32(x1), int32(y1), int32(x2), int32(y2)
        most, winner = 1, -1
        while low < end and boxes[low, 0] <= right:
            if boxes[low, 2] >= x1 and boxes[low, 1] <= y2 and boxes[low, 3] >= y1:
                value = overlap_int32(x1, y1, x2, y2, area, &boxes[low, 0])
                if value > most or value == most and (winner < 0 or order[low] < winner):
                    most, winner = value, order[low]
            low += 1
        best[p] = winner


cdef inline double overlap_int32(double x1, double y1, double x2, double y2, double area,
                                 const double* box) noexcept nogil:
    """The official tools' quotient, a whole number. The corners are rounded, `area` is not."""
    cdef double wide = limited(limited((x2 if x2 < box[2] else box[2]) - (x1 if x1 > box[0] else box[0])) + 1)
    cdef double high = limited(limited((y2 if y2 < box[3] else box[3]) - (y1 if y1 > box[1] else box[1])) + 1)
    cdef double both, other, joint
    if wide <= 0 or high <= 0:
        return 0
    both = limited(wide * high)
    other = limited(limited(limited(box[2] - box[0]) + 1) * limited(limited(box[3] - box[1]) + 1))
    joint = limited(int32(other + area) - both)
    if joint == 0:
        return 2147483647.0
    return 0 if 2 * both < joint else int32(both / joint)


cdef inline double limited(double value) noexcept nogil:
    return -2147483648.0 if value < -2147483648.0 else 2147483647.0 if value > 2147483647.0 else value


cdef inline double int32(double value) noexcept nogil:
    # The number below one half rounds halves away from zero, and keeps what is just below a half.
    return 0 if value != value else limited(trunc(value + copysign(0.49999999999999994, value)))
