"""nms_kernel.cu compiles for every GPU that it is meant for: by NVIDIA's own compiler, which needs no GPU.

CuPy cannot compile without a driver, so NVRTC is called by ctypes, where one of its wheels is installed
(`pip install nvidia-cuda-nvrtc-cu12`, 217 MB).
"""

import ctypes
import importlib.util
import re
from pathlib import Path

import pytest
from cuda_emulator import SOURCE

from manyfaces.nms.gpu_nms import OPTIONS

FIRST = 75  # CUDA 13 starts here
CARDS = {75: "T4, RTX 20", 80: "A100", 86: "RTX 30", 89: "L4, RTX 40", 90: "H100, H200", 100: "B200", 120: "RTX 50"}


def libraries():
    """The NVRTC libraries in wheels of NVIDIA."""
    try:
        found = importlib.util.find_spec("nvidia")
    except ModuleNotFoundError:
        return []
    folders = list(found.submodule_search_locations or []) if found else []
    return sorted(path for folder in folders for path in Path(folder).glob("**/libnvrtc.so.1[0-9]"))


@pytest.fixture(scope="module")
def nvrtc():
    paths = libraries()
    if not paths:
        pytest.skip("NVRTC is not installed here: pip install nvidia-cuda-nvrtc-cu12 (217 MB)")
    return ctypes.CDLL(str(paths[-1]))


def text_of(nvrtc, program, what):
    size = ctypes.c_size_t()
    assert getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)) == 0
    text = ctypes.create_string_buffer(size.value)
    assert getattr(nvrtc, f"nvrtcGet{what}")(program, text) == 0
    return text.raw


@pytest.mark.parametrize("capability", CARDS)
def test_nvrtc_compiles_the_kernels(nvrtc, capability):
    program, source = ctypes.c_void_p(), SOURCE.read_bytes()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"nms_kernel.cu", 0, None, None) == 0
    options = [f"--gpu-architecture=sm_{capability}", *OPTIONS]
    code = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(
        *(option.encode() for option in options)))
    log = text_of(nvrtc, program, "ProgramLog").decode()
    assert code == 0 and "warning" not in log, log
    binary = text_of(nvrtc, program, "CUBIN")
    kernels = re.findall(rb"__global__ void (\w+)", source)
    assert binary[:4] == b"\x7fELF" and len(kernels) == 8 and all(name in binary for name in kernels)
