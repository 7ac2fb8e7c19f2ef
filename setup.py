"""Build: the package `manyfaces` lives in lib/, and every lib/**.pyx is a compiled module.

What cannot be compiled is left out, not fatal: NumPy twins serve then and say so once. The rest of the metadata is in
pyproject.toml. `python setup.py build_ext --inplace` compiles in the working tree; `pip install -e .` does so as well.
MANYFACES_PORTABLE=1 leaves out instructions that only this machine may have, for wheels that travel.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup


def compile_args():
    """Optimised, without contraction into fused multiply-add: that would round differently from the twins."""
    if sys.platform == "win32":
        return ["/O2", "/fp:precise"]
    native = [] if os.environ.get("MANYFACES_PORTABLE") == "1" else ["-march=native"]
    return ["-O3", "-g0", "-ffp-contract=off", *native]


def extensions():
    """One Extension for each .pyx; none, with a line that says so, when Cython is missing."""
    try:
        from Cython.Build import cythonize
    except ImportError:
        print("manyfaces: Cython is not installed, nothing is compiled; NumPy twins will serve", file=sys.stderr)
        return []
    found = [
        Extension("manyfaces." + ".".join(path.with_suffix("").parts[1:]), [path.as_posix()],
                  extra_compile_args=compile_args())
        for path in sorted(Path("lib").rglob("*.pyx"))
    ]
    found = cythonize(found, compiler_directives={
        "language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True, "initializedcheck": False})
    for extension in found:
        extension.optional = True  # only here: cythonize drops it. A compiler that fails is then a warning
    return found


setup(
    packages=["manyfaces", *(f"manyfaces.{name}" for name in find_packages("lib"))],
    package_dir={"manyfaces": "lib"},
    package_data={"manyfaces": ["py.typed", "pretrained/*", "evaluation/report/html/*.css"]},
    exclude_package_data={"": ["*.c"]},  # made by Cython on the way; nobody needs them installed
    ext_modules=extensions(),
    options={"build_ext": {"parallel": os.cpu_count()}},
    zip_safe=False,
)
