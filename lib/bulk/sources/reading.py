"""The images of a part, from files, shards or rows: read one after the other, or ahead in threads."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...datasets.folders import read_within
from ...datasets.images import ImageError
from .in_parquet import images_in_rows
from .in_tar import member_bytes
from .items import PARQUET, TAR, Item
from .places import image_at, open_place

Stored = tuple[int, Item, Callable[[], Any]]
"""Place in the part, image, and what gives its path or bytes, in any thread."""
Read = tuple[int, np.ndarray | ImageError, tuple[int, int] | None]
"""Place in the part, image, (width, height) px at full size."""


@dataclass(frozen=True)
class Reader:
    """Reads the images of a source.

    Attributes:
        kind, image_column: as in Source.
        max_pixels, limit: as in read_within.
    """

    kind: str
    image_column: str | None
    max_pixels: int = 0
    limit: int = 0

    def decoded(self, stored: Stored) -> Read:
        """Read and decode an image; several threads may call this."""
        place, item, load = stored
        try:
            if item.error:
                raise ImageError(item.error)
            data = load()
            try:
                image, size = read_within(data, self.max_pixels, self.limit)
            except ImageError as error:
                if isinstance(data, bytes):  # the same words as for a file, with the name that it has here
                    raise ImageError(f"{item.path}: {str(error).removeprefix(f'image of {len(data)} bytes: ')}"
                                     ) from None
                raise
            return place, image, size
        except OSError as error:
            reason = error.strerror or " ".join(str(error).split())[:200]
            return place, ImageError(f"{item.path}: cannot be read ({reason})"), None
        except ImageError as error:
            return place, error.with_traceback(None), None

    def stored(self, items: Sequence[Item], stack: contextlib.ExitStack) -> Iterator[Stored]:
        """Yield each image, which is not read yet, or not decoded.

        Args:
            items: the images.
            stack: gets the files that must stay open until all are read.
        """
        if self.kind == TAR:
            yield from self._in_shards(items, stack)
        elif self.kind == PARQUET:
            yield from self._in_rows(items)
        else:
            for place, item in enumerate(items):
                yield place, item, functools.partial(image_at, item.file)

    def _in_shards(self, items, stack):
        streams = {}
        for place, item in enumerate(items):
            if item.file not in streams and not item.error:
                try:
                    streams[item.file] = stack.enter_context(open_place(item.file))
                except OSError as error:
                    streams[item.file] = error
            yield place, item, functools.partial(_member, streams.get(item.file), item)

    def _in_rows(self, items):
        first = 0
        while first < len(items):
            item, last = items[first], first + 1
            while not item.error and last < len(items) and items[last].file == item.file and not items[last].error:
                last += 1
            images = iter(()) if item.error else images_in_rows(item.file, str(self.image_column),
                                                                [each.at for each in items[first:last]])
            failed: BaseException | None = None
            for place in range(first, last):
                data = None
                if not item.error and failed is None:
                    try:
                        data = next(images, None)
                    except (OSError, ValueError) as error:  # pyarrow's errors are of these
                        failed = ImageError(f"{items[place].path}: cannot be read "
                                            f"({' '.join(str(error).split())[:200]})")
                yield place, items[place], functools.partial(_present, failed or data, items[place].path)
            first = last


def _or_raise(value):
    if isinstance(value, BaseException):
        raise value
    return value


def _member(stream, item):
    return member_bytes(_or_raise(stream), item)


def _present(value, name):
    if value is None:
        raise ImageError(f"{name}: the row holds no image")
    return image_at(value) if isinstance(value, str) else _or_raise(value)
