"""Training: exact resume after any end, what stops it and what does not, selection of the best weights."""

import errno
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT
from tiny_training import numbers, quick, rows, scenes_folder, state, tiny_config, trainer, write_scenes

from manyfaces import locks
from manyfaces.engine import checkpoint, run_files
from manyfaces.engine.checkpoint import read_facts
from manyfaces.engine.train import NonFiniteLoss, Trainer
from manyfaces.errors import InputError
from manyfaces.weights import files as weights

scenes = pytest.fixture(scenes_folder, scope="module")


# ------------------------------------------------------------------- resume


def child(folder, name, *words):
    """Exit code and output of a training in a separate process."""
    script = ROOT / "tests" / "tiny_training.py"
    done = subprocess.run([sys.executable, script, folder, *words, "--set", "NAME", name], capture_output=True,
                          text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
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
    # Every step is in the log once, with the same losses. A stop between two rows may shorten a mean.
    logs = [rows(scenes / "output" / name / "train.csv") for name in ("whole", "broken")]
    assert [[int(row["step"]) for row in log] for log in logs] == [list(range(2, 15, 2))] * 2
    assert [row for row in logs[0] if row["step"] not in ("10", "12")] == [
        row for row in logs[1] if row["step"] not in ("10", "12")]


@pytest.mark.slow
def test_a_second_start_and_a_first_resume_are_refused(scenes):
    with pytest.raises(InputError, match="no training to resume there; start without --resume"):
        trainer(scenes, "refused", resume=True)
    quick(trainer(scenes, "refused", TRAIN__STEPS=1)).run()
    before = (scenes / "output/refused/checkpoint.npz").read_bytes()
    with pytest.raises(InputError, match=r"refused already holds a training: continue it with --resume.*refused_2"):
        trainer(scenes, "refused", TRAIN__STEPS=1)
    assert (scenes / "output/refused/checkpoint.npz").read_bytes() == before


@pytest.mark.slow
def test_a_training_is_left_alone_by_a_second_process(scenes):
    run = quick(trainer(scenes, "alone", TRAIN__STEPS=2))
    part, one_step, refusals = scenes / "output/alone/.checkpoint.npz.1.2.part", run.train_step, []

    def step(*arguments):
        if run.step == 1:
            part.write_bytes(b"being written")
            refusals.append(child(scenes, "alone", "--resume"))
        return one_step(*arguments)

    run.train_step = step
    run.run()
    ((code, output),) = refusals
    assert code == 2 and part.read_bytes() == b"being written"
    assert f"output/alone: process {os.getpid()} on " in output and "another name (--set NAME alone_2)" in output
    quick(trainer(scenes, "alone", resume=True, TRAIN__STEPS=2)).run()
    assert not part.exists() and not (scenes / "output/alone" / locks.NAME).exists()


@pytest.mark.slow
def test_on_resume_only_keys_without_effect_on_the_weights_may_change(scenes):
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


@pytest.mark.slow
def test_before_the_cooldown_a_training_may_be_made_longer_and_ends_as_if_it_always_was(scenes):
    cooldown = {"TRAIN__SCHEDULE": "cooldown", "TRAIN__COOLDOWN": 0.5, "AUGMENT__CLEAN_STEPS": 1}
    whole = trainer(scenes, "long", TRAIN__STEPS=8, **cooldown)
    whole.run()
    for name, last in (("extended", 3), ("late", 4)):
        begun = trainer(scenes, name, TRAIN__STEPS=6, **cooldown)
        run = begun.loader.run
        begun.loader.run = lambda first, _, run=run, last=last: run(first, last)  # it stops there, with a checkpoint
        begun.run()
    trainer(scenes, "extended", resume=True, TRAIN__STEPS=8, **cooldown).run()
    expected, extended = state(scenes, "long"), state(scenes, "extended")
    for key in expected:
        np.testing.assert_array_equal(extended[key], expected[key], key)
    with pytest.raises(InputError, match=r"has TRAIN.STEPS 6, now it is 8; .* up to step 3, .* is of step 4"):
        trainer(scenes, "late", resume=True, TRAIN__STEPS=8, **cooldown)


@pytest.mark.slow
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


# ------------------------------------------------ what stops a training or not


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_files_of_a_bad_batch_are_named_on_a_full_disk_too(scenes, monkeypatch):
    run = quick(trainer(scenes, "infinite_full", TRAIN__STEPS=2))
    run.train_step = lambda *_: ({"m1_class": np.full(4, np.nan, np.float32)}, 1.0)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "nonfinite.txt")

    monkeypatch.setattr(sys.modules[Trainer.__module__], "write_whole", full)
    with pytest.raises(NonFiniteLoss, match=r"cannot be written to .*nonfinite\.txt \(No space left on device\); they "
                                            r"are .*/scenes/\d\.png, .*: fix their boxes"):
        run.run()


def full_disk(monkeypatch, run, steps):
    """Make the writing of the state fail at these steps."""
    write = np.savez

    def savez(file, **arrays):
        if run.step in steps:
            file.write(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(file, **arrays)

    monkeypatch.setattr(checkpoint, "np", SimpleNamespace(**{**vars(np), "savez": savez}))


@pytest.mark.slow
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
    assert "cannot write the checkpoint of step 8 (No space left on device); training continues" in said.out + said.err


@pytest.mark.slow
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


@pytest.mark.slow
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
    weights.load_weights(best.model, scenes / "output/selected/best.weights.h5", best.cfg)
    for a, b in zip(numbers(best.model.variables), then[4], strict=True):
        np.testing.assert_array_equal(a, b)
    log = rows(scenes / "output/selected/select.csv")
    assert [(row["step"], row["AP"]) for row in log] == [("2", "0.1"), ("4", "0.5"), ("6", "0.3"), ("7", "0.5")]
    assert read_facts(scenes / "output/selected/checkpoint.npz")["best"] == 0.5


@pytest.mark.slow
def test_best_weights_that_could_not_be_written_do_not_count(scenes, monkeypatch):
    run = quick(trainer(scenes, "best_lost", TRAIN__SELECT="scenes", TRAIN__SELECT_EVERY=2, TRAIN__STEPS=4))
    values = iter([0.5, 0.4])
    monkeypatch.setattr(run.selection, "evaluate", lambda: {"AP": next(values)})
    save = weights.save_weights

    def full(model, path, *rest):
        if run.step == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(model, path, *rest)

    monkeypatch.setattr(run_files, "save_weights", full)
    assert run.run() == 0.4
    assert (scenes / "output/best_lost/best.weights.h5").exists()


@pytest.mark.slow
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
