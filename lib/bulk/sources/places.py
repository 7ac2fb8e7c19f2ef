"""Files by path, or by an address such as s3://bucket/name, which pyarrow reads itself or through fsspec."""

from __future__ import annotations

import functools
import os
from typing import IO, Any

import pyarrow as pa
from pyarrow import fs

from ...datasets.folders import files_below
from ...datasets.images import ImageError
from ...errors import InputError


def is_address(place: str) -> bool:
    """Whether a text is an address (scheme://...) and no path."""
    return "://" in place


@functools.lru_cache(maxsize=256)
def _host(start: str) -> tuple[fs.FileSystem, str]:
    """(file system, path of its top) of `scheme://host`."""
    try:
        system, top = fs.FileSystem.from_uri(f"{start}/")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as unknown:  # not one of pyarrow's own
        try:
            from fsspec.core import url_to_fs

            other, top = url_to_fs(f"{start}/")
        except ImportError:
            raise InputError(f"{start}: pyarrow does not read such addresses ({' '.join(str(unknown).split())[:100]}); "
                             f"pip install fsspec, and the package that fsspec names for it") from None
        except ValueError as error:
            raise InputError(f"{start}: neither pyarrow nor fsspec reads such addresses ({error})") from None
        system = fs.PyFileSystem(fs.FSSpecHandler(other))
    return system, top.rstrip("/")


def _resolved(address: str) -> tuple[fs.FileSystem, str]:
    scheme, _, rest = address.partition("://")
    host, _, path = rest.partition("/")
    system, top = _host(f"{scheme}://{host}")
    return system, f"{top}/{path}"


def open_place(place: str) -> IO[bytes] | Any:
    """Open a file for reading at any offset.

    Raises:
        OSError: it cannot be read.
    """
    if not is_address(place):
        return open(place, "rb")
    system, path = _resolved(place)
    return system.open_input_file(path)


def image_at(place: str) -> str | bytes:
    """What the readers of images take: a path as it is, of an address the bytes of its file.

    Raises:
        ImageError: the address cannot be read.
    """
    if not is_address(place):
        return place
    try:
        with open_place(place) as file:
            return file.read()
    except FileNotFoundError:
        raise ImageError(f"{place}: no such file") from None
    except OSError as error:
        raise ImageError(f"{place}: cannot be read ({' '.join(str(error).split())[:200]})") from None


def size_of(place: str) -> int:
    """Bytes of a file. Raises OSError where there is none."""
    if not is_address(place):
        return os.path.getsize(place)
    system, path = _resolved(place)
    info = system.get_file_info(path)
    if info.type != fs.FileType.File:
        raise FileNotFoundError(2, "No such file", place)
    return info.size


def is_folder(place: str) -> bool:
    """Whether a folder is there."""
    if not is_address(place):
        return os.path.isdir(place)
    system, path = _resolved(place)
    return system.get_file_info(path.rstrip("/") or path).type == fs.FileType.Directory


def files_in(folder: str, endings: tuple[str, ...]) -> list[str]:
    """The files below a folder that end in one of these lower-case endings; links are followed, hidden ones left out.

    Returns:
        Sorted paths, with "/"; the folder with its own name is their beginning.
    """
    if not is_address(folder):
        return [os.path.join(folder, *name.split("/")) for name in files_below(folder, endings)]
    system, path = _resolved(folder)
    top = path.rstrip("/")
    names = [info.path[len(top):].lstrip("/") for info in system.get_file_info(fs.FileSelector(top, recursive=True))
             if info.type == fs.FileType.File and info.path.lower().endswith(endings)]
    return [f"{folder.rstrip('/')}/{name}" for name in sorted(names)
            if not any(part.startswith(".") for part in name.split("/"))]
