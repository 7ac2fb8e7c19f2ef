"""Non-maximum suppression: hard, hard by the smaller area, and soft.

Each function exists twice: compiled for the CPU (cpu_nms.pyx, cpu_min_nms.pyx, cpu_soft_nms.pyx), and as a NumPy twin
(reference.py). The twin states the rule, and is used where nothing could be compiled. Hard suppression also exists for
NVIDIA GPUs (gpu_nms.py, nms_kernel.cu).
"""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from ..compiled import warn_not_compiled

try:
    from .cpu_min_nms import min_nms
    from .cpu_nms import nms as cpu_nms
    from .cpu_soft_nms import soft_nms

    COMPILED = True
except ImportError:
    from .reference import min_nms, soft_nms
    from .reference import nms as cpu_nms

    COMPILED = False
    warn_not_compiled()

__all__ = ["COMPILED", "cpu_nms", "min_nms", "nms", "soft_nms"]


def nms(boxes: ArrayLike, scores: ArrayLike, threshold: float, limit: int | None = None, device: str = "cpu") -> Any:
    """Greedy hard suppression: keep the best box, drop the boxes with an IoU > threshold with it, repeat with the rest.

    A box without area has IoU 0 with every box, so it is kept. Every device keeps the same boxes, to the bit.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 in px, as float32 or converted to it.
        scores: (N,), higher is better; equal scores are taken in the order of their index.
        threshold: IoU, 0..1.
        limit: largest number of boxes that are kept; None = no limit.
        device: "cpu"; "cuda", an NVIDIA GPU by CuPy; or "auto", the GPU for arrays that are on one, and for many boxes
            (gpu_nms.AUTO_FROM) where a GPU is ready. The GPU takes arrays on it of any package that speaks DLPack, such
            as TensorFlow, JAX, PyTorch and CuPy.

    Returns:
        Indices of the kept boxes, best score first: (K,) intp. For arrays on a GPU: a CuPy array (K,) int64 there,
            which `torch.from_dlpack` and its like take without a copy.

    Raises:
        InputError: a shape is wrong, a score is NaN, a corner is not finite, a number is out of range, or the device is
            unknown or missing.

    Examples:
        >>> nms([[0, 0, 10, 10], [2, 0, 12, 10], [4, 0, 14, 10]], [0.9, 0.8, 0.7], 0.5).tolist()
        [0, 2]
    """
    if type(device) is not str or device != "cpu":
        from . import gpu_nms

        if gpu_nms.chosen(device, boxes):
            return gpu_nms.nms(boxes, scores, threshold, limit)
    return cpu_nms(boxes, scores, threshold, limit)
