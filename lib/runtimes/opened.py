"""What the sessions of all runtimes share: a copy, or a session in another process, is opened from its file again."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

from ..errors import InputError
from .files import absolute, check_stamp, stamp


class FileSession:
    """Base of the sessions. A subclass passes on the arguments that it was made with.

    A session in memory cannot be copied. So pickle and copy.deepcopy take its file and its options.
    """

    def __init__(self, path: str | os.PathLike, *options: Any) -> None:
        self._opened = absolute(path), *options
        self._stamp = stamp(self._opened[0])

    def _check_outputs(self, facts: Mapping[str, Any], names: Collection[str]) -> None:
        """InputError where the model has not the outputs that its sidecar lists: it is that of another net."""
        listed = [output["name"] for output in facts.get("outputs", ())]
        if absent := [name for name in listed if name not in names]:
            raise InputError(f"{self._opened[0]}: has no output {absent[0]!r}, which its sidecar lists, but "
                             f"{', '.join(sorted(names)[:9])}: the sidecar is that of another model; copy both again")

    def __reduce__(self) -> tuple:
        return _open_again, (type(self), self._stamp, self._opened)


def _open_again(session, before, arguments):
    check_stamp(before, arguments[0])
    return session(*arguments)
