"""Hard non-maximum suppression on an NVIDIA GPU: nms_kernel.cu, compiled and launched by CuPy.

CuPy compiles the kernels for the GPU when they are first used, by NVRTC, and keeps the result in its own cache. Nothing
here imports CuPy before a call. `nms` gives the boxes of reference.nms; `bitmask_nms` is the textbook's way, with n * n
bits, to compare its time and its boxes with.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..boxes.checks import as_array, as_boxes, as_choice, as_number, check_kind, fitted, same_length
from ..errors import InputError
from .reference import check_limit, check_nms

DEVICES = ("cpu", "cuda", "auto")
AUTO_FROM = 20_000
"""Boxes in host memory from which "auto" takes the GPU.

This is an estimate: where a GPU passes the CPU was not measured, since none was available. `tools/benchmark.py nms
--device cuda` measures it.
"""

INSTALL = ("pip install 'manyfaces[cuda]' (a machine with CUDA 13: pip install 'cupy-cuda13x[ctk]', and never both), "
           "or use device='cpu'")
OLDEST = 70  # compute capability 7.0: before, lanes that took different branches need not meet in __any_sync
MOST = 1 << 30  # boxes: ranks and slots are 32 bits
BLOCK, SWEEP = 128, 1024  # threads
WORK = 11  # 32-bit words of `Work` in nms_kernel.cu; the first two are `wrong` and `kept`
WORD = 64  # bits
ON_GPU = (2, 13)  # DLPack's kinds of device: CUDA, and CUDA's managed memory
ON_CPU = (1, 3)  # host memory, also pinned by CUDA
OPTIONS = ("--std=c++17", "--fmad=false")  # of NVRTC; the twin rounds a product before it adds


# --------------------------------------------------------------------------- which device


def chosen(device: str, boxes: Any) -> bool:
    """Whether the GPU has the work.

    Args:
        device: one of DEVICES. "auto" means the GPU for arrays that are on one, and for AUTO_FROM boxes or more where a
            GPU is ready.
        boxes: what the caller of `nms` gave.

    Raises:
        InputError: the device is none of DEVICES.
    """
    as_choice(device, "device", DEVICES)
    if device != "auto":
        return device == "cuda"
    if place_of(boxes) is not None:
        return True
    try:
        count = len(boxes)
    except TypeError:
        return False  # the CPU's checks say what is wrong with it
    return count >= AUTO_FROM and not lacking()


def place_of(array: Any) -> int | None:
    """The number of the GPU that an array is on, by DLPack; None: it is in host memory, or no array."""
    if isinstance(array, np.ndarray) or not hasattr(array, "__dlpack_device__"):
        return None
    try:
        kind, number = map(int, array.__dlpack_device__())
    except Exception as error:  # of the package that the array is of, as for one that is spread over several GPUs
        raise InputError(f"found an array of {type(array).__module__} without one place ({str(error)[:150]}), expected "
                         "it in host memory or on one GPU") from None
    if kind not in ON_CPU + ON_GPU:
        raise InputError(f"found an array of {type(array).__module__} on a device of DLPack's kind {kind}, expected "
                         "host memory or an NVIDIA GPU")
    return number if kind in ON_GPU else None


@cache
def lacking() -> str:
    """Why this process has no GPU for NMS, and what to do; empty where it has one."""
    try:
        import cupy
    except ImportError as error:
        return f"CuPy cannot be imported ({str(error).strip().partition(chr(10))[0]}): {INSTALL}"
    try:
        capability = int(cupy.cuda.Device().compute_capability) if cupy.cuda.runtime.getDeviceCount() else 0
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return (f"CuPy finds no GPU ({error}): it needs an NVIDIA GPU and its driver (nvidia-smi lists them), or use "
                "device='cpu'")
    if capability < OLDEST:
        found = f"compute capability {capability / 10}" if capability else "none"
        return f"it needs an NVIDIA GPU of compute capability {OLDEST / 10} or later, found {found}: use device='cpu'"
    try:
        _kernel(cupy, "suppress")
    except Exception as error:  # of NVRTC, or of its library that is missing
        return (f"CuPy cannot compile the kernels ({' '.join(str(error).split())[:300]}): NVRTC comes with the extra "
                "(pip install 'manyfaces[cuda]') and with the CUDA toolkit, or use device='cpu'")
    return ""


# --------------------------------------------------------------------------- suppression


def nms(boxes: ArrayLike, scores: ArrayLike, threshold: float, limit: int | None = None) -> Any:
    """Greedy hard suppression on the GPU; see reference.nms.

    The host waits for the GPU once, at the end.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 in px; an array in host memory, or on a GPU one of any package that speaks DLPack.
        scores: (N,), higher is better, in the same place.
        threshold: IoU, 0..1.
        limit: largest number of boxes that are kept; None = no limit.

    Returns:
        Indices of the kept boxes, best score first: (K,) intp in host memory for arrays from there, else a CuPy array
        (K,) int64 on the same GPU.

    Raises:
        InputError: as reference.nms; CuPy or a GPU is missing; the arrays are in two places.
    """
    return _on_gpu(boxes, scores, threshold, limit, _buckets)


def bitmask_nms(boxes: ArrayLike, scores: ArrayLike, threshold: float, limit: int | None = None) -> Any:
    """Do what `nms` does, with the same result, by a matrix of n * n bits: 1.25 GB for 100,000 boxes."""
    return _on_gpu(boxes, scores, threshold, limit, _bitmask)


def _on_gpu(boxes, scores, threshold, limit, suppress):
    if problem := lacking():
        raise InputError(f"device is 'cuda', but {problem}")
    import cupy

    place = place_of(boxes)
    if place_of(scores) != place:
        raise InputError("boxes and scores: found them in two places (host memory, or different GPUs), expected one")
    with cupy.cuda.Device(place):
        if place is None:
            boxes, scores = as_boxes(boxes), as_array(scores, "scores", None)
        else:
            boxes, scores = _taken(cupy, boxes, "boxes", None, 4), _taken(cupy, scores, "scores", None)
        same_length(boxes, scores, ("boxes", "scores"))
        threshold, limit = as_number(threshold, "threshold", 0, 1), check_limit(limit, len(boxes))
        if len(boxes) > MOST:
            raise InputError(f"boxes: found {len(boxes)} rows, expected at most {MOST} on a GPU")
        if not len(boxes):
            return np.empty(0, np.intp) if place is None else cupy.empty(0, np.int64)
        corners, ranking = (boxes, scores) if place is not None else (cupy.asarray(boxes), cupy.asarray(scores))
        indices, work = _indices(cupy, corners, ranking, threshold, limit, suppress)
        wrong, kept = work[:2].get().tolist()
        if wrong:
            check_nms(corners.get(), ranking.get())  # raises what the CPU raises
            raise RuntimeError(f"the GPU reports values {wrong} that the CPU does not find")
        return indices[:kept].get().astype(np.intp, copy=False) if place is None else indices[:kept].copy()


def _taken(cupy, array, name, *shape):
    """An array that is on the GPU as CuPy's, float32 and contiguous; without a copy where it is so already."""
    try:
        try:
            array = cupy.from_dlpack(array)
        except RuntimeError:
            array = cupy.from_dlpack(_WithoutStream(cupy, array))
    except Exception as error:  # of any package: a type that CuPy lacks, or gradients that must be kept
        raise InputError(f"{name}: CuPy cannot take this array of {type(array).__module__} by DLPack "
                         f"({str(error)[:150]})") from None
    check_kind(array, name)
    return cupy.ascontiguousarray(fitted(array, name, shape), dtype=np.float32)


class _WithoutStream:
    """An array whose package gives it to no stream, as TensorFlow: the whole GPU is waited for."""

    def __init__(self, cupy: Any, array: Any) -> None:
        self.cupy, self.array = cupy, array

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()

    def __dlpack__(self, **_: Any) -> Any:
        capsule = self.array.__dlpack__()
        self.cupy.cuda.Device(place_of(self.array)).synchronize()
        return capsule


@cache
def _kernel(cupy, name):
    """A kernel of nms_kernel.cu, which CuPy compiles for each GPU when it is first used there."""
    source = Path(__file__).with_name("nms_kernel.cu").read_text(encoding="utf-8")
    return cupy.RawModule(code=source, options=OPTIONS, backend="nvrtc").get_function(name)


def _launch(cupy, name, blocks, threads, *arguments):
    _kernel(cupy, name)(blocks if isinstance(blocks, tuple) else (blocks,), (threads,), arguments)


def _indices(cupy, corners, scores, threshold, limit, suppress):
    """The result in an array of `limit` numbers, of which work[1] count, and the `Work`; both may still be computed."""
    count = len(corners)
    blocks, number = -(-count // BLOCK), np.int32(count)
    slots = np.uint32(max(16, 1 << (count - 1).bit_length()))
    work, keys = cupy.zeros(WORK, np.int32), cupy.empty(count, np.uint64)
    ranked, cells = cupy.empty((count, 4), np.float32), cupy.empty(count, np.uint64)
    verdicts, kept_in = cupy.empty(count, np.int32), cupy.empty(blocks, np.int32)
    indices = cupy.empty(limit, np.int64)
    _launch(cupy, "score_keys", blocks, BLOCK, corners, scores, number, keys, work)
    keys.sort()
    _launch(cupy, "place", blocks, BLOCK, corners, keys, number, slots, ranked, cells, verdicts, work)
    suppress(cupy, ranked, cells, slots, np.float64(threshold), verdicts, work)
    _launch(cupy, "count_kept", blocks, BLOCK, verdicts, number, kept_in)
    _launch(cupy, "gather", blocks, BLOCK, keys, verdicts, kept_in, number, np.int32(limit), indices, work)
    return indices, work


def _buckets(cupy, ranked, cells, slots, threshold, verdicts, work):
    number, starts = np.int32(len(ranked)), cupy.empty(int(slots) + 1, np.int32)
    cells.sort()
    _launch(cupy, "find_starts", int(slots) // BLOCK + 1, BLOCK, cells, number, slots, starts)
    _launch(cupy, "suppress", -(-len(ranked) // BLOCK), BLOCK, ranked, cells, starts, number, slots, threshold,
            verdicts, work)


def _bitmask(cupy, ranked, cells, slots, threshold, verdicts, work):
    count, words = len(ranked), -(-len(ranked) // WORD)
    mask, removed = cupy.empty(count * words, np.uint64), cupy.zeros(words, np.uint64)
    _launch(cupy, "pair_mask", (words, words), WORD, ranked, np.int32(count), np.int32(words), threshold, mask)
    _launch(cupy, "sweep", 1, SWEEP, mask, np.int32(count), np.int32(words), removed, verdicts)
