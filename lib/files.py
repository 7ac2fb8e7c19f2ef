"""Files that are written atomically: next to their place first, then flushed to disk and renamed."""

from __future__ import annotations

import contextlib
import glob
import os
import socket
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

LONGEST = 80  # bytes of a name in a temporary name
_parts: set[str] = set()
"""Real paths of the temporary files that this process is writing."""


@contextlib.contextmanager
def whole_file(path: str | os.PathLike, suffix: str = "", sync: bool = True) -> Iterator[Path]:
    """Give a temporary path next to `path` to a writer that needs a file name.

    On success the temporary file replaces `path`; otherwise it is removed and `path` is unchanged. Missing folders are
    made.

    Args:
        path: the file to write.
        suffix: an ending that the writer requires, such as `.weights.h5`.
        sync: flush to disk before the rename, and remove first what killed processes left of this file. Without it,
            the old or the new content survives the death of the process, but not that of the machine: for thousands of
            small files that can be made again.

    Raises:
        OSError: the file cannot be written, for example on a full disk; it names `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    start = f".{short_name(path.name)}.{zlib.crc32(socket.gethostname().encode()):08x}."
    if sync:
        _remove_dead(path.parent, start)
    temporary = path.with_name(f"{start}{os.getpid()}.{threading.get_ident()}.part{suffix}")
    written = os.path.realpath(temporary)
    _parts.add(written)
    try:
        yield temporary
        if sync:
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is None:
            raise
        # A failed write does not know its file, and the temporary name means nothing to the user.
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
        _parts.discard(written)


def lives(process: int) -> bool:
    """Whether a process of this host exists. On Windows the question would end it, so the answer is yes."""
    try:
        if os.name != "nt":
            os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass  # it is of another user
    return True


def _remove_dead(folder, start):
    """Remove the temporary files that ended processes of this host left: `start`, PID.THREAD.part."""
    for path in folder.glob(f"{glob.escape(start)}*.part*"):
        process = path.name[len(start) :].split(".")[0]
        if process.isdigit() and (int(process) == os.getpid() or not lives(int(process))):
            _remove(path)


def _remove(path):
    """Remove a temporary file that this process is not writing; a folder, which an export makes, stays."""
    if os.path.realpath(path) not in _parts:
        with contextlib.suppress(OSError):
            path.unlink()


def identity(path: str | os.PathLike) -> tuple[int, int] | None:
    """(device, number) of a file or folder, which another of its name does not have; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def short_name(name: str) -> str:
    """A name that leaves room for what is added to it, and that every library takes.

    A file system takes 255 bytes, some take 143, and OpenCV takes only UTF-8.
    """
    data = os.fsencode(name)
    short = data[:LONGEST].decode("utf-8", "ignore")
    return short if short == name else f"{short}.{zlib.crc32(data):08x}"


def write_whole(path: str | os.PathLike, data: bytes | str, sync: bool = True) -> None:
    """Write bytes or text to `path` so that it always has either its old or its new content; see whole_file.

    Text is written as UTF-8. A byte of a file name that is not UTF-8 becomes an escape, which JSON reads back.
    """
    with whole_file(path, sync=sync) as temporary:
        temporary.write_bytes(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)


def remove_parts(folder: str | os.PathLike) -> None:
    """Remove the temporary files in a folder that killed processes left there.

    The caller holds the folder (manyfaces.locks), so no other process is writing there. Those of this process stay.
    """
    for path in Path(folder).glob(".*.part*"):
        _remove(path)


def append_whole(path: str | os.PathLike, data: bytes, sync: bool = False) -> None:
    """Append bytes to a file, all of them or none. A missing file is made, in a folder that exists.

    Args:
        sync: flush to disk.

    Raises:
        OSError: they cannot be written, for example on a full disk; it names `path`.
    """
    try:
        with open(path, "ab", buffering=0) as file:
            size, rest = file.seek(0, os.SEEK_END), memoryview(data)
            try:
                while rest:  # a disk that becomes full takes the first bytes
                    rest = rest[file.write(rest) :]
                if sync:
                    os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from None
