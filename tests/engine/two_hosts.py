"""One process of a training on several hosts, or all of it in one: two_hosts.py FOLDER CASE [words] [options of train].

The cases are those of two_devices.py and of CASES here. Words are keys such as TRAIN__STEPS=3, and `strike=KILL:3`: a
signal at the end of step 3 (tiny_training.py); `once=KILL:3`: to rank 1, in its first start only.
FOLDER/found/NAME/RANK.npz holds all variables at the end, of the net, its average and the optimizer, and "faces", those
of each sample of this process in its first step.

`run_ranks` starts all processes of a training at the loopback and waits for them.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # where this is a program: tests/

import numpy as np
from free_ports import free_ports
from tiny_training import numbers, strike_at, tiny_config
from two_devices import CASES as DEVICE_CASES
from two_devices import COMMON, make_samples

STEPS = 5
CASES = {**DEVICE_CASES, "tiny": {
    "FAMILY": "tiny", "ANCHORS__WIDTHS": [40.0, 24.0, 14.0], "ANCHORS__HEIGHTS": [44.0, 28.0, 16.0],
    "ANCHORS__STRIDES": [8, 16, 32], "NET__WIDTHS": [8], "NET__BN": True}}
FIXED = {"TRAIN__STEPS": STEPS, "TRAIN__LOG_EVERY": 1, "TRAIN__SAVE_EVERY": 2, "TRAIN__SELECT_EVERY": 3}
PATIENCE = 900.0  # s for one process, also on a machine that does much else


def config(folder, case, **changes):
    """The config of a case; its name is that of the case unless `changes` have another."""
    return tiny_config(Path(folder), **{**COMMON, **CASES[case], **FIXED, "NAME": case, **changes})


def main(folder, case, *words):
    """Train as `manyfaces train` does, and write what this process holds at the end."""
    if os.environ.get("KERAS_BACKEND") != "jax":
        import tensorflow as tf

        # Optimising a graph changes nothing that is tested here, and takes longer than its steps.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    from manyfaces.commands import train
    from manyfaces.commands.command_line import run
    from manyfaces.engine import train as engine

    strikes = [word.removeprefix("strike=") for word in words if word.startswith("strike=")]
    once = [word.removeprefix("once=") for word in words if word.startswith("once=")]
    changes = dict(word.split("=", 1) for word in words if word.partition("=")[0].isupper())
    options = [word for word in words if "=" not in word]
    cfg = config(folder, case, **changes)
    struck = Path(folder) / f"struck_{cfg.NAME}"
    train.load_config = lambda *_: cfg
    one_run = engine.Trainer.run

    def looked_at(trainer):
        one_step, found = trainer.train_step, {}

        def look(images, targets, weights, momentum):
            faces = [value == 1 for key, value in targets.items() if key.endswith("_labels") or key == "label"]
            found.setdefault("faces", sum(part.reshape(len(part), -1).sum(axis=1) for part in faces))
            return one_step(images, targets, weights, momentum)

        trainer.train_step = look
        for where in strikes:
            strike_at(trainer, where)
        if once and trainer.team.rank == 1 and not struck.exists():
            struck.touch()
            strike_at(trainer, once[0])
        try:
            return one_run(trainer)
        finally:
            for kind, group in trainer._groups().items():
                for variable, value in zip(group, numbers(group), strict=True):
                    found[f"{kind}/{variable.path.split('/', kind == 'optimizer')[-1]}"] = value
            out = Path(folder) / "found" / cfg.NAME
            out.mkdir(parents=True, exist_ok=True)
            np.savez(out / f"{trainer.team.rank}.npz", **found)

    engine.Trainer.run = looked_at
    options = ["--cfg", "tiny", *options]
    keys = [word for word in words if "=" in word]
    sys.orig_argv = [sys.executable, __file__, str(folder), case, *keys, *options]  # what a launcher starts again
    return run(train.main, options)


def found(folder, name, rank=0):
    """What a process of a training held at its end, by name."""
    with np.load(Path(folder) / "found" / name / f"{rank}.npz") as file:
        return dict(file)


def farthest(one, two):
    """The largest difference between two `found`, over all variables."""
    assert one.keys() == two.keys()
    return max(float(np.abs(value.astype(np.float64) - two[key]).max()) for key, value in one.items()
               if key != "faces" and value.size)


@dataclass
class Ended:
    """How a process ended: its exit code, all that it printed, and when, in s after the first one."""

    code: int
    output: str
    after: float


def start(folder, case, words, backend):
    """A process of this program."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "KERAS_BACKEND": backend,
                   "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1"}
    return subprocess.Popen([sys.executable, __file__, str(folder), case, *words], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, env=environment)


def run_ranks(folder, case, words=(), own=None, backend="tensorflow", count=2):
    """Train with `count` processes; `own` gives further words to some ranks. Returns how each of them ended, by rank.

    None of them outlives this call.
    """
    if CASES[case].get("FAMILY") == "mtcnn":
        make_samples(config(folder, case))
    hosts = f"127.0.0.1:{free_ports(count + 1)}" + ",127.0.0.1" * (count - 1)
    processes = [start(folder, case, [*words, *(own or {}).get(rank, ()), "--hosts", hosts, "--rank", str(rank)],
                       backend) for rank in range(count)]
    ends, limit = {}, time.monotonic() + PATIENCE
    try:
        while len(ends) < count and time.monotonic() < limit:
            for rank, process in enumerate(processes):
                if rank not in ends and process.poll() is not None:
                    ends[rank] = time.monotonic()
            time.sleep(0.05)
    finally:
        for process in processes:
            process.kill()
        outputs = [process.communicate()[0] for process in processes]
    first = min(ends.values(), default=0.0)
    return [Ended(process.returncode, output, ends.get(rank, limit) - first)
            for rank, (process, output) in enumerate(zip(processes, outputs, strict=True))]


def run_one(folder, case, words=(), backend="tensorflow"):
    """Train with one process, as NAME=CASE_1 unless `words` say another."""
    process = start(folder, case, [f"NAME={case}_1", *words], backend)
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    return Ended(process.returncode, output, 0.0)


def error_lines(output):
    """The lines of an output that say why a process of this program ended."""
    return [line for line in output.splitlines() if line.startswith(("error: ", "stopped by "))]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
