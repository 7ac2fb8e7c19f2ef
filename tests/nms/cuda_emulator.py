"""nms_kernel.cu on a CPU: compiled as C++ with emulator.h, and launched by a stand-in for CuPy.

The stand-in has what gpu_nms.py uses of CuPy, and is stricter: memory that was not written is poisoned, a launch checks
the type of each argument and the alignment of its memory, and that nothing around it was written. No array of it turns
into one of NumPy unasked.
"""

import ctypes
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np

SOURCE = Path(__file__).resolve().parents[2] / "lib" / "nms" / "nms_kernel.cu"
HEADER = Path(__file__).with_name("emulator.h")
COMPILER = shutil.which("g++")
POISON = 0xA5
ORDERS = ("forward", "backward", "interleaved")  # Order of emulator.h
TYPES = {"int": np.int32, "u32": np.uint32, "double": np.float64, "float*": np.float32, "float4*": np.float32,
         "u64*": np.uint64, "i64*": np.int64, "int*": np.int32, "Work*": np.int32}
MOST_THREADS, MOST_ROWS = 1024, 65535  # of a block, and of a grid, on every GPU


def build(source, folder):
    """Compile the kernels of a source: Kernels."""
    code, types = [HEADER.read_text(encoding="utf-8"), source.replace('extern "C" __global__', "__global__")], {}
    for kernel, parameters in re.findall(r'extern "C" __global__ void (\w+)\(([^)]*)\)', source):
        types[kernel] = [" ".join(each.replace("const ", "").split()[:-1]) for each in parameters.split(",")]
        call = ", ".join(f"*({kind}*)with[{place}]" for place, kind in enumerate(types[kernel]))
        code.append(f'extern "C" int run_{kernel}(unsigned columns, unsigned rows, unsigned threads, int order, '
                    f"void** with) {{ return run_grid([](void** with) {{ {kernel}({call}); }}, with, columns, rows, "
                    "threads, order); }")
    (folder / "emulated.cpp").write_text("\n".join(code), encoding="utf-8")
    subprocess.run([COMPILER, "-std=c++17", "-O1", "-w", "-ffp-contract=off", "-U_FORTIFY_SOURCE", "-shared", "-fPIC",
                    "-o", "emulated.so", "emulated.cpp"], check=True, cwd=folder)
    library = ctypes.CDLL(str(folder / "emulated.so"))
    return SimpleNamespace(run={kernel: getattr(library, f"run_{kernel}") for kernel in types}, types=types,
                           mutant=ctypes.c_int.in_dll(library, "mutant"))


class Stuck(RuntimeError):
    """A launch that would never end."""


class CardError(RuntimeError):
    """CUDARuntimeError of the stand-in."""


def memory(count, dtype):
    """An array of this many poisoned numbers, aligned as memory of CUDA is, and the bytes before and after it."""
    size = count * np.dtype(dtype).itemsize
    room = np.full(size + 512, POISON, np.uint8)
    start = 256 - room.ctypes.data % 256
    return room[start:start + size].view(dtype), (room[:start], room[start + size:])


class Array:
    """An array on the emulated card: cupy.ndarray."""

    def __init__(self, card, values, around=()):
        self.card, self.values, self.around = card, values, around

    shape, dtype, ndim, size = (property(lambda self, name=name: getattr(self.values, name))
                                for name in ("shape", "dtype", "ndim", "size"))

    def __len__(self):
        return len(self.values)

    def __getitem__(self, where):
        return Array(self.card, self.values[where])

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __dlpack_device__(self):
        return 2, self.card.number

    def __dlpack__(self, stream=None, max_version=None, copy=None):
        return self.values

    def copy(self):
        return Array(self.card, self.values.copy())

    def reshape(self, *shape):
        return Array(self.card, self.values.reshape(*shape))

    def sort(self):
        assert self.values.flags.c_contiguous
        self.values.sort()

    def get(self):
        self.card.waits += 1
        return self.values.copy()


class Card:
    """The module cupy on a machine with one emulated GPU.

    Attributes:
        order: one of ORDERS, in which blocks and threads run.
        waits: how often the host waited for the card.
        launched: names of the kernels, in their order.
    """

    ndarray = Array

    def __init__(self, kernels, order="forward", capability="75"):
        self.kernels, self.order, self.number = kernels, order, 0
        self.waits, self.launched, self.sources = 0, [], []
        card = self

        class Device:
            compute_capability, id = capability, 0

            def __init__(self, number=None):
                assert number in (None, card.number)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                return None

            def synchronize(self):
                card.waits += 1

        self.cuda = SimpleNamespace(Device=Device, runtime=SimpleNamespace(
            getDeviceCount=lambda: 1, getDeviceProperties=lambda number: {"name": b"Emulated"},
            CUDARuntimeError=CardError))

    def empty(self, shape, dtype):
        values, around = memory(int(np.prod(shape)), dtype)
        return Array(self, values.reshape(shape), around)

    def zeros(self, shape, dtype):
        array = self.empty(shape, dtype)
        array.values[...] = 0
        return array

    def asarray(self, values):
        assert isinstance(values, np.ndarray)
        array = self.empty(values.shape, values.dtype)
        array.values[...] = values
        return array

    def ascontiguousarray(self, array, dtype):
        with np.errstate(over="ignore", invalid="ignore"):
            return Array(self, np.ascontiguousarray(array.values, dtype=dtype))

    def from_dlpack(self, array):
        kind, number = array.__dlpack_device__()
        assert (kind, number) == (2, self.number)
        return Array(self, np.asarray(array.__dlpack__(stream=1, max_version=(1, 0), copy=None)))

    def RawModule(self, *, code, options, backend):  # noqa: N802 (CuPy's name)
        assert type(code) is str and type(options) is tuple and backend == "nvrtc"
        self.sources.append(code)
        return SimpleNamespace(get_function=self._function)

    def _function(self, name):
        run, types = self.kernels.run[name], self.kernels.types[name]

        def launch(blocks, threads, arguments):
            self.launched.append(name)
            held = [_argument(*pair) for pair in zip(arguments, types, strict=True)]
            pointers = (ctypes.c_void_p * len(held))(*(each.ctypes.data for each in held))
            columns, rows = (*blocks, 1)[:2]
            assert all(type(size) is int and size > 0 for size in (*blocks, *threads)) and len(threads) == 1
            assert threads[0] <= MOST_THREADS and rows <= MOST_ROWS
            code = run(columns, rows, threads[0], ORDERS.index(self.order), pointers)
            if code:
                raise Stuck(f"{name}: its threads wait for ever" if code == 1 else f"{name}: {blocks}, {threads}")
            if any((edge != POISON).any() for each in arguments for edge in getattr(each, "around", ())):
                raise CardError(f"{name}: wrote outside of an array")

        return launch


def _argument(value, kind):
    """An array that holds what a kernel is given: the number itself, or the address of its memory."""
    if not kind.endswith("*"):
        assert type(value) is TYPES[kind], (value, kind)
        return np.array([value])
    assert isinstance(value, Array) and value.dtype == TYPES[kind] and value.values.flags.c_contiguous, (value, kind)
    address = value.values.ctypes.data
    assert address % (16 if kind == "float4*" else value.dtype.itemsize) == 0
    return np.array([address], np.uint64)
