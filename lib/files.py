"""Files that appear whole or not at all: written beside, flushed to disk, renamed."""

import contextlib
import os
import threading
from pathlib import Path


@contextlib.contextmanager
def whole_file(path, suffix="", sync=True):
    """A path beside `path` for a writer that wants a name; on success it takes the place of `path`, else it goes.

    suffix: an ending that the writer insists on, such as `.weights.h5`. Without sync the old or the new content
    survives the death of the process, but not that of the machine: for thousands of small files that can be made
    again. Folders are made. Raises OSError as the writing does, for a full disk for example, and leaves what was there.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part{suffix}")
    try:
        yield beside
        if sync:
            with open(beside, "rb+") as file:
                os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        if error.errno is None:
            raise
        # A write that fails does not know its file, and the name beside it says nothing to the user.
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from None
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def write_whole(path, data, sync=True):
    """Write bytes to `path` so that it has either its old or its new content, whatever happens on the way."""
    with whole_file(path, sync=sync) as beside:
        beside.write_bytes(data)
