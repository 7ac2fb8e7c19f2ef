"""Several devices: update and log are those of one device with the whole batch; refused requests; learning rates."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_training import rows

from manyfaces.commands.command_line import run
from manyfaces.config import load_config
from manyfaces.data_layer.batch_sizes import check_batch
from manyfaces.engine.schedule import base_rate, rate_at, rate_in_words
from manyfaces.errors import InputError

SCRIPT = Path(__file__).with_name("two_devices.py")
CASES = ["grid", "ssh", "ssh_group", "ssd", "rnet"]
# Name: the case, and the update from which it is that mode.
MODES = {"grid": ("grid", 0), "ssh_joint": ("ssh", 0), "ssh_random": ("ssh", 3), "ssh_group": ("ssh_group", 0),
         "ssd": ("ssd", 0), "rnet": ("rnet", 0)}


def trained(folder, backend, *cases):
    """Run two_devices.py; returns dict case -> its arrays."""
    done = subprocess.run([sys.executable, SCRIPT, folder, *cases], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "KERAS_BACKEND": backend,
                               "TF_CPP_MIN_LOG_LEVEL": "3"})
    assert done.returncode == 0, done.stdout + done.stderr
    found = {}
    for case in cases:
        with np.load(folder / f"{case}.npz") as file:
            found[case] = dict(file)
    return found


@pytest.fixture(scope="module")
def tensorflow(tmp_path_factory):
    """The folder, and the arrays of all cases."""
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    folder = tmp_path_factory.mktemp("devices")
    return folder, trained(folder, "tensorflow", *CASES, "half", "unsynchronised")


def part(arrays, prefix):
    return {key.removeprefix(prefix): value.astype(np.float64) for key, value in arrays.items()
            if key.startswith(prefix)}


def moved(arrays, count, updates, first=0):
    """Dict variable -> its movement over this many updates, of the net, its average and the optimizer."""
    start, end = (part(arrays, f"{count}/after{step}/") for step in (first, first + updates))
    return {key: value - start[key] for key, value in end.items()}


def unlike(one, two):
    """Largest over the variables: |sum |dw| of two - that of one| and sum |difference|, as fractions of sum |dw|.

    The first is the distance of the ratio from 1, the second also depends on the direction. A variable that moves less
    than a hundredth of the most moved one of its kind (all gammas, all moving means) is measured against that
    hundredth: the mean after a normalisation stays 0 except for rounding.
    """
    assert one.keys() == two.keys()

    def kind(key):
        word = re.search(r"(kernel|bias|gamma|beta|moving_mean|moving_variance)\w*$", key)
        return key.split("/")[0], word[0] if word else key

    most = {}
    for key, value in one.items():
        most[kind(key)] = max(most.get(kind(key), 1e-30), np.abs(value).mean())
    scale = {key: max(np.abs(value).sum(), 0.01 * most[kind(key)] * value.size) for key, value in one.items()}
    return (max(abs(np.abs(two[key]).sum() - np.abs(one[key]).sum()) / scale[key] for key in one),
            max(np.abs(two[key] - one[key]).sum() / scale[key] for key in one))


@pytest.mark.slow
@pytest.mark.parametrize("updates", [1, 3])
@pytest.mark.parametrize("mode", MODES)
def test_two_devices_make_the_update_of_one(tensorflow, mode, updates):
    case, first = MODES[mode]
    arrays = tensorflow[1][case]
    faces = arrays["1/faces"]
    np.testing.assert_array_equal(arrays["2/faces"], faces)
    half = len(faces) // 2
    assert faces[:half].sum() != faces[half:].sum(), "the devices have different numbers of faces"
    for key, value in part(arrays, "1/after0/").items():
        np.testing.assert_array_equal(value, part(arrays, "2/after0/")[key], key)
    one, two = (moved(arrays, count, updates, first) for count in (1, 2))
    assert sum("moving_variance" in key for key in one) >= {"ssh": 15, "rnet": 0}.get(case, 1)
    assert sum(np.abs(value).sum() for key, value in one.items() if key.endswith("kernel")) > 0.01, "it learns"
    ratio, difference = unlike(one, two)
    assert ratio < 1e-4 and difference < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_losses_and_log_are_those_of_the_whole_batch(tensorflow, case):
    folder, found = tensorflow
    one, two = (part(found[case], f"{count}/step0/") for count in (1, 2))
    assert one.keys() == two.keys() and "norm" in one
    for key in one:
        assert one[key].shape == (() if key == "norm" else found[case]["1/faces"].shape)
        np.testing.assert_allclose(two[key], one[key], rtol=1e-4, atol=1e-6, err_msg=key)
    assert any(np.ptp(one[key]) > 0.01 for key in one if key != "norm"), "images have losses of their own"
    logs = [rows(folder / f"output/{case}_{count}/train.csv") for count in (1, 2)]
    assert len(logs[0]) == len(logs[1]) >= 3
    for first, second in zip(*logs, strict=True):
        for key, value in first.items():
            assert float(second[key]) == pytest.approx(float(value), rel=2e-4, abs=1e-5), key
    assert float(logs[1][0]["loss"]) == pytest.approx(sum(two[key].mean() for key in two if key != "norm"), rel=1e-4)


@pytest.mark.slow
def test_without_synchronised_moments_the_update_is_another(tensorflow):
    """The tests above would notice batch normalisation that is not synchronised."""
    _, found = tensorflow
    right, wrong = moved(found["grid"], 1, 1), moved(found["unsynchronised"], 2, 1)
    ratio, difference = unlike(right, wrong)
    assert ratio > 1e-2 and difference > 1e-2
    variance = next(key for key in right if key.endswith("moving_variance"))
    assert np.abs(wrong[variance] / right[variance] - 1).max() > 1e-2


@pytest.mark.slow
def test_resumed_on_the_same_number_it_is_exact_and_on_another_nearly(tensorflow):
    folder, found = tensorflow
    arrays = found["grid"]
    whole, same, other = (part(arrays, f"{name}/") for name in ("whole", "resumed2", "resumed1"))
    assert whole.keys() == same.keys() == other.keys() and len(whole) > 20
    for key in whole:
        np.testing.assert_array_equal(same[key], whole[key], key)
        np.testing.assert_allclose(other[key], whole[key], rtol=1e-4, atol=1e-6, err_msg=key)
    picks = [rows(folder / f"output/grid_{count}/select.csv")[-1] for count in (1, 2)]
    for key in picks[0]:
        assert float(picks[1][key]) == pytest.approx(float(picks[0][key]), rel=1e-3, abs=1e-5), key


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_that_of_its_image(tensorflow):
    arrays = tensorflow[1]["grid"]
    assert arrays["nan/images"].tolist() == [False, False, False, True] and arrays["nan/norm"]


@pytest.mark.slow
def test_float16_too(tensorflow):
    """Both devices take or skip a step together, with one scale; sums of 16-bit products have another order."""
    arrays = tensorflow[1]["half"]
    one, two = (moved(arrays, count, 3) for count in (1, 2))
    steps = [value for key, value in two.items() if key.endswith("steps_at_this_scale")]
    assert steps == [3] and len(one) == len(two)
    ratio, difference = unlike(one, two)
    assert ratio < 0.01 and difference < 0.02
    for key, value in part(arrays, "1/step0/").items():
        np.testing.assert_allclose(part(arrays, "2/step0/")[key], value, rtol=1e-3, atol=1e-5, err_msg=key)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed (pip install jax)")
def test_jax_too(tmp_path):
    arrays = trained(tmp_path, "jax", "ssd_sgd")["ssd_sgd"]
    ratio, difference = unlike(moved(arrays, 1, 3), moved(arrays, 2, 3))
    assert ratio < 1e-4 and difference < 1e-3
    one, two = (part(arrays, f"{count}/step0/") for count in (1, 2))
    for key in one:
        np.testing.assert_allclose(two[key], one[key], rtol=1e-4, atol=1e-6, err_msg=key)


# ---------------------------------------------------------- what is refused


def test_a_batch_that_cannot_be_shared_is_refused():
    cfg = load_config(overrides=["TRAIN.BATCH", "6"])
    for count in (1, 2, 3, 6):
        check_batch(cfg, count)
    with pytest.raises(InputError, match=r"BATCH is 6, which 4 devices .* cannot share equally; .* nearest: 4 and 8$"):
        check_batch(cfg, 4)
    with pytest.raises(InputError, match=r"nearest: 7$"):
        check_batch(cfg, 7)
    # 8 of 320 px have the pixels of 2 of 640: the second kind of step must be shared too.
    cfg = load_config(overrides=["TRAIN.BATCH", "8", "AUGMENT.SIZES", "[320, 640]"])
    check_batch(cfg, 2)
    with pytest.raises(InputError, match=r"\(steps of 8 of 320 px and 2 of 640 px\).* nearest: 16$"):
        check_batch(cfg, 4)
    # MTCNN mines in groups: of 384 crops 4 devices take one group of 96 each; 3 devices would have to cut a group.
    cfg = load_config(overrides=["TRAIN.BATCH", "384"])
    check_batch(cfg, 4, together=96)
    check_batch(cfg, 1, together=100)
    with pytest.raises(InputError, match=r"3 devices .* share equally in groups of 96; .* nearest: 288 and 576$"):
        check_batch(cfg, 3, together=96)
    for count in (0, -2):
        with pytest.raises(InputError, match=f"--devices is {count}, expected a whole number, at least 1"):
            check_batch(cfg, count)


@pytest.mark.slow
def test_more_devices_than_exist_and_other_backends_are_refused(tensorflow, monkeypatch):
    assert "--devices 3: found 2 CPUs; expected at most 2" in str(tensorflow[1]["grid"]["refused"])
    keras = pytest.importorskip("keras")
    from manyfaces.nets.devices import find_devices

    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(InputError, match="KERAS_BACKEND=torch cannot train here; expected tensorflow or jax"):
        find_devices(2)


@pytest.mark.parametrize("words", [["--cfg", "ssh_mobilenet_v1_025"], ["photos", "labels"]], ids=["config", "photos"])
def test_a_backend_that_cannot_train_is_one_line(tool, tmp_path, monkeypatch, capsys, words):
    """Before Keras is imported, which may lack the backend, and before anything is read or written."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/1.jpg").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert run(tool("train").main, words) == 2
    said = capsys.readouterr().err.strip()
    assert said.endswith("KERAS_BACKEND=torch cannot train here; expected tensorflow or jax") and "\n" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]


def test_the_tool_says_which_batch_fits(tool, tmp_path, capsys):
    words = ["--cfg", str(Path(__file__).parents[2] / "cfgs/ssh_mobilenet_v1_025.yml"), "--devices", "3",
             "--set", "OUTPUT_DIR", str(tmp_path)]
    assert run(tool("train").main, words) == 2
    assert "3 devices together cannot share equally" in capsys.readouterr().err


# ------------------------------------------------------------------- rates


def test_the_rate_follows_the_batch_only_where_a_config_says_so():
    words = ["TRAIN.RATE", "0.01", "TRAIN.BATCH", "64", "TRAIN.DECAY_AT", "[10]"]
    train = load_config(overrides=words).TRAIN
    assert base_rate(train) == rate_at(0, train) == 0.01 and rate_in_words(train) == "rate 0.01"
    train = load_config(overrides=[*words, "TRAIN.RATE_BATCH", "16", "TRAIN.WARMUP", "4"]).TRAIN
    assert base_rate(train) == pytest.approx(0.04)
    assert [rate_at(step, train) for step in (0, 3, 10)] == pytest.approx([0.01, 0.04, 0.004])
    assert rate_in_words(train) == "rate 0.04 (TRAIN.RATE 0.01 x BATCH 64 / RATE_BATCH 16)"
