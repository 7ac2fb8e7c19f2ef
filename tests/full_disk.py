"""A disk that becomes full, without a disk: the kernel limits the size of each file that this process writes."""

import contextlib

import pytest

resource = pytest.importorskip("resource")


@contextlib.contextmanager
def room_for(size):
    """Within the block no file grows beyond this many bytes: the first bytes of a write get in, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
