"""Hard non-maximum suppression, compiled; the twin reference.nms states the rule.

Boxes are sorted by the bits of their scores and taken best first. Each one is compared only with the kept boxes that
are near it and of similar size (buckets.pxi), until one of them suppresses it.
"""

import numpy as np

from ..boxes.checks import as_number
from .reference import check_limit, check_nms

include "buckets.pxi"


def nms(boxes, scores, threshold, limit=None):
    """Greedy hard suppression; see reference.nms.

    Args:
        boxes (ArrayLike): (N, 4) float32 x1 y1 x2 y2 in px.
        scores (ArrayLike): (N,) float32, higher is better.
        threshold (float): IoU, 0..1.
        limit (int | None): largest number of boxes that are kept; None = no limit.

    Returns:
        np.ndarray: (K,) intp indices of the kept boxes, best score first.

    Raises:
        InputError: a shape is wrong, a score is NaN, a corner is not finite, or a number is out of range.
    """
    cdef const float[:, ::1] corners
    cdef const float[::1] ranks
    cdef Py_ssize_t[::1] room
    cdef double above
    cdef Py_ssize_t count
    boxes, scores = check_nms(boxes, scores)
    threshold = as_number(threshold, "threshold", 0, 1)
    limit = check_limit(limit, len(boxes))
    keep = np.empty(limit, dtype=np.intp)
    if limit == 0:
        return keep
    corners, ranks, room, above = boxes, scores, keep, threshold
    with nogil:
        count = suppress(corners, ranks, above, room)
    if count < 0:
        raise MemoryError(f"nms: no memory for {len(boxes)} boxes")
    return keep[:count].copy()


cdef Py_ssize_t suppress(const float[:, ::1] boxes, const float[::1] scores, double threshold,
                         Py_ssize_t[::1] keep) noexcept nogil:
    """Fill `keep` until it is full; return the number of kept boxes, or -1 when there is no memory."""
    cdef Py_ssize_t count = boxes.shape[0], n, kept = 0
    cdef uint64_t* order = <uint64_t*>malloc(2 * count * sizeof(uint64_t))
    cdef Buckets buckets
    cdef Box box
    cdef bint room = open_buckets(&buckets, count)
    if order == NULL or not room:
        free(order)
        close_buckets(&buckets)
        return -1
    sort_scores(&scores[0], count, order)
    for n in range(count):
        if read_box(&box, &boxes[<uint32_t>order[n], 0], <int32_t><uint32_t>order[n]):
            if is_suppressed(&buckets, &box, threshold):
                continue
            insert(&buckets, &box)
        keep[kept] = box.index
        kept += 1
        if kept == keep.shape[0]:
            break
    free(order)
    close_buckets(&buckets)
    return kept


cdef bint is_suppressed(Buckets* buckets, Box* box, double threshold) noexcept nogil:
    """Whether the IoU of a kept box with this one is > threshold."""
    cdef Query query
    cdef Range cells
    cdef int64_t row, col
    cdef uint64_t start
    cdef int32_t k
    open_query(&query, box, threshold)
    while next_range(buckets, &query, &cells):
        if cells.count >= buckets.count:  # few boxes, or one far larger than the others: testing all is less work
            for k in range(<int32_t>buckets.count):
                if overlap_of(box, &buckets.boxes[k]) > threshold:
                    return True
            return False
        for row in range(cells.first_row, cells.last_row + 1):
            start = row_hash(cells.size_class, row)
            for col in range(cells.first_col, cells.last_col + 1):
                k = buckets.heads[(start + <uint64_t>col) & buckets.mask]
                while k >= 0:
                    if overlap_of(box, &buckets.boxes[k]) > threshold:
                        return True
                    k = buckets.boxes[k].next
    return False


cdef void sort_scores(const float* scores, Py_ssize_t count, uint64_t* order) noexcept nogil:
    """Fill `order` with the indices in the low halves of 64-bit words: highest score first, equal scores by index.

    A radix sort of the scores' bits, 11 at a time. `order` holds 2 * count words, as the sort needs both halves.
    """
    cdef uint64_t* source = order
    cdef uint64_t* target = order + count
    cdef Py_ssize_t starts[3][2048]
    cdef Py_ssize_t n, digit, place, before, here
    cdef uint64_t word
    cdef uint32_t bits
    cdef float score
    memset(starts, 0, sizeof(starts))
    for n in range(count):
        score = scores[n] + <float>0.0  # -0 becomes 0, since they are equal
        memcpy(&bits, &score, sizeof(bits))
        bits = bits if bits & 0x80000000u else ~(bits | 0x80000000u)  # ascending integers are descending scores
        for digit in range(3):
            starts[digit][(bits >> (11 * digit)) & 2047] += 1
        source[n] = (<uint64_t>bits << 32) | <uint64_t>n
    for digit in range(3):
        before = 0
        for place in range(2048):
            here = starts[digit][place]
            starts[digit][place] = before
            before += here
        for n in range(count):
            word = source[n]
            place = (word >> (32 + 11 * digit)) & 2047
            target[starts[digit][place]] = word
            starts[digit][place] += 1
        source, target = target, source
    if source != order:  # three passes end in the second half
        for n in range(count):
            order[n] = source[n]
