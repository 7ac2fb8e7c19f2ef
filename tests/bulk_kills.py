"""Kill what `manyfaces bulk` runs on, at random moments: each image has one row at the end, the same as without a kill.

    worker   a process of --engine local
    driver   the command itself, with either engine; it is started again
    writing  the command while half of a Parquet file is written; it is started again
    actor    a worker of Ray
    node     one of two simulated nodes of Ray, with all that runs on it

Each round ends with exit code 0 and all rows, which are compared with those of a run without a kill. Exit code 1 where
a row is missing, there twice or different. The kinds of Ray are left out, with a line, where Ray is not installed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
from processes import busy_cores, wait_for

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # as pytest does

from benchmarks import ray_nodes  # noqa: E402

LOCAL, RAY = ("worker", "driver", "writing"), ("actor", "node", "ray-driver", "ray-writing")
MODEL = "ssh_mobilenet_v1_025"
ROWS = 8  # images of a part


def sabotaged(at: int, words: list[str]) -> int:
    """Run the command line `words`; the process kills itself when half of its part number `at` (from 1) is written."""
    from manyfaces.commands.main import entry

    write, parts = Path.write_bytes, []

    def half(path, data):
        if path.name.startswith(".part-"):
            parts.append(path)
            if len(parts) == at:
                write(path, data[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
        return write(path, data)

    Path.write_bytes = half  # type: ignore[method-assign]
    sys.argv = ["manyfaces", *words]
    return entry()


class Processes:
    """The processes of this machine, as they are now."""

    def __init__(self):
        self.parents, self.words = {}, {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                stat = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
                if stat[0] != "Z":
                    self.parents[int(name)] = int(stat[1])
                    self.words[int(name)] = Path("/proc", name, "cmdline").read_bytes().replace(b"\0", b" ").decode()

    def below(self, process: int, word: str = "") -> list[int]:
        """The processes that it has started, and those that these have, whose command has a word in it."""
        found = [each for each, parent in self.parents.items() if parent == process]
        deeper = [each for child in found for each in self.below(child)]
        return sorted(each for each in found + deeper if word in self.words[each])


class Trial:
    """A source, and its rows without a kill."""

    def __init__(self, folder: Path, images: int, seed: int) -> None:
        self.folder, self.out, self.parts = folder, folder / "out", -(-images // ROWS)
        toy = [sys.executable, "-m", "manyfaces", "data", "toy", "--out", folder / "photos", "--images", str(images),
               "--width", "320", "--seed", str(seed)]
        subprocess.run(toy, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.images = sorted(str(path) for path in (folder / "photos").rglob("*.jpg"))
        assert len(self.images) == images
        self.last(self.start("--workers", "2"))
        self.rows = self.read()
        assert [row["path"] for row in self.rows] == self.images and any(row["boxes"] for row in self.rows)

    def start(self, *words: str, fail_at: int = 0) -> subprocess.Popen:
        command = ["bulk", self.folder / "photos", "--out", self.out, "--cfg", MODEL, "--rows", str(ROWS), *words]
        program = [__file__, "--sabotaged", str(fail_at)] if fail_at else ["-m", "manyfaces"]
        with open(self.folder / "log.txt", "w") as log:
            return subprocess.Popen([sys.executable, *program, *map(str, command)], stdout=log, stderr=log)

    def last(self, process: subprocess.Popen) -> None:
        """Wait for a command, which must end well."""
        if process.wait():
            sys.exit(f"exit code {process.returncode} instead of 0\n{(self.folder / 'log.txt').read_text()}")

    def finished(self) -> int:
        return len(list(self.out.glob("part-*")))

    def read(self) -> list[dict]:
        """All rows, as any program reads them."""
        return sorted(pq.read_table(self.out).to_pylist(), key=lambda row: row["path"])

    def wrong(self) -> str:
        """What is wrong with the rows; empty: nothing."""
        rows = self.read()
        paths = [row["path"] for row in rows]
        missing, twice = set(self.images) - set(paths), len(paths) - len(set(paths))
        if missing or twice or len(paths) != len(self.images):
            return f"{len(missing)} images have no row, {twice} rows are there twice"
        return "" if rows == self.rows else "a row differs"


def after_parts(trial: Trial, process: subprocess.Popen, parts: int) -> str:
    """Wait until a command has written this many parts; says how many there are."""
    wait_for(lambda: trial.finished() >= parts, process)
    return f"after {trial.finished()} of {trial.parts} parts"


def round_of(kind: str, trial: Trial, cluster, rng: random.Random) -> str:
    """One round: what was killed when. It ends with a command that ends well."""
    shutil.rmtree(trial.out, ignore_errors=True)
    words = ["--address", cluster.address, "--workers", "2"] if kind in RAY else ["--workers", "2"]
    parts = rng.randrange(trial.parts - 3) + (not kind.endswith(("driver", "writing")))  # workers have begun by then
    if kind.endswith("writing"):
        process = trial.start(*words, fail_at=parts + 1)
        code = process.wait()
        left = [path for path in trial.out.iterdir() if path.name.startswith(".part-")]
        if code != -signal.SIGKILL or len(left) != 1 or trial.finished() != parts:
            sys.exit(f"exit code {code}, {len(left)} half files, {trial.finished()} parts: expected a kill while part "
                     f"{parts + 1} was written\n{(trial.folder / 'log.txt').read_text()}")
        trial.last(trial.start(*words))
        return f"while part {parts + 1} was written"
    node = None
    if kind == "node":
        node = ray_nodes.add_node(cluster, 2)
        words[-1] = "3"
    process = trial.start(*words)
    where = after_parts(trial, process, parts)
    if kind.endswith("driver"):
        process.kill()
        process.wait()
        trial.last(trial.start(*words))
        return where
    if kind == "node":
        raylet = node.all_processes["raylet"][0].process.pid
        victims = [*Processes().below(raylet), raylet]
    else:
        victims = [rng.choice(workers(process) if kind == "worker" else actors())]
    for victim in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    if node is not None:
        where += f", {len(victims)} processes"
    trial.last(process)
    if node is not None:
        cluster.remove_node(node, allow_graceful=False)
    return where


def workers(process: subprocess.Popen) -> list[int]:
    """The workers of a local run. Its resource tracker is none."""
    return Processes().below(process.pid, "spawn_main")


def actors() -> list[int]:
    """The actors of the clusters that this process has started."""
    return Processes().below(os.getpid(), "MapWorker")


def main(arguments=None):
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["--sabotaged"]:
        return sabotaged(int(words[1]), words[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(LOCAL + RAY)} (default: all)")
    parser.add_argument("--kills", type=int, default=10, metavar="N", help="of each kind (default: 10)")
    parser.add_argument("--images", type=int, default=120, metavar="N", help="of the source (default: 120)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the images and the moments (default: 0)")
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="processes that keep cores busy (default: 0)")
    options = parser.parse_args(words)
    unknown = sorted(set(options.kinds) - {*LOCAL, *RAY})
    if unknown:
        parser.error(f"KIND {unknown[0]!r}: expected some of {', '.join(LOCAL + RAY)}")
    kinds = options.kinds or [*LOCAL, *RAY]
    if set(kinds) & set(RAY) and not importlib.util.find_spec("ray"):
        print("ray is not installed (pip install 'manyfaces[bulk]'): its kinds are left out", flush=True)
        kinds = [kind for kind in kinds if kind in LOCAL]
    wrong, rng = 0, random.Random(options.seed)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bulk-kills-"))
        stack.enter_context(busy_cores(options.busy))
        trial = Trial(Path(folder).resolve(), options.images, options.seed)
        cluster = stack.enter_context(ray_nodes.cluster(2)) if set(kinds) & set(RAY) else None
        for kind in kinds:
            for number in range(options.kills):
                began = time.monotonic()
                where = round_of(kind, trial, cluster, rng)
                problem = trial.wrong()
                wrong += bool(problem)
                print(f"{kind} {number + 1}: killed {where}, {time.monotonic() - began:.0f} s: "
                      f"{problem or 'each image has one row, as without a kill'}", flush=True)
    print(f"{wrong} rounds went wrong", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
