"""Images in Parquet files, as paths or as bytes; also as the struct of bytes and path that data set hubs use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import InputError
from .items import Item, as_text
from .places import is_address, open_place, size_of

IMAGE_NAMES = ("image", "bytes", "jpg", "jpeg", "png", "img", "content")
PATH_NAMES = ("path", "file", "file_name", "filename", "file_path", "filepath", "image_path", "image", "uri", "url",
              "key", "__key__", "id", "name")
BATCH = 16  # rows that are in memory together, besides the pages that Parquet decodes at once


def parquet_items(files: Sequence[str], root: str | None, image_column: str | None,
                  path_column: str | None) -> tuple[list[Item], str | None, bool]:
    """The images of Parquet files. A file that cannot be read is one Item with its error.

    Args:
        files: paths or addresses.
        root: folder of relative paths; None: that of each file.
        image_column, path_column: names; None: found by type and name; an empty path_column: rows are numbered.

    Returns:
        (items, the column of the images or None where one has their paths, whether the ids are values of a column).

    Raises:
        InputError: no file can be read, they have other columns than one another, or it is not clear which to use.
    """
    items: list[Item] = []
    chosen: tuple[str | None, str | None] | None = None
    first = ""
    for file in files:
        place, start = os.fsencode(file), as_text(file)
        try:
            size = size_of(file)
            with open_place(file) as stream, pq.ParquetFile(stream) as table:
                columns = _columns(file, table.schema_arrow, image_column, path_column)
                if chosen not in (None, columns):
                    raise InputError(f"{file}: has the columns {_in_words(columns)}, but {first} has "
                                     f"{_in_words(chosen)}; give --image-column and --path-column, or one source each")
                chosen, first = columns, first or file
                names = [None] * table.metadata.num_rows
                if columns[1]:
                    names = table.read([columns[1]])[columns[1]].to_pylist()
        except (OSError, pa.ArrowException) as error:
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
            items.append(Item(start, place, error=f"{start}: cannot be read as a Parquet file ({reason})"))
            continue
        width = len(str(len(names)))
        folder = root or (file.rpartition("/")[0] if is_address(file) else os.path.dirname(file))
        for row, name in enumerate(names):
            number = f"{start}/{row:0{width}d}"
            if columns[0]:
                items.append(Item(number if name is None else as_text(name), place, row, size))
            elif name is None:
                items.append(Item(number, place, error=f"{number}: the column {columns[1]} is empty there"))
            else:
                path = name if is_address(name) else _below(folder, name)
                text = as_text(path)
                items.append(Item(text, None if text == path else os.fsencode(path)))
    if chosen is None:
        raise InputError(items[0].error if items else "no Parquet file")
    return items, chosen[0], bool(chosen[1])


def _below(folder, name):
    return f"{folder}/{name}" if is_address(folder) else os.path.normpath(os.path.join(os.path.abspath(folder), name))


def _columns(file: str, schema: pa.Schema, image: str | None, path: str | None) -> tuple[str | None, str | None]:
    """(column of images or None, column of paths or None)."""
    images = [field.name for field in schema if _holds_images(field.type)]
    texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    there = ", ".join(f"{field.name} ({field.type})" for field in schema)[:300]
    for option, name, able in (("--image-column", image, images), ("--path-column", path, texts)):
        if name and name not in able:
            raise InputError(f"{file}: {option} {name}: expected one of {', '.join(able) or 'none'}; the columns are "
                             f"{there}")
    if image is None:
        image = images[0] if len(images) == 1 else _by_name(images, IMAGE_NAMES)
        if images and image is None:
            raise InputError(f"{file}: its images may be {' or '.join(images)}; give --image-column")
    if path is None:
        path = _by_name(texts, PATH_NAMES) or (texts[0] if len(texts) == 1 and not image else None)
    if not image and not path:
        raise InputError(f"{file}: has no column of image bytes and no clear one of paths; give --image-column or "
                         f"--path-column; the columns are {there}")
    return image or None, path or None


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(child.name == "bytes" and _holds_images(child.type) for child in kind)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _by_name(names, known):
    return next((name for word in known for name in names if name.lower() == word), None)


def _in_words(columns):
    return " and ".join(f"{name or 'none'} ({what})" for name, what in zip(columns, ("images", "paths"), strict=True))


def images_in_rows(file: str, column: str, rows: Sequence[int]) -> Iterator[bytes | str | None]:
    """The image of each row (numbers that rise) of a Parquet file; a few are in memory at a time.

    Yields:
        Bytes; a path where a struct has only that; None where the row is empty.

    Raises:
        OSError: the file cannot be read.
    """
    with open_place(file) as stream, pq.ParquetFile(stream, buffer_size=1 << 20, pre_buffer=False) as table:
        wanted, row, last = iter(rows), 0, max(rows)
        next_row = next(wanted)
        for group in range(table.num_row_groups):
            count = table.metadata.row_group(group).num_rows
            if row + count <= next_row:
                row += count
                continue
            for batch in table.iter_batches(BATCH, row_groups=[group], columns=[column]):
                while row <= next_row < row + batch.num_rows:
                    yield _image(batch.column(0)[next_row - row].as_py(), file)
                    if next_row == last:
                        return
                    next_row = next(wanted)
                row += batch.num_rows


def _image(value, file):
    if not isinstance(value, dict):
        return value
    if value["bytes"] is None and value.get("path"):
        return _below(file.rpartition("/")[0], value["path"])
    return value["bytes"]
