"""Images in tar shards, as WebDataset has them: a shard is indexed once, then its members are read in any order."""

from __future__ import annotations

import os
import posixpath
import tarfile
from typing import Any

from ...datasets.images import ImageError
from .items import Item, as_text
from .places import open_place, size_of

CUT_SHORT = "cut short, the shard ends before it; copy it again"


def tar_items(file: str, endings: tuple[str, ...], notes: list[str]) -> list[Item]:
    """An Item per image of a shard, in its order. Hidden members are left out, such as macOS' ._x.jpg.

    Where a name comes twice the last member counts, as when the shard is unpacked. A shard that cannot be read to its
    end has one more Item, with its error.

    Args:
        file: path or address of the shard.
        endings: of the names of images, in lower case.
        notes: gets a line for names that come twice.
    """
    place, start = os.fsencode(file), as_text(file)
    found: dict[str, Item] = {}
    files: dict[str, tuple[int, int]] = {}  # of each regular member, for links to it
    again, problem = 0, ""
    try:
        length = size_of(file)
        with open_place(file) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                if member.isreg():
                    files[posixpath.normpath(member.name)] = member.offset_data, member.size
                elif not (member.islnk() or member.issym()):
                    continue
                if not member.name.lower().endswith(endings) or any(
                        part.startswith(".") and part != "." for part in member.name.split("/")):
                    continue
                path = f"{start}/{as_text(member.name.removeprefix('./'))}"
                again += path in found
                found[path] = _item(path, place, member, files, length)
    except (OSError, tarfile.TarError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        problem = f"{start}: cannot be read as a tar file after {len(files):,} members ({reason}); copy it again"
    if again:
        notes.append(f"{file}: names {again:,} members again; the last of a name counts, as when it is unpacked")
    return [*found.values(), *([Item(start, place, error=problem)] if problem else [])]


def _item(path: str, place: bytes, member: tarfile.TarInfo, files: dict[str, tuple[int, int]], length: int) -> Item:
    """The Item of a member, or of the one that it is a link to."""
    if member.isreg():
        offset, size = member.offset_data, member.size
    else:  # the name in a symbolic link is relative to its folder
        folder = posixpath.dirname(member.name) if member.issym() else ""
        offset, size = files.get(posixpath.normpath(posixpath.join(folder, member.linkname)), (-1, 0))
    if offset < 0 or member.sparse is not None:
        what = "a sparse member" if member.sparse is not None else "a link to no earlier member"
        return Item(path, place, offset, size, f"{path}: {what} of the shard")
    return Item(path, place, offset, size, f"{path}: {CUT_SHORT}" if offset + size > length else None)


def member_bytes(stream: Any, item: Item) -> bytes:
    """The bytes of a member of an open shard; several threads may call it. ImageError where it is shorter now."""
    at, size = item.at or 0, item.size or 0
    data = os.pread(stream.fileno(), size, at) if hasattr(stream, "fileno") else stream.read_at(size, at)
    if len(data) < size:
        raise ImageError(f"{item.path}: {CUT_SHORT}")
    return data
