"""Build: the package `manyfaces` lives in lib/, and every lib/**.pyx is a compiled module.

A module that does not compile is left out: its NumPy twin is used, with one warning. The rest of the metadata is in
pyproject.toml. `python setup.py build_ext --inplace` and `pip install -e .` compile in the working tree.
MANYFACES_PORTABLE=1 leaves out instructions that only this machine may have, for wheels that run on other machines.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup


def compile_args():
    """Options of the compiler: optimised, without fused multiply-add, which would round differently from the twins."""
    if sys.platform == "win32":
        return ["/O2", "/fp:precise"]
    native = [] if os.environ.get("MANYFACES_PORTABLE") == "1" else ["-march=native"]
    return ["-O3", "-g0", "-ffp-contract=off", *native]


def extensions():
    """One Extension per .pyx; none, with a line on stderr, when Cython is missing."""
    try:
        from Cython.Build import cythonize
    except ImportError:
        print("manyfaces: Cython is not installed, nothing is compiled; NumPy twins are used", file=sys.stderr)
        return []
    sources = [
        Extension("manyfaces." + ".".join(path.with_suffix("").parts[1:]), [path.as_posix()],
                  extra_compile_args=compile_args())
        for path in sorted(Path("lib").rglob("*.pyx"))
    ]
    modules = cythonize(sources, compiler_directives={
        "language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True, "initializedcheck": False})
    for extension in modules:
        extension.optional = True  # set here because cythonize drops it; a failing compiler is then a warning
    return modules


setup(
    packages=["manyfaces", *(f"manyfaces.{name}" for name in find_packages("lib"))],
    package_dir={"manyfaces": "lib"},
    package_data={"manyfaces": ["py.typed", "pretrained/*", "pretrained/*/*.onnx", "pretrained/*/*.h5",
                                "pretrained/*/*.json", "evaluation/report/html/*.css"]},
    exclude_package_data={"": ["*.c"]},  # made by Cython, not needed once compiled
    ext_modules=extensions(),
    options={"build_ext": {"parallel": os.cpu_count()}},
    zip_safe=False,
)
