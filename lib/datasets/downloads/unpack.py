"""Unpacking an archive: only below its folder, and each file complete or not at all."""

from __future__ import annotations

import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ...errors import InputError
from ...files import write_whole
from .table import File

CHUNK = 1 << 20


def unpack(file: File, folder: str | os.PathLike) -> int:
    """Unpack a fetched archive into its folder.

    Args:
        file: a row of the table; its `members` are taken, or all.
        folder: holds the archive, and gets what is in it.

    Returns:
        The number of files that were written.

    Raises:
        InputError: the archive is damaged, a wanted member is missing, or a name leads out of the folder.
    """
    path, folder = Path(folder) / file.name, Path(folder)
    written, wanted = 0, dict(file.members)
    root = os.path.realpath(folder)
    try:
        if not file.checksum:
            _read_whole(path, file.unpack)
        for name, stream in _members(path, file.unpack):
            if file.members and name not in wanted:
                continue
            target = folder / (wanted.pop(name) if file.members else name)
            if os.path.commonpath([root, os.path.realpath(target)]) != root:
                raise InputError(f"{path}: its file {name} would be written outside {folder}; the archive is not what "
                                 f"it should be")
            write_whole(target, stream.read(), sync=False)
            written += 1
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError) as error:
        raise InputError(f"{path}: cannot be unpacked ({error}); delete it and run the command again") from None
    if wanted:
        raise InputError(f"{path}: has no {', '.join(wanted)}; the archive has changed, unpack it by hand")
    return written


def _read_whole(path: Path, kind: str) -> None:
    """Read an archive to its end, so that nothing is written of one that is damaged."""
    try:
        for _, stream in _members(path, kind):
            while stream.read(CHUNK):
                pass
    except OSError as error:  # a wrong checksum of gzip, or a place before the beginning of the file
        raise EOFError(str(error)) from error


def _members(path: Path, kind: str) -> Iterator[tuple[str, IO[bytes]]]:
    return _zip(path) if kind == "zip" else _tar(path)


def _zip(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir() and not member.filename.startswith("__MACOSX/"):
                with archive.open(member) as stream:
                    yield member.filename, stream


def _tar(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None:
                with stream:
                    yield member.name, stream
        while archive.fileobj and archive.fileobj.read(CHUNK):
            pass  # behind the last member is gzip's checksum
