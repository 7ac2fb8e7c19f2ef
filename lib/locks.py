"""One process per folder or file: a lock file that names the process that writes there.

The kernel holds the lock (flock), so it ends with the process, however that ends. Where a file system has no such
locks, the process id in the file decides. Windows has neither: there a second process is not noticed.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import socket
import sys
import time
from typing import Any

from .errors import InputError
from .files import lives, short_name

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"

_held: dict[str, int] = {}
"""Path of a lock file that this process holds -> its file descriptor."""


def hold(place: str | os.PathLike, hint: str = "", is_file: bool = False) -> None:
    """Lock a place for this process, until `release` or the end of the process. Missing folders are made.

    A lock whose process has ended is taken over, with a line on stderr.

    Args:
        place: a folder, which gets the file NAME, or a file, which gets one beside it. It is removed with the lock.
        hint: what else the user can do where another process works there.
        is_file: whether it is a file; it need not exist.

    Raises:
        InputError: another process works there; names its id and its host.
        OSError: the lock file cannot be written.
    """
    path = _lock_file(place, is_file)
    if path in _held or fcntl is None:
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    file, other = _locked(place, path, hint)
    if other:
        print(f"note: {os.fspath(place)}: {_in_words(other)} ended without removing its lock, which is taken over",
              file=sys.stderr, flush=True)
    own = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(own).encode() + b"\n", 0)
    except OSError as error:
        os.close(file)
        raise OSError(error.errno, os.strerror(error.errno or 0), path) from None
    _held[path] = file


def check_free(place: str | os.PathLike, hint: str = "", is_file: bool = False) -> None:
    """Raise what `hold` would raise where another process works in a place, and lock nothing."""
    path = _lock_file(place, is_file)
    if path not in _held and fcntl is not None and os.path.exists(path):
        os.close(_locked(place, path, hint)[0])


def release(place: str | os.PathLike, is_file: bool = False) -> None:
    """Remove the lock that this process holds on a place, if it does."""
    _remove(_lock_file(place, is_file))


def _lock_file(place, is_file):
    path = os.path.realpath(place)
    if not is_file:
        return os.path.join(path, NAME)
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{short_name(name)}{NAME}")


def _locked(place, path, hint):
    """(file descriptor of the lock file, which is locked now; what the process before wrote there)."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        other = _read(file)
        if not _lock(file, other):
            os.close(file)
            raise InputError(f"{os.fspath(place)}: {_in_words(other)} works there; wait for its end or stop it{hint}. "
                             f"If there is no such process, delete {path}")
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(file), os.stat(path)):
                return file, _read(file)
        os.close(file)  # the process before has removed it meanwhile


def _lock(file, other):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:  # this file system has no locks
        return not _lives(other)


def _lives(other: dict[str, Any]) -> bool:
    """Whether the process that a lock file names exists. On another host nothing can be asked, so it does."""
    if not other or other["host"] != socket.gethostname():
        return bool(other)
    return other["pid"] != os.getpid() and lives(other["pid"])


def _read(file):
    """What a lock file says; {} where it says nothing that is known."""
    try:
        other = json.loads(os.pread(file, 1000, 0))
        return {"pid": int(other["pid"]), "host": str(other["host"]), "since": str(other["since"])}
    except (ValueError, KeyError, TypeError, OSError, OverflowError, RecursionError):
        return {}


def _in_words(other):
    if not other:
        return "another process"
    return f"process {other['pid']} on {other['host']} (since {other['since']})"


def _remove(path):
    file = _held.pop(path, None)
    if file is not None:
        with contextlib.suppress(OSError):
            os.unlink(path)  # before it is unlocked, so that nobody locks a file that is about to go
        os.close(file)


@atexit.register
def _remove_all():
    for path in list(_held):
        _remove(path)


def _forget():
    """A child of fork keeps nothing: the lock is the parent's."""
    for file in _held.values():
        os.close(file)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
