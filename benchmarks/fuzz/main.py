"""Fuzz: 20,000 damaged files and wrong arguments for every reader and every compiled function.

Each input is a function of the seed, of the target's name and of its number. It must be read, or refused with one
line: a traceback, a crash, a hang (5 s), a growth by 300 MB, or a value that a checksum, a size or the NumPy twin shows
to be wrong, is a defect, and the exit code is 1. Linux only. 20,000 inputs take half a minute on 2 quiet cores.
"""

from __future__ import annotations

import collections
import csv
import io
import re
import reprlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from manyfaces.commands.command_line import argument_parser
from manyfaces.errors import InputError
from manyfaces.evaluation import print_table
from manyfaces.files import write_whole

from . import functions, readers
from .target import Target
from .watch import BUGS, FINE, Ended, Job, generator, read_files, run, sound_folder, write_files

EXAMPLE = """
tools/fuzz.py --csv docs/results/fuzz.csv --out output/fuzz    # all
tools/fuzz.py --count 2000 --seed 7                            # a tenth, other inputs
tools/fuzz.py --only "voc labels" --first 123 --count 1 --out output/fuzz
"""
BATCH = 400  # inputs of a child


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of tools/fuzz.py."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--count", type=int, default=20_000, metavar="N", help="inputs (default: 20,000)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the inputs (default: 0)")
    parser.add_argument("--only", metavar="TEXT", help="only the targets of this kind, or whose name holds this text")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of each target's first input")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes (default: 2)")
    parser.add_argument("--out", metavar="DIR", help="keep the inputs that show a defect there")
    parser.add_argument("--csv", metavar="FILE", help="write the table there")
    options = parser.parse_args(arguments)
    if min(options.count, options.workers) < 1:
        raise InputError("--count and --workers: expected 1 or more")
    chosen = [target for target in [*readers.targets(), *functions.targets()]
              if not options.only or options.only in target.name or options.only == target.kind]
    if not chosen:
        raise InputError(f"--only: no target is called {options.only!r}")
    start, ends = time.time(), []
    with tempfile.TemporaryDirectory(prefix="manyfaces_fuzz_") as folder:
        for ended in run(jobs(chosen, options.count, options.first), options.seed, Path(folder), options.workers):
            ends.append(ended)
            if ended.how in BUGS and options.out:
                keep(ended, options.seed, Path(folder), Path(options.out))
            if sys.stderr.isatty() and len(ends) % 100 == 0:
                print(f"\r{len(ends):,} of {options.count:,}", end="", file=sys.stderr)
    header, rows = table(ends)
    print_table(header, rows)
    print(f"{len(ends):,} inputs with seed {options.seed} in {time.time() - start:.0f} s; the slowest took "
          f"{max(e.seconds for e in ends):.2f} s, the largest {max(e.megabytes for e in ends):.0f} MB")
    for line in groups(ends):
        print(line)
    if options.csv:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([header, *rows])
        write_whole(options.csv, text.getvalue().encode())
    if any(ended.how in BUGS for ended in ends):
        raise SystemExit(1)


def jobs(chosen: Sequence, count: int, first: int = 0) -> list[Job]:
    """The inputs divided between the targets by their shares, at least one each, in batches."""
    total, found = sum(target.share for target in chosen), []
    for target in chosen:
        numbers = range(first, first + max(1, round(count * target.share / total)))
        found += [Job(target, numbers[at:at + BATCH]) for at in range(0, len(numbers), BATCH)]
    return found


def table(ends: Sequence[Ended]) -> tuple[list[str], list[list]]:
    """A row per kind of input, and the sum."""
    header = ["inputs", "number", *FINE, *BUGS]
    kinds = list(dict.fromkeys(ended.target.kind for ended in ends))
    counts = {kind: collections.Counter(e.how for e in ends if e.target.kind == kind) for kind in kinds}
    counts["all"] = collections.Counter(e.how for e in ends)
    return header, [[kind, sum(found.values()), *(found[how] for how in header[2:])] for kind, found in counts.items()]


def groups(ends: Sequence[Ended]) -> list[str]:
    """One line per kind of defect of each target, the most frequent first."""
    found = collections.defaultdict(list)
    for ended in ends:
        if ended.how in BUGS:
            found[ended.target.name, ended.how, re.sub(r"\d+|/\S+/", "", ended.note)[:40]].append(ended)
    rows = sorted(found.items(), key=lambda item: -len(item[1]))
    return [f"{how}: {name}, {len(some)}x, first {some[0].number}: {some[0].note}" for (name, how, _), some in rows]


def keep(ended: Ended, seed: int, sound: Path, out: Path) -> None:
    """Write an input below `out`, with what it did."""
    target, folder = ended.target, out / f"{ended.target.name.replace(' ', '_')}-{ended.number}"
    damaged = target.damaged(generator(seed, target, ended.number), read_files(sound_folder(sound, target)))
    if isinstance(target, Target):
        write_files(damaged, folder)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "arguments.txt").write_text(reprlib.repr(damaged), errors="replace")  # they may be nested deeply
    (folder / "ended.txt").write_text(f"{ended.how}\n{ended.note}\n", errors="replace")
