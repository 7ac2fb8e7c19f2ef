"""What is said when compiled modules are missing and NumPy serves: once in a process, by whoever notices first."""

import warnings

_said = False


def warn_not_compiled():
    """Warn, the first time only, that NumPy twins stand in for compiled modules, and how to get those."""
    global _said
    if not _said:
        _said = True
        warnings.warn(
            "manyfaces is not compiled: its NumPy twins serve, with the same results and many times slower. Install a "
            "C compiler, then `pip install .` again, or `python setup.py build_ext --inplace` in a working copy.",
            RuntimeWarning, stacklevel=3)
