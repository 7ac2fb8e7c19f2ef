"""Kill the programs at random moments on a busy machine: nothing broken stays, a second start ends in the same bytes.

Each round starts a program in an empty folder, ends it with SIGKILL and looks at what it left. Each file there must be
missing, or be as at the end of a run that nobody killed; a log may be its beginning. Then the program is started again,
and all files must be as at the end of that run, bit for bit. Exit code 1 where something differs. The training is that
of cfgs/toy_ssh.yml, some steps of it; `tests/test_kills.py` runs a short form.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from processes import CORES, busy_cores

ROOT = Path(__file__).resolve().parent.parent
STEPS = 12
PROGRAMS = ("train", "export", "samples", "roidb")


@dataclass
class Target:
    """A program to kill.

    Attributes:
        first: its command, on an empty folder.
        again: its command after it was killed.
        logs: endings of files that grow line by line.
        unlike: endings of files that two runs write differently, such as those with the time.
        lines: the log whose lines the moment of the kill counts; None: it is a fraction of the duration.
    """

    first: list
    again: list
    logs: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    lines: str | None = None


def targets(data: Path, out: Path) -> dict[str, Target]:
    """Name -> Target; each writes to `out` only."""
    images = data / "toy/WIDER_toy/images"
    labels = data / "toy/wider_face_split/retinaface_toy_label.txt"
    train = ["train", "--cfg", "cfgs/toy_ssh.yml", "--set", "NAME", "run", "OUTPUT_DIR", out, "DATA_DIR", data,
             "TRAIN.STEPS", STEPS, "TRAIN.SAVE_EVERY", 3, "TRAIN.LOG_EVERY", 1, "TRAIN.SELECT_EVERY", 4,
             "TRAIN.SELECT_IMAGES", 2, "TRAIN.IMAGES_EVERY", 0, "TRAIN.WARMUP", 5]
    samples = ["mtcnn_samples", "--stage", "pnet", "--set", "DATA_DIR", data, "MTCNN.SAMPLES", out / "samples",
               "TRAIN.DATASETS", "toy_train", "TRAIN.SELECT", "toy_train", "MTCNN.LANDMARKS", "toy_train",
               "MTCNN.SELECT_LANDMARKS", "toy_train", "MTCNN.COUNTS", "[9000, 9000, 4000, 30000]"]
    export = ["export", "--cfg", "cfgs/ssh_mobilenet_v1_025.yml", "--out", out / "model.xml"]
    roidb = ["build_roidb", "--format", "retinaface", "--images", images, "--labels", labels, "--out",
             out / "toy.pkl"]
    return {
        "train": Target(train, [*train, "--resume"], (".csv",),
                        ("checkpoint.npz", "tfevents", "speed.csv", "curves.png", "run.html"), "run/train.csv"),
        "export": Target(export, export),
        "samples": Target(samples, samples, (".jsonl",)),
        "roidb": Target(roidb, roidb),
    }


def command(words):
    return [sys.executable, ROOT / "tools" / f"{words[0]}.py", *map(str, words[1:])]


def run(words):
    """Run a program to its end, and end with its output where its exit code is not 0; returns the seconds."""
    began = time.monotonic()
    done = subprocess.run(command(words), capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return time.monotonic() - began


def contents(folder, target):
    """File -> what is compared of it: bytes, or the arrays and the step of a checkpoint."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.name == "checkpoint.npz":
            with np.load(path) as file:
                found[name] = {key: file[key].tobytes() for key in file.files if key != "facts"}
                found[name]["step"] = json.loads(str(file["facts"]))["step"]
        elif path.is_file() and not any(word in name for word in target.unlike):
            found[name] = path.read_bytes()
    return found


def broken(left, end, target):
    """Names of files that a kill left and that are neither whole nor the beginning of a log; hidden ones are parts."""
    def whole(name, content):
        if name.endswith(target.logs or ("?",)):
            return end[name].startswith(content)
        # The weights and the checkpoint of a training change while it runs: that they can be read is shown by its
        # second start.
        return name not in end or isinstance(content, dict) or name.endswith(".h5") or content == end[name]

    return [name for name, content in left.items() if not any(part[0] == "." for part in Path(name).parts)
            and not whole(name, content)]


def kill(words, target, out, rng, seconds):
    """Start a program and kill it at a random moment; returns where it was."""
    began = time.monotonic()
    process = subprocess.Popen(command(words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    if target.lines:
        lines, log = rng.randrange(STEPS + 1), out / target.lines
        while process.poll() is None and (log.read_bytes().count(b"\n") if log.exists() else 0) < lines:
            time.sleep(0.002)
        moment = time.monotonic() + rng.uniform(0, 0.08) * seconds / STEPS ** 0.5
    else:
        moment = began + rng.uniform(0, 1) * seconds
    while process.poll() is None and time.monotonic() < moment:
        time.sleep(0.001)
    where = f"after {time.monotonic() - began:5.2f} s" + (f", {lines} lines" if target.lines else "")
    where += "" if process.poll() is None else ", when it had ended"
    process.kill()
    process.wait()
    return where


def rounds(name, data, folder, kills, rng):
    """Kill one program again and again; returns the number of rounds that went wrong."""
    out = folder / name
    target = targets(data, out)[name]
    seconds = run(target.first)
    end, wrong = contents(out, target), 0
    print(f"{name}: {seconds:.1f} s without a kill, {len(end)} files", flush=True)
    for number in range(kills):
        shutil.rmtree(out)
        out.mkdir()
        where = kill(target.first, target, out, rng, seconds)
        bad = broken(contents(out, target), end, target)
        started = name != "train" or (out / "run/config.yml").exists()
        took = run(target.again if started else target.first)
        seconds = seconds if name == "train" else min(seconds, took)  # other work may end meanwhile
        last = contents(out, target)
        differs = sorted(key for key in end.keys() | last.keys() if end.get(key) != last.get(key))
        wrong += bool(bad or differs)
        print(f"{name} {number + 1}: killed {where}: " + (f"broken {bad}, differs {differs}" if bad or differs else
                                                            "nothing broken, the same bits at the end"), flush=True)
    return wrong


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="PROGRAM", help=f"{', '.join(PROGRAMS)} (default: all)")
    parser.add_argument("--kills", type=int, default=20, metavar="N", help="of each program (default: 20)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the data and the moments (default: 0)")
    parser.add_argument("--busy", type=int, default=CORES, metavar="N",
                        help="processes that keep the cores busy (default: one per core)")
    parser.add_argument("--images", type=int, default=80, metavar="N", help="of the data set (default: 80)")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(PROGRAMS))
    if unknown:
        parser.error(f"PROGRAM {unknown[0]!r}: expected some of {', '.join(PROGRAMS)}")
    wrong, rng = 0, random.Random(options.seed)
    with busy_cores(options.busy), tempfile.TemporaryDirectory(prefix="kills-") as folder:
        data = Path(folder) / "data"
        run(["make_toy", "--out", data / "toy", "--images", options.images, "--width", 320, "--seed", options.seed])
        for name in ("toy_train", "toy_select"):
            run([*targets(data, data / "pickles")["roidb"].first[:-1], data / "pickles" / f"{name}.pkl"])
        for name in options.names or PROGRAMS:
            wrong += rounds(name, data, Path(folder), options.kills, rng)
    print(f"{wrong} rounds went wrong", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
