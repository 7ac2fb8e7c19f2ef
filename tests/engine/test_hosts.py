"""Two processes train as one would, and end together. The whole matrix, and each kill ten times: `make test-hosts`."""

import importlib.util

import numpy as np
import pytest
from tiny_training import rows, state, write_scenes
from two_hosts import STEPS, error_lines, farthest, found, run_one, run_ranks

from manyfaces.commands.command_line import run
from manyfaces.commands.train import main


def check_equal(folder, case, backend):
    """Two processes against one: variables, batches, logs."""
    both, one = run_ranks(folder, case, backend=backend), run_one(folder, case, backend=backend)
    assert [ended.code for ended in (*both, one)] == [0, 0, 0], "\n".join(ended.output for ended in (*both, one))
    whole, first, second = found(folder, f"{case}_1"), found(folder, case), found(folder, case, 1)
    assert farthest(first, second) == 0, "all processes have the same bits"
    assert farthest(first, whole) < 1e-6
    np.testing.assert_array_equal(np.concatenate([first["faces"], second["faces"]]), whole["faces"])
    assert first["faces"].sum() != second["faces"].sum(), "their shares are not alike"
    logs = [rows(folder / "output" / name / "train.csv") for name in (case, f"{case}_1")]
    assert len(logs[0]) == STEPS
    for mine, theirs in zip(*logs, strict=True):
        for key, value in theirs.items():
            assert float(mine[key]) == pytest.approx(float(value), rel=1e-5, abs=1e-6), key
    assert "weights are in" in both[0].output and "weights are in" not in both[1].output
    return both


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hosts")
    write_scenes(folder)
    return folder


@pytest.mark.slow
def test_two_processes_are_one_and_end_when_one_is_killed(folder):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    check_equal(folder, "grid", "tensorflow")
    lost, other = run_ranks(folder, "grid", words=["NAME=killed"], own={0: ["strike=KILL:3"]})
    assert lost.code == -9 and other.code == 1 and other.after < 60
    assert len(error_lines(other.output)) == 1
    assert error_lines(other.output)[0].startswith("error: rank 0 (host 127.0.0.1) has ended")
    # The checkpoint of step 2 is whole, and one process continues from it, with sums in another order.
    alone = run_one(folder, "grid", ["NAME=killed", "--resume"])
    assert alone.code == 0 and "ran on 2 devices, now it runs on 1" in alone.output, alone.output
    assert farthest(found(folder, "killed"), found(folder, "grid")) < 1e-6
    assert state(folder, "killed").keys() == state(folder, "grid").keys()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed (pip install jax)")
def test_two_processes_of_jax_are_one(folder):
    check_equal(folder, "ssd_sgd", "jax")


@pytest.mark.parametrize("words, message", [
    (["--cfg", "toy_ssh", "--hosts", "a,b"], "which of them is this"),
    (["--cfg", "toy_ssh", "--hosts", "a,b", "--rank", "2"], "--rank is 2"),
    (["--cfg", "toy_ssh", "--hosts", "a,b", "--rank", "0", "--devices", "2"], "each process has one device"),
    (["--cfg", "toy_ssh", "--rank", "0"], "need --hosts"), (["--cfg", "toy_ssh", "--launch"], "need --hosts"),
    (["--hosts", "a,b", "--rank", "0", "photos", "labels"], "--hosts is for a config"),
    (["--cfg", "toy_ssh", "--hosts", "a,b", "--launch", "--retries", "-1"], "--retries is -1")])
def test_words_that_do_not_fit(words, message, monkeypatch, capsys):
    for key in ("JOB_COMPLETION_INDEX", "SLURM_PROCID", "RANK"):
        monkeypatch.delenv(key, raising=False)
    assert run(main, words) == 2
    assert message in capsys.readouterr().err
