"""Hard NMS on an NVIDIA GPU: first the cases of nms_cases.py, then times from 1,000 to 1,000,000 boxes.

Beside ours: the CPU, the textbook's matrix of bits (gpu_nms.bitmask_nms), and torchvision where it is installed with
CUDA. The boxes are those of nms.py. Every call is waited for until its result is there.
"""

from collections.abc import Sequence

import numpy as np

from manyfaces.errors import InputError
from manyfaces.nms import COMPILED, cpu_nms, gpu_nms

from .candidates import crowd_candidates
from .nms_cases import COUNT, differing
from .timing import Table, median_ms

COUNTS = (1_000, 5_000, 10_000, 20_000, 100_000, 1_000_000)
THRESHOLD = 0.3
MOST_PAIRS = 100_000  # boxes: a matrix of bits for all pairs has 1.25 GB then
MOST_OF_TWIN = 20_000  # boxes: beyond, the CPU takes minutes where nothing is compiled
COLUMNS = ("CPU", "GPU", "GPU, from and to host", "matrix of bits", "torchvision")
SECONDS = 2.0  # for the calls of one cell, after one to warm up


def run(counts: Sequence[int] = COUNTS) -> list[Table]:
    """Prove the boxes, then time each implementation.

    Args:
        counts: numbers of boxes.

    Returns:
        A list with one Table.

    Raises:
        InputError: there is no usable GPU.
        RuntimeError: a kernel keeps other boxes than the CPU, or torchvision far other ones.
    """
    if problem := gpu_nms.lacking():
        raise InputError(f"device is 'cuda', but {problem}")
    import cupy

    for name, function in (("the kernels", gpu_nms.nms), ("the matrix of bits", gpu_nms.bitmask_nms)):
        if (case := next(differing(function), None)) is not None:
            raise RuntimeError(f"{name}: other boxes than on the CPU, first in {case}")
    torch, rows = with_cuda(), []
    for count in counts if COMPILED else [count for count in counts if count <= MOST_OF_TWIN]:
        boxes, scores = crowd_candidates(count, np.random.default_rng(count))
        kept = cpu_nms(boxes, scores, THRESHOLD)
        there = cupy.asarray(boxes), cupy.asarray(scores)
        calls = {"CPU": lambda: cpu_nms(boxes, scores, THRESHOLD),  # noqa: B023 (called at once, as the others)
                 "GPU": lambda: gpu_nms.nms(*there, THRESHOLD).get(),  # noqa: B023
                 "GPU, from and to host": lambda: gpu_nms.nms(boxes, scores, THRESHOLD)}  # noqa: B023
        if count <= MOST_PAIRS:
            calls["matrix of bits"] = lambda: gpu_nms.bitmask_nms(*there, THRESHOLD).get()  # noqa: B023
        for name, call in calls.items():
            if not np.array_equal(call(), kept):
                raise RuntimeError(f"{name}: other boxes than on the CPU, of {count:,}")
        if torch and count <= MOST_PAIRS:
            calls["torchvision"] = of_torchvision(torch, boxes, scores, kept)
        ms = {name: median_ms(call, 15, SECONDS) for name, call in calls.items()}
        rows.append([f"{count:,}", f"{len(kept):,}", *(f"{ms[name]:.3f}" if name in ms else "" for name in COLUMNS),
                     f"{ms['CPU'] / ms['GPU']:.2f}"])
    faster = [row[0] for row in rows if float(row[-1]) > 1]
    name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()  # bytes
    note = (f"{name}. {COUNT:,} hard cases, and all boxes of this table but torchvision's, are those of the CPU"
            f"{'' if COMPILED else ', which is not compiled here'}. Medians; GPU: the boxes are there already. It is "
            f"faster from {faster[0] if faster else 'no number of'} boxes on. Torchvision computes the IoU in float32.")
    columns = "boxes", "kept", *(f"{name}, ms" for name in COLUMNS), "CPU / GPU"
    return [Table("Non-maximum suppression on a GPU, IoU > 0.3", columns, rows, note, ("numpy", "cupy", "torch"))]


def with_cuda():
    """PyTorch, if it has CUDA and torchvision; else None."""
    try:
        import torch
        import torchvision  # noqa: F401
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


def of_torchvision(torch, boxes, scores, kept):
    """A call of torchvision's NMS on the GPU.

    Raises:
        RuntimeError: it keeps other boxes than `kept`, except for a few that float32 rounds to the other side.
    """
    import torchvision

    boxes, scores = torch.from_numpy(boxes).cuda(), torch.from_numpy(scores).cuda()

    def call():
        return torchvision.ops.nms(boxes, scores, THRESHOLD).cpu().numpy()

    theirs = call()
    if len(np.intersect1d(theirs, kept)) < 0.99 * max(len(kept), len(theirs)):
        raise RuntimeError(f"torchvision keeps other boxes than ours, of {len(boxes):,}")
    return call
