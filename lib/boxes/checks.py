"""What every function of this folder asks of its arguments, in one place, so that a compiled function and its twin
refuse the same input with the same words."""

import numpy as np

from ..errors import InputError


def as_array(array, name, *shape):
    """The argument as a contiguous float32 array of the given shape (None = any length); InputError when it is none.

    An empty list counts as an array of no rows.
    """
    array = np.ascontiguousarray(array, dtype=np.float32)
    if array.shape == (0,) and shape[0] is None:
        array = array.reshape(0, *(side or 0 for side in shape[1:]))
    if array.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, array.shape, strict=True)):
        wanted = ", ".join("N" if side is None else str(side) for side in shape)
        raise InputError(f"{name}: found an array of shape {array.shape}, expected ({wanted})")
    return array


def as_boxes(boxes, name="boxes"):
    """Boxes as contiguous (N, 4) float32; InputError for another shape."""
    return as_array(boxes, name, None, 4)


def same_length(first, second, names):
    if len(first) != len(second):
        raise InputError(f"{names[0]} and {names[1]}: found {len(first)} and {len(second)} rows, expected as many")


def check_fraction(value, name, low=0.0, high=1.0, open_low=False):
    """A float between low and high, low itself left out on request; InputError otherwise (NaN too)."""
    value = float(value)
    if not (low <= value <= high) or (open_low and value == low):
        bracket = "(" if open_low else "["
        raise InputError(f"{name}: found {value}, expected a number in {bracket}{low:g}, {high:g}]")
    return value
