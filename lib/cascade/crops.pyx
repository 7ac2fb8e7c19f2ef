"""Windows of an image resized to one size, compiled: pyramid levels, and the crops of R-Net and O-Net.

The twins in reference.py state the rules; results are equal to the bit. The interpreter lock is released.
"""

import numpy as np

from .reference import FILL, check_into, check_resample

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset


cdef struct Axis:
    int64_t source, target
    int64_t most       # largest number of taps of a target pixel
    bint linear        # two taps whose weights sum to 64; otherwise taps of weight 1
    int64_t* first
    int64_t* count
    uint32_t* weight   # weight of the second of two taps
    float* inverse     # 1 / sum of the weights


def resample(image, windows, size, method="smooth", fill=FILL, dtype=np.uint8):
    """Resize windows of an image to one size; see reference.resample.

    Args:
        image (np.ndarray): (H, W, 3) uint8; the pixels of a row must be contiguous.
        windows (ArrayLike): (N, 4) int x1 y1 x2 y2 in px, x2 and y2 excluded.
        size (tuple[int, int]): (width, height) in px.
        method (str): `mean` or `smooth`.
        fill (int): grey level outside the image, 0..255.
        dtype (DTypeLike): uint8, or float32 for values that are not rounded.

    Returns:
        np.ndarray: (N, height, width, 3) of `dtype`.

    Raises:
        InputError: the image has another type or shape or is empty, a window is empty or too large, or the method or
            dtype is unknown.
    """
    windows, (width, height), fill, dtype = check_resample(image, windows, size, method, fill, dtype)
    result = np.empty((len(windows), height, width, 3), dtype)
    fill_targets(image, windows, result, method == "smooth", fill)
    return result


def resample_into(image, target, method="smooth"):
    """Resize a whole image into an array, in place; see reference.resample_into.

    Args:
        image (np.ndarray): (H, W, 3) uint8; the pixels of a row must be contiguous.
        target (np.ndarray): (h, w, 3) uint8 or float32, may be a view of a larger array; the pixels of a row must be
            contiguous.
        method (str): `mean` or `smooth`.

    Raises:
        InputError: the image or the target has another type or shape.
    """
    fill_targets(image, check_into(image, target, method), target[None], method == "smooth", 0)


cdef fill_targets(image, windows, targets, bint smooth, uint8_t fill):
    """Fill targets (N, height, width, 3), uint8 or float32, from the windows (N, 4)."""
    cdef const uint8_t[:, :, :] source = image
    cdef const int64_t[:, ::1] places = windows
    cdef bint whole = targets.dtype == np.uint8, room = True
    cdef char[:, :, :, :] to = targets.view(np.int8)
    cdef int64_t n, rows = targets.shape[1], columns = targets.shape[2]
    with nogil:
        for n in range(places.shape[0]):
            room = resample_one(&source[0, 0, 0], source.strides[0], source.shape[0], source.shape[1], &places[n, 0],
                                smooth, fill, &to[n, 0, 0, 0], to.strides[1], rows, columns, whole)
            if not room:
                break
    if not room:
        raise MemoryError(f"resample: no memory for window {windows[n].tolist()}")


cdef bint resample_one(const uint8_t* image, int64_t step, int64_t height, int64_t width, const int64_t* window,
                       bint smooth, uint8_t fill, char* target, int64_t target_step, int64_t rows,
                       int64_t columns, bint whole) noexcept nogil:
    """Resize one window to uint8 (whole) or float32; False when there is no memory."""
    cdef Axis down, across
    cdef int64_t wide = window[2] - window[0], left = -window[0], right = window[2] - width, row, x
    cdef uint32_t* line
    cdef uint32_t* sums
    cdef bint room
    left = wide if left > wide else left if left > 0 else 0  # columns of the window outside the image
    right = wide - left if right > wide - left else right if right > 0 else 0
    memset(&down, 0, sizeof(Axis))
    memset(&across, 0, sizeof(Axis))
    # A line has room for taps beyond its end: they have weight 0, but are read with the others.
    room = open_axis(&down, window[3] - window[1], rows, smooth) and open_axis(&across, wide, columns, smooth)
    line = <uint32_t*>malloc((3 * (wide + across.most) + 1) * sizeof(uint32_t))
    sums = <uint32_t*>malloc((3 * columns + 1) * sizeof(uint32_t))
    if room and line != NULL and sums != NULL:
        memset(&line[3 * wide], 0, (3 * across.most + 1) * sizeof(uint32_t))
        for row in range(rows):
            sum_rows(image, step, height, window, &down, row, left, right, fill, line)
            sum_columns(line, &across, sums)
            if whole:
                round_row(sums, &across, down.inverse[row], <uint8_t*>(target + row * target_step))
            else:
                scale_row(sums, &across, down.inverse[row], <float*>(target + row * target_step))
    else:
        room = False
    free(line)
    free(sums)
    close_axis(&down)
    close_axis(&across)
    return room


cdef bint open_axis(Axis* axis, int64_t source, int64_t target, bint smooth) noexcept nogil:
    """Set what each target pixel sums up, see reference.taps; False when there is no memory."""
    cdef int64_t number, place, last
    axis.source, axis.target, axis.most, axis.linear = source, target, 1, smooth and target > source
    axis.first = <int64_t*>malloc(target * sizeof(int64_t))
    axis.count = <int64_t*>malloc(target * sizeof(int64_t))
    axis.weight = <uint32_t*>malloc(target * sizeof(uint32_t))
    axis.inverse = <float*>malloc(target * sizeof(float))
    if axis.first == NULL or axis.count == NULL or axis.weight == NULL or axis.inverse == NULL:
        return False
    for number in range(target):
        if axis.linear:
            # Floored, as in the twin: a whole pixel is added to make the dividend positive, and subtracted again.
            place = (64 * ((2 * number + 1) * source - target) + 128 * target) // (2 * target) - 64
            axis.weight[number] = <uint32_t>(place & 63)
            axis.first[number] = place >> 6
            axis.count[number] = 2
            axis.inverse[number] = <float>1 / <float>64
            if axis.first[number] < 0:  # both taps are the first pixel
                axis.first[number], axis.weight[number] = 0, 0
            elif axis.first[number] >= source - 1:
                axis.first[number], axis.weight[number] = source - 1, 0
        else:
            axis.first[number] = number * source // target
            last = ((number + 1) * source + target - 1) // target
            axis.count[number] = last - axis.first[number]
            axis.inverse[number] = <float>1 / <float>axis.count[number]
        if axis.count[number] > axis.most:
            axis.most = axis.count[number]
    return True


cdef void close_axis(Axis* axis) noexcept nogil:
    free(axis.first)
    free(axis.count)
    free(axis.weight)
    free(axis.inverse)


cdef void sum_rows(const uint8_t* image, int64_t step, int64_t height, const int64_t* window, Axis* down, int64_t row,
                   int64_t left, int64_t right, uint8_t fill, uint32_t* line) noexcept nogil:
    """Weighted sum of the window's rows that make one row of the target."""
    cdef int64_t wide = window[2] - window[0], inside = 3 * (wide - left - right), tap, y, x
    cdef uint32_t weight, total = 64 if down.linear else <uint32_t>down.count[row]
    cdef const uint8_t* source
    cdef uint32_t* into = &line[3 * left]
    cdef uint32_t grey = fill
    for x in range(3 * left):
        line[x] = total * grey
    for x in range(3 * (wide - right), 3 * wide):
        line[x] = total * grey
    for tap in range(down.count[row]):
        weight = 1
        if down.linear:
            weight = down.weight[row] if tap else 64 - down.weight[row]
            if weight == 0:
                continue
        y = window[1] + down.first[row] + tap
        if y < 0 or y >= height:
            if tap == 0:
                for x in range(inside):
                    into[x] = grey * weight
            else:
                for x in range(inside):
                    into[x] += grey * weight
            continue
        source = image + y * step + 3 * (window[0] + left)
        if tap == 0:
            for x in range(inside):
                into[x] = source[x] * weight
        else:
            for x in range(inside):
                into[x] += source[x] * weight


cdef void sum_columns(const uint32_t* line, Axis* across, uint32_t* sums) noexcept nogil:
    """Weighted sums along a line of interleaved channels."""
    cdef int64_t column, tap, count
    cdef uint32_t red, green, blue, first, second
    cdef const uint32_t* source
    for column in range(across.target):
        source = line + 3 * across.first[column]
        count = across.count[column]
        if across.linear:
            second = across.weight[column]
            first = 64 - second
            red = source[0] * first + source[3] * second
            green = source[1] * first + source[4] * second
            blue = source[2] * first + source[5] * second
        else:
            red, green, blue = source[0], source[1], source[2]
            for tap in range(1, count):
                source += 3
                red += source[0]
                green += source[1]
                blue += source[2]
        sums[3 * column], sums[3 * column + 1], sums[3 * column + 2] = red, green, blue


cdef void round_row(const uint32_t* sums, Axis* across, float down, uint8_t* target) noexcept nogil:
    cdef int64_t x, channel
    for x in range(across.target):
        for channel in range(3):
            target[3 * x + channel] = <uint8_t>(<float>sums[3 * x + channel] * across.inverse[x] * down + <float>0.5)


cdef void scale_row(const uint32_t* sums, Axis* across, float down, float* target) noexcept nogil:
    cdef int64_t x, channel
    for x in range(across.target):
        for channel in range(3):
            target[3 * x + channel] = <float>sums[3 * x + channel] * across.inverse[x] * down
