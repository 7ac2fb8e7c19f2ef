"""Non-maximum suppression: hard, hard by the smaller area, and soft.

Each function exists twice: compiled for the CPU (cpu_nms.pyx, cpu_min_nms.pyx, cpu_soft_nms.pyx), and as a NumPy twin
(reference.py). The twin states the rule, and is used where nothing could be compiled. There is no version for the GPU.
"""

from ..compiled import warn_not_compiled

try:
    from .cpu_min_nms import min_nms
    from .cpu_nms import nms
    from .cpu_soft_nms import soft_nms

    COMPILED = True
except ImportError:
    from .reference import min_nms, nms, soft_nms

    COMPILED = False
    warn_not_compiled()

__all__ = ["COMPILED", "min_nms", "nms", "soft_nms"]
