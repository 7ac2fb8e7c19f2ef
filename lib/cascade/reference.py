"""NumPy twins of the compiled resampling; they state the rules, and are used where nothing could be compiled.

An axis of a window of `source` px becomes `target` px. Where it shrinks, pixel i is the plain mean of the whole source
pixels from floor(i * source / target) to ceil((i + 1) * source / target): PyTorch's area interpolation. Where it grows,
`mean` follows the same rule, which repeats pixels, and `smooth` interpolates linearly between the centres of pixels,
with weights in steps of 1/64. Rows are summed before columns, in integers, so the order of summation has no effect.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..boxes.checks import INT64, MOST_SIDE, as_array, as_choice, as_image, as_size, as_whole
from ..constants import FILL
from ..errors import InputError, shown

UNITS = 64  # sum of the weights of the two pixels between which `smooth` interpolates
METHODS = ("mean", "smooth")
DTYPES = (np.dtype(np.uint8), np.dtype(np.float32))
FARTHEST = 1 << 30  # px: the largest coordinate of a window
MOST_PIXELS = 1 << 31  # of all results together


def taps(source: int, target: int, smooth: bool) -> tuple[np.ndarray, np.ndarray]:
    """Source pixels that each target pixel sums up, and their weights.

    Args:
        source: px of the axis before.
        target: px of the axis after.
        smooth: interpolate where the axis grows.

    Returns:
        Indices (K, target) and weights (K, target), int64; K is the largest number of source pixels. Weight 0 = unused.

    Examples:
        >>> taps(5, 2, False)[1].T.tolist(), taps(1, 2, True)[1].T.tolist()
        ([[1, 1, 1], [1, 1, 1]], [[16, 48], [48, 16]])
    """
    number = np.arange(target, dtype=np.int64)
    if smooth and target > source:
        place = UNITS * ((2 * number + 1) * source - target) // (2 * target)  # of the centre, in 1/64 px
        first, weight = place // UNITS, place % UNITS
        index, weights = np.stack([first, first + 1]), np.stack([UNITS - weight, weight])
    else:
        first, last = number * source // target, -((number + 1) * -source // target)
        index = first + np.arange((last - first).max())[:, None]
        weights = (index < last).astype(np.int64)
    return index.clip(0, source - 1), weights


def resample(image: np.ndarray, windows: ArrayLike, size: tuple[int, int], method: str = "smooth", fill: int = FILL,
             dtype: DTypeLike = np.uint8) -> np.ndarray:
    """Resize windows of an image to one size.

    Args:
        image: (H, W, 3) uint8; the pixels of a row must be contiguous.
        windows: (N, 4) int x1 y1 x2 y2 in px, x2 and y2 excluded, at least 1 px per side. What is outside the image is
            filled with grey.
        size: (width, height) in px.
        method: `mean` or `smooth`.
        fill: grey level outside the image, 0..255.
        dtype: uint8, or float32 for values that are not rounded.

    Returns:
        (N, height, width, 3) of `dtype`.

    Raises:
        InputError: the image has another type or shape or is empty, a window is empty or too large, or the method or
            dtype is unknown.

    Examples:
        >>> resample(np.uint8([[[0, 0, 90]], [[60, 3, 90]], [[90, 6, 90]]]), [[0, 0, 1, 3]], (1, 1))
        array([[[[50,  3, 90]]]], dtype=uint8)
    """
    windows, size, fill, dtype = check_resample(image, windows, size, method, fill, dtype)
    result = np.empty((len(windows), size[1], size[0], 3), dtype)
    for target, (left, top, right, bottom) in zip(result, windows, strict=True):
        _resample_one(image, (left, top, right, bottom), method == "smooth", fill, target)
    return result


def resample_into(image: np.ndarray, target: np.ndarray, method: str = "smooth") -> None:
    """Resize a whole image into an array, in place.

    Args:
        image: (H, W, 3) uint8; the pixels of a row must be contiguous.
        target: (h, w, 3) uint8 or float32, which may be a view of a larger array.
        method: `mean` or `smooth`.

    Raises:
        InputError: the image or the target has another type or shape.
    """
    window, = check_into(image, target, method).tolist()
    _resample_one(image, window, method == "smooth", FILL, target)


def _resample_one(image, window, smooth, fill, target):
    left, top, right, bottom = window
    rows, row_weights = taps(bottom - top, target.shape[0], smooth)
    columns, column_weights = taps(right - left, target.shape[1], smooth)
    # One tap at a time, and only the columns of the image: a window may be far larger than both.
    lines = np.zeros((len(target), image.shape[1], 3), np.int64)
    for index, weight in zip(rows + top, row_weights, strict=True):
        inside = (index >= 0) & (index < len(image))
        pixels = np.where(inside[:, None, None], image[index.clip(0, len(image) - 1)], fill)
        lines += pixels * weight[:, None, None]
    outside = (row_weights.sum(axis=0) * fill)[:, None, None]
    sums = np.zeros(target.shape, np.int64)
    for index, weight in zip(columns + left, column_weights, strict=True):
        inside = (index >= 0) & (index < image.shape[1])
        sums += np.where(inside[:, None], lines[:, index.clip(0, image.shape[1] - 1)], outside) * weight[:, None]
    down = np.float32(1) / row_weights.sum(axis=0).astype(np.float32)
    across = np.float32(1) / column_weights.sum(axis=0).astype(np.float32)
    values = sums.astype(np.float32) * across[:, None] * down[:, None, None]
    target[:] = values if target.dtype == np.float32 else (values + np.float32(0.5)).astype(np.uint8)


def check_resample(image: np.ndarray, windows: ArrayLike, size: Sequence[int], method: str, fill: int = FILL,
                   dtype: DTypeLike = np.uint8) -> tuple[np.ndarray, tuple[int, int], int, np.dtype]:
    """Check the arguments of resample; shared with the compiled twin.

    Returns:
        windows (N, 4) int64, (width, height), fill and dtype.

    Raises:
        InputError: an argument is one that resample cannot take.
    """
    _image(image)
    as_choice(method, "method", METHODS)
    width, height = as_size(size)
    windows = as_array(windows, "windows", None, 4, dtype=INT64)
    sides = windows[:, 2:] - windows[:, :2]
    if len(windows) and not (sides.min() > 0 and sides.max() <= MOST_SIDE
                             and windows.min() >= -FARTHEST and windows.max() <= FARTHEST):
        wrong = (sides < 1) | (sides > MOST_SIDE) | (windows[:, :2] < -FARTHEST) | (windows[:, 2:] > FARTHEST)
        row = int(wrong.any(axis=1).argmax())
        raise InputError(f"resample: window {row} is {windows[row].tolist()}, expected x1 < x2 and y1 < y2, sides of "
                         f"at most {MOST_SIDE} px and corners within {FARTHEST} px")
    if len(windows):
        _fits_sum(sides.max(axis=0).tolist(), (width, height))
    if len(windows) * width * height > MOST_PIXELS:
        raise InputError(f"resample: found {len(windows)} windows for {width} x {height} px each, expected at most "
                         f"{MOST_PIXELS} px in all")
    fill = as_whole(fill, "fill", 0, 255)
    if not isinstance(dtype, (type, np.dtype, str)) or dtype not in DTYPES:
        raise InputError(f"resample: found dtype {shown(dtype)}, expected uint8 or float32")
    return windows, (width, height), fill, np.dtype(dtype)


def check_into(image: np.ndarray, target: np.ndarray, method: str) -> np.ndarray:
    """Check the arguments of resample_into; shared with the compiled twin. Returns the window (1, 4) int64."""
    if (not isinstance(target, np.ndarray) or target.ndim != 3 or target.shape[2] != 3
            or target.dtype not in DTYPES or not target.flags.writeable
            or target.strides[1:] != (3 * target.itemsize, target.itemsize)):
        found = (f"{target.dtype} {target.shape} (strides {target.strides})" if isinstance(target, np.ndarray)
                 else type(target).__name__)
        raise InputError(f"resample_into: found a target {found}, expected uint8 or float32 (h, w, 3) that can be "
                         f"written, the pixels of a row contiguous")
    window = np.array([[0, 0, *_image(image).shape[1::-1]]])
    as_choice(method, "method", METHODS)
    _fits_sum(window[0, 2:].tolist(), as_size(target.shape[1::-1]))
    return window


def _image(image: np.ndarray) -> np.ndarray:
    if as_image(image, "resample").strides[1:] != (3, 1):
        raise InputError(f"resample: found an image with strides {image.strides}, expected the pixels of a row "
                         f"contiguous")
    return image


def _fits_sum(sides: Sequence[int], size: Sequence[int]) -> None:
    """InputError where the bytes that one pixel sums up do not fit 32 bits: 65,536 px that become 12 px."""
    if (sides[0] // size[0] + 2) * (sides[1] // size[1] + 2) >= 2**24:
        raise InputError(f"resample: a window of {sides[0]} x {sides[1]} px is too large for {size[0]} x {size[1]} px")
