"""Checks of the arguments of compiled functions.

Compiled code does not check indices, so every argument is checked and converted here before it goes there. A compiled
function and its twin share the checks: both refuse the same input with the same message, always an InputError.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError, Range, check_number, check_whole, shown

FLOAT32, FLOAT64, INT64, BOOL = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64), np.dtype(bool)

MOST_SIDE = 1 << 17
"""px or cells: the longest side of an image, a window or a feature map that compiled code takes."""

_NUMBERS = (float, int)
_FINITE = sys.float_info.max


def as_array(array: ArrayLike, name: str, *shape: int | None, dtype: np.dtype = FLOAT32) -> np.ndarray:
    """Convert an argument to a contiguous array and check its shape.

    Args:
        array: numbers; an empty list counts as an array without rows.
        name: name of the argument, for the message.
        *shape: expected length of each axis; None = any length. Without it, any shape.
        dtype: type of the result. Whole numbers are taken from whole numbers only.

    Returns:
        Array of that shape and type.

    Raises:
        InputError: the shape is another one, or the values are no numbers of that kind.
    """
    if (type(array) is np.ndarray and array.dtype is dtype and array.flags.c_contiguous
            and (not shape or len(shape) == array.ndim)):
        for want, got in zip(shape, array.shape, strict=False):
            if want is not None and want != got:
                break
        else:
            return array  # the usual case, in a microsecond less
    try:
        given = np.asarray(array)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        # Rows of different lengths, an object without numbers, or a tensor of PyTorch that needs its gradient.
        raise InputError(f"{name}: found no array of numbers ({str(error)[:150]})") from None
    check_kind(given, name, dtype)
    if given.dtype != dtype:
        with np.errstate(over="ignore", invalid="ignore"):  # too large for float32 becomes infinite
            given = given.astype(dtype)
    return np.ascontiguousarray(fitted(given, name, shape) if shape else given)


def check_kind(array: Any, name: str, dtype: np.dtype = FLOAT32) -> None:
    """Raise InputError unless an array, of NumPy or CuPy, holds numbers that may be converted to dtype."""
    if array.size and array.dtype.kind not in ("biu" if dtype.kind in "iu" else "bfiu"):
        raise InputError(f"{name}: found an array of {array.dtype}, expected "
                         f"{'whole ' if dtype.kind in 'iu' else ''}numbers")


def fitted(array: Any, name: str, shape: Sequence[int | None]) -> Any:
    """Return an array, of NumPy or CuPy, with the shape that as_array expects; InputError for another one."""
    if array.shape == (0,) and shape[0] is None:
        array = array.reshape(0, *(side or 0 for side in shape[1:]))
    if array.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, array.shape, strict=True)):
        wanted = ", ".join("N" if side is None else str(side) for side in shape)
        raise InputError(f"{name}: found an array of shape {array.shape}, expected ({wanted})")
    return array


def as_boxes(boxes: ArrayLike, name: str = "boxes") -> np.ndarray:
    """Convert boxes to a contiguous (N, 4) float32 array; InputError for another shape."""
    return as_array(boxes, name, None, 4)


def as_image(image: Any, name: str) -> np.ndarray:
    """Return an image (H, W, 3) uint8 as it is; InputError for anything else, and for one without pixels."""
    if (not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8
            or not image.size or max(image.shape) > MOST_SIDE):
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"{name}: found {found}, expected uint8 (H, W, 3) with sides from 1 to {MOST_SIDE}")
    return image


def same_length(first: Sized, second: Sized, names: tuple[str, str]) -> None:
    """Raise InputError, with the names of the two arguments, unless both have the same number of rows."""
    if len(first) != len(second):
        raise InputError(f"{names[0]} and {names[1]}: found {len(first)} and {len(second)} rows, "
                         "expected the same number")


def check_finite(boxes: np.ndarray, name: str = "boxes") -> None:
    """Raise InputError that names the first of the (N, 4) boxes with a corner that is not finite."""
    if not np.isfinite(boxes).all():
        row = int(np.flatnonzero(~np.isfinite(boxes).all(axis=1))[0])
        raise InputError(f"{name}: box {row} is {boxes[row].tolist()}, expected finite numbers")


def as_number(value: Any, name: str, low: float = -_FINITE, high: float = _FINITE, open_low: bool = False) -> float:
    """Check a finite number against its range.

    Args:
        value: the number.
        name: name of the argument, for the message.
        low: lowest allowed value.
        high: highest allowed value.
        open_low: refuse `low` itself.

    Returns:
        The value as a float.

    Raises:
        InputError: the value is no number, not finite, or outside the range.
    """
    if type(value) in _NUMBERS and low < value < high:
        return float(value)  # the usual case
    least, most = None if low == -_FINITE else low, None if high == _FINITE else high
    return check_number(value, name, Range(over=least, most=most) if open_low else Range(least=least, most=most))


def as_whole(value: Any, name: str, low: int, high: int) -> int:
    """Check a whole number against its range, both ends included; InputError names it."""
    return value if type(value) is int and low <= value <= high else check_whole(value, name, Range(low, most=high))


def as_numbers(values: Any, name: str, count: int, low: float = -_FINITE, high: float = _FINITE,
               open_low: bool = False) -> tuple[float, ...]:
    """Check `count` finite numbers, each against the range of as_number; InputError for another count."""
    if type(values) is tuple and len(values) == count:
        for value in values:
            if not (type(value) in _NUMBERS and low < value < high):
                break
        else:
            return values  # the usual case
    return tuple(as_number(value, name, low, high, open_low) for value in _items(values, name, count))


def as_choice(value: Any, name: str, choices: Sequence[str]) -> str:
    """Return the text if it is one of the choices; InputError otherwise."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name}: found {shown(value)}, expected one of {', '.join(choices)}")
    return value


def as_size(values: Any, name: str = "size") -> tuple[int, int]:
    """Check (width, height) in px: whole numbers from 1 to MOST_SIDE."""
    width, height = (as_whole(value, name, 1, MOST_SIDE) for value in _items(values, name, 2))
    return width, height


def _items(values: Any, name: str, count: int) -> Sequence[Any]:
    if isinstance(values, np.ndarray) and values.ndim == 1:
        values = values.tolist()
    if not isinstance(values, (tuple, list)) or len(values) != count:
        raise InputError(f"{name}: found {shown(values)}, expected {count} numbers")
    return values
