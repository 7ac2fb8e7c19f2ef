"""The runtime of the page: ONNX Runtime for browsers, fetched by npm into the user's cache. It is not in the package.

npm/package-lock.json pins each file by its hash. Only the files that the page loads are kept.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from .. import locks
from ..errors import InputError, shortened
from ..progress import print_line

PINNED = Path(__file__).parent / "npm"
INPUTS = ("package.json", "package-lock.json")
# A loader, and a WebAssembly module with its own loader.
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
WEBGPU_FILES = ("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm")
KEPT = FILES + WEBGPU_FILES
SECONDS = 900  # of npm, for some 30 MB


def cache_folder() -> Path:
    """Where this user's programs keep what can be fetched again."""
    if os.environ.get("XDG_CACHE_HOME"):
        base = Path(os.environ["XDG_CACHE_HOME"])
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return base / "manyfaces" / "web"


def runtime_folder() -> Path | None:
    """The folder of KEPT in the user's cache; None before `fetch_runtime`."""
    folder = cache_folder() / _version()
    return folder if all((folder / name).is_file() for name in KEPT) else None


def fetch_runtime() -> Path:
    """The folder of KEPT, by `npm ci` where they are not there yet.

    Raises:
        InputError: npm is missing or fails; says what to do.
    """
    folder = runtime_folder()
    if folder:
        return folder
    npm = shutil.which("npm")
    if npm is None:
        raise InputError("npm is not installed; it fetches the page's runtime (onnxruntime-web) once. Install Node.js "
                         "20 or newer (https://nodejs.org, or apt install npm) and run this again, or use `manyfaces "
                         "serve`, which needs no npm")
    folder = cache_folder() / _version()
    locks.hold(folder)
    place = folder / "npm"
    try:
        print_line(f"fetching the page's runtime (onnxruntime-web, about 150 MB on disk for a moment) into {folder}")
        shutil.rmtree(place, ignore_errors=True)  # of a fetch that was killed
        place.mkdir()
        for name in INPUTS:
            shutil.copyfile(PINNED / name, place / name)
        _install(npm, place)
        source = place / "node_modules" / "onnxruntime-web" / "dist"
        for name in KEPT:
            if not (source / name).is_file():
                raise InputError(f"npm ci ended, but onnxruntime-web holds no {name}; run this again")
        for name in KEPT:
            os.replace(source / name, folder / name)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        locks.release(folder)
    return folder


def _install(npm, place):
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, errors="replace", timeout=SECONDS,
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise InputError(f"npm ci has not finished within {SECONDS} s; check the network and run this again") from None
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        cause = next((line for line in lines if "code" not in line), lines[0] if lines else "without a message")
        raise InputError(f"npm ci failed (exit code {done.returncode}): {shortened(cause, 300)}; check the network and "
                         "the registry of npm (npm config get registry), and run this again")


def _version():
    """Name of the folder: changes with what is pinned and what is kept."""
    content = b"".join((PINNED / name).read_bytes() for name in INPUTS) + "".join(KEPT).encode()
    return hashlib.sha256(content).hexdigest()[:16]
