"""Build: the package `manyfaces` lives in lib/, and every lib/**.pyx is a compiled module.

A module that does not compile is left out: its NumPy twin is used, with one warning. The rest of the metadata is in
pyproject.toml. There are two kinds of build:

- In the working tree (`python setup.py build_ext --inplace`, `pip install -e .`): for this Python, with all
  instructions of this processor.
- A wheel (`pip wheel .`, `pip install .`): for every CPython from 3.11 on, because it uses only the stable ABI (typed
  memoryviews need the buffer protocol, which is part of it since 3.11), and for every usual processor of the platform.
"""

import os
import platform
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

# Their exported nets are in the wheel. All other nets and all weights for Keras are in the package manyfaces-weights
# (weights_package/), which keeps the wheel below 10 MB.
MODELS = ("ssh_mobilenet_v1_025", "tiny_mobilenet_v1_025", "mtcnn")
STABLE_ABI = not sysconfig.get_config_var("Py_GIL_DISABLED")  # free-threaded Pythons have none


class BuildModules(build_ext):
    """Turns .pyx into C, and chooses between the two kinds of build."""

    def finalize_options(self):
        in_place = bool(self.inplace or self.editable_mode)
        if in_place and self.build_lib is None:
            self.build_lib = os.path.join("build", "in_place")  # a wheel takes all that it finds in its own build_lib
        for module in self.distribution.ext_modules:
            module.optional = True  # a failing compiler is a warning
            module.py_limited_api = STABLE_ABI and not in_place
            module.define_macros = [("Py_LIMITED_API", "0x030b0000")] if module.py_limited_api else []
            module.extra_compile_args = compile_args(native=in_place)
            module.extra_link_args = [] if sys.platform in ("win32", "darwin") else ["-s"]  # no table of symbols
        super().finalize_options()

    def run(self):
        # Not before, so that commands that compile nothing do not wait for it.
        try:
            from Cython.Build import cythonize
        except ImportError:
            print("manyfaces: Cython is not installed, nothing is compiled; NumPy twins are used", file=sys.stderr)
            self.extensions = []
        made = cythonize([Extension(module.name, module.sources) for module in self.extensions], compiler_directives={
            "language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True,
            "initializedcheck": False}) if self.extensions else []
        for module, in_c in zip(self.extensions, made, strict=True):
            module.sources = in_c.sources
        super().run()


def compile_args(native):
    """Options of the compiler: optimised, without fused multiply-add, which would round differently from the twins.

    A wheel takes what NumPy's own wheels for x86-64 need since 2.4: SSE 4.2, which processors have since 2009.
    """
    if sys.platform == "win32":
        return ["/O2", "/fp:precise"]
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    # No trapping math: loops with a condition become vector code, and nobody reads the flags of exceptions. GCC warns
    # of accesses to None's memory in paths of Cython's code that are never taken.
    return ["-O3", "-g0", "-ffp-contract=off", "-fno-trapping-math", "-Wno-array-bounds",
            *(["-march=native"] if native else ["-msse4.2", "-mpopcnt"] if x86 else [])]


def modules():
    """One Extension per .pyx."""
    return [Extension("manyfaces." + ".".join(path.with_suffix("").parts[1:]), [path.as_posix()], depends=["setup.py"])
            for path in sorted(Path("lib").rglob("*.pyx"))]


def shipped():
    """Patterns of the files of lib/pretrained that the wheel holds. The configs and cards of all models are."""
    kinds = ("{}.onnx", "{}.json", "{}/*.onnx", "{}/*.json")
    return ["*.yml", "*.md", *(kind.format(name) for name in MODELS for kind in kinds)]


setup(
    packages=["manyfaces", "manyfaces.cfgs", *(f"manyfaces.{name}" for name in find_packages("lib"))],
    package_dir={"manyfaces": "lib", "manyfaces.cfgs": "cfgs"},
    # Only what is named here: no .pyx, no generated C, no weights for Keras.
    include_package_data=False,
    package_data={"manyfaces": ["py.typed", "datasets/toy/pictures/*", "evaluation/report/html/*.css",
                                "nms/*.cu", "web/page/*", "web/npm/*.json"],
                  "manyfaces.pretrained": shipped(), "manyfaces.cfgs": ["*.yml"]},
    ext_modules=modules(),
    cmdclass={"build_ext": BuildModules},
    options={"build_ext": {"parallel": os.cpu_count()},
             **({"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE_ABI else {})},
    zip_safe=False,
)
