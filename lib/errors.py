"""The exception for bad input: a file, a key or a value that the reader of the message can correct.

Also what its messages are made of: names that are safe to print, and numbers with their bounds.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Sized
from dataclasses import dataclass
from typing import SupportsFloat


class InputError(ValueError):
    """An input of the user is wrong.

    The message is one line that names what is wrong and where (file, line or key), what was found, what was
    expected and, where it helps, what to do. Tools print it after `error:` and exit 2, without a traceback.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(shortened(printable(str(message))))


def shortened(text: str, most: int = 1000) -> str:
    """The text without its middle where it is longer than `most` characters: a damaged file can have any name in it.

    Examples:
        >>> shortened("a.txt: expected a face, found " + "x" * 80, 40)
        'a.txt: expected a face, f[...]xxxxxxxxxx'
    """
    end = most // 4
    return text if len(text) <= most else f"{text[:most - end - 5]}[...]{text[len(text) - end:]}"


def printable(text: str) -> str:
    r"""The text on one line that any output takes: unprintable characters become escapes.

    File names may hold line ends, codes that move the cursor, or bytes that are not UTF-8 (as lone surrogates).

    Examples:
        >>> printable("caf\udce9 \n Zoë"), printable("사진.jpg")
        ('caf\\udce9 \\n Zoë', '사진.jpg')
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shown(value: object) -> str:
    """A value for a message: the first 200 characters of its repr, or what it is where that would be huge.

    Examples:
        >>> shown(2.5), shown("x" * 500)[-9:], shown(10 ** 5000), shown([0] * 100_000)
        ('2.5', 'xxxxxx...', 'a number of 16610 bits', 'an object of type list and length 100000')
    """
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()  # a number of NumPy, without its type
    kind = type(value).__name__
    try:
        if isinstance(value, int) and value.bit_length() > 1000:
            return f"a number of {value.bit_length()} bits"
        if isinstance(value, str | bytes):
            value = value[:200]
        if isinstance(value, Sized) and len(value) > 10_000:
            return f"an object of type {kind} and length {len(value)}"
        text = repr(value)
    except Exception:  # of a class of others, or a list that holds such an int
        return f"an object of type {kind}"
    return text if len(text) <= 200 else text[:200] + "..."


@dataclass(frozen=True)
class Range:
    """Numbers between two bounds; a bound that is None does not exist. NaN and infinity are in no range.

    Attributes:
        least: lowest allowed number.
        over: allowed numbers are greater than this.
        most: highest allowed number.
        below: allowed numbers are less than this.
    """

    least: float | None = None
    over: float | None = None
    most: float | None = None
    below: float | None = None

    def __contains__(self, number: float) -> bool:
        return abs(number) <= sys.float_info.max and not (  # an int may be larger than any float
            (self.least is not None and number < self.least) or (self.over is not None and number <= self.over)
            or (self.most is not None and number > self.most) or (self.below is not None and number >= self.below))

    def __str__(self) -> str:
        """Words such as `from 0 to 1`; empty without bounds."""
        if self.least is not None and self.most is not None:
            return f"from {self.least} to {self.most}"
        words = {"at least": self.least, "more than": self.over, "at most": self.most, "less than": self.below}
        return " and ".join(f"{word} {bound}" for word, bound in words.items() if bound is not None)


FRACTION = Range(least=0, most=1)
"""Scores and other fractions."""
POSITIVE_FRACTION = Range(over=0, most=1)
"""IoU from which boxes match, and precision."""


def check_number(value: SupportsFloat, name: str, bounds: Range = FRACTION) -> float:
    """Check a number against its bounds.

    Args:
        value: the number, also of NumPy.
        name: of the argument or option, for the message.
        bounds: the numbers that are allowed.

    Returns:
        The number as a float.

    Raises:
        InputError: it is no number, or out of bounds, or NaN.

    Examples:
        >>> check_number(0.5, "score")
        0.5
    """
    try:
        number = math.nan if isinstance(value, str | bytes | bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if number not in bounds:
        raise InputError(f"{name} is {shown(value)}, expected a number{f' {bounds}' if str(bounds) else ''}")
    return number


def check_whole(value: object, name: str, bounds: Range = Range(least=0)) -> int:
    """Check a whole number as `check_number` does; 3.0 is not one, as it is none for an index."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or number not in bounds:
        raise InputError(f"{name} is {shown(value)}, expected a whole number{f', {bounds}' if str(bounds) else ''}")
    return number
