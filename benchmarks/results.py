"""Measure every table of docs/results that the pages quote again, one after the other, on a machine without other work.

A table for which something is missing is named and stays as it is. A run that was stopped or failed continues when the
command is given again: what it measured with the same commands, weights, versions and processor is not measured again.
"""

import csv
import hashlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from manyfaces import pretrained
from manyfaces.commands.command_line import argument_parser
from manyfaces.errors import InputError
from manyfaces.files import write_whole
from manyfaces.progress import clock

from . import machine
from .detectors import ULTRALIGHT, YUNET
from .in_turns import SETS, TRUTH, folder_name
from .peers import FILES

EXAMPLE = """
make results
tools/results.py --list
tools/results.py detectors peers --scrfd scrfd_2.5g.onnx
tools/results.py core --out output/trial
"""
RESULTS, DURATIONS = "docs/results", "durations.csv"
ARCHIVE = "wider_eval/predictions/retinaface_mnet025.tar.xz"
RETINAFACE = "retinaface_mnet025/mobilenet0.25_Final.pth"
INSTALLS = {"tensorflow": "'manyfaces[train]'", "onnx": "'manyfaces[onnx]'", "onnxruntime": "'manyfaces[onnx]'",
            "openvino": "'manyfaces[openvino]'", "mtcnn": "--no-deps mtcnn",
            "facenet_pytorch": "--no-deps facenet-pytorch"}  # arguments of pip; others are called as their package
OURS = ("ssh_mobilenet_v1_025", "tiny_mobilenet_v1_025", "ssd_mobilenet_v2_075", "mtcnn")
PARTS = tuple(folder_name(title) for title in (*SETS, "facemask val"))  # also the names of their roidbs
EDGES = "10,15,20,30,60,120"


@dataclass
class Job:
    """How a table is measured.

    Attributes:
        commands: function (options, path of the CSV) -> list of command lines, without the interpreter.
        paths: function options -> files and folders that it needs.
        packages: that have to be installed.
        prepare: function of the options that runs before the commands.
        after: command lines that run when the table is in docs/results.
    """

    commands: Callable[[Namespace, str], list[list[str]]]
    paths: Callable[[Namespace], list[str]] = lambda options: []
    packages: Sequence[str] = ()
    prepare: Callable[[Namespace], None] = lambda options: None
    after: list[list[str]] = field(default_factory=list)


def benchmark(*words):
    """Job.commands of sections of the benchmark."""
    return lambda options, path: [["tools/benchmark.py", *words, "--csv", path]]


def limited(options):
    return ["--limit", str(options.limit)] if options.limit else []


def sets(options):
    return [f"{options.data}/{folder}" for folder in (*SETS.values(), TRUTH)]


def peer_files(options):
    return [f"{options.peers}/{name}" for name in FILES.values()] + ([options.scrfd] if options.scrfd else [])


def also(options):
    """Command lines that make further peers, and the options that name them."""
    commands, words = [], []
    if options.scrfd:
        words += ["--also", f"SCRFD={options.scrfd}"]
    source = Path(options.weights, RETINAFACE)
    if source.is_file():
        weights, model = f"{options.work}/retinaface.weights.h5", f"{options.work}/retinaface.onnx"
        commands = [["tools/import_weights.py", "retinaface", "--source", str(source), "--out", weights],
                    ["tools/export.py", "--cfg", "cfgs/retinaface_mobilenet_v1_025.yml", "--weights", weights, "--out",
                     model]]
        words += ["--also", f"RetinaFace MobileNetV1 x0.25={model}"]
    return commands, words


def detectors(options, path):
    made, words = also(options)
    return [*made, ["tools/benchmark.py", "detectors", "--data", options.data, "--peers", options.peers, "--csv", path,
                    *words, *limited(options)]]


def compared(options, path):
    made, words = also(options)
    cfgs = [word for name in OURS for word in ("--cfg", f"cfgs/{name}.yml")]
    return [*made, ["tools/compare.py", "--data", options.data, "--peers", options.peers, "--pickles", options.pickles,
                    *cfgs, "--pred", f"{options.work}/compared", "--csv", path, *words, *limited(options)]]


def heights(options, path):
    """Recall by height of the detections that `compared` wrote, and of SSH with a pyramid."""
    pred, ssh, tiny = f"{options.work}/compared", *OURS[:2]
    rows = {"Tiny Faces MobileNetV1 x0.25": f"{tiny} at 0.25, 0.5, 1, 2 (onnxruntime)",
            "SSH MobileNetV1 x0.25": f"{ssh} (onnxruntime)", "SSH MobileNetV1 x0.25 pyramid": "ssh_pyramid",
            YUNET.split(" (")[0]: YUNET, ULTRALIGHT.split(", ")[0]: ULTRALIGHT}
    images = {folder_name(title): [f"{options.data}/{folder}"] for title, folder in SETS.items()}
    images["facemask_val"] = [f"{options.data}/facemask/images", "--list", f"{options.data}/facemask/val.txt"]
    commands = []
    for part in PARTS:
        commands.append(["tools/test.py", "--cfg", ssh, "--scales", "0.5,1,2", "--images", *images[part],
                         "--out", f"{pred}/ssh_pyramid/{part}"])
        folders = [word for row in rows.values() for word in ("--pred", f"{pred}/{folder_name(row)}/{part}")]
        commands.append(["tools/evaluate.py", "heights", "--roidb", f"{options.pickles}/{part}.pkl", *folders,
                         "--names", ",".join(rows), "--edges", EDGES, "--csv", path])
    return commands


def unpack(options):
    """The RetinaFace detections of wider_eval, which are an archive."""
    place = Path(options.work, "retinaface_mnet025")
    if not place.is_dir():
        temporary = place.with_name(place.name + ".part")
        shutil.rmtree(temporary, ignore_errors=True)
        with tarfile.open(Path(options.data, ARCHIVE)) as archive:
            archive.extractall(temporary, filter="data")
        temporary.rename(place)


def events_folder(options):
    """The folder that holds 0--Parade and the other events below the unpacked archive."""
    place = Path(options.work, "retinaface_mnet025")
    found = next((path.parent for path in place.rglob("0--Parade")), place)
    return str(found)


JOBS = {
    "core": Job(benchmark("nms", "targets"), packages=("tensorflow",)),
    "loader": Job(benchmark("loader"), lambda options: ["data/pickles/wider_train.pkl"], ("grain",)),
    "wider": Job(lambda options, path: [["tools/benchmark.py", "wider", "--pred", events_folder(options), "--gt",
                                         f"{options.data}/{TRUTH}", "--csv", path]],
                 lambda options: [f"{options.data}/{ARCHIVE}", f"{options.data}/{TRUTH}"], prepare=unpack),
    "detectors": Job(detectors, lambda options: [*sets(options), *peer_files(options)],
                     ("tensorflow", "onnxruntime", "openvino"), after=[["tools/frontier.py"]]),
    "peers": Job(compared, lambda options: [*sets(options), *peer_files(options),
                                            f"{options.pickles}/facemask_val.pkl"],
                 ("tensorflow", "onnxruntime", "openvino")),
    "heights": Job(heights, lambda options: [*sets(options), f"{options.data}/facemask/val.txt",
                                             *(f"{options.pickles}/{part}.pkl" for part in PARTS),
                                             f"{options.work}/compared"], ("onnxruntime",)),
    "mtcnn": Job(lambda options, path: [["tools/benchmark.py", "mtcnn", "--data", options.data, "--mtcnn",
                                         "lib/pretrained/mtcnn", "--tf1", f"{options.weights}/mtcnn_tf1", "--csv", path,
                                         *limited(options)]],
                 lambda options: [*sets(options), f"{options.weights}/mtcnn_tf1"],
                 ("tensorflow", "onnxruntime", "openvino", "torch", "facenet_pytorch", "mtcnn", "joblib", "lz4")),
    "backbones": Job(benchmark("backbones"), packages=("tensorflow", "onnx", "onnxruntime", "openvino")),
    "fuzz": Job(lambda options, path: [["tools/fuzz.py", "--csv", path]], packages=("tensorflow", "onnxruntime")),
}


def options_of(arguments: Sequence[str] | None) -> Namespace:
    """The options of the command line."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"{', '.join(JOBS)} (default: all)")
    parser.add_argument("--data", default="../shared/data", metavar="DIR", help="data sets (default: %(default)s)")
    parser.add_argument("--peers", default="../shared/peers", metavar="DIR", help="(default: %(default)s)")
    parser.add_argument("--weights", default="../shared/weights", metavar="DIR",
                        help="holds mtcnn_tf1/ and, for a further peer, retinaface_mnet025/ (default: %(default)s)")
    parser.add_argument("--scrfd", metavar="FILE", help="SCRFD's .onnx, as a further peer")
    parser.add_argument("--pickles", default="data/pickles", metavar="DIR", help="roidbs (default: %(default)s)")
    parser.add_argument("--out", default=RESULTS, metavar="DIR", help="where the tables go (default: %(default)s)")
    parser.add_argument("--work", default="output/results", metavar="DIR",
                        help="what is measured so far, and detections (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="a trial on N images per set, with --out")
    parser.add_argument("--list", action="store_true", help="say what would be measured and what is missing")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of tools/results.py; the exit code is 1 where a table failed."""
    options = options_of(arguments)
    unknown = sorted(set(options.tables) - set(JOBS))
    if unknown:
        raise InputError(f"table {unknown[0]!r}: expected some of {', '.join(JOBS)}")
    if options.limit and Path(options.out).resolve() == Path(RESULTS).resolve():
        raise InputError(f"--limit {options.limit} is for trials: give --out DIR, so that {RESULTS} keeps whole tables")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0
    if load > 0.5 and not options.list:
        print(f"warning: other work runs here (load {load:.1f}): times will not compare with those of a quiet machine")
    states = [renew(name, options) for name in options.tables or JOBS]
    if options.list:
        return 0
    print("; ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)))
    if "failed" in states:
        print("give the command again to measure only what failed")
        return 1
    for path in Path(options.work).glob("*.state"):  # the next call measures everything again
        path.unlink()
    return 0


def renew(name: str, options: Namespace) -> str:
    """Measure a table, unless this run has it already; "renewed", "measured before", "left as it is" or "failed"."""
    job, target = JOBS[name], Path(options.out, f"{name}.csv")
    lacking = missing(job, options)
    if lacking:
        print(f"{name}: left as it is: {'; '.join(lacking)}", flush=True)
        return "left as it is"
    known = duration(Path(RESULTS, DURATIONS), name)
    print(f"{name}: {f'took {known} when it was measured last' if known else 'how long it takes is not known yet'}",
          flush=True)
    if options.list:
        return "listed"
    Path(options.work).mkdir(parents=True, exist_ok=True)
    job.prepare(options)
    made, state = Path(options.work, f"{name}.csv"), Path(options.work, f"{name}.state")
    commands = job.commands(options, str(made))
    key = fingerprint(commands)
    if made.is_file() and state.is_file() and state.read_text() == key:
        print(f"{name}: measured before this run was stopped: kept", flush=True)
        return "measured before"
    made.unlink(missing_ok=True)
    began = time.perf_counter()
    for command in commands:
        print(f"{name}: {' '.join(command)}", flush=True)
        code = subprocess.run([sys.executable, *command]).returncode
        if code or command is commands[-1] and not made.is_file():
            print(f"{name}: failed (exit code {code}); {target} is as it was", flush=True)
            return "failed"
    seconds = time.perf_counter() - began
    write_whole(target, made.read_bytes())
    write_whole(state, key.encode())
    if Path(options.out).resolve() == Path(RESULTS).resolve():
        note_duration(Path(RESULTS, DURATIONS), name, seconds)
        for command in job.after:
            subprocess.run([sys.executable, *command], check=True)
    print(f"{name}: wrote {target} after {clock(seconds)}", flush=True)
    return "renewed"


def missing(job: Job, options: Namespace) -> list[str]:
    """What a job lacks here, in words."""
    lacking = [f"there is no {path}" for path in job.paths(options) if not Path(path).exists()]
    for package in job.packages:
        if importlib.util.find_spec(package) is None:
            lacking.append(f"the package {package} is not installed (pip install {INSTALLS.get(package, package)})")
    return lacking


def fingerprint(commands: list[list[str]]) -> str:
    """Changes with the commands, the shipped models, versions and processor."""
    facts = [json.dumps(commands), *map(str, machine.facts(machine.PACKAGES))]
    for path in sorted(pretrained.FOLDER.rglob("*")):
        if path.suffix in (".onnx", ".h5", ".json", ".yml"):
            facts.append(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}")
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def duration(path: Path, name: str) -> str | None:
    """"0:12:30 on PROCESSOR, 2 cores" of the last time; None: not known."""
    for row in read_durations(path):
        if row["table"] == name:
            return f"{clock(float(row['seconds']))} on {row['processor']}, {row['cores']} cores"
    return None


def note_duration(path: Path, name: str, seconds: float) -> None:
    """Put the time of a table into a CSV of all of them."""
    row = {"table": name, "seconds": f"{seconds:.0f}", "processor": machine.processor(), "cores": machine.cores()}
    rows = [other for other in read_durations(path) if other["table"] != name] + [row]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(row), lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda each: list(JOBS).index(each["table"])))
    write_whole(path, out.getvalue().encode())


def read_durations(path: Path) -> list[dict]:
    """The rows of that CSV whose table is still known."""
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["table"] in JOBS]
