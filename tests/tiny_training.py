"""A training that takes seconds: SSH on a backbone of three convolutions, random scenes, and a way to kill it.

Run as a program it is the process to kill: tiny_training.py FOLDER [--resume] [--kill WHERE] [--set KEY VALUE].
"""

import argparse
import csv
import os
import signal
import sys
from types import SimpleNamespace

import cv2
import numpy as np

from manyfaces.config import load_config
from manyfaces.datasets.roidb import Record, Roidb, save_roidb

SETTINGS = {
    "NAME": "tiny", "NET.BACKBONE": "three", "NET.WIDTHS": "[4, 4, 4]", "NET.TOP_DOWN_WIDTH": 4, "NET.LANDMARKS": True,
    "TARGETS.POSITIVE": 0.35, "TARGETS.BEST": 0.2, "LOSS.CLASS": "focal",
    "ANCHORS.SIZES": "[[12, 24], [48], [80]]", "ANCHORS.BORDERS": "[-1, -1, -1]",
    "TRAIN.DATASETS": "scenes", "TRAIN.STEPS": 14, "TRAIN.BATCH": 4, "TRAIN.OPTIMIZER": "adamw", "TRAIN.RATE": 3e-3,
    "TRAIN.SCHEDULE": "cosine", "TRAIN.EMA": 0.9, "TRAIN.SAVE_EVERY": 4, "TRAIN.LOG_EVERY": 2, "TRAIN.IMAGES_EVERY": 0,
    "AUGMENT.SIZE": 96, "AUGMENT.FACE_SIZES": "[10, 70]", "AUGMENT.MOSAIC": 0.3, "LOADER.PREFETCH": 2,
}


def three_convolutions():
    """A backbone module: strides 8, 16 and 32 by convolutions with that stride, and batch normalisation."""
    def build(images, cfg, preprocess=None):
        from keras import layers

        x = layers.Rescaling(1 / 127.5, -1.0)(images)
        x = layers.Conv2D(6, 8, strides=8, activation="relu", name="conv1")(x)
        taps = {"stride8": layers.BatchNormalization(name="conv1_bn")(x)}
        taps["stride16"] = layers.Conv2D(6, 2, strides=2, activation="relu", name="conv2")(taps["stride8"])
        taps["stride32"] = layers.Conv2D(6, 2, strides=2, activation="relu", name="conv3")(taps["stride16"])
        return taps

    return SimpleNamespace(build=build, STAGES=0)


def tiny_config(folder, **changes):
    """The config of a tiny training in `folder`; keywords have __ for the dots: tiny_config(f, TRAIN__STEPS=3)."""
    from manyfaces.nets.backbones import BACKBONES

    BACKBONES.setdefault("three", three_convolutions())
    values = {**SETTINGS, "DATA_DIR": str(folder / "data"), "OUTPUT_DIR": str(folder / "output"),
              **{key.replace("__", "."): value for key, value in changes.items()}}
    return load_config(overrides=[str(word) for pair in values.items() for word in pair])


def write_scenes(folder, name="scenes", count=9, seed=0):
    """Write a roidb of bright squares on noise below folder/data; returns its records."""
    records, rng = [], np.random.default_rng(seed)
    images = folder / "data" / "images" / name
    images.mkdir(parents=True)
    for i in range(count):
        picture = rng.integers(0, 120, (100, 120, 3), np.uint8)
        side = rng.integers(14, 60)
        x, y = rng.integers(0, 120 - side), rng.integers(0, 100 - side)
        picture[y : y + side, x : x + side] = 230
        assert cv2.imwrite(str(images / f"{i}.png"), picture)
        box = np.float32([[x, y, x + side, y + side]])
        points = (box[:, None, :2] + side * np.float32([[.3, .4], [.7, .4], [.5, .6], [.3, .8], [.7, .8]]))
        records.append(Record(str(images), f"{i}.png", 120, 100, box, points, np.zeros(1, bool)))
    save_roidb(Roidb(records, {}, name), folder / "data" / "pickles" / f"{name}.pkl")
    return records


def state(folder, name="tiny"):
    """Dict of all arrays of a run's checkpoint."""
    with np.load(folder / "output" / name / "checkpoint.npz") as file:
        return {key: file[key] for key in file.files if key != "facts"}


def scenes_folder(tmp_path_factory):
    """A fixture: a folder with the roidb `scenes`; each test trains below it under its own NAME.

    The backbone of three convolutions is removed when the tests are done.
    """
    from manyfaces.nets.backbones import BACKBONES

    folder = tmp_path_factory.mktemp("training")
    write_scenes(folder)
    yield folder
    BACKBONES.pop("three", None)


def trainer(folder, name, resume=False, **changes):
    """A Trainer of the tiny config, in this process."""
    from manyfaces.engine.train import Trainer

    return Trainer(tiny_config(folder, NAME=name, TRAIN__DETERMINISTIC=False, **changes), resume=resume)


def quick(run):
    """The same run with steps that only move every weight a little, for tests of what happens around the steps."""
    def step(images, targets, weights, momentum):
        for variable in run.model.trainable_variables + (run.average.trainable_variables if run.average else []):
            variable.assign_add(np.full(variable.shape, 0.01, np.float32))
        return {"m1_class": np.ones(len(images), np.float32)}, 1.0

    run.train_step = step
    return run


def rows(path):
    """Rows of a CSV as dicts of text."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def numbers(variables):
    """Copies of Keras variables as arrays."""
    return [v.numpy().copy() for v in variables]


# ------------------------------------------------- the process that the tests kill


def strike_at(trainer, where):
    """Send the process a signal: `KILL:7` at the end of step 7, `KILL:save:8` while it writes the checkpoint of step 8.

    The signal is KILL, TERM or INT.
    """
    name, *place = where.split(":")
    number, step = getattr(signal, f"SIG{name}"), int(place[-1])

    def strike():
        os.kill(os.getpid(), number)

    if place[0] == "save":
        import manyfaces.engine.checkpoint as checkpoint

        whole = np.savez

        def half(file, **arrays):
            if trainer.step == step:
                whole(file, **dict(list(arrays.items())[: len(arrays) // 2]))
                file.flush()
                strike()
            whole(file, **arrays)

        checkpoint.np = SimpleNamespace(**{**vars(np), "savez": half})
        return
    one_step = trainer.train_step

    def struck(*arguments):
        result = one_step(*arguments)
        if trainer.step + 1 == step:
            strike()
        return result

    trainer.train_step = struck


def main():
    from pathlib import Path

    from manyfaces.commands.command_line import run

    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--kill", action="append", default=[])
    parser.add_argument("--set", nargs="+", default=[])
    options = parser.parse_args()
    changes = dict(zip(options.set[::2], options.set[1::2], strict=True))

    def train(_):
        from manyfaces.engine.train import Trainer

        resume = options.resume
        for where in options.kill or [None]:
            trainer = Trainer(tiny_config(options.folder, **changes), resume=resume)
            if where:
                strike_at(trainer, where)
            try:
                trainer.run()
            except SystemExit as left:
                print("left with", left.code, flush=True)
                if where == options.kill[-1]:
                    raise
            resume = True

    return run(train)


if __name__ == "__main__":
    sys.exit(main())
