"""The same training with JAX as with TensorFlow."""

import csv
import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from tiny_training import state, write_scenes

SCRIPT = ROOT / "tests" / "tiny_training.py"
WITHOUT_TENSORFLOW = """
import sys

class Blocked:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"{name}: a training on JAX must not ask for it", name=name)

sys.meta_path.insert(0, Blocked)
"""


def train(folder, backend, name, **changes):
    """Train in a separate process; returns the rows of train.csv as dicts of floats."""
    words = [str(word) for pair in {"NAME": name, **changes}.items() for word in pair]
    done = subprocess.run([sys.executable, SCRIPT, folder, "--set", *words], capture_output=True, text=True,
                          env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"})
    assert done.returncode == 0, done.stdout + done.stderr
    with open(folder / "output" / name / "train.csv", newline="", encoding="utf-8") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed (pip install jax)")
@pytest.mark.parametrize("changes", [
    {"TRAIN.OPTIMIZER": "adamw", "TRAIN.EMA": 0.5},
    {"TRAIN.OPTIMIZER": "sgd", "TRAIN.MODE": "group", "LOSS.CLASS": "ohem", "LOSS.BOX": "diou", "TRAIN.RATE": 0.01,
     "TRAIN.CLIP_NORM": 1.0}], ids=["adamw", "group"])
def test_jax_trains_as_tensorflow_does(tmp_path, changes):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed, so there is nothing to compare with")
    write_scenes(tmp_path)
    common = {"TRAIN.STEPS": 3, "TRAIN.LOG_EVERY": 1, **changes}
    train(tmp_path, "tensorflow", "start", **{**common, "TRAIN.STEPS": 1, "TRAIN.EMA": 0.0})
    common["TRAIN.INIT"] = tmp_path / "output/start/last.weights.h5"
    ours, theirs = (train(tmp_path, backend, backend, **common) for backend in ("tensorflow", "jax"))
    assert len(ours) == len(theirs) == 3
    for first, second in zip(ours, theirs, strict=True):
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert second[key] == pytest.approx(value, rel=1e-3, abs=1e-5), (first["step"], key)
    before, after = state(tmp_path, "tensorflow"), state(tmp_path, "jax")
    for key in before:
        if key.startswith("average"):
            np.testing.assert_allclose(after[key], before[key], atol=2e-3)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed (pip install jax)")
def test_jax_trains_without_tensorflow_and_compiles_its_step_once(tmp_path):
    """Also after a checkpoint was read: what it holds does not lie where the step leaves it."""
    write_scenes(tmp_path)
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_TENSORFLOW)
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_LOG_COMPILES": "1", "PYTHONPATH": path}
    for words, code in ((["--kill", "TERM:2"], 143), (["--resume"], 0)):
        done = subprocess.run([sys.executable, SCRIPT, tmp_path, *words, "--set", "TRAIN.STEPS", "4"],
                              capture_output=True, text=True, env=environment)
        assert done.returncode == code, done.stdout + done.stderr
        assert done.stderr.count("Compiling jit(step)") == 1
