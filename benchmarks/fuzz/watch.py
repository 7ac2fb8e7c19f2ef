"""Runs inputs in child processes, each with a limit of time and memory, and says how each ended.

A child is a fork that takes one input after the other. It writes a line before an input and one after it. Where it
dies, or uses more time than an input may, the input that it was at is a crash or a hang, and a new child goes on with
the next one.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import selectors
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from manyfaces.errors import InputError

from .functions import Call
from .target import Target

SECONDS = 5  # of processor time that an input may use
WALL = 60  # seconds after which an input hangs, on whatever it waits
MEGABYTES = 300  # by which the memory of the child may grow
ADDRESS_SPACE = 6 << 30  # bytes: protects the machine
LONGEST = 1000  # characters of a message
FINE = ("read", "refused")
BUGS = ("traceback", "crash", "hang", "memory", "wrong", "message")


@dataclass
class Ended:
    """How an input ended.

    Attributes:
        target: the target.
        number: of the input.
        how: one of FINE or BUGS.
        note: what is known about it.
        seconds: of processor time.
        megabytes: by which the memory grew.
    """

    target: Target | Call
    number: int
    how: str
    note: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0


def generator(seed: int, target: Target | Call, number: int) -> np.random.Generator:
    """The generator of an input: the same whatever else is run."""
    return np.random.default_rng([seed, zlib.crc32(target.name.encode()), number])


@dataclass
class Job:
    """A range of the inputs of a target: numbers[done:] are still to be run."""

    target: Target | Call
    numbers: Sequence[int]
    done: int = 0
    pid: int = 0
    pipe: int = -1
    folder: str = ""
    text: bytes = b""
    at: int | None = None
    since: float = field(default_factory=time.monotonic)


def run(jobs: list[Job], seed: int, sound: Path, workers: int = 2) -> Iterator[Ended]:
    """Run all inputs of the jobs, `workers` children at a time.

    Args:
        jobs: what to run.
        seed: of the inputs.
        sound: folder for the sound files.
        workers: number of children.

    Yields:
        One Ended per input.

    Raises:
        RuntimeError: a target does not read its sound files.
    """
    waiting, running = list(jobs), {}
    selector = selectors.DefaultSelector()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop(0)
                _start(job, seed, sound)
                running[job.pipe] = job
                selector.register(job.pipe, selectors.EVENT_READ)
            ready = {key.fd for key, _ in selector.select(min(1.0, WALL / 4))}
            for pipe, job in list(running.items()):
                data = os.read(pipe, 1 << 16) if pipe in ready else None
                if data:
                    job.since = time.monotonic()
                    yield from _lines(job, data)
                elif data == b"" or time.monotonic() - job.since > WALL * (3 if job.at is None else 1):
                    selector.unregister(pipe)
                    del running[pipe]
                    ended = _stop(job, data is None)
                    if ended is not None:
                        yield ended
                    if job.done < len(job.numbers):
                        waiting.insert(0, job)
    finally:
        for job in running.values():
            os.kill(job.pid, signal.SIGKILL)
            os.waitpid(job.pid, 0)
            shutil.rmtree(job.folder, ignore_errors=True)
        selector.close()


def _start(job, seed, sound):
    sys.stdout.flush()
    sys.stderr.flush()
    job.folder, job.text, job.at, job.since = tempfile.mkdtemp(prefix="manyfaces_fuzz_"), b"", None, time.monotonic()
    job.pipe, child_end = os.pipe()
    job.pid = os.fork()
    if job.pid == 0:
        try:
            os.close(job.pipe)
            _child(job, seed, sound, os.fdopen(child_end, "w", buffering=1))
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
            os._exit(1)
        os._exit(0)
    os.close(child_end)


def _lines(job, data):
    """Ended of the complete lines that a child has written."""
    *lines, job.text = (job.text + data).split(b"\n")
    for line in lines:
        row = json.loads(line)
        if isinstance(row, int):
            job.at = row
        elif isinstance(row, str):
            raise RuntimeError(f"{job.target.name}: its sound input ends in: {row}")
        else:
            job.done, job.at = job.done + 1, None
            yield Ended(job.target, *row)


def _stop(job, hangs):
    """The input that a child was at when it died or was stopped; None where it had done all."""
    if hangs:
        os.kill(job.pid, signal.SIGKILL)
    status = os.waitpid(job.pid, 0)[1]
    os.close(job.pipe)
    notes = Path(job.folder, "stderr").read_text(errors="replace").strip().splitlines()
    shutil.rmtree(job.folder, ignore_errors=True)
    if job.at is None:
        if job.done < len(job.numbers):
            raise RuntimeError(f"{job.target.name}: the child ended before an input; {' / '.join(notes[-3:])}")
        return None
    job.done += 1
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if hangs or number in (signal.SIGPROF, signal.SIGXCPU):
        return Ended(job.target, job.at, "hang", f"more than {WALL if hangs else SECONDS} s")
    what = signal.Signals(number).name if number else f"exit code {os.WEXITSTATUS(status)}"
    places = [line.strip() for line in notes if line.strip().startswith("File ")][:2]  # of faulthandler
    return Ended(job.target, job.at, "crash", " / ".join([what, *(places or notes[-2:])])[:300])


# ---------------------------------------------------------------- the child


def _child(job, seed, sound, out):
    folder = Path(job.folder)
    errors = os.open(folder / "stderr", os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):  # what libraries write there
        os.dup2(errors, stream)
    os.environ.setdefault("MANYFACES_MAX_FILE_PIXELS", "4000000")  # a decoded image has 12 MB at most
    import faulthandler

    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    place = folder / "input"
    value, files = _sound(job.target, place, sound, out)
    if value is None:
        return
    used = _memory("VmSize:") + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (used, used))
    for number in job.numbers[job.done:]:
        print(json.dumps(int(number)), file=out)
        print(json.dumps(_one(job.target, generator(seed, job.target, number), number, place, files, value)), file=out)


def _sound(target, place, folder, out):
    """(what the sound input gives, the sound input); the files are made once and kept in a folder."""
    if isinstance(target, Call):
        return (), {}
    own = sound_folder(folder, target)
    if not own.is_dir():
        made = folder / f".{os.getpid()}"
        write_files(target.make(), made)
        with contextlib.suppress(OSError):  # another child was faster
            made.rename(own)
    files = read_files(own)
    write_files(files, place)
    try:
        value = target.read(place)
        wrong = target.wrong(value, value)
    except Exception as error:
        wrong = f"{type(error).__name__}: {error}"
    if wrong is not None:
        print(json.dumps(wrong), file=out)
        return None, None
    return (value,), files


def sound_folder(folder: Path, target: Target) -> Path:
    """The folder that holds the sound files of a target."""
    return folder / target.name.replace(" ", "_").replace("/", "_")


def read_files(folder: Path) -> dict[str, bytes]:
    """The files below a folder by their paths."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file()}


def write_files(files: dict[str, bytes], folder: Path) -> None:
    """Write files below a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _one(target, rng, number, place, sound, value) -> list[Any]:
    """[number, how, note, seconds, megabytes] of an input."""
    damaged = target.damaged(rng, sound)
    if isinstance(target, Target):
        write_files(damaged, place)
    _reset_peak()
    before, start = _memory("VmHWM:"), time.process_time()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    how, note = _tried(target, damaged, place, value)
    signal.setitimer(signal.ITIMER_PROF, 0)
    seconds, grown = time.process_time() - start, (_memory("VmHWM:") - before) / 2**20
    if how in FINE and grown > MEGABYTES:
        how, note = "memory", f"{grown:.0f} MB; {note}"
    return [int(number), how, note, round(seconds, 4), round(grown, 1)]


def _tried(target, damaged, place, sound):
    try:
        found = target.read(place if isinstance(target, Target) else damaged)
        wrong = target.wrong(found, sound[0] if isinstance(target, Target) else damaged)
        return ("read", "") if wrong is None else ("wrong", wrong[:300])
    except InputError as error:
        text = str(error)
        if "\n" in text or len(text) > LONGEST or not text.strip():
            return "message", f"{len(text)} characters: {text[:300]!r}"
        return "refused", text[:300]
    except MemoryError as error:
        return "memory", f"MemoryError: {error}"[:300]
    except target.refusals as error:
        return "refused", f"{type(error).__name__}: {error}"[:300]
    except BaseException as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        return "traceback", f"{type(error).__name__} in {Path(at.filename).name}:{at.lineno}: {str(error)[:200]}"


def _memory(key):
    """Bytes of a line of /proc/self/status."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))


def _reset_peak():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
