"""Trainings on the card by the command line that a user has: what they learn, how fast, and the processor's losses."""

from __future__ import annotations

import csv
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from manyfaces.commands.train import initial_weights
from manyfaces.config import load_config
from manyfaces.datasets.roidb import load_roidb, save_roidb
from manyfaces.errors import InputError
from manyfaces.files import write_whole

from .. import machine
from ..timing import Table, as_csv
from . import EMULATED

CFG = "ssh_mobilenet_v1_025"
PACKAGES = ("numpy", "keras", os.environ.get("KERAS_BACKEND") or "tensorflow")
STEPS = 3 if EMULATED else 20  # whose losses are compared
SIDE = 128 if EMULATED else 640  # px of the images of trainings that are timed
BOUND = 1e-3  # of the relative difference of a loss on the card from that on the processor
# Products of float32 in full: by itself JAX lets a card round their factors to TF32, and TensorFlow does too.
FULL = {"JAX_DEFAULT_MATMUL_PRECISION": "highest", "NVIDIA_TF32_OVERRIDE": "0"}
PROCESSOR = {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1"}
SCENES = {"toy_train": (24 if EMULATED else 300, 1), "toy_select": (4 if EMULATED else 24, 2)}  # number, seed
LEARNT = 0.8  # AP of the selection of cfgs/toy_ssh.yml
SPEEDS = [("float32", 32), ("bfloat16", 32), ("bfloat16", 128), ("float32", 128), ("float16", 32), ("bfloat16", 256),
          ("float32", 8)]  # the most telling first: time may end
MARGIN = 1.5  # times the longest training of a part so far: with less time left no further one is begun
END = time.monotonic() + float(os.environ.get("GPU_CHECK_SECONDS", "inf"))


# ------------------------------------------------------------ a training


def command(*words: str, env: Mapping[str, str] | None = None) -> str:
    """Run `manyfaces WORDS`; its output, which is printed too.

    Raises:
        InputError: it failed; the message ends as its output does.
    """
    process = subprocess.Popen([sys.executable, "-m", "manyfaces", *words], env={**os.environ, **(env or {})},
                               text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = []
    for line in process.stdout or ():
        print(line, end="", flush=True)
        lines.append(line)
    if process.wait():
        said = next((line for line in reversed(lines) if line.strip()), "").strip()
        raise InputError(f"manyfaces {' '.join(words)}: exit code {process.returncode}: {said}")
    return "".join(lines)


def train(name: str, cfg: str = CFG, options: Sequence[str] = (), env: Mapping[str, str] | None = None,
          card: bool = True, **changes: object) -> Path:
    """Train a config; the folder of the run.

    Args:
        options: further words of the command line.
        env: added to the environment.
        card: whether the run must say that it is on a GPU.
        changes: keys of the config, with __ for the dot.

    Raises:
        InputError: the training failed, or was not on a GPU.
    """
    values = {"NAME": name, "LOADER.WORKERS": machine.cores(), "TRAIN.IMAGES_EVERY": 0}
    values |= {key.replace("__", "."): value for key, value in changes.items()}
    words = [str(word) for pair in values.items() for word in pair]
    said = command("train", "--cfg", cfg, *options, "--set", *words, env=env)
    where = re.search(r"^batch of \d+ on (.*?), ", said, re.MULTILINE)
    if card and not EMULATED and (not where or "CPU" in where[1]):
        raise InputError(f"Keras on {PACKAGES[-1]} finds no GPU: it trains on {where[1] if where else 'what it hides'}")
    return Path(load_config(cfg).OUTPUT_DIR, name)


def read(path: Path) -> list[dict[str, float]]:
    """The rows of a CSV of a run.

    Raises:
        InputError: there is none.
    """
    with open(path, newline="", encoding="utf-8") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    if not rows:
        raise InputError(f"{path}: holds no row")
    return rows


def time_left() -> float:
    """Seconds of this part."""
    return END - time.monotonic()


def pace(run: Path) -> tuple[float, float]:
    """(images per second, percent of the time without data) of a run; the first row, which compiles, does not count."""
    rows = read(run / "speed.csv")
    rows = rows[1:] or rows
    return tuple(statistics.median(row[key] for row in rows) for key in ("images_per_second", "waits_percent"))


def write(part: str, *tables: Table) -> None:
    """Write what was measured so far to PART.csv."""
    write_whole(f"{part}.csv", as_csv(tables).encode())


# ------------------------------------------------------------ what is trained on


def made_up(name: str) -> str:
    """Make a roidb of made-up scenes, one of SCENES, unless it is there; its name."""
    images, seed = SCENES[name]
    if not Path(f"data/pickles/{name}.pkl").is_file():
        folder = f"data/toy/{name}"
        command("data", "toy", "--out", folder, "--images", str(images), "--seed", str(seed))
        command("data", "build", "--format", "retinaface", "--images", f"{folder}/WIDER_toy/images", "--labels",
                f"{folder}/wider_face_split/retinaface_toy_label.txt", "--out", f"data/pickles/{name}.pkl")
    return name


def images_of(folder: str | None) -> str:
    """The name of the roidb of a folder that `pack` filled; without a folder, of made-up scenes."""
    if folder is None:
        return made_up("toy_train")
    save_roidb(load_roidb(Path(folder, "train.pkl"), str(Path(folder, "images"))), "data/pickles/given.pkl")
    return "given"


def weights() -> str:
    """The shipped weights of CFG, which the working copy has: steps from there are those of a real training."""
    shipped = Path(__file__).resolve().parents[2] / "lib" / "pretrained" / f"{CFG}.weights.h5"
    return str(shipped) if shipped.is_file() else str(initial_weights(CFG))


# ------------------------------------------------------------ the parts


def scenes() -> None:
    """Make the scenes of cfgs/toy_ssh.yml."""
    began = time.monotonic()
    names = [made_up(name) for name in SCENES]
    print(f"{' and '.join(names)} in {time.monotonic() - began:.0f} s")


def losses(folder: str | None = None) -> None:
    """The first steps of SSH on the card and on the processor: the losses agree within BOUND.

    Raises:
        InputError: they do not.
    """
    settings = {"TRAIN__DATASETS": images_of(folder), "TRAIN__SELECT": "", "TRAIN__STEPS": STEPS, "TRAIN__LOG_EVERY": 1,
                "TRAIN__DETERMINISTIC": True, "TRAIN__BATCH": 4 if EMULATED else 16, "AUGMENT__SIZES": "[]",
                "AUGMENT__SIZE": 128 if EMULATED else 320, "AUGMENT__CLEAN_STEPS": 0}
    runs = {"processor": (PROCESSOR, False), "card": (FULL, True), "card, TF32": ({}, True)}
    if EMULATED:
        del runs["card, TF32"]
    title = f"Losses of the first {STEPS} steps of SSH on the card, compared with the processor's"
    columns = ("on", "largest relative difference", "at step", "last loss")
    found, table, longest = {}, Table(title, columns, packages=PACKAGES), 0.0
    for name, (env, card) in runs.items():
        if name not in ("processor", "card") and time_left() < MARGIN * longest:
            break
        began = time.monotonic()
        run = train(f"losses_{name.replace(', ', '_')}", options=["--init", weights()], env=env, card=card, **settings)
        found[name] = [row["loss"] for row in read(run / "train.csv")]
        apart = [abs(a - b) / abs(b) for a, b in zip(found[name], found["processor"], strict=True)]
        table.rows.append([name, f"{max(apart):.2e}", apart.index(max(apart)) + 1, f"{found[name][-1]:.6g}"])
        write("losses", table)
        longest = max(longest, time.monotonic() - began)
        text = "\n".join([",".join(["step", *found]), *(",".join(map(str, row)) for row in zip(
            range(1, STEPS + 1), *found.values(), strict=True))])
        write_whole("losses_steps.csv", f"{text}\n".encode())
    print(table.text())
    apart = float(table.rows[1][1])
    if not apart <= BOUND:
        raise InputError(f"the losses differ by {apart:.2e} of the processor's at step {table.rows[1][2]}, more than "
                         f"{BOUND:g}")
    print(f"within {apart:.1e} of the processor's over {STEPS} steps (bound {BOUND:g})")


def toy() -> None:
    """cfgs/toy_ssh.yml from random weights.

    Raises:
        InputError: its AP on the selection is below LEARNT.
    """
    changes = {"TRAIN__DATASETS": made_up("toy_train"),
               "TRAIN__SELECT": made_up("toy_select")}
    if EMULATED:
        changes |= {"TRAIN__STEPS": 4, "TRAIN__SELECT_EVERY": 4, "TRAIN__LOG_EVERY": 2, "TRAIN__BATCH": 4,
                    "TRAIN__WARMUP": 2, "AUGMENT__SIZE": 128}
    began = time.monotonic()
    run = train("toy_ssh", "toy_ssh", **changes)
    seconds, ap = time.monotonic() - began, max(row["AP"] for row in read(run / "select.csv"))
    rate, waits = pace(run)
    columns = ("training", "AP of the selection", "seconds", "images/s", "% waiting for data")
    write("toy", Table("cfgs/toy_ssh.yml, from random weights", columns, [
        ["toy_ssh", f"{ap:.3f}", f"{seconds:.0f}", f"{rate:.0f}", f"{waits:.1f}"]], packages=PACKAGES))
    if ap < LEARNT and not EMULATED:
        raise InputError(f"AP of the selection is {ap:.3f}, expected at least {LEARNT}")
    print(f"AP {ap:.3f} in {seconds:.0f} s, {rate:.0f} images/s, {waits:.0f} % waiting for data")


def ssh(folder: str | None = None) -> None:
    """SSH for 300 steps from random weights: its loss falls.

    Raises:
        InputError: it does not.
    """
    steps, batch = (4, 4) if EMULATED else (300, 32)
    run = train("ssh", **{"TRAIN__DATASETS": images_of(folder), "TRAIN__STEPS": steps, "TRAIN__BATCH": batch,
                          "TRAIN__LOG_EVERY": max(1, steps // 30), **speed_settings()})
    rows = read(run / "train.csv")
    first, last = (statistics.mean(row["loss"] for row in few) for few in (rows[:2], rows[-2:]))
    rate, waits = pace(run)
    columns = ("training", "first loss", "last loss", "images/s", "% waiting for data")
    write("ssh", Table(f"SSH, {steps} steps of {batch} images of {SIDE} px", columns, [
        [CFG, f"{first:.4f}", f"{last:.4f}", f"{rate:.0f}", f"{waits:.1f}"]], packages=PACKAGES))
    if not last < first and not EMULATED:
        raise InputError(f"the loss does not fall: {first:.4f} at first, {last:.4f} at the end")
    print(f"loss {first:.3f} to {last:.3f}, {rate:.0f} images/s, {waits:.0f} % waiting for data")


def speed_settings() -> dict[str, object]:
    """Keys of the config for trainings that are timed: one size, nothing but steps."""
    return {"TRAIN__SELECT": "", "NET__WEIGHTS": "", "NET__FROZEN_STAGES": 0, "AUGMENT__SIZES": "[]",
            "AUGMENT__SIZE": SIDE, "AUGMENT__CLEAN_STEPS": 0, "TRAIN__SAVE_EVERY": 1000}


def speed(folder: str | None = None) -> None:
    """Images per second by precision and batch, and how much of the time the step waits for data.

    The measurements end when time does: GPU_CHECK_SECONDS.
    """
    name, steps = images_of(folder), 4 if EMULATED else 30
    columns = ("precision and batch", "images/s", "% waiting for data")
    table, longest = Table(f"Training SSH at {SIDE} px", columns, packages=PACKAGES), 0.0
    wanted = [("bfloat16", 4)] if EMULATED else SPEEDS
    for precision, batch in wanted:
        began = time.monotonic()
        if time_left() < MARGIN * longest:
            break
        run = train(f"speed_{precision}_{batch}", **{
            "TRAIN__DATASETS": name, "TRAIN__STEPS": steps, "TRAIN__LOG_EVERY": max(2, steps // 6),
            "TRAIN__BATCH": batch, "TRAIN__PRECISION": precision, **speed_settings()})
        rate, waits = pace(run)
        table.rows.append([f"{precision}, {batch}", f"{rate:.0f}", f"{waits:.1f}"])
        write("speed", table)
        longest = max(longest, time.monotonic() - began)
    print(table.text())
    best = max(table.rows, key=lambda row: float(row[1]))
    print(f"{len(table.rows)} of {len(wanted)} measured; most: {best[1]} images/s, waiting {best[2]} % ({best[0]})")
