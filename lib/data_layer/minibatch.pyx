"""The parts of a minibatch that are worth compiling: shrinking an image, and moving its faces into a window.

The twins in reference.py state the rules, and results are equal to the bit. Both functions release the interpreter
lock, so that the loader's threads run in parallel with each other and with the training.
"""

import numpy as np

from ..errors import InputError
from .reference import COLUMN_UNITS, ROW_UNITS, check_faces, check_shrink

from libc.math cimport NAN, ceil, floor, rint
from libc.string cimport memcpy


def shrink(image, size):
    """Make an image smaller: each pixel is the mean of the area that it covers. See reference.shrink."""
    cdef Py_ssize_t columns, rows
    columns, rows = check_shrink(image, size)
    if image.strides[1:] != (3, 1):
        image = np.ascontiguousarray(image)
    cdef const unsigned char[:, :, :] source = image
    result = np.empty((rows, columns, 3), dtype=np.uint8)
    cdef unsigned char[:, :, ::1] target = result
    cdef Py_ssize_t taps_down = most_taps(source.shape[0], rows), taps_across = most_taps(source.shape[1], columns)
    cdef int[::1] top = np.empty(rows, dtype=np.intc), left = np.empty(columns, dtype=np.intc)
    cdef unsigned short[:, ::1] down = np.empty((rows, taps_down), dtype=np.ushort)
    cdef unsigned short[:, ::1] across = np.empty((columns, taps_across), dtype=np.ushort)
    # Sums, the pixels that a tap adds to them, and a tap's weights, each per channel: long arrays vectorise well.
    cdef unsigned int[::1] sums = np.empty(3 * columns, dtype=np.uintc)
    cdef unsigned short[::1] pixels = np.empty(3 * columns + 1, dtype=np.ushort)
    cdef unsigned short[:, ::1] weights = np.empty((taps_across, 3 * columns), dtype=np.ushort)
    # Taps beyond the last column have weight 0, but they are read.
    cdef unsigned short[::1] line = np.zeros(3 * (source.shape[1] + taps_across) + 1, dtype=np.ushort)
    cdef Py_ssize_t row, column, tap, channel
    cdef double row_units = ROW_UNITS, column_units = COLUMN_UNITS
    with nogil:
        coverage(source.shape[0], row_units, top, down)
        coverage(source.shape[1], column_units, left, across)
        for tap in range(taps_across):
            for column in range(columns):
                for channel in range(3):
                    weights[tap, 3 * column + channel] = across[column, tap]
        for row in range(rows):
            mean_of_rows(&source[0, 0, 0] + top[row] * source.strides[0], source.strides[0], 3 * source.shape[1],
                         &down[row, 0], taps_down, &line[0])
            mean_of_columns(&line[0], left, weights, &pixels[0], &sums[0], &target[row, 0, 0])
    return result


cdef Py_ssize_t most_taps(Py_ssize_t source, Py_ssize_t target) noexcept nogil:
    """Largest number of source pixels that cover one target pixel."""
    cdef double factor = <double>source / target, begin
    cdef Py_ssize_t number, most = 1, taps
    for number in range(target):
        begin = number * factor
        taps = <Py_ssize_t>(ceil(begin + factor) - floor(begin))
        most = taps if taps > most else most
    return most


cdef void coverage(Py_ssize_t source, double units, int[::1] first, unsigned short[:, ::1] weights) noexcept nogil:
    """First source pixel of each target pixel, and the weights from there on: see reference.coverage."""
    cdef double factor = <double>source / first.shape[0], begin, covered
    cdef Py_ssize_t number, tap
    cdef int before, now
    for number in range(first.shape[0]):
        begin = number * factor
        first[number] = <int>floor(begin)
        before = 0
        for tap in range(weights.shape[1]):
            covered = (first[number] + tap + 1 - begin) / factor
            covered = 0 if covered < 0 else 1 if covered > 1 else covered
            now = <int>rint(covered * units)
            weights[number, tap] = <unsigned short>(now - before)
            before = now


cdef void mean_of_rows(const unsigned char* source, Py_ssize_t step, Py_ssize_t values, const unsigned short* weights,
                       Py_ssize_t taps, unsigned short* line) noexcept nogil:
    """Weighted sum of rows: at most 255 * 256, which 16 bits hold."""
    cdef Py_ssize_t tap, x
    cdef unsigned short weight = weights[0]
    for x in range(values):
        line[x] = source[x] * weight
    for tap in range(1, taps):
        weight = weights[tap]
        source += step
        if weight:  # after the last row there is no tap
            for x in range(values):
                line[x] += source[x] * weight


cdef void mean_of_columns(const unsigned short* line, const int[::1] first, const unsigned short[:, ::1] weights,
                          unsigned short* pixels, unsigned int* sums, unsigned char* target) noexcept nogil:
    """Weighted sums along a line, rounded. The pixels that a tap adds are first copied side by side."""
    cdef Py_ssize_t columns = first.shape[0], values = 3 * first.shape[0], tap, column, x
    cdef const unsigned short* weight
    for x in range(values):
        sums[x] = 1 << 21  # half of the divisor 2**22: rounds
    for tap in range(weights.shape[0]):
        weight = &weights[tap, 0]
        for column in range(columns):
            memcpy(&pixels[3 * column], &line[3 * (first[column] + tap)], 8)  # 4 values; the next pixel overwrites the fourth
        for x in range(values):
            sums[x] += <unsigned int>pixels[x] * weight[x]
    for x in range(values):
        target[x] = <unsigned char>(sums[x] >> 22)


def visible_faces(boxes, ignore, landmarks, scale, shift, size, min_face, min_visible):
    """Move the boxes, ignore flags and landmarks of an image into a window of it. See reference.visible_faces."""
    boxes, ignore, landmarks, (sx, sy), (dx, dy), (width, height), min_face, min_visible = check_faces(
        boxes, ignore, landmarks, scale, shift, size, min_face, min_visible)
    kept_boxes, kept_ignore, kept_landmarks = np.empty_like(boxes), np.empty_like(ignore), np.empty_like(landmarks)
    cdef Py_ssize_t kept
    cdef const float[:, ::1] b = boxes
    cdef const unsigned char[::1] i = ignore.view(np.uint8)
    cdef const float[:, :, ::1] p = landmarks
    cdef float[:, ::1] to_b = kept_boxes
    cdef unsigned char[::1] to_i = kept_ignore.view(np.uint8)
    cdef float[:, :, ::1] to_p = kept_landmarks
    cdef float[2] scales = [sx, sy], shifts = [dx, dy], limits = [width, height]
    cdef float smallest = min_face, lowest = min_visible
    with nogil:
        kept = move_faces(b, i, p, scales, shifts, limits, smallest, lowest, to_b, to_i, to_p)
    return kept_boxes[:kept], kept_ignore[:kept], kept_landmarks[:kept]


cdef Py_ssize_t move_faces(const float[:, ::1] boxes, const unsigned char[::1] ignore, const float[:, :, ::1] landmarks,
                           const float* scale, const float* shift, const float* limit, float min_face,
                           float min_visible, float[:, ::1] to_boxes, unsigned char[::1] to_ignore,
                           float[:, :, ::1] to_landmarks) noexcept nogil:
    """Write the K faces that the window shows to the first K rows of the `to_` arrays; returns K."""
    cdef Py_ssize_t n, axis, point, kept = 0
    cdef float low, high
    cdef float[2] sides
    cdef float[2] inside
    cdef bint complete
    for n in range(boxes.shape[0]):
        for axis in range(2):
            low = boxes[n, axis] * scale[axis] + shift[axis]
            high = boxes[n, axis + 2] * scale[axis] + shift[axis]
            sides[axis] = high - low
            low = 0 if low < 0 else limit[axis] if low > limit[axis] else low
            high = 0 if high < 0 else limit[axis] if high > limit[axis] else high
            inside[axis] = high - low
            to_boxes[kept, axis], to_boxes[kept, axis + 2] = low, high
        if not (inside[0] > 0 and inside[1] > 0):
            continue
        to_ignore[kept] = (ignore[n] or inside[0] * inside[1] / (sides[0] * sides[1]) < min_visible
                           or sides[0] < min_face or sides[1] < min_face)
        complete = True
        for point in range(landmarks.shape[1]):
            for axis in range(2):
                low = landmarks[n, point, axis] * scale[axis] + shift[axis]
                to_landmarks[kept, point, axis] = low
                complete = complete and low >= 0 and low <= limit[axis]  # False for NaN, not labelled
        if not complete:
            to_landmarks[kept, :, :] = NAN
        kept += 1
    return kept
