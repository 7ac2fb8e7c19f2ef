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

from ..constants import FILL
from ..errors import InputError

UNITS = 64  # sum of the weights of the two pixels between which `smooth` interpolates
METHODS = ("mean", "smooth")


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
        InputError: the image has another type or shape or is empty, a window is empty, or the method or dtype is
            unknown.

    Examples:
        >>> resample(np.uint8([[[0, 0, 90]], [[60, 3, 90]], [[90, 6, 90]]]), [[0, 0, 1, 3]], (1, 1))
        array([[[[50,  3, 90]]]], dtype=uint8)
    """
    windows = check_resample(image, windows, size, method)
    result = np.empty((len(windows), size[1], size[0], 3), check_dtype(dtype))
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
    height, width = image.shape[:2]
    check_dtype(target.dtype)
    check_resample(image, [[0, 0, width, height]], target.shape[1::-1], method)
    _resample_one(image, (0, 0, width, height), method == "smooth", FILL, target)


def _resample_one(image, window, smooth, fill, target):
    left, top, right, bottom = window
    rows, row_weights = taps(bottom - top, target.shape[0], smooth)
    columns, column_weights = taps(right - left, target.shape[1], smooth)
    crop = np.full((bottom - top, right - left, 3), fill, np.int64)
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(right, image.shape[1]), min(bottom, image.shape[0])
    if x1 < x2 and y1 < y2:
        crop[y1 - top : y2 - top, x1 - left : x2 - left] = image[y1:y2, x1:x2]
    lines = (crop[rows] * row_weights[:, :, None, None]).sum(axis=0)
    sums = (lines[:, columns] * column_weights[:, :, None]).sum(axis=1)
    down = np.float32(1) / row_weights.sum(axis=0).astype(np.float32)
    across = np.float32(1) / column_weights.sum(axis=0).astype(np.float32)
    values = sums.astype(np.float32) * across[:, None] * down[:, None, None]
    target[:] = values if target.dtype == np.float32 else (values + np.float32(0.5)).astype(np.uint8)


def check_dtype(dtype: DTypeLike) -> DTypeLike:
    """Return `dtype`; InputError unless it is uint8 or float32."""
    if dtype not in (np.uint8, np.float32):
        raise InputError(f"resample: found {dtype}, expected uint8 or float32")
    return dtype


def check_resample(image: np.ndarray, windows: ArrayLike, size: Sequence[int], method: str) -> np.ndarray:
    """Convert windows to (N, 4) int64; InputError for arguments that resample cannot take."""
    if (image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size or min(size) < 1
            or image.strides[1:] != (3, 1)):
        raise InputError(f"resample: found {image.dtype} {image.shape} (strides {image.strides}) to {tuple(size)}, "
                         "expected uint8 (H, W, 3), the pixels of a row contiguous, and sides >= 1")
    windows = np.asarray(windows).reshape(-1, 4).astype(np.int64)
    if len(windows) and (windows[:, 2:] <= windows[:, :2]).any():
        row = int(np.flatnonzero((windows[:, 2:] <= windows[:, :2]).any(axis=1))[0])
        raise InputError(f"resample: window {row} is {windows[row].tolist()}, expected x1 < x2 and y1 < y2")
    if method not in METHODS:
        raise InputError(f"resample: found method {method!r}, expected {' or '.join(METHODS)}")
    return windows
