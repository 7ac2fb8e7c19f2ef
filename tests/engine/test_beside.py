"""Selection and checkpoints beside the steps: the same files as between them, and no checkpoint without its result."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_training import numbers, quick, scenes_folder, state, trainer

from manyfaces.engine import beside
from manyfaces.engine.checkpoint import read_facts
from manyfaces.weights.files import load_weights

scenes = pytest.fixture(scenes_folder, scope="module")
SETTINGS = {"TRAIN__SELECT": "scenes", "TRAIN__SELECT_EVERY": 3, "TRAIN__SAVE_EVERY": 3, "TRAIN__STEPS": 8,
            "TRAIN__SELECT_IMAGES": 2}


def test_on_a_cpu_nothing_runs_beside_the_steps():
    assert [beside.helps(SimpleNamespace(kind=kind)) for kind in ("GPU", "CPU")] == [True, False]


@pytest.mark.slow
def test_they_change_no_file_and_keep_the_steps_going(scenes, monkeypatch):
    values = {3: 0.25, 6: 0.5, 8: 0.5}
    between = quick(trainer(scenes, "between", **SETTINGS))
    monkeypatch.setattr(between.selection, "evaluate", lambda: {"AP": values[between.step], "loss": 1.0})
    assert between.run() == 0.5

    monkeypatch.setattr(beside, "helps", lambda devices: True)
    run = quick(trainer(scenes, "beside", **SETTINGS))
    go, steps, saved, tested = threading.Event(), iter(values), {}, {}
    one_step, checkpoint = run.train_step, run.folder / "checkpoint.npz"

    def evaluate():
        step = next(steps)
        assert go.wait(20)
        tested[step] = numbers(run.beside.net.variables)
        return {"AP": values[step], "loss": 1.0}

    def step(*arguments):
        saved[run.step] = read_facts(checkpoint) if checkpoint.exists() else None
        if run.step == 3:
            tested["then"] = numbers(run.tested.variables)
        if run.step == 4:  # a step was taken while the selection of step 3 ran
            go.set()
            run.beside._work.result(20)
        if run.step == 5:
            run.files.writer._work.result(20)
            saved[5] = read_facts(checkpoint)
        return one_step(*arguments)

    monkeypatch.setattr(run.selection, "evaluate", evaluate)
    run.train_step = step
    assert run.run() == 0.5
    assert saved[3] is None and saved[4] is None, "a checkpoint of step 3 would lack the selection of step 3"
    assert saved[5]["step"] == 5 and saved[5]["best"] == 0.25 and saved[5]["patience"]["best"] == 0.25
    for a, b in zip(tested[3], tested["then"], strict=True):
        np.testing.assert_array_equal(a, b, "the copy keeps the weights of its step")
    assert any((a != b).any() for a, b in zip(tested[3], tested[6], strict=True))
    for name in ("select.csv", "train.csv"):
        assert (run.folder / name).read_bytes() == (between.folder / name).read_bytes(), name
    for name in ("best.weights.h5", "last.weights.h5"):
        for training in (run, between):
            load_weights(training.model, training.folder / name)
        for a, b in zip(numbers(run.model.variables), numbers(between.model.variables), strict=True):
            np.testing.assert_array_equal(a, b, name)
    ours, theirs = state(scenes, "beside"), state(scenes, "between")
    assert ours.keys() == theirs.keys() and all((ours[key] == theirs[key]).all() for key in ours)


@pytest.mark.slow
def test_an_error_of_the_selection_ends_the_training(scenes, monkeypatch):
    monkeypatch.setattr(beside, "helps", lambda devices: True)
    run = quick(trainer(scenes, "beside_broken", **SETTINGS))

    def evaluate():
        raise ValueError("no such image")

    monkeypatch.setattr(run.selection, "evaluate", evaluate)
    with pytest.raises(ValueError, match="no such image"):
        run.run()
