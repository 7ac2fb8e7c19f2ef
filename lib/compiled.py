"""The warning that compiled modules are missing and NumPy twins are used: once per process."""

import warnings

_warned = False


def warn_not_compiled() -> None:
    """Warn, the first time only, that NumPy twins replace compiled modules, and how to get those."""
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            "manyfaces is not compiled: its NumPy twins are used, with the same results but many times slower. Install "
            "a C compiler, then `pip install .` again, or `python setup.py build_ext --inplace` in a working copy.",
            RuntimeWarning, stacklevel=3)
