"""Files that are written atomically: next to their place first, then flushed to disk and renamed."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: str | os.PathLike, suffix: str = "", sync: bool = True) -> Iterator[Path]:
    """Give a temporary path next to `path` to a writer that needs a file name.

    On success the temporary file replaces `path`; otherwise it is removed and `path` is unchanged. Missing folders are
    made.

    Args:
        path: the file to write.
        suffix: an ending that the writer requires, such as `.weights.h5`.
        sync: flush to disk before the rename. Without it, the old or the new content survives the death of the
            process, but not that of the machine: for thousands of small files that can be made again.

    Raises:
        OSError: the file cannot be written, for example on a full disk; it names `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part{suffix}")
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


def write_whole(path: str | os.PathLike, data: bytes, sync: bool = True) -> None:
    """Write bytes to `path` so that it always has either its old or its new content; see whole_file."""
    with whole_file(path, sync=sync) as temporary:
        temporary.write_bytes(data)
