"""Training: exact resume after any end, the three ways to train by hand, what stops it and what does not."""

import csv
import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_training import state, tiny_config, write_scenes

from manyfaces.engine import checkpoint
from manyfaces.engine.checkpoint import read_facts
from manyfaces.engine.train import NonFiniteLoss, Trainer
from manyfaces.errors import InputError


@pytest.fixture(autouse=True, scope="module")
def backbones_as_before():
    """The tiny backbone is gone again when these tests are done."""
    from manyfaces.nets.backbones import BACKBONES

    before = dict(BACKBONES)
    yield
    BACKBONES.clear()
    BACKBONES.update(before)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A folder with the roidb `scenes`; each test trains below it under its own NAME."""
    folder = tmp_path_factory.mktemp("training")
    write_scenes(folder)
    return folder


def trainer(folder, name, resume=False, **changes):
    return Trainer(tiny_config(folder, NAME=name, TRAIN__DETERMINISTIC=False, **changes), resume=resume)


def quick(run):
    """The same run with steps that only move every weight a little: for what happens around the steps."""
    def step(images, targets, weights, momentum):
        for variable in run.model.trainable_variables + (run.average.trainable_variables if run.average else []):
            variable.assign_add(np.full(variable.shape, 0.01, np.float32))
        return {"m1_class": np.ones(len(images), np.float32)}, 1.0

    run.train_step = step
    return run


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def numbers(variables):
    return [v.numpy().copy() for v in variables]


# ------------------------------------------------------------------- resume


def child(folder, name, *words):
    """Exit code and output of a training in a process of its own."""
    script = Path(__file__).with_name("tiny_training.py")
    done = subprocess.run([sys.executable, script, folder, *words, "--set", "NAME", name], capture_output=True,
                          text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    return done.returncode, done.stdout + done.stderr


def test_whatever_ends_it_a_resumed_training_reaches_the_same_weights(scenes):
    """14 steps, a checkpoint every 4. Killed before the first, between two, and while one is written; then stopped."""
    rng = np.random.default_rng(5)
    first, second = int(rng.integers(1, 4)), int(rng.integers(5, 8))
    code, output = child(scenes, "whole")
    assert code == 0, output

    code, output = child(scenes, "broken", "--kill", f"KILL:{first}")
    assert code == -9, output
    assert not (scenes / "output/broken/checkpoint.npz").exists()
    code, output = child(scenes, "broken", "--resume", "--kill", f"KILL:{second}")
    assert code == -9, output
    assert read_facts(scenes / "output/broken/checkpoint.npz")["step"] == 4
    code, output = child(scenes, "broken", "--resume", "--kill", "KILL:save:8")
    assert code == -9, output
    assert read_facts(scenes / "output/broken/checkpoint.npz")["step"] == 4, "the half-written one does not count"

    code, output = child(scenes, "broken", "--resume", "--kill", "TERM:9", "--kill", "INT:11")
    assert code == 130 and "left with 143" in output and "left with 130" in output, output
    assert "stopped by SIGTERM after step 9; continue with --resume" in output
    assert read_facts(scenes / "output/broken/checkpoint.npz")["step"] == 11, "a signal saves at its step"

    code, output = child(scenes, "broken", "--resume")
    assert code == 0, output
    whole, broken = state(scenes, "whole"), state(scenes, "broken")
    assert whole.keys() == broken.keys() and len(whole) > 50
    for key in whole:
        np.testing.assert_array_equal(whole[key], broken[key], key)
    assert not [path for path in os.listdir(scenes / "output/broken") if ".part" in path]
    # Every step stands once in the log, with the same losses. A stop between two rows may shorten a mean.
    logs = [rows(scenes / "output" / name / "train.csv") for name in ("whole", "broken")]
    assert [[int(row["step"]) for row in log] for log in logs] == [list(range(2, 15, 2))] * 2
    assert [row for row in logs[0] if row["step"] not in ("10", "12")] == [
        row for row in logs[1] if row["step"] not in ("10", "12")]


def test_a_second_start_and_a_first_resume_are_refused(scenes):
    with pytest.raises(InputError, match="no training to resume there; start without --resume"):
        trainer(scenes, "refused", resume=True)
    quick(trainer(scenes, "refused", TRAIN__STEPS=1)).run()
    before = (scenes / "output/refused/checkpoint.npz").read_bytes()
    with pytest.raises(InputError, match=r"refused holds a training already: continue it with --resume.*refused_2"):
        trainer(scenes, "refused", TRAIN__STEPS=1)
    assert (scenes / "output/refused/checkpoint.npz").read_bytes() == before


def test_only_what_leaves_the_weights_alone_may_change_on_the_way(scenes):
    quick(trainer(scenes, "changed", TRAIN__STEPS=2)).run()
    with pytest.raises(InputError, match=r"config\.yml: the training there has TRAIN\.RATE 0\.003, now it is 0\.004"):
        trainer(scenes, "changed", resume=True, TRAIN__STEPS=2, TRAIN__RATE=0.004)
    with pytest.raises(InputError, match=r"ANCHORS\.SIZES"):
        trainer(scenes, "changed", resume=True, TRAIN__STEPS=2, ANCHORS__SIZES="[[12, 24], [48], [81]]")
    resumed = trainer(scenes, "changed", resume=True, TRAIN__STEPS=2, LOADER__WORKERS=1, TRAIN__SAVE_EVERY=1)
    assert resumed.step == 2
    write_scenes(scenes, "fewer", count=5)
    (scenes / "data/pickles/scenes.pkl").rename(scenes / "data/pickles/kept.pkl")
    (scenes / "data/pickles/fewer.pkl").rename(scenes / "data/pickles/scenes.pkl")
    try:
        with pytest.raises(InputError, match="the training there has 9 images, TRAIN.DATASETS 'scenes' holds 5 now"):
            trainer(scenes, "changed", resume=True, TRAIN__STEPS=2)
    finally:
        (scenes / "data/pickles/kept.pkl").rename(scenes / "data/pickles/scenes.pkl")


def test_initial_weights_need_not_be_named_again(scenes):
    source = quick(trainer(scenes, "source", TRAIN__STEPS=1))
    source.run()
    weights = scenes / "output/source/last.weights.h5"
    cfg = tiny_config(scenes, NAME="started", TRAIN__STEPS=2, TRAIN__DETERMINISTIC=False)
    started = Trainer(cfg, init=weights)
    for a, b in zip(numbers(started.model.variables), numbers(source.tested.variables), strict=True):
        np.testing.assert_array_equal(a, b)
    quick(started).run()
    assert trainer(scenes, "started", resume=True, TRAIN__STEPS=2).cfg.TRAIN.INIT == str(weights)


# ----------------------------------------------------- what stops it or not


def test_a_loss_that_is_not_finite_names_the_files(scenes):
    run = trainer(scenes, "infinite", LOADER__WORKERS=1, TRAIN__SAVE_EVERY=2)
    encode, one_step = run.loader.encode, run.train_step

    def bad_target(sample):
        targets = encode(sample)
        targets["m1_boxes"][:] = np.where(run.step >= 3, np.nan, targets["m1_boxes"])
        return targets

    run.loader.encode = bad_target
    seen = []

    def remember(images, *rest):
        seen.append(images)
        return one_step(images, *rest)

    run.train_step = remember
    with pytest.raises(NonFiniteLoss, match=r"step \d+: the loss or its gradient is not finite \(.*nonfinite\.txt"):
        run.run()
    step = len(seen) - 1
    head, *names = (scenes / "output/infinite/nonfinite.txt").read_text().splitlines()
    assert head.startswith(f"step {step} ") and "m1_box=nan" in head
    run.loader.encode = encode
    assert names == run.loader.batch(step)["names"]
    kept = state(scenes, "infinite")
    assert read_facts(scenes / "output/infinite/checkpoint.npz")["step"] == step - step % 2
    assert all(np.isfinite(value).all() for value in kept.values())


def full_disk(monkeypatch, run, steps):
    """Let the writing of the state fail at these steps."""
    write = np.savez

    def savez(file, **arrays):
        if run.step in steps:
            file.write(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(file, **arrays)

    monkeypatch.setattr(checkpoint, "np", SimpleNamespace(**{**vars(np), "savez": savez}))


def test_a_full_disk_does_not_end_a_training(scenes, monkeypatch, capsys):
    run = quick(trainer(scenes, "full", TRAIN__STEPS=10))
    full_disk(monkeypatch, run, {8})
    kept, one_step = [], run.train_step

    def look(*arguments):
        if run.step == 9:
            kept.append(read_facts(scenes / "output/full/checkpoint.npz")["step"])
        return one_step(*arguments)

    run.train_step = look
    run.run()
    assert kept == [4], "the earlier checkpoint was whole when the next could not be written"
    assert read_facts(scenes / "output/full/checkpoint.npz")["step"] == 10
    said = capsys.readouterr()
    assert "cannot write the checkpoint of step 8 (No space left on device); training goes on" in said.out + said.err


def test_a_disk_that_is_full_at_the_end_is_an_error_and_loses_nothing(scenes, monkeypatch):
    run = quick(trainer(scenes, "full_at_the_end", TRAIN__STEPS=6))
    full_disk(monkeypatch, run, {6})
    with pytest.raises(InputError, match=r"cannot write the checkpoint of step 6 .*free some space, then --resume"):
        run.run()
    monkeypatch.undo()
    assert read_facts(scenes / "output/full_at_the_end/checkpoint.npz")["step"] == 4
    quick(trainer(scenes, "full_at_the_end", resume=True, TRAIN__STEPS=6)).run()
    assert read_facts(scenes / "output/full_at_the_end/checkpoint.npz")["step"] == 6


# ---------------------------------------------------------------- selection


def test_the_best_weights_are_those_of_the_best_selection(scenes, monkeypatch):
    run = quick(trainer(scenes, "selected", TRAIN__SELECT="scenes", TRAIN__SELECT_EVERY=2, TRAIN__STEPS=7))
    values, then = iter([0.1, 0.5, 0.3, 0.5]), {}

    def evaluate():
        then[run.step] = numbers(run.average.variables)
        return {"AP": next(values), "loss": 1.0}

    monkeypatch.setattr(run.selection, "evaluate", evaluate)
    assert run.run() == 0.5
    assert list(then) == [2, 4, 6, 7], "every two steps, and at the end"
    best = trainer(scenes, "looked_at")
    checkpoint.load_weights(best.model, scenes / "output/selected/best.weights.h5", best.cfg)
    for a, b in zip(numbers(best.model.variables), then[4], strict=True):
        np.testing.assert_array_equal(a, b)
    log = rows(scenes / "output/selected/select.csv")
    assert [(row["step"], row["AP"]) for row in log] == [("2", "0.1"), ("4", "0.5"), ("6", "0.3"), ("7", "0.5")]
    assert read_facts(scenes / "output/selected/checkpoint.npz")["best"] == 0.5


def test_best_weights_that_could_not_be_written_do_not_count(scenes, monkeypatch):
    run = quick(trainer(scenes, "best_lost", TRAIN__SELECT="scenes", TRAIN__SELECT_EVERY=2, TRAIN__STEPS=4))
    values = iter([0.5, 0.4])
    monkeypatch.setattr(run.selection, "evaluate", lambda: {"AP": next(values)})
    save, module = checkpoint.save_weights, sys.modules[Trainer.__module__]

    def full(model, path, *rest):
        if run.step == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(model, path, *rest)

    monkeypatch.setattr(module, "save_weights", full)
    assert run.run() == 0.4
    assert (scenes / "output/best_lost/best.weights.h5").exists()


def test_selection_measures_and_changes_nothing(scenes):
    run = trainer(scenes, "measured", TRAIN__SELECT="scenes", TRAIN__SELECT_IMAGES=4)
    before = numbers(run.model.variables) + numbers(run.average.variables)
    first, second = run.selection.evaluate(), run.selection.evaluate()
    assert first == second and 0 <= first["AP"] <= 1 and first["AP"] == first["AP_scenes"]
    parts = [first[f"m{i}_{kind}"] for i in (1, 2, 3) for kind in ("class", "box", "landmark")]
    assert first["loss"] == pytest.approx(sum(parts)) and np.isfinite(parts).all()
    after = numbers(run.model.variables) + numbers(run.average.variables)
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    assert len(run.selection.sets["scenes"]) == 4


# ------------------------------------------------------- the ways to train


def gradients_by_hand(run, step):
    """The batch of a step, and the gradients of each module's loss (with weight decay) at the weights as they are."""
    import tensorflow as tf

    batch = run.loader.batch(step)
    batch.pop("names")
    images = tf.cast(batch.pop("images"), tf.float32)
    kernels = [v for v in run.model.trainable_variables if v.path.endswith("kernel")]
    values = [v.value for v in run.model.trainable_variables]
    parts = []
    for module in ("m1", "m2", "m3"):
        with tf.GradientTape() as tape:
            losses = run.family.losses(batch, run.model(images, training=True))
            mean = sum(tf.reduce_mean(value) for name, value in losses.items() if name.startswith(module))
            decay = run.cfg.LOSS.WEIGHT_DECAY * sum(tf.reduce_sum(v.value**2) for v in kernels) / 2
            total = mean + decay
        parts.append([g.numpy() for g in tape.gradient(total, values, unconnected_gradients="zero")])
    return parts


SGD = {"TRAIN__OPTIMIZER": "sgd", "TRAIN__EMA": 0.0, "TRAIN__CLIP_NORM": 0.0, "TRAIN__RATE": 0.01,
       "TRAIN__SCHEDULE": "steps", "LOSS__WEIGHT_DECAY": 0.01, "TRAIN__STEPS": 2, "LOADER__PREFETCH": 0}


def trained_by_hand(run, updates_of):
    """The weights after two steps of SGD with momentum 0.9; updates_of(step, parts) gives the gradients in order."""
    weights = numbers(run.model.trainable_variables)
    speed = [np.zeros_like(w) for w in weights]
    for step in range(2):
        for variable, value in zip(run.model.trainable_variables, weights, strict=True):
            variable.assign(value)
        for update in updates_of(step, gradients_by_hand(run, step)):
            speed = [0.9 * s - 0.01 * g for s, g in zip(speed, update, strict=True)]
            weights = [w + s for w, s in zip(weights, speed, strict=True)]
    return weights


def by_hand_and_trained(scenes, name, updates_of, **changes):
    hand = trained_by_hand(trainer(scenes, f"{name}_by_hand", **{**SGD, **changes}), updates_of)
    run = trainer(scenes, name, **{**SGD, **changes})
    start = numbers(run.model.trainable_variables)
    run.run()
    return start, hand, numbers(run.model.trainable_variables), run


def furthest(first, second):
    return max(np.abs(a - b).max() for a, b in zip(first, second, strict=True))


def summed(parts, decay):
    """The gradient of the sum with one weight decay: each part has one."""
    return [sum(g) - 2 * d for *g, d in zip(*parts, decay, strict=True)]


def test_group_is_three_updates_from_one_look_and_joint_is_one(scenes):
    start, hand, found, run = by_hand_and_trained(scenes, "group", lambda step, parts: parts, TRAIN__MODE="group")
    assert furthest(start, found) > 0.01
    assert furthest(hand, found) < 1e-5
    kernels = [v.path.endswith("kernel") for v in run.model.trainable_variables]

    def joint_update(step, parts):
        # The decay of a kernel is 0.01 times itself; what is common to the three parts would be counted thrice.
        values = numbers(joint_run.model.trainable_variables)
        return [summed(parts, [0.01 * w * k for w, k in zip(values, kernels, strict=True)])]

    joint_run = trainer(scenes, "joint_by_hand", TRAIN__MODE="joint", **SGD)
    hand = trained_by_hand(joint_run, joint_update)
    joint = trainer(scenes, "joint", TRAIN__MODE="joint", **SGD)
    joint.run()
    joint_found = numbers(joint.model.trainable_variables)
    assert furthest(hand, joint_found) < 1e-5
    assert furthest(joint_found, found) > 1e-3, "group is not the sum"


def test_random_changes_the_heads_of_the_chosen_module_alone(scenes):
    changes = {"TRAIN__MODE": "random", **SGD, "LOSS__WEIGHT_DECAY": 0.0, "TRAIN__STEPS": 1}
    chosen = set()
    for seed in (1, 3):
        run = trainer(scenes, f"random_{seed}", SEED=seed, **changes)
        weights = [run._module_weights(step) for step in range(30)]
        assert all(sorted(part) == [0, 0, 1] for part in weights)
        assert 5 <= min(np.sum(weights, axis=0)), "all modules have their turn"
        module = f"m{int(np.argmax(weights[0])) + 1}"
        before = numbers(run.model.trainable_variables)
        run.run()
        moved = {v.path.split("/")[0] for v, old in zip(run.model.trainable_variables, before, strict=True)
                 if (v.numpy() != old).any()}
        heads = {name for name in moved if name.startswith(("m1_", "m2_", "m3_"))}
        assert heads and all(name.startswith(f"{module}_") for name in heads)
        assert "conv1" in moved, "the backbone learns from every module"
        chosen.add(module)
    assert len(chosen) > 1


def test_gradients_are_clipped_as_a_whole(scenes):
    def clipped(step, parts):
        for part in parts:
            norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in part))
            assert norm > 0.05
            yield [g * 0.05 / norm for g in part]

    changes = {"TRAIN__MODE": "group", "TRAIN__CLIP_NORM": 0.05}
    _, hand, found, _ = by_hand_and_trained(scenes, "clipped", clipped, **changes)
    assert furthest(hand, found) < 1e-6
    logged = rows(scenes / "output/clipped/train.csv")
    assert float(logged[-1]["norm"]) > 0.05, "the log has the norm before clipping"


def test_the_average_follows_the_weights(scenes):
    run = trainer(scenes, "averaged", TRAIN__STEPS=3, TRAIN__EMA=0.5)
    means, one_step = numbers(run.model.variables), run.train_step

    def follow(images, targets, weights, momentum):
        nonlocal means
        result = one_step(images, targets, weights, momentum)
        expected = min(0.5, (1 + run.step) / (10 + run.step))
        assert momentum == pytest.approx(expected)
        means = [momentum * m + (1 - momentum) * v for m, v in zip(means, numbers(run.model.variables), strict=True)]
        return result

    run.train_step = follow
    run.run()
    assert furthest(means, numbers(run.average.variables)) < 1e-5
    assert furthest(numbers(run.model.variables), numbers(run.average.variables)) > 1e-4


def test_sources_have_weights(scenes):
    if not (scenes / "data/pickles/second.pkl").exists():
        write_scenes(scenes, "second", count=6, seed=1)
    run = trainer(scenes, "weighted", TRAIN__DATASETS="scenes+second", TRAIN__DATASET_WEIGHTS="[2.0, 0.5]")
    assert run.loader.size == 2 * 9 + 3
    counts = np.bincount(run.loader.order(0), minlength=15)
    assert counts[:9].tolist() == [2] * 9 and counts[9:].sum() == 3
