"""SOURCE on the command line: a folder, a list, Parquet files or tar shards, here or at an address."""

from __future__ import annotations

import glob
import os
import re

import pyarrow as pa
import pyarrow.compute as pc

from ...datasets.roidb import IMAGE_EXTENSIONS, OTHER_EXTENSIONS
from ...datasets.text import read_list
from ...errors import InputError, shown
from .in_parquet import parquet_items
from .in_tar import tar_items
from .items import FILES, PARQUET, TAR, Source, as_table, file_item
from .places import files_in, is_address, is_folder

IMAGES = IMAGE_EXTENSIONS + OTHER_EXTENSIONS
ENDINGS = {TAR: (".tar",), PARQUET: (".parquet", ".pq")}
PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip")
EXPECTED = ("expected a folder of images, of .tar or of .parquet files, one such file, a pattern such as "
            "'shards/*.tar', or a text file that lists images")


def find_source(source: str, root: str | None = None, image_column: str | None = None,
                path_column: str | None = None) -> Source:
    """Find all images of a source.

    Args:
        source: as the command line names it; EXPECTED says what it may be.
        root: folder of the relative paths in a list or in Parquet files; None: the folder of that file.
        image_column, path_column: columns of Parquet files; None: they are found by name and type.

    Returns:
        The Source; each path in its table is there once.

    Raises:
        InputError: it is nothing of this, holds no image, or an option does not go with it.
    """
    address = source if is_address(source) else os.path.abspath(source)
    kind, files, notes, listed = _files_of(source, address)
    if kind != PARQUET and (image_column or path_column):
        raise InputError(f"{source}: --image-column and --path-column are for Parquet files")
    if root and (kind == TAR or kind == FILES and not listed):
        raise InputError(f"{source}: --root is for the relative paths in a list or in Parquet files")
    if kind == TAR:
        items = [item for file in files for item in tar_items(file, IMAGES, notes)]
        return _checked(Source(address, kind, as_table(items), notes=notes), "it", repeats=False)
    if kind == PARQUET:
        items, column, own_names = parquet_items(files, root, image_column, path_column)
        held = Source(address, kind if column else FILES, as_table(items), column, notes)
        return _checked(held, "column " + (path_column or "of paths"), repeats=not (column and own_names))
    if listed:
        files = _of_list(source, files, root or os.path.dirname(address))
    return _checked(Source(address, kind, as_table(list(map(file_item, files))), notes=notes), "it", repeats=listed)


def _files_of(source: str, address: str) -> tuple[str, list[str], list[str], bool]:
    """(kind, files, notes, whether the files are the lines of a list)."""
    lower = address.lower()
    if lower.endswith(PACKED):
        raise InputError(f"{source}: is compressed; expected shards as .tar, whose members can be read in any order: "
                         f"unpack it once (images hardly become smaller by it)")
    if is_folder(address):
        return (*_in_folder(source, files_in(address, IMAGES + ENDINGS[TAR] + ENDINGS[PARQUET])), False)
    for kind, endings in {**ENDINGS, FILES: IMAGES}.items():
        if lower.endswith(endings) and (is_address(address) or os.path.isfile(address)):
            return kind, [address], [], False
    if not is_address(address) and os.path.isfile(address):
        return FILES, read_list(address), [], True
    files = [] if is_address(address) else [os.path.abspath(path) for word in _without_braces(source)
                                            for path in sorted(glob.glob(word, recursive=True)) if os.path.isfile(path)]
    if not files:
        raise InputError(f"{source}: {'nothing matches it' if glob.has_magic(source) else 'no such file or folder'}; "
                         f"{EXPECTED}")
    return (*_in_folder(source, [file for file in files if file.lower().endswith(IMAGES + sum(ENDINGS.values(), ()))]),
            False)


def _in_folder(source: str, files: list[str]) -> tuple[str, list[str], list[str]]:
    """(kind, the files of that kind, notes)."""
    kinds = {kind: [file for file in files if file.lower().endswith(endings)]
             for kind, endings in {FILES: IMAGES, **ENDINGS}.items()}
    there = {kind: found for kind, found in kinds.items() if found}
    if not there:
        raise InputError(f"{source}: holds no image, no .tar and no .parquet; {EXPECTED}")
    kind = next(iter(there))
    notes = [f"{source}: the {len(found):,} {other} files beside the {'images' if kind == FILES else kind + ' files'} "
             f"are left out; name them as a source of their own" for other, found in there.items() if other != kind]
    return kind, there[kind], notes


def _without_braces(pattern: str) -> list[str]:
    """shard-000.tar, shard-001.tar of shard-{000..001}.tar, as names of shards are often given."""
    match = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if not match:
        return [pattern]
    first, last = int(match[1]), int(match[2])
    if last - first > 1_000_000:
        raise InputError(f"{pattern}: more than a million files; give their folder")
    return [word for number in range(first, last + 1)
            for word in _without_braces(f"{pattern[:match.start()]}{number:0{len(match[1])}d}{pattern[match.end():]}")]


def _of_list(source: str, lines: list[str], root: str) -> list[str]:
    """Full paths of the lines of a list; InputError where none of the first hundred is there."""
    paths = [line if is_address(line) else os.path.normpath(os.path.join(os.path.abspath(root), line))
             for line in lines]
    first = [path for path in paths[:100] if not is_address(path)]
    if len(first) == min(len(paths), 100) and not any(map(os.path.exists, first)):
        found = (f"none of its first {len(first)} lines is a file: {shown(lines[0])} would be {first[0]}; with --root "
                 f"DIR relative paths begin there" if first else "the file is empty")
        raise InputError(f"{source}: {found}; {EXPECTED}")
    return paths


def _checked(source: Source, where: str, repeats: bool) -> Source:
    """The source with each path once. `repeats`: one that comes again is the same image, and left out with a note."""
    table = source.table
    if not table.num_rows:
        raise InputError(f"{source.address}: holds no image")
    counts = pc.value_counts(table["path"]).flatten()
    again = pc.sum(pc.subtract(counts[1], 1)).as_py()
    if not again:
        return source
    example = counts[0].filter(pc.greater(counts[1], 1))[0].as_py()
    if not repeats:
        raise InputError(f"{source.address}: {where} names {again:,} images as others, the first is {shown(example)}; "
                         f"rows are told apart by it" + ("; give another --path-column, or --path-column '' to number "
                                                         "the rows" if source.kind == PARQUET else ""))
    seen: set[str] = set()
    first = [not (path in seen or seen.add(path)) for path in table["path"].to_pylist()]  # type: ignore[func-returns-value]
    source.table = table.filter(pa.array(first))
    source.notes.append(f"{source.address}: names {again:,} images again, such as {shown(example)}; each counts once")
    return source
