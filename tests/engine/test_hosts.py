"""Two processes train as one would, and end together. The whole matrix, and each kill ten times: `make test-hosts`."""

import importlib.util

import numpy as np
import pytest
from tiny_training import rows, write_scenes
from two_hosts import STEPS, error_lines, farthest, found, run_one, run_ranks

from manyfaces.commands.command_line import run
from manyfaces.commands.train import main
from manyfaces.data_layer.loader import Loader
from manyfaces.engine import hosts as module
from manyfaces.errors import InputError
from manyfaces.hosts.team import Alone, Message


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hosts")
    write_scenes(folder)
    return folder


def check_killed_and_continued(folder, case, backend):
    """Two processes, of which the first is killed, and two that continue, against one process without a stop."""
    lost, other = run_ranks(folder, case, own={0: ["strike=KILL:3"]}, backend=backend)
    assert lost.code == -9 and other.code == 1 and other.after < 60, other.output
    assert len(error_lines(other.output)) == 1
    assert error_lines(other.output)[0].startswith("error: rank 0 (host 127.0.0.1) has ended")
    # From the checkpoint of step 2; only the first one has a folder for what it writes.
    both = run_ranks(folder, case, ["--resume"], {1: [f"OUTPUT_DIR={folder / 'no'}"]}, backend)
    assert not (folder / "no").exists()
    one = run_one(folder, case, backend=backend)
    assert [ended.code for ended in (*both, one)] == [0, 0, 0], "\n".join(ended.output for ended in (*both, one))
    whole, first, second = found(folder, f"{case}_1"), found(folder, case), found(folder, case, 1)
    assert farthest(first, second) == 0, "both processes have the same bits"
    assert farthest(first, whole) < 1e-6
    assert not np.array_equal(first["faces"], second["faces"]), "their shares are not alike"
    logs = [rows(folder / "output" / name / "train.csv") for name in (case, f"{case}_1")]
    assert len(logs[0]) == STEPS
    for mine, theirs in zip(*logs, strict=True):
        for key, value in theirs.items():
            assert float(mine[key]) == pytest.approx(float(value), rel=1e-5, abs=1e-6), key
    assert "weights are in" in both[0].output and "weights are in" not in both[1].output


@pytest.mark.slow
def test_two_processes_are_one_also_after_a_kill(folder):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    check_killed_and_continued(folder, "grid", "tensorflow")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed (pip install jax)")
def test_two_processes_of_jax_are_one_also_after_a_kill(folder):
    check_killed_and_continued(folder, "ssd_sgd", "jax")


class Rehearsed(Alone):
    """The first of two processes; the second says the same but for what is changed here."""

    world = 2

    def __init__(self, array=None, **changes):
        self.array, self.changes = array, changes

    def gather(self, what, facts, array=None):
        return [Message(what, facts, array), Message(what, {**facts, **self.changes}, self.array)]


def agreed(team, signal=None, stopped=False):
    losses = {"a": np.float32([1, 2]), "b": np.float32([3, 4])}
    return module.agree(team, 7, losses, 0.5, signal, stopped)


def test_all_hear_of_losses_signals_and_wishes_of_each():
    other = np.float32([[5, np.nan], [7, 8]])
    heard = agreed(Rehearsed(other, norm=0.25, signal=15))
    np.testing.assert_array_equal(heard.losses["a"], np.float32([1, 2, 5, np.nan]))
    np.testing.assert_array_equal(heard.losses["b"], np.float32([3, 4, 7, 8]))
    assert (heard.norm, heard.signal, heard.stopped) == (0.5, 15, False)
    heard = agreed(Rehearsed(other, stopped=True), signal=2)
    assert (heard.signal, heard.stopped) == (2, True)
    alone = agreed(Alone(), 15, True)
    assert alone.losses["a"].tolist() == [1, 2] and (alone.signal, alone.stopped) == (15, True)


@pytest.mark.parametrize("key", ["TRAIN.RATE", "the number of training images", "the checksum of their annotations",
                                 "KERAS_BACKEND", "the version of numpy", "LOSS.BOX"])
def test_hosts_that_differ_are_refused_by_name(folder, key):
    pytest.importorskip("keras", reason="Keras is not installed")
    from two_hosts import config

    from manyfaces.engine.records import config_records
    from manyfaces.engine.train import FREE

    cfg = config(folder, "grid")
    records, weights = config_records(cfg, "scenes")
    loader = Loader(records, weights, lambda sample: {}, cfg)
    module.check_same(Rehearsed(), cfg, loader, FREE)
    module.check_same(Rehearsed(**{"DATA_DIR": "elsewhere"}), cfg, loader, FREE)
    with pytest.raises(InputError, match=f"--hosts: {key} is other at rank 1 and .* at rank 0"):
        module.check_same(Rehearsed(**{key: "other"}), cfg, loader, FREE)


@pytest.mark.parametrize("words, message", [
    (["--cfg", "toy_ssh", "--hosts", "a,b"], "which of them is this"),
    (["--cfg", "toy_ssh", "--hosts", "a,b", "--rank", "2"], "--rank is 2"),
    (["--cfg", "toy_ssh", "--hosts", "a,b", "--rank", "0", "--devices", "2"], "each process has one device"),
    (["--cfg", "toy_ssh", "--rank", "0"], "need --hosts"), (["--cfg", "toy_ssh", "--launch"], "need --hosts"),
    (["--cfg", "toy_ssh", "--hosts", "a,b", "--rank", "0", "--retries", "1"], "give --launch too"),
    (["--cfg", "toy_ssh", "--hosts", "env", "--launch"], "--hosts env"),
    (["--resume-or-start", "photos", "labels"], "--resume-or-start is for a config"),
    (["--hosts", "a,b", "--rank", "0", "photos", "labels"], "--hosts is for a config"),
    (["--cfg", "toy_ssh", "--hosts", "a,b", "--launch", "--retries", "-1"], "--retries is -1")])
def test_words_that_do_not_fit(words, message, monkeypatch, capsys):
    for key in ("JOB_COMPLETION_INDEX", "SLURM_PROCID", "RANK"):
        monkeypatch.delenv(key, raising=False)
    assert run(main, words) == 2
    assert message in capsys.readouterr().err
