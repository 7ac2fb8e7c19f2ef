"""States and weights: saved and loaded bit for bit, written atomically, errors that name what does not fit."""

import errno
import io
import os
import pickle
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from manyfaces.config import load_config
from manyfaces.engine import checkpoint
from manyfaces.engine.checkpoint import load_state, read_facts, save_state, state_arrays
from manyfaces.errors import InputError
from manyfaces.files import whole_file
from manyfaces.weights.files import load_weights, save_weights


def variables(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [keras.Variable(rng.normal(size=shape).astype(np.float32), name=f"v{i}") for i, shape in enumerate(shapes)]


def values(part):
    return [v.numpy() for v in part]


def test_a_state_comes_back_bit_for_bit(tmp_path):
    def groups(seed, count):
        steps = keras.Variable(count, dtype="int64")
        return {"model": variables(seed, (3, 4), (2,), ()), "optimizer": [steps, *variables(seed + 1, (5,))]}

    saved, other = groups(0, 7), groups(2, 0)
    saved["model"][0].assign(np.full((3, 4), 1e-45, np.float32))  # the smallest number that is not 0
    save_state(tmp_path / "deep" / "state.npz", state_arrays(saved), step=12, best=0.1 + 0.2)
    assert load_state(tmp_path / "deep" / "state.npz", other) == {"step": 12, "best": 0.1 + 0.2}
    for name in saved:
        for a, b in zip(values(saved[name]), values(other[name]), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
    assert read_facts(tmp_path / "deep" / "state.npz")["step"] == 12
    assert os.listdir(tmp_path / "deep") == ["state.npz"], "nothing is left beside it"


def test_a_state_of_another_net_is_an_error(tmp_path):
    path = tmp_path / "state.npz"
    save_state(path, state_arrays({"model": variables(0, (3, 4), (2,))}), step=1)
    with pytest.raises(InputError, match=r"state\.npz: model holds 2 arrays, the config's net needs 1"):
        load_state(path, {"model": variables(0, (3, 4))})
    with pytest.raises(InputError, match=r"model v1 is \(2,\), the config's net needs \(9,\)"):
        load_state(path, {"model": variables(0, (3, 4), (9,))})
    with pytest.raises(InputError, match="average holds 0 arrays"):
        load_state(path, {"average": variables(0, (3, 4))})


def test_files_that_hold_no_state(tmp_path):
    with pytest.raises(InputError, match="no checkpoint to resume from; start without --resume"):
        load_state(tmp_path / "absent.npz", {})
    whole = io.BytesIO()
    np.savez(whole, facts=np.array("{}"), **{"model/0000": np.zeros(100)})
    harmful = io.BytesIO()
    np.savez(harmful, facts=np.array(Harm(), dtype=object))
    for name, data in (("empty", b""), ("text", b"hello"), ("half", whole.getvalue()[:300]),
                       ("code", harmful.getvalue()), ("pickle", pickle.dumps(Harm()))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=f"{name}: not a checkpoint of this program, or broken"):
            load_state(tmp_path / name, {"model": variables(0, (100,))})
    assert not Harm.done


class Harm:
    """Unpickling it would leave a trace."""

    done = []

    def __reduce__(self):
        return Harm.done.append, (1,)


def test_a_full_disk_leaves_the_earlier_state(tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    save_state(path, state_arrays({"model": variables(0, (3,))}), step=1)

    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "np", SimpleNamespace(**{**vars(np), "savez": full}))
    with pytest.raises(OSError, match="No space left"):
        save_state(path, state_arrays({"model": variables(1, (3,))}), step=2)
    monkeypatch.undo()
    assert read_facts(path)["step"] == 1 and os.listdir(tmp_path) == ["state.npz"]


def test_a_complete_file_or_none(tmp_path):
    path = tmp_path / "a" / "file.txt"
    with whole_file(path) as beside:
        beside.write_text("first")
        assert not path.exists()
    with pytest.raises(RuntimeError), whole_file(path) as beside:
        beside.write_text("second")
        raise RuntimeError
    assert path.read_text() == "first" and os.listdir(path.parent) == ["file.txt"]


def dense(units, seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, name="one"),
                             keras.layers.BatchNormalization(name="two")])


def test_weights_come_back_and_name_their_net(tmp_path):
    cfg, path = load_config(overrides=["NET.ALPHA", "0.5"]), tmp_path / "x.weights.h5"
    model = dense(4)
    save_weights(model, path, cfg)
    other = dense(4, seed=1)
    load_weights(other, path, cfg)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    load_weights(other, path, load_config(overrides=["NET.ALPHA", "0.5", "TRAIN.STEPS", "7", "NET.FROZEN_BN", "True"]))
    message = r"x\.weights\.h5: these weights were trained with NET\.ALPHA 0\.5, the config has 1"
    with pytest.raises(InputError, match=message):
        load_weights(other, path, load_config())
    with pytest.raises(InputError, match="these weights belong to another net than the config describes"):
        load_weights(dense(5), path, cfg)
    with pytest.raises(InputError, match="no such weights file"):
        load_weights(other, tmp_path / "y.weights.h5")
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(InputError, match=r"x\.weights\.h5: not a complete weights file"):
        load_weights(other, path)


@pytest.mark.parametrize("facts", ["3", "[1]", "null", '"step"'])
def test_facts_that_are_no_object_are_an_error(tmp_path, facts):
    path = tmp_path / "state.npz"
    np.savez(path, facts=np.array(facts))
    with pytest.raises(InputError, match="not a checkpoint .*its facts are .*expected an object"):
        read_facts(path)
