"""Checks of the arguments of the box and NMS functions.

A compiled function and its twin share them, so both refuse the same input with the same message.
"""

from __future__ import annotations

from collections.abc import Sized

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError


def as_array(array: ArrayLike, name: str, *shape: int | None) -> np.ndarray:
    """Convert an argument to a contiguous float32 array and check its shape.

    Args:
        array: numbers; an empty list counts as an array without rows.
        name: name of the argument, for the message.
        *shape: expected length of each axis; None = any length.

    Returns:
        float32 array of that shape.

    Raises:
        InputError: the shape is another one.
    """
    array = np.ascontiguousarray(array, dtype=np.float32)
    if array.shape == (0,) and shape[0] is None:
        array = array.reshape(0, *(side or 0 for side in shape[1:]))
    if array.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, array.shape, strict=True)):
        wanted = ", ".join("N" if side is None else str(side) for side in shape)
        raise InputError(f"{name}: found an array of shape {array.shape}, expected ({wanted})")
    return array


def as_boxes(boxes: ArrayLike, name: str = "boxes") -> np.ndarray:
    """Convert boxes to a contiguous (N, 4) float32 array; InputError for another shape."""
    return as_array(boxes, name, None, 4)


def same_length(first: Sized, second: Sized, names: tuple[str, str]) -> None:
    """Raise InputError, with the names of the two arguments, unless both have the same number of rows."""
    if len(first) != len(second):
        raise InputError(f"{names[0]} and {names[1]}: found {len(first)} and {len(second)} rows, "
                         "expected the same number")


def check_finite(boxes: np.ndarray) -> None:
    """Raise InputError that names the first of the (N, 4) boxes with a corner that is not finite."""
    if not np.isfinite(boxes).all():
        row = int(np.flatnonzero(~np.isfinite(boxes).all(axis=1))[0])
        raise InputError(f"boxes: box {row} is {boxes[row].tolist()}, expected finite numbers")


def check_fraction(value: float, name: str, low: float = 0.0, high: float = 1.0, open_low: bool = False) -> float:
    """Check a number against its range.

    Args:
        value: the number.
        name: name of the argument, for the message.
        low: lowest allowed value.
        high: highest allowed value.
        open_low: refuse `low` itself.

    Returns:
        The value as a float.

    Raises:
        InputError: the value is outside the range, or NaN.
    """
    value = float(value)
    if not (low <= value <= high) or (open_low and value == low):
        bracket = "(" if open_low else "["
        raise InputError(f"{name}: found {value}, expected a number in {bracket}{low:g}, {high:g}]")
    return value
