"""The benchmark of detectors on a made-up data set: AP and times in the right rows, what is missing is named."""

import json
import time

import numpy as np
import pytest
from exported import without_keras
from stand_in import picture, save

from benchmarks import detectors, in_turns
from benchmarks.alone import alone
from benchmarks.child import ChildFailed
from benchmarks.entry import OPENERS, Entry, open_all
from manyfaces.detections import Detections
from manyfaces.errors import InputError
from manyfaces.evaluation import read_predictions

FACES = {"a": (20, 10, 30), "b": (5, 40, 24)}  # x, y, side


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Small sets of WIDER with their ground truth: two images of one face each."""
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
    aps, seconds, processor = in_turns.on_wider(
        {"one": detector(calls, "one", 0.03), "two": detector(calls, "two", count=2)}, data)
    assert calls == expected * 3  # three sets of two images; the first call of a turn does not count
    # Wider val is the first set and stands last: events, crowd, wider val.
    assert aps == {"one": ["0.300 0.300 0.300", "0.500 0.500 0.500", "0.100 0.100 0.100"],
                   "two": ["0.400 0.400 0.400", "0.600 0.600 0.600", "0.200 0.200 0.200"]}
    np.testing.assert_allclose(truth[0]["a"], [[1, 2, 10, 20, 0.9]], rtol=1e-6)  # x y w h score
    assert truth[1]["b"].shape == (2, 5)
    assert seconds["one"].shape == (2,) and (seconds["one"] >= 0.03).all()
    assert (processor["one"] < seconds["one"]).all()  # sleeps most of the time


def test_times_are_those_of_wider_val(data, truth):
    """Its images are named last in the table, but they are the ones that are timed."""
    for number, folder in enumerate(in_turns.SETS.values()):
        for name in FACES:
            save(data / folder / "0--Parade" / f"{name}.jpg", picture(96 + number, 80))

    def detect(image):
        time.sleep(0.03 if image.shape[1] == 96 + list(in_turns.SETS).index("wider val") else 0)
        return Detections(np.zeros((0, 4)), np.zeros(0))

    _, seconds, _ = in_turns.on_wider({"one": detect}, data)
    assert (seconds["one"] >= 0.03).all()


def test_tables_are_beside_yunet_of_the_same_size(tmp_path, monkeypatch):
    for folder in (*in_turns.SETS.values(), in_turns.TRUTH):
        (tmp_path / folder).mkdir(parents=True)
    original, small, yunet = "At original size", "At 300 x 300", detectors.YUNET
    aps = ["events", "crowd", "val"]
    entry, lacking = Entry("ours", ("x",), "onnxruntime"), Entry("ours", ("none",))
    groups = {original: {"ours": entry, "lacks": lacking, yunet: entry}, small: {yunet: entry, "late": lacking},
              "Empty": {}}
    times = {(original, "ours"): [0.02, 0.04, 0.01], (original, yunet): [0.06, 0.06, 0.06],
             (small, yunet): [0.001, 0.002, 0.003]}
    times = {key: np.array(values) for key, values in times.items()}
    seen = []
    monkeypatch.setattr(detectors, "groups_of", lambda *_: groups)
    monkeypatch.setattr(detectors, "images_of", lambda data, title, limit: [title, limit])

    def alone(entries, images):
        assert images == ["wider val", 5] and (small, "late") in entries
        own = {key: values / 2 for key, values in times.items()} | {(small, "late"): np.ones(3)}
        return own | {(original, "ours"): own[original, "ours"] / 2}, {(original, "lacks"): "why"}

    def opened(entries):
        assert set(entries) == {*times, (small, "late")}
        return dict.fromkeys(times, "opened"), {(small, "late"): "why later"}

    monkeypatch.setattr(detectors, "alone", alone)
    monkeypatch.setattr(detectors, "open_all", opened)
    monkeypatch.setattr(detectors, "on_wider", lambda given, data, limit: seen.append(given) or (
        dict.fromkeys(times, aps), times, {key: 2 * values for key, values in times.items()}))
    first, second = detectors.run(tmp_path, limit=5)
    assert seen == [dict.fromkeys(times, "opened")]
    # The ratios of the three images are 3, 1.5 and 6, alone 6, 3 and 12: medians and quartiles are over pairs.
    assert first.rows == [["ours", *aps, "20.0", "36.0", "40.0", "5.0", "3.00 (2.25 to 4.50)", "6.00 (4.50 to 9.00)"],
                          [yunet, *aps, "60.0", "60.0", "120.0", "30.0", *["1.00 (1.00 to 1.00)"] * 2]]
    assert second.rows == [[yunet, *aps, "2.0", "2.8", "4.0", "1.0", *["1.00 (1.00 to 1.00)"] * 2]]
    assert first.title.startswith(original + ", no flip")
    assert first.note.endswith("Left out: lacks: why\nLeft out: late: why later")
    assert len(first.columns) == len(first.rows[0]) and first.packages["ours"] == ("numpy", "opencv", "onnxruntime")


def test_without_yunet_there_is_no_ratio():
    times = {("", "ours"): np.ones(2)}
    assert detectors.times("", "ours", times, times, times)[-2:] == ["-", "-"]


def test_without_images_it_says_so_and_continues(tmp_path, monkeypatch, capsys):
    assert detectors.run(tmp_path / "none") == []
    assert f"there is no {tmp_path / 'none' / 'wider_events/images'}, " in capsys.readouterr().out
    monkeypatch.setattr(in_turns, "read_ground_truth", lambda folder: folder)
    with pytest.raises(InputError, match="wider/WIDER_val/images: holds no event/name.jpg"):
        in_turns.on_wider({"one": None}, tmp_path)


def test_every_row_and_what_it_opens(tmp_path):
    groups = detectors.groups_of(tmp_path, ["SCRFD=a=b.onnx@openvino"])
    kinds = ("ONNX Runtime, float32", "OpenVINO, float32", "OpenVINO, bf16", "Keras")
    own = [f"{name} ({kind})" for name in detectors.OURS[detectors.ORIGINAL] for kind in kinds]
    assert list(groups[detectors.ORIGINAL]) == [*own, detectors.YUNET, detectors.ULTRALIGHT, "SCRFD"]
    assert list(groups[detectors.SMALL]) == [*(f"SSD MobileNetV2 x0.75 ({kind})" for kind in kinds), detectors.YUNET]
    original, small = groups.values()
    assert original["SSH MobileNetV1 x0.25 (OpenVINO, bf16)"].arguments == ("ssh_mobilenet_v1_025", "openvino", "bf16")
    assert original["SCRFD"] == Entry("ours", ("a=b.onnx", "openvino"), "openvino")
    assert original["SSH MobileNetV1 x0.25 (Keras)"].packages == ("numpy", "opencv", "keras", "tensorflow")
    assert small[detectors.YUNET].arguments[1] == (300, 300) and original[detectors.YUNET].runtime is None
    with pytest.raises(InputError, match="--also 'a.onnx': expected NAME=FILE"):
        detectors.groups_of(tmp_path, ["a.onnx"])


def test_what_is_missing_is_left_out_and_named(tmp_path, monkeypatch):
    monkeypatch.setitem(OPENERS, "works", lambda *arguments: arguments)
    opened, reasons = open_all({"a": Entry("works", (1, 2)), "b": Entry("yunet", (str(tmp_path / "y.onnx"),)),
                                "c": Entry("ours", ("no_such_model",))})
    assert opened == {"a": (1, 2)} and list(reasons) == ["b", "c"]
    assert reasons["b"] == f"{tmp_path}/y.onnx: no such file, expected YuNet's ONNX model"
    assert reasons["c"].startswith("no_such_model: expected a name (")


def test_an_entry_is_the_same_in_another_process():
    for entry in (Entry("yunet", ("a", (300, 300))), Entry("ours", ("b", None, "bf16"), "openvino")):
        again = Entry.of(entry.text())
        assert (again.opener, again.runtime, again.packages) == (entry.opener, entry.runtime, entry.packages)
        assert again.text() == entry.text()


@pytest.mark.slow
def test_each_detector_is_timed_in_a_process_of_its_own(data):
    pytest.importorskip("onnxruntime")
    images = sorted((data / in_turns.SETS["wider val"]).glob("*/*.jpg"))
    entries = {"grid": Entry("ours", ("grid_mobilenet_v2_100", "onnxruntime"), "onnxruntime"),
               "none": Entry("ours", ("none.onnx",))}
    seconds, reasons = alone(entries, images)
    assert list(seconds) == ["grid"] and seconds["grid"].shape == (2,) and (seconds["grid"] > 0).all()
    assert list(reasons) == ["none"] and "none.onnx" in reasons["none"]


def test_processes_take_turns_and_keep_the_order_of_the_images(monkeypatch):
    asked = []

    class Stand:
        def __init__(self, module, text):
            self.name = Entry.of(text).opener

        def __enter__(self):
            if self.name == "broken":
                raise ChildFailed(["x"], "Traceback\nwhy\n")
            return self

        def __exit__(self, *_):
            pass

        def ask(self, word, paths):
            asked.append((self.name, paths))
            return json.dumps([float(path) for path in json.loads(paths)])

    monkeypatch.setattr("benchmarks.alone.Child", Stand)
    seconds, reasons = alone({name: Entry(name) for name in ("one", "broken", "two")}, list(range(11)))
    assert reasons == {"broken": "why"}
    assert seconds["one"].tolist() == seconds["two"].tolist() == list(range(11))
    assert [name for name, _ in asked] == ["one", "two", "one", "two"]
    assert json.loads(asked[2][1]) == ["8", "9", "10"]


def test_the_tool_continues_without_images(tmp_path):
    assert without_keras("benchmark", "detectors", "--data", tmp_path).startswith("detectors: left out, there is no ")


def test_the_detections_of_each_are_written(data, truth, tmp_path):
    in_turns.on_wider({"one (Keras)": detector([], "one"), "two": detector([], "two", count=2)}, data,
                      pred=tmp_path / "pred")
    files = sorted(str(path.relative_to(tmp_path / "pred")) for path in (tmp_path / "pred").rglob("*.txt"))
    assert files == sorted(f"{name}/{title}/0--Parade/{image}.txt" for name in ("one_Keras", "two")
                           for title in ("wider_events", "wider_val", "wider_crowd") for image in "ab")
    assert read_predictions(tmp_path / "pred/two/wider_crowd")["0--Parade"]["a"].round(3).tolist() == [
        [1, 2, 10, 20, 0.9], [1, 2, 10, 20, 0.8]]  # x y w h score
