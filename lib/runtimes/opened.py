"""What the sessions of all runtimes share: a copy, or a session in another process, is opened from its file again."""

from __future__ import annotations

import os
from typing import Any

from .files import absolute, check_stamp, stamp


class FileSession:
    """Base of the sessions. A subclass passes on the arguments that it was made with.

    A session in memory cannot be copied. So pickle and copy.deepcopy take its file and its options.
    """

    def __init__(self, path: str | os.PathLike, *options: Any) -> None:
        self._opened = absolute(path), *options
        self._stamp = stamp(self._opened[0])

    def __reduce__(self) -> tuple:
        return _open_again, (type(self), self._stamp, self._opened)


def _open_again(session, before, arguments):
    check_stamp(before, arguments[0])
    return session(*arguments)
