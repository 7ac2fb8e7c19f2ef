"""The NMS kernels on the card: all hard cases against the CPU's boxes, arrays of other packages, and times.

With GPU_CHECK_EMULATE the card is that of the tests: the same source, compiled as C++.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from manyfaces.errors import InputError
from manyfaces.files import write_whole
from manyfaces.nms import COMPILED, cpu_nms, gpu_nms

from .. import nms_cuda
from ..candidates import crowd_candidates
from ..nms_cases import COUNT, differing
from ..timing import as_csv
from . import EMULATED

EVERY = 20  # emulated: only every so many cases
FEW = (1_000, 5_000)  # emulated: numbers of boxes of the table
BOXES = 5_000  # of the crowd that arrays of other packages hold


def emulated_card() -> None:
    """Make the tests' stand-in for CuPy the module cupy of this process."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "nms"))
    import cuda_emulator

    with tempfile.TemporaryDirectory() as folder:
        source = cuda_emulator.SOURCE.read_text(encoding="utf-8")
        kernels = cuda_emulator.build(source, Path(folder))
    sys.modules["cupy"] = cuda_emulator.Card(kernels)


def kernels() -> None:
    """All cases by both kernels, and arrays of other packages that are on the card.

    Raises:
        InputError: some boxes differ from the CPU's, or there is no card.
    """
    if EMULATED:
        emulated_card()
    if problem := gpu_nms.lacking():
        raise InputError(problem)
    every = EVERY if EMULATED else 1
    wrong = [f"{name}: {case}" for name, function in (("buckets", gpu_nms.nms), ("bitmask", gpu_nms.bitmask_nms))
             for case in differing(function, every=every)]
    for case in wrong:
        print("differs:", case)
    taken = [] if EMULATED else exchanged()
    if wrong:
        raise InputError(f"{len(wrong)} of {2 * len(range(0, COUNT, every)):,} cases differ, first {wrong[0]}")
    against = "the compiled CPU's" if COMPILED else "the NumPy twin's"
    print(f"{2 * len(range(0, COUNT, every)):,} cases equal to {against}"
          + (f"; arrays of {', '.join(taken)} too" if taken else ""))


def exchanged() -> list[str]:
    """The packages whose arrays on the card were taken without a copy to the host, with the CPU's boxes.

    Raises:
        InputError: the boxes are others.
    """
    boxes, scores = crowd_candidates(BOXES, np.random.default_rng(0))
    expected, names = cpu_nms(boxes, scores, 0.4).tolist(), []
    for name, place in PLACES.items():
        try:
            on_card = [place(array) for array in (boxes, scores)]
        except ImportError:
            continue
        if gpu_nms.nms(*on_card, 0.4).get().tolist() != expected:
            raise InputError(f"arrays of {name}: other boxes than the CPU's")
        names.append(name)
    return names


def _cupy(array):
    import cupy

    return cupy.asarray(array)


def _jax(array):
    import jax

    return jax.device_put(array, jax.devices("gpu")[0])


def _torch(array):
    import torch

    return torch.from_numpy(array).cuda()


PLACES: dict[str, Callable] = {"CuPy": _cupy, "JAX": _jax, "PyTorch": _torch}


def nms() -> None:
    """The table of `tools/benchmark.py nms --device cuda`."""
    if EMULATED:
        emulated_card()
    (table,) = nms_cuda.run(FEW if EMULATED else nms_cuda.COUNTS)
    write_whole("nms.csv", as_csv([table]).encode())
    print(table.text())
    print(f"{table.rows[-1][0]} boxes: {table.rows[-1][-1]} times as fast as the processor")
