"""A program that trains on one device and on two: two_devices.py FOLDER CASE ...; test_devices.py reads its files.

Logical devices of the processor must be created before TensorFlow's first operation, so this needs its own process.
FOLDER/CASE.npz holds `1/...` and `2/...` by the number of devices: all variables after each update, the results of each
step (losses per image, the norm), and the positives of each image in the first batch.
"""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
from tiny_training import numbers, state, tiny_config, write_scenes

COMMON = {"TRAIN__STEPS": 3, "TRAIN__LOG_EVERY": 1, "TRAIN__SCHEDULE": "steps", "TRAIN__OPTIMIZER": "sgd",
          "TRAIN__RATE": 0.01, "TRAIN__BATCH": 4, "TRAIN__EMA": 0.0, "TRAIN__CLIP_NORM": 0.0,
          "LOSS__WEIGHT_DECAY": 0.01, "NET__BN_MOMENTUM": 0.9, "NET__LANDMARKS": False,
          "ANCHORS__SIZES": [[12], [24], [40]], "AUGMENT__SIZE": 64, "AUGMENT__MOSAIC": 0.5, "AUGMENT__BACKGROUND": 0.3}
SQUEEZED = {"TEST__SIZE": [64, 64]}
CASES = {
    "grid": {"FAMILY": "grid", **SQUEEZED, "GRID__INPUT": 64, "GRID__WIDTH": 8, "GRID__BOX_LOSS": "diou",
             "TRAIN__EMA": 0.5, "TRAIN__SAVE_EVERY": 2,
             "TRAIN__SELECT": "scenes", "TRAIN__SELECT_EVERY": 3, "TRAIN__SELECT_IMAGES": 2},
    # Three updates as joint, three as random: the compiled step is the same, the weights of the modules differ. With
    # this seed the second three are of m1, m2 and m3.
    "ssh": {"TRAIN__STEPS": 6, "SEED": 11, "NET__BN": True, "TRAIN__CLIP_NORM": 0.5},
    "ssh_group": {"TRAIN__MODE": "group", "LOSS__CLASS": "ohem", "LOSS__OHEM_BATCH": 32, "TRAIN__CLIP_NORM": 0.5},
    "ssd": {"FAMILY": "ssd", **SQUEEZED, "ANCHORS__STRIDES": [16], "ANCHORS__WIDTHS": [12.0, 30.0],
            "ANCHORS__HEIGHTS": [14.0, 36.0], "LOSS__CLASS": "mined", "TRAIN__OPTIMIZER": "adamw", "TRAIN__RATE": 1e-3},
}
# Crops mined in groups of 12, of which each of two devices has one; in this ratio the groups have different faces.
CASES["rnet"] = {"FAMILY": "mtcnn", "MTCNN__STAGE": "rnet", "MTCNN__LANDMARKS": "scenes", "NET__LANDMARKS": True,
                 "MTCNN__COUNTS": [40, 40, 40, 120], "MTCNN__RATIO": [3, 2, 1, 4], "MTCNN__OHEM_GROUP": 12,
                 "TRAIN__BATCH": 24}
CASES["half"] = {**CASES["rnet"], "TRAIN__PRECISION": "float16", "TRAIN__EMA": 0.5}
CASES["ssd_sgd"] = {**CASES["ssd"], "TRAIN__OPTIMIZER": "sgd"}
# The same on two devices, done wrongly: the tests must notice it.
WRONG = {"unsynchronised": "grid"}


def make_samples(cfg):
    """Training samples for a stage of MTCNN, drawn and not mined."""
    from manyfaces.data_layer.mtcnn.batches import samples_folder
    from manyfaces.data_layer.mtcnn.folder import SampleFolder
    from manyfaces.data_layer.mtcnn.writer import SampleMaker, Sources
    from manyfaces.engine.records import config_records
    from manyfaces.progress import Progress

    records, _ = config_records(cfg, "scenes")
    maker, folder = SampleMaker(cfg, 24, {"train": Sources(records, records)}), SampleFolder(samples_folder(cfg))
    folder.begin(maker.settings())
    maker.run(folder, Progress(len(records), "images", every=1e9))


def train(folder, case, name, count, resume=False):
    """The Trainer of a case after its run on `count` devices, and the arrays of its steps."""
    from manyfaces.engine.train import Trainer

    cfg = tiny_config(folder, NAME=name, **{**COMMON, **CASES[case]})
    if cfg.FAMILY == "mtcnn":
        make_samples(cfg)
    run, found = Trainer(cfg, resume=resume, devices=count), {}
    if name.startswith("unsynchronised"):
        run.model.get_layer("conv1_bn").synchronized = False
    one_step = run.train_step

    def look(images, targets, weights, momentum):
        if case == "ssh":
            cfg.TRAIN.MODE = "joint" if run.step < 3 else "random"
        if run.step == cfg.TRAIN.SAVE_EVERY:  # its checkpoint is kept for a resumed run
            shutil.copy(run.folder / "checkpoint.npz", run.folder / "kept.npz")
        keep(run.step)
        losses, norm = one_step(images, targets, weights, momentum)
        found.update({f"step{run.step}/{key}": value for key, value in losses.items()})
        found[f"step{run.step}/norm"] = norm
        run.last = images, targets, weights, momentum
        return losses, norm

    def keep(step):
        for kind, part in run._groups().items():
            for variable, value in zip(part, numbers(part), strict=True):
                name = variable.path.split("/", kind == "optimizer")[-1]  # without the optimizer's, which Keras counts
                found[f"after{step}/{kind}/{name}"] = value

    run.train_step = look
    if run.step == 0:
        batch = run.loader.batch(0)
        faces = [value == 1 for key, value in batch.items() if key.endswith("_labels") or key == "label"]
        found["faces"] = sum(part.reshape(len(part), -1).sum(axis=1) for part in faces)
    run.run()
    keep(run.step)
    run.train_step = one_step
    return run, found


def nan_in_the_last_image(run):
    """Which images have a NaN loss when one target of the last image is NaN; and whether the norm is NaN."""
    images, targets, weights, momentum = run.last
    boxes = targets["grid_boxes"].copy()
    boxes[-1] = np.nan
    losses, norm = run.train_step(images, {**targets, "grid_boxes": boxes}, weights, momentum)
    return {"nan/images": np.isnan(losses["grid_box"]), "nan/norm": np.isnan(norm)}


def resumed(folder, case, count):
    """The state of a run that starts on two devices and continues from step 2 on `count` devices."""
    name = f"{case}_2"
    shutil.copy(folder / "output" / name / "kept.npz", folder / "output" / name / "checkpoint.npz")
    train(folder, case, name, count, resume=True)
    return {f"resumed{count}/{key}": value for key, value in state(folder, name).items()}


def refused(count):
    """The error for more devices than exist, after TensorFlow or JAX has started."""
    from manyfaces.errors import InputError
    from manyfaces.nets.devices import find_devices

    try:
        find_devices(count)
    except InputError as error:
        return str(error)
    return ""


def main(folder, *cases):
    if os.environ.get("KERAS_BACKEND") != "jax":
        import tensorflow as tf

        # Optimising a graph changes nothing that is tested here, and takes longer than its three steps.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    write_scenes(folder)
    for case in cases:
        base, found = WRONG.get(case, case), {}
        for count in ((2,) if case in WRONG else (2, 1)):  # two first: they cannot be created later
            run, arrays = train(folder, base, f"{case}_{count}", count)
            found |= {f"{count}/{key}": value for key, value in arrays.items()}
            if case == "grid" and count == 2:
                found |= nan_in_the_last_image(run)
        if case == "grid":
            found |= {f"whole/{key}": value for key, value in state(folder, f"{case}_2").items()}
            found |= resumed(folder, case, 2) | resumed(folder, case, 1)
            found["refused"] = refused(3)
        np.savez(folder / f"{case}.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
