"""Soft non-maximum suppression, compiled; the twin reference.soft_nms states the rule.

Scores only fall, so a heap of old scores gives the next best box: a top entry whose score has fallen since is put back
with its new score. Each box that is taken lowers only the scores of boxes near it (buckets.pxi).
"""

import numpy as np

from .reference import check_soft

from libc.math cimport exp

include "buckets.pxi"


cdef struct Entry:
    double score
    int32_t index


cdef struct Heap:
    Entry* entries
    int64_t count


def soft_nms(boxes, scores, method="linear", threshold=0.3, sigma=0.5, min_score=0.001):
    """Soft suppression; see reference.soft_nms.

    Args:
        boxes (ArrayLike): (N, 4) float32 x1 y1 x2 y2 in px.
        scores (ArrayLike): (N,) float32, finite.
        method (str): "linear" or "gaussian".
        threshold (float): IoU of the linear method, 0..1.
        sigma (float): width of the gaussian method, > 0.
        min_score (float): lowest score that is taken, >= 0.

    Returns:
        tuple[np.ndarray, np.ndarray]: (K,) intp indices in the order in which the boxes were taken, and their (K,)
            float32 new scores.

    Raises:
        InputError: a shape is wrong, a score or a corner is not finite, the method is unknown, or a number is out of
            range.
    """
    cdef const float[:, ::1] corners
    cdef double[::1] falling
    cdef Py_ssize_t[::1] room
    cdef double above, width, least
    cdef bint linear
    cdef Py_ssize_t count
    boxes, scores, threshold, sigma, min_score = check_soft(boxes, scores, method, threshold, sigma, min_score)
    linear = method == "linear"
    taken = np.empty(len(boxes), dtype=np.intp)
    current = scores.astype(np.float64)
    if len(boxes) == 0:
        return taken, scores
    corners, falling, room, above, width, least = boxes, current, taken, threshold, sigma, min_score
    with nogil:
        count = take(corners, falling, linear, above, width, least, room)
    if count < 0:
        raise MemoryError(f"soft_nms: no memory for {len(boxes)} boxes")
    taken = taken[:count].copy()
    return taken, current[taken].astype(np.float32)


cdef Py_ssize_t take(const float[:, ::1] boxes, double[::1] current, bint linear, double threshold, double sigma,
                     double min_score, Py_ssize_t[::1] taken) noexcept nogil:
    """Fill `taken` and lower `current`; return the number of boxes taken, or -1 when there is no memory."""
    cdef Py_ssize_t count = boxes.shape[0], n, done = 0
    cdef Buckets buckets
    cdef Heap heap
    cdef Box box
    cdef bint room = open_buckets(&buckets, count)
    cdef int32_t* seen = <int32_t*>malloc(count * sizeof(int32_t))
    heap.entries = <Entry*>malloc(count * sizeof(Entry))
    heap.count = 0
    if heap.entries == NULL or seen == NULL or not room:
        free(heap.entries)
        free(seen)
        close_buckets(&buckets)
        return -1
    memset(seen, 0xFF, count * sizeof(int32_t))  # -1 each
    for n in range(count):
        if current[n] >= min_score:
            heap.entries[heap.count].score = current[n]
            heap.entries[heap.count].index = <int32_t>n
            heap.count += 1
            if read_box(&box, &boxes[n, 0], <int32_t>n):
                insert(&buckets, &box)
    for n in range(heap.count // 2 - 1, -1, -1):
        sift_down(&heap, n)
    while heap.count > 0:
        n = heap.entries[0].index
        if current[n] < min_score:
            heap.count -= 1
            heap.entries[0] = heap.entries[heap.count]
        elif current[n] < heap.entries[0].score:
            heap.entries[0].score = current[n]
        else:
            heap.count -= 1
            heap.entries[0] = heap.entries[heap.count]
            taken[done] = n
            done += 1
            if read_box(&box, &boxes[n, 0], <int32_t>n):
                lower_neighbours(&buckets, &box, &current[0], seen, linear, threshold, sigma, min_score)
        sift_down(&heap, 0)
    free(heap.entries)
    free(seen)
    close_buckets(&buckets)
    return done


cdef void lower_neighbours(Buckets* buckets, Box* box, double* current, int32_t* seen, bint linear, double threshold,
                           double sigma, double min_score) noexcept nogil:
    """Lower the scores of the boxes that overlap this one; it is removed from its bucket."""
    cdef Query query
    cdef Range cells
    cdef int64_t row, col
    cdef uint64_t start
    cdef double least = threshold if linear else 0
    open_query(&query, box, least)
    while next_range(buckets, &query, &cells):
        if cells.count > <double>buckets.mask:  # far larger than the others: it covers more cells than there are chains
            for col in range(<int64_t>buckets.mask + 1):
                lower_chain(buckets, &buckets.heads[col], box, current, seen, linear, least, sigma, min_score)
            return
        for row in range(cells.first_row, cells.last_row + 1):
            start = row_hash(cells.size_class, row)
            for col in range(cells.first_col, cells.last_col + 1):
                lower_chain(buckets, &buckets.heads[(start + <uint64_t>col) & buckets.mask], box, current, seen,
                            linear, least, sigma, min_score)


cdef void lower_chain(Buckets* buckets, int32_t* link, Box* box, double* current, int32_t* seen, bint linear,
                      double least, double sigma, double min_score) noexcept nogil:
    """Lower the scores along a chain. Two cells can share a chain: `seen` holds the last box that tested each box."""
    cdef Box* other
    cdef double overlap
    while link[0] >= 0:
        other = &buckets.boxes[link[0]]
        if other.index == box.index or current[other.index] < min_score:
            link[0] = other.next  # taken, or below min_score for good: no box needs to test it again
            continue
        overlap = overlap_of(box, other) if seen[other.index] != box.index else 0
        seen[other.index] = box.index
        if overlap > least:
            current[other.index] *= 1 - overlap if linear else exp(-(overlap * overlap) / sigma)
        link = &other.next


cdef inline bint comes_first(Entry* first, Entry* second) noexcept nogil:
    return first.score > second.score or (first.score == second.score and first.index < second.index)


cdef void sift_down(Heap* heap, int64_t place) noexcept nogil:
    cdef int64_t child
    cdef Entry entry = heap.entries[place]
    while True:
        child = 2 * place + 1
        if child >= heap.count:
            break
        if child + 1 < heap.count and comes_first(&heap.entries[child + 1], &heap.entries[child]):
            child += 1
        if not comes_first(&heap.entries[child], &entry):
            break
        heap.entries[place] = heap.entries[child]
        place = child
    heap.entries[place] = entry
