"""The benchmark of detectors on a made-up data set: AP and times in the right rows, what is missing is named."""

import time

import numpy as np
import pytest
from exported import without_keras
from stand_in import picture, save

from benchmarks import detectors, in_turns
from manyfaces.detections import Detections
from manyfaces.errors import InputError
from manyfaces.evaluation import read_predictions

FACES = {"a": (20, 10, 30), "b": (5, 40, 24)}  # x, y, side


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Small wider and wider_crowd with their ground truth: two images of one face each."""
    monkeypatch.setattr(in_turns, "PAUSE", 0)
    for folder in in_turns.SETS.values():
        (tmp_path / folder / "0--Parade").mkdir(parents=True)
        for name, square in FACES.items():
            save(tmp_path / folder / "0--Parade" / f"{name}.jpg", picture(96, 80, square))
    return tmp_path


@pytest.fixture
def truth(data, monkeypatch):
    """Replaces the official protocol: an evaluator that records the predictions it receives."""
    seen = []
    monkeypatch.setattr(in_turns, "read_ground_truth", lambda folder: folder)

    def evaluate(predictions, where, subset):
        assert where == data / in_turns.TRUTH and subset
        seen.append(predictions["0--Parade"])
        return dict.fromkeys(("easy", "medium", "hard"), len(seen) / 10)

    monkeypatch.setattr(in_turns, "evaluate_wider", evaluate)
    return seen


def detector(calls, name, wait=0.0, count=1):
    def detect(image):
        calls.append(name)
        time.sleep(wait)
        return Detections(np.float32([[1, 2, 11, 22]] * count), np.linspace(0.9, 0.8, count, dtype=np.float32))
    return detect


@pytest.mark.parametrize("turn, expected", [(8, ["one"] * 3 + ["two"] * 3), (1, ["one", "one", "two", "two"] * 2)])
def test_each_detector_has_a_turn_of_images_before_the_next_one(turn, expected, data, truth, monkeypatch):
    monkeypatch.setattr(in_turns, "TURN", turn)
    calls = []
    columns, seconds, processor = in_turns.on_wider(
        {"one": detector(calls, "one", 0.03), "two": detector(calls, "two", count=2)}, data)
    assert calls == expected * 2  # two sets of two images; the first call of a turn does not count
    assert columns == {"one": ["0.100 0.100 0.100", "0.300 0.300 0.300"],
                       "two": ["0.200 0.200 0.200", "0.400 0.400 0.400"]}
    np.testing.assert_allclose(truth[0]["a"], [[1, 2, 10, 20, 0.9]], rtol=1e-6)  # x y w h score
    assert truth[1]["b"].shape == (2, 5)
    assert seconds["one"].shape == (2,) and (seconds["one"] >= 0.03).all()
    assert (processor["one"] < seconds["one"]).all()  # sleeps most of the time


def test_tables_are_beside_yunet_of_the_same_size(tmp_path, monkeypatch):
    for folder in (*in_turns.SETS.values(), in_turns.TRUTH):
        (tmp_path / folder).mkdir(parents=True)
    original, small, aps = "At original size", "At 300 x 300", ["easy", "crowd"]
    groups = {original: {"ours": "o", "YuNet": "y"}, small: {"YuNet": "s"}, "Empty": {}}
    times = {(original, "ours"): [0.02, 0.04, 0.01], (original, "YuNet"): [0.06, 0.06, 0.06],
             (small, "YuNet"): [0.001, 0.002, 0.003]}
    times = {key: np.array(values) for key, values in times.items()}
    seen = []
    monkeypatch.setattr(detectors, "groups_of", lambda *_: (groups, ["Left out: z: why"]))
    monkeypatch.setattr(detectors, "on_wider", lambda given, data, limit: seen.append(given) or (
        dict.fromkeys(times, aps), times, {key: 2 * values for key, values in times.items()}))
    first, second = detectors.run(tmp_path)
    assert seen == [{(original, "ours"): "o", (original, "YuNet"): "y", (small, "YuNet"): "s"}]
    # The ratios of the three images are 3, 1.5 and 6: the median is over pairs, not of columns.
    assert first.rows == [["ours", *aps, "20.0", "36.0", "40.0", "3.00"],
                          ["YuNet", *aps, "60.0", "60.0", "120.0", "1.00"]]
    assert second.rows == [["YuNet", *aps, "2.0", "2.8", "4.0", "1.00"]]
    assert first.title.startswith(original + ", no flip") and first.note.endswith("Left out: z: why")
    assert len(first.columns) == len(first.rows[0])


def test_without_images_it_says_so_and_continues(tmp_path, monkeypatch, capsys):
    assert detectors.run(tmp_path / "none") == []
    assert f"there is no {tmp_path / 'none' / 'wider/WIDER_val/images'}, " in capsys.readouterr().out
    monkeypatch.setattr(in_turns, "read_ground_truth", lambda folder: folder)
    with pytest.raises(InputError, match="wider/WIDER_val/images: holds no event/name.jpg"):
        in_turns.on_wider({"one": None}, tmp_path)


def test_what_is_missing_is_left_out_and_named(tmp_path, monkeypatch):
    def ours(model, runtime, precision):
        if precision == "bf16":
            raise InputError(f"{model}: no {precision}")
        return f"{model} {runtime}"

    monkeypatch.setattr(detectors, "_ours", ours)
    monkeypatch.setattr(detectors.others, "ultralight", lambda path: None)
    groups, left = detectors.groups_of(tmp_path, ssd="other.onnx")
    kinds = ("ONNX Runtime, float32", "OpenVINO, float32")
    assert [list(group) for group in groups.values()] == [
        [f"{title} ({kind})" for title in ("SSH MobileNetV1 x0.25", "Tiny Faces MobileNetV1 x0.25, its pyramid")
         for kind in (*kinds, "Keras")], [f"SSD MobileNetV2 x0.75 ({kind})" for kind in kinds]]
    assert list(groups["Detectors at 300 x 300"].values()) == ["other.onnx onnxruntime", "other.onnx openvino"]
    yunet = f"{tmp_path}/yunet/yunet_n_dynamic.onnx: no such file"
    for name, why in (("SSH MobileNetV1 x0.25 (OpenVINO, bf16)", "ssh_mobilenet_v1_025: no bf16"),
                      ("YuNet-n (OpenCV)", yunet), ("Ultra-Light", "its runtime is not installed")):
        assert any(line.startswith(f"Left out: {name}") and why in line for line in left)
    assert sum(yunet in line for line in left) == 2  # at both sizes


def test_the_tool_continues_without_images(tmp_path):
    assert without_keras("benchmark", "detectors", "--data", tmp_path).startswith("detectors: left out, there is no ")


def test_the_detections_of_each_are_written(data, truth, tmp_path):
    in_turns.on_wider({"one (Keras)": detector([], "one"), "two": detector([], "two", count=2)}, data,
                      pred=tmp_path / "pred")
    files = sorted(str(path.relative_to(tmp_path / "pred")) for path in (tmp_path / "pred").rglob("*.txt"))
    assert files == sorted(f"{name}/{title}/0--Parade/{image}.txt" for name in ("one_Keras", "two")
                           for title in ("wider_val", "wider_crowd") for image in "ab")
    assert read_predictions(tmp_path / "pred/two/wider_crowd")["0--Parade"]["a"].round(3).tolist() == [
        [1, 2, 10, 20, 0.9], [1, 2, 10, 20, 0.8]]  # x y w h score
