"""The work of gpu_check.sh: its parts one after the other, each with a time limit, and a table of how they ended.

Nothing but the standard library is imported: on a borrowed machine the package is not there before the part `build`.
The parts that need it are `python -m benchmarks.gpu PART`.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results" / "gpu.csv"
PACKAGE = ("lib", "cfgs", "setup.py", "pyproject.toml", "README.md", "LICENSE")  # what a wheel is made of
EMULATED = "none: emulated on the processor"
COLUMNS = ("table", "row", "column", "value", "versions", "processor", "cores", "card", "driver")
MINUTES, EMULATED_MINUTES = 9.5, 30.0  # of all parts; their limits are for the first, and grow with a longer time
GRACE = 5.0  # s that a part has to end after SIGTERM
LEAST = 5.0  # s without which a part is not begun
WIDTH = 110  # of a note in the summary
MISSING = ("import importlib.util, sys; print(*(name for name in sys.argv[1:] if not importlib.util.find_spec(name)))")


class Part(NamedTuple):
    """One part of the check.

    Attributes:
        seconds: its time limit.
        commands: run one after the other until one fails. What the last one prints last is the note of the summary.
        modules: what must be importable.
        card: whether a card is needed.
        always: whether it runs although --only does not name it.
    """

    name: str
    seconds: float
    commands: Sequence[Sequence[str]]
    modules: Sequence[str] = ()
    card: bool = True
    always: bool = False


class Outcome(NamedTuple):
    """How a part ended: `passed`, `failed`, `timed out`, or `not run`, which has a reason."""

    name: str
    status: str
    seconds: float = 0.0
    note: str = ""


class Interrupted(Exception):
    """SIGTERM or SIGINT has come: the part is ended, and the table of the others is written."""


def fail(text: str) -> NoReturn:
    """End with a message about an argument."""
    print(f"error: {text}", file=sys.stderr)
    sys.exit(2)


# ------------------------------------------------------------ the parts


def all_parts(work: Path, wheels: Path | None, folder: Path | None, emulate: bool) -> list[Part]:
    """The parts in their order, behind `machine`. The last one takes the time that the others leave."""
    python = sys.executable
    quiet = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    install = [python, "-m", "pip", "install", *quiet, "--no-compile", "--upgrade", "--target", str(work / "site")]
    carried = [[*install, *map(str, sorted(wheels.glob("*.whl")))]] if wheels else []
    build = [[python, "-m", "pip", "wheel", *quiet, "--no-build-isolation", "--wheel-dir", ".", "./source"],
             [*install, "--find-links", ".", "manyfaces"], [python, "-m", "benchmarks.gpu", "built"]]

    def ours(name, *words):
        return [[python, "-m", "benchmarks.gpu", name, *words]]

    given = ["--folder", str(folder)] if folder else []
    base = ("numpy", "cv2", "easydict", "yaml")
    nets = (*base, backend(), "keras", "h5py", "scipy", "google_crc32c")
    nms = base if emulate else (*base, "cupy")
    return [*([Part("wheels", 40, carried, ("pip",), card=False, always=True)] if wheels else []),
            Part("build", 100, build, ("pip", "setuptools", "Cython", *base), card=False, always=True),
            Part("kernels", 50, ours("kernels"), nms),
            Part("nms", 60, ours("nms"), nms),
            Part("scenes", 40, ours("scenes"), (*base, "scipy"), card=False),
            Part("losses", 110, ours("losses", *given), nets),
            Part("toy", 80, ours("toy"), nets),
            Part("ssh", 50, ours("ssh", *given), nets),
            Part("speed", 300, ours("speed", *given), nets)]


def backend() -> str:
    """What trains: KERAS_BACKEND."""
    return os.environ.get("KERAS_BACKEND") or "jax"


def environment(work: Path, emulate: bool) -> dict[str, str]:
    """Of the parts. Where the package could not be built, lib/ itself is imported, through work/tree."""
    paths = [str(work / "site"), str(work / "tree"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1",
            "KERAS_BACKEND": backend(), "JAX_COMPILATION_CACHE_DIR": str(work / "compiled"),
            **({"GPU_CHECK_EMULATE": "1", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1",
                "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"} if emulate else {})}


def prepare(work: Path) -> None:
    """Copy what the wheel is made of, without what earlier builds left, and link lib/ for where it cannot be built."""
    leave_out = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "*.c", "*.cpp")
    for name in PACKAGE:
        source, copy = ROOT / name, work / "source" / name
        copy.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=leave_out)
        else:
            shutil.copy(source, copy)
    (work / "tree").mkdir()
    (work / "tree" / "manyfaces").symlink_to(ROOT / "lib")


# ------------------------------------------------------------ running them


def run_parts(parts: Sequence[Part], chosen: Sequence[str], out: Path, work: Path, env: Mapping[str, str],
              minutes: float, first: Outcome, card: tuple[str, str]) -> list[Outcome]:
    """Run the parts; a table of all of them is in OUT/summary.txt after each.

    Args:
        parts: in their order.
        chosen: names of those to run, besides those that always run; empty: all.
        work: their working folder. What they write to NAME.csv there is added to OUT/gpu.csv.
        minutes: of all together.
        first: the outcome of `machine`.
        card: its name and the version of its driver; an empty name: there is none.
    """
    end, outcomes = time.monotonic() + 60 * minutes, [first]
    try:
        for part in parts:
            left = end - time.monotonic()
            if chosen and part.name not in chosen and not part.always:
                outcomes.append(Outcome(part.name, "not run", note="not asked for"))
                continue
            if part.card and not card[0]:
                outcomes.append(Outcome(part.name, "not run", note="no NVIDIA card was found"))
            elif left < LEAST:
                outcomes.append(Outcome(part.name, "not run", note=f"the {minutes:g} minutes are over"))
            else:
                print(f"== {part.name} (at most {min(left, part.seconds):.0f} s)", flush=True)
                try:
                    outcomes.append(run_part(part, min(left, part.seconds), work, env, out / "log.txt"))
                finally:
                    add_rows(work / f"{part.name}.csv", out / "gpu.csv", card)
            print(line_of(outcomes[-1]), flush=True)
            (out / "summary.txt").write_text(table(outcomes), encoding="utf-8")
    except Interrupted:
        outcomes += [Outcome(part.name, "not run", note="interrupted") for part in parts[len(outcomes) - 1:]]
    (out / "summary.txt").write_text(table(outcomes), encoding="utf-8")
    return outcomes


def run_part(part: Part, seconds: float, work: Path, env: Mapping[str, str], log: Path) -> Outcome:
    """Run the commands of a part in `work` within the seconds. Their output goes to the end of the log."""
    began, output = time.monotonic(), work / f"{part.name}.log"

    def outcome(status, note):
        return Outcome(part.name, status, time.monotonic() - began, note)

    try:
        if missing := missing_modules(part.modules, work, env, seconds):
            return outcome("not run", f"no module {', '.join(missing)}: docs/gpu.md says what to bring (--wheels)")
        with open(output, "wb") as file:
            for command in part.commands:
                left = began + seconds - time.monotonic()
                code = call(command, work, {**env, "GPU_CHECK_SECONDS": f"{left:.1f}"}, file, left)
                if code is None:
                    return outcome("timed out", f"after {seconds:.0f} s")
                if code:
                    return outcome("failed", first_error(read(output)) or f"exit code {code}")
        return outcome("passed", last_line(read(output)))
    except subprocess.TimeoutExpired:
        return outcome("timed out", f"after {seconds:.0f} s")
    except OSError as error:
        return outcome("failed", str(error))
    finally:
        with open(log, "ab") as whole, contextlib.suppress(OSError):
            whole.write(f"== {part.name}\n".encode() + output.read_bytes() + b"\n")


def read(path: Path) -> str:
    """The text of what a part wrote."""
    return path.read_text(encoding="utf-8", errors="replace")


def call(command: Sequence[str], work: Path, env: Mapping[str, str], file, seconds: float) -> int | None:
    """Run a command in a session of its own, which is ended with all its processes; None: the time was over."""
    process = subprocess.Popen(command, cwd=work, env=env, stdin=subprocess.DEVNULL, stdout=file,
                               stderr=subprocess.STDOUT, start_new_session=True)
    try:
        return process.wait(max(0.1, seconds))
    except subprocess.TimeoutExpired:
        return None
    finally:
        end(process)


def end(process: subprocess.Popen) -> None:
    """End what is left of the session: SIGTERM, and after some seconds SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)


def missing_modules(modules: Sequence[str], work: Path, env: Mapping[str, str], seconds: float) -> list[str]:
    """Those that cannot be found with the environment of the parts."""
    if not modules:
        return []
    done = subprocess.run([sys.executable, "-c", MISSING, *modules], cwd=work, env=env, text=True, timeout=seconds,
                          capture_output=True)
    return done.stdout.split()


# ------------------------------------------------------------ what is told of them


def last_line(text: str) -> str:
    """The last line that holds something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def first_error(text: str) -> str:
    """The first line that says `error: ...`, else the end of the first traceback, else the last line."""
    for pattern in (r"^\s*error: .*", r"^[\w.]*(?:Error|Exception|Interrupt|Exit)\b.*"):
        if found := re.search(pattern, text, re.MULTILINE | re.IGNORECASE):
            return found[0].strip()
    return last_line(text)


def line_of(outcome: Outcome) -> str:
    """A row of the table."""
    note = outcome.note if len(outcome.note) <= WIDTH else outcome.note[: WIDTH - 3] + "..."
    return f"{outcome.name:8}  {outcome.status:9}  {outcome.seconds:5.0f} s  {note}".rstrip()


def table(outcomes: Sequence[Outcome]) -> str:
    """The table of all parts."""
    return "\n".join([f"{'part':8}  {'outcome':9}  {'time':>7}  note", *map(line_of, outcomes)]) + "\n"


def add_rows(made: Path, rows: Path, card: tuple[str, str]) -> None:
    """Add what a part has measured to OUT/gpu.csv, with the card's name and its driver."""
    if not made.is_file():
        return
    with open(made, newline="", encoding="utf-8") as file:
        new = [[row.get(name) or "" for name in COLUMNS[:-2]] + [*card] for row in csv.DictReader(file)]
    fresh = not rows.exists()
    with open(rows, "a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS] * fresh + new)


def keep(made: Path, results: Path) -> None:
    """Put the rows of OUT/gpu.csv into docs/results/gpu.csv, instead of the same card's rows of the same tables."""
    if not made.is_file():
        return
    with open(made, newline="", encoding="utf-8") as file:
        new = list(csv.DictReader(file))
    old: list[dict[str, str]] = []
    if results.is_file():
        with open(results, newline="", encoding="utf-8") as file:
            old = list(csv.DictReader(file))
    measured = {(row["card"], row["table"]) for row in new}
    kept = [row for row in old if (row["card"], row["table"]) not in measured]
    part = results.with_name(f".{results.name}.part")
    with open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept + new)
    os.replace(part, results)


# ------------------------------------------------------------ the machine


def machine(emulate: bool) -> tuple[Outcome, tuple[str, str]]:
    """The outcome of the part `machine`, and the name of the first card with the version of its driver."""
    began = time.monotonic()
    python = f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, Keras on {backend()}"
    if emulate:
        return Outcome("machine", "passed", 0.0, f"{EMULATED}; {python}"), (EMULATED, "")
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,compute_cap", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20)
        said, code = last_line(done.stdout or done.stderr) or f"exit code {done.returncode}", done.returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        said, code = str(error), 1
    seconds = time.monotonic() - began
    if code:
        return Outcome("machine", "failed", seconds, f"nvidia-smi finds no card: {said}"), ("", "")
    first = done.stdout.splitlines()[0].strip()
    name, driver = (word.strip() for word in first.split(",")[:2])
    return Outcome("machine", "passed", seconds, f"{first}; {python}"), (name, driver)


# ------------------------------------------------------------ the command line


def options_of(words: Sequence[str]) -> argparse.Namespace:
    """The arguments, checked; paths are absolute."""
    parser = argparse.ArgumentParser(prog="gpu_check.sh", usage="gpu_check.sh OUT [FOLDER] [options]")
    parser.add_argument("out", type=Path)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--only", default="")
    parser.add_argument("--wheels", type=Path)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--emulate", action="store_true", default=os.environ.get("GPU_CHECK_EMULATE", "0") != "0")
    given = parser.parse_args(words)
    if given.minutes is None:
        given.minutes = EMULATED_MINUTES if given.emulate else MINUTES
    given.only = [name for name in given.only.split(",") if name]
    if not given.minutes > 0:
        fail(f"--minutes {given.minutes:g}: expected more than 0")
    if given.wheels and not any(given.wheels.glob("*.whl")):
        fail(f"--wheels {given.wheels}: holds no .whl")
    if given.folder and not (given.folder / "train.pkl").is_file():
        fail(f"{given.folder}: holds no train.pkl, the roidb of its images (docs/gpu.md)")
    for name in ("out", "folder", "wheels"):
        if getattr(given, name):
            setattr(given, name, getattr(given, name).absolute())
    return given


def interrupt(number: int, frame: object) -> NoReturn:
    """A handler of signals."""
    raise Interrupted


def main(words: Sequence[str]) -> int:
    """The command line; returns the exit code."""
    given = options_of(words)
    given.out.mkdir(parents=True, exist_ok=True)
    for name in ("gpu.csv", "log.txt", "losses.csv", "summary.txt"):
        (given.out / name).unlink(missing_ok=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    with tempfile.TemporaryDirectory(prefix="gpu_check_") as folder:
        work = Path(folder)
        parts = all_parts(work, given.wheels, given.folder, given.emulate)
        names = [part.name for part in parts]
        if unknown := sorted({*given.only} - {"machine", *names}):
            fail(f"--only {unknown[0]}: expected some of machine, {', '.join(names)}")
        prepare(work)
        first, card = machine(given.emulate)
        print(line_of(first), flush=True)
        scale = max(1.0, given.minutes / MINUTES)
        outcomes = run_parts([part._replace(seconds=scale * part.seconds) for part in parts], given.only, given.out,
                             work, environment(work, given.emulate), given.minutes, first, card)
        if (work / "losses_steps.csv").is_file():
            shutil.copy(work / "losses_steps.csv", given.out / "losses.csv")
    if not given.emulate:
        keep(given.out / "gpu.csv", RESULTS)
    print(f"\n{table(outcomes)}\n{given.out} has summary.txt, log.txt and what was measured")
    asked = [outcome for outcome in outcomes if outcome.note != "not asked for"]
    return int(any(outcome.status != "passed" for outcome in asked))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
