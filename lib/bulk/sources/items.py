"""The list of a source's images as an Arrow table: compact for millions, and the same for the same source."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa

FILES, TAR, PARQUET = "files", "tar", "parquet"
SCHEMA = pa.schema([
    ("path", pa.large_string()),  # the id: full path or address; of an image in a container, its name there after "/"
    ("place", pa.large_binary()),  # the file to open, where that is not `path`
    ("at", pa.int64()),  # TAR: offset of the bytes; PARQUET: number of the row
    ("size", pa.int64()),  # TAR: number of bytes; PARQUET: bytes of the whole file, to notice another one
    ("error", pa.large_string()),  # why it is known already that it cannot be read
])


class Item(NamedTuple):
    """One image of a source; the fields are the columns of SCHEMA."""

    path: str
    place: bytes | None = None
    at: int | None = None
    size: int | None = None
    error: str | None = None

    @property
    def file(self) -> str:
        """The path or address to open."""
        return self.path if self.place is None else os.fsdecode(self.place)


@dataclass
class Source:
    """The images of a source, in an order that does not change.

    Attributes:
        address: absolute path or address, as it was named.
        kind: FILES, TAR or PARQUET.
        table: of SCHEMA.
        image_column: of Parquet files, the column that holds the images.
        notes: lines for the user.
    """

    address: str
    kind: str
    table: pa.Table
    image_column: str | None = None
    notes: list[str] = field(default_factory=list)


def as_text(path: str) -> str:
    r"""A path as a text that Parquet holds: bytes that are not UTF-8 become escapes.

    Examples:
        >>> as_text("caf\udce9.jpg")
        'caf\\xe9.jpg'
    """
    return path if path.isascii() else os.fsencode(path).decode("utf-8", "backslashreplace")


def file_item(path: str) -> Item:
    """The Item of an image that is a file of its own."""
    text = as_text(path)
    return Item(text, None if text == path else os.fsencode(path))


def as_table(items: list[Item]) -> pa.Table:
    """The table of a list of items."""
    columns = zip(*items, strict=True) if items else [[] for _ in SCHEMA]
    return pa.Table.from_arrays([pa.array(column, kind.type) for column, kind in zip(columns, SCHEMA, strict=True)],
                                schema=SCHEMA)


def items_of(table: pa.Table) -> Iterator[Item]:
    """The items of (a slice of) a table."""
    return map(Item, *(column.to_pylist() for column in table.columns))
