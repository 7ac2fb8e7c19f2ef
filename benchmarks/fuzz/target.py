"""What is tried: sound files and the function that reads them, and what the result must be."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .mutations import mutate_bytes, pick

MOST = 1 << 24  # bytes of a damaged file: what is read takes memory in proportion to its file


@dataclass
class Target:
    """Files that a reader reads.

    Attributes:
        name: of the target.
        kind: the row of the table that counts it.
        share: how many inputs it gets, compared with the others.
        make: the sound files, name -> bytes.
        read: reads a folder that holds them; InputError is a refusal.
        mutate: (rng, bytes, head) -> bytes.
        head: bytes at the start of a file that are hit more often.
        keep: parts of names of files that are not damaged.
        exact: the file has a checksum, so what is read must be what was saved, whatever was damaged.
        check: (value) -> what is wrong with it, or None.
        refusals: exceptions that are refusals.
    """

    name: str
    kind: str
    share: float
    make: Callable[[], dict[str, bytes]]
    read: Callable[[Path], Any]
    mutate: Callable = mutate_bytes
    head: int = 0
    keep: tuple[str, ...] = ()
    exact: bool = False
    check: Callable[[Any], str | None] = lambda value: not_finite(value)
    refusals: tuple[type[Exception], ...] = ()

    def damaged(self, rng: np.random.Generator, sound: dict[str, bytes]) -> dict[str, bytes]:
        """The files with one of them damaged, or removed, or empty."""
        name = pick(rng, [name for name in sound if not any(part in name for part in self.keep)])
        files = dict(sound)
        if rng.random() < 0.01:
            del files[name]
        else:
            files[name] = b"" if rng.random() < 0.01 else self.mutate(rng, files[name], self.head)[:MOST]
        return files

    def wrong(self, value: Any, sound: Any) -> str | None:
        """What is wrong with a value that was read, or None."""
        if self.exact and not same(value, sound):
            return "what was read is not what was saved"
        return self.check(value)


def parts(value: Any) -> Iterator[Any]:
    """The leaves of nested containers, arrays as they are; of dicts also the keys, of lists the length."""
    stack = [value]  # they may be nested deeper than Python calls
    while stack:
        value = stack.pop()
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = vars(value)
        if isinstance(value, dict):
            value = [item for pair in value.items() for item in pair]
        if isinstance(value, (list, tuple)):
            yield len(value)
            stack += value[::-1]
        else:
            yield value


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, NaN being equal to NaN; arrays also in type and shape."""
    ones, others = list(parts(one)), list(parts(other))
    return len(ones) == len(others) and all(map(_equal, ones, others))


def _equal(one, other):
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return (isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and one.dtype == other.dtype
                and one.shape == other.shape and np.array_equal(one, other, equal_nan=one.dtype.kind in "fc"))
    return type(one) is type(other) and (one == other or one != one and other != other)


def not_finite(value: Any) -> str | None:
    """Names a number that is not finite."""
    for leaf in parts(value):
        if isinstance(leaf, (float, np.floating)) and not np.isfinite(leaf):
            return f"found {leaf}"
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f" and not np.isfinite(leaf).all():
            return "an array holds numbers that are not finite"
    return None
