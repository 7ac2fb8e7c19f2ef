"""Non-maximum suppression, hard and soft.

Each function exists twice: compiled for the CPU (cpu_nms.pyx, cpu_soft_nms.pyx), and as a NumPy twin (reference.py)
that states the rule and serves where nothing could be compiled. Suppression on the GPU has its place in this folder and
is not there yet.
"""

import warnings

try:
    from .cpu_nms import nms
    from .cpu_soft_nms import soft_nms

    COMPILED = True
except ImportError:
    from .reference import nms, soft_nms

    COMPILED = False
    warnings.warn(
        "manyfaces.nms is not compiled: its NumPy twins serve, many times slower. Install a C compiler and run "
        "`python setup.py build_ext --inplace` in the repository, or `pip install .` again.",
        RuntimeWarning, stacklevel=2)

__all__ = ["COMPILED", "nms", "soft_nms"]
