"""NumPy twins of the compiled resampling: they state the rules, and serve where nothing could be compiled.

An axis of a window of `source` px becomes `target` px. Where it shrinks, pixel i is the plain mean of the whole source
pixels from floor(i * source / target) to ceil((i + 1) * source / target): PyTorch's area interpolation. Where it grows,
`mean` keeps to that rule, which repeats pixels, and `smooth` interpolates linearly between the centres of pixels, in
parts of 1/64. Rows are summed before columns, in integers, so that no order of summation shows.
"""

import numpy as np

from ..constants import FILL
from ..errors import InputError

UNITS = 64  # weights of the two pixels between which `smooth` interpolates sum to this
METHODS = ("mean", "smooth")


def taps(source, target, smooth):
    """(index (K, target), weights (K, target)) of the K pixels that each target pixel sums up at most; 0: not this one.

    >>> taps(5, 2, False)[1].T.tolist(), taps(1, 2, True)[1].T.tolist()
    ([[1, 1, 1], [1, 1, 1]], [[16, 48], [48, 16]])
    """
    number = np.arange(target, dtype=np.int64)
    if smooth and target > source:
        place = UNITS * ((2 * number + 1) * source - target) // (2 * target)  # of the centre, in parts of a pixel
        first, part = place // UNITS, place % UNITS
        index, weights = np.stack([first, first + 1]), np.stack([UNITS - part, part])
    else:
        first, last = number * source // target, -((number + 1) * -source // target)
        index = first + np.arange((last - first).max())[:, None]
        weights = (index < last).astype(np.int64)
    return index.clip(0, source - 1), weights


def resample(image, windows, size, method="smooth", fill=FILL, dtype=np.uint8):
    """(N, height, width, 3) of `dtype`, uint8 or float32: windows of an image, each brought to one size.

    image: (H, W, 3) uint8, pixels of a row side by side. windows: (N, 4) int x1 y1 x2 y2 px, the ends not in it, at
    least 1 px on each side; what reaches outside the image is grey, `fill`. size: (width, height) px. method: mean or
    smooth. dtype: float32 leaves the values unrounded. Raises InputError for another kind of array, an empty one or an
    empty window.

    >>> resample(np.uint8([[[0, 0, 90]], [[60, 3, 90]], [[90, 6, 90]]]), [[0, 0, 1, 3]], (1, 1))
    array([[[[50,  3, 90]]]], dtype=uint8)
    """
    windows = check_resample(image, windows, size, method)
    result = np.empty((len(windows), size[1], size[0], 3), check_dtype(dtype))
    for target, (left, top, right, bottom) in zip(result, windows, strict=True):
        _resample_one(image, (left, top, right, bottom), method == "smooth", fill, target)
    return result


def resample_into(image, target, method="smooth"):
    """The whole image brought to the size of `target`, (h, w, 3) uint8 or float32, a view of a larger array: filled in
    place.
    """
    height, width = image.shape[:2]
    check_dtype(target.dtype)
    check_resample(image, [[0, 0, width, height]], target.shape[1::-1], method)
    _resample_one(image, (0, 0, width, height), method == "smooth", FILL, target)


def _resample_one(image, window, smooth, fill, target):
    left, top, right, bottom = window
    rows, row_weights = taps(bottom - top, target.shape[0], smooth)
    columns, column_weights = taps(right - left, target.shape[1], smooth)
    part = np.full((bottom - top, right - left, 3), fill, np.int64)
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(right, image.shape[1]), min(bottom, image.shape[0])
    if x1 < x2 and y1 < y2:
        part[y1 - top : y2 - top, x1 - left : x2 - left] = image[y1:y2, x1:x2]
    lines = (part[rows] * row_weights[:, :, None, None]).sum(axis=0)
    sums = (lines[:, columns] * column_weights[:, :, None]).sum(axis=1)
    down = np.float32(1) / row_weights.sum(axis=0).astype(np.float32)
    across = np.float32(1) / column_weights.sum(axis=0).astype(np.float32)
    values = sums.astype(np.float32) * across[:, None] * down[:, None, None]
    target[:] = values if target.dtype == np.float32 else (values + np.float32(0.5)).astype(np.uint8)


def check_dtype(dtype):
    if dtype not in (np.uint8, np.float32):
        raise InputError(f"resample: found {dtype}, expected uint8 or float32")
    return dtype


def check_resample(image, windows, size, method):
    """Windows as (N, 4) int64; InputError for what resample cannot take."""
    if (image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size or min(size) < 1
            or image.strides[1:] != (3, 1)):
        raise InputError(f"resample: found {image.dtype} {image.shape} (strides {image.strides}) to {tuple(size)}, "
                         "expected uint8 (H, W, 3), the pixels of a row side by side, and sides >= 1")
    windows = np.asarray(windows).reshape(-1, 4).astype(np.int64)
    if len(windows) and (windows[:, 2:] <= windows[:, :2]).any():
        row = int(np.flatnonzero((windows[:, 2:] <= windows[:, :2]).any(axis=1))[0])
        raise InputError(f"resample: window {row} is {windows[row].tolist()}, expected x1 < x2 and y1 < y2")
    if method not in METHODS:
        raise InputError(f"resample: found method {method!r}, expected {' or '.join(METHODS)}")
    return windows
