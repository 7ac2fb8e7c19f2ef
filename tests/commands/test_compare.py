"""`manyfaces compare`: detectors in turns on annotated images, with figures that are known by hand."""

import csv
from pathlib import Path

import numpy as np
import pytest
from stand_in import picture, save, square_detector

from manyfaces.commands.command_line import run
from manyfaces.commands.compare import figures, main
from manyfaces.datasets.roidb import Record, Roidb, save_roidb
from manyfaces.detections import Detections
from manyfaces.inference.detector import Detector


def record(path, boxes, ignore=None):
    boxes, path = np.float32(boxes).reshape(-1, 4), Path(path)
    return Record(str(path.parent), path.name, 160, 120, boxes, np.full((len(boxes), 5, 2), np.nan, np.float32),
                  np.zeros(len(boxes), bool) if ignore is None else np.array(ignore))


def test_figures_by_hand():
    """Two faces count, one of them under 20 px; a third is ignored. Right, wrong, on the ignored one, right but low."""
    faces = record("a", [[0, 0, 50, 50], [100, 0, 110, 10], [150, 50, 190, 90]], [False, False, True])
    found = Detections([[0, 0, 50, 50], [50, 50, 90, 90], [150, 50, 190, 90], [100, 0, 110, 10]], [0.9, 0.8, 0.7, 0.3])
    # In falling order: precision 1 at recall 1/2, then 1/2, then 2/3 at recall 1.
    assert figures([found], [faces], 0.5) == [f"{0.5 + 0.5 * 2 / 3:.3f}", "1.000", "0.5", "0.500", "1.00"]
    assert figures([found], [faces], 0.2)[3:] == ["1.000", "1.00"]
    assert figures([Detections([], [])], [faces], 0.5) == ["0.000", "0.000", "0.5", "0.000", "0.00"]
    assert figures([found], [record("a", np.zeros((0, 4)))], 0.95)[1:] == ["-", "0.95", "-", "0.00"]


@pytest.fixture
def set_of_squares(tmp_path):
    """A roidb of two images with green squares for faces, and one that cannot be read."""
    squares = [((20, 30, 40),), ((60, 20, 40), (10, 10, 32))]
    records = [record(save(tmp_path / f"{number}.png", picture(160, 120, *places)),
                      [[x, y, x + side, y + side] for x, y, side in places]) for number, places in enumerate(squares)]
    save_roidb(Roidb([*records, record(tmp_path / "gone.png", [[0, 0, 9, 9]])], source="x"), tmp_path / "set.pkl")
    return tmp_path


def test_detectors_are_compared_in_turns(set_of_squares, monkeypatch, capsys):
    asked, turns = [], []

    def load(name, runtime=None, threads=None):
        asked.append((name, runtime, threads))
        detector = square_detector(DEMO_SCORE=0.3)
        detect = detector.detect
        detector.detect = lambda image, **options: (turns.append(name), detect(image, **options))[1]
        return detector

    monkeypatch.setattr(Detector, "load", staticmethod(load))
    words = ["a", "b.onnx@openvino", "x@y", "--roidb", str(set_of_squares / "set.pkl"), "--threads", "2", "--csv",
             str(set_of_squares / "out.csv")]
    assert run(main, words) == 0
    captured = capsys.readouterr()
    assert asked == [("a", None, 2), ("b.onnx", "openvino", 2), ("x@y", None, 2)]
    assert turns == ["a", "a", "b.onnx", "b.onnx", "x@y", "x@y", "a", "b.onnx", "x@y"]  # the first once more
    assert "gone.png" in captured.err and captured.out.startswith("2 images, 3 faces that count\n")
    rows = list(csv.DictReader(open(set_of_squares / "out.csv")))
    assert [row["model"] for row in rows] == ["a", "b.onnx@openvino", "x@y"]
    for row in rows:
        assert (row["AP50"], row["recall"], row["false per image"]) == ("1.000", "1.000", "0.00")


@pytest.mark.parametrize("words, message", [
    ([], "expected either --roidb, or --images and --labels"), (["--labels", "x"], "expected either --roidb"),
    (["--roidb", "x", "--labels", "y", "--images", "z"], "expected either --roidb"),
    (["--roidb", "x", "--labels", "y"], "--labels is for an annotation"),
    (["--roidb", "x", "--only", "y"], "--only is for an annotation"),
    (["--roidb", "none.pkl"], "none.pkl: no such file"), (["--roidb", "x", "--limit", "-1"], "--limit")])
def test_wrong_options_are_bad_input(words, message, capsys):
    assert run(main, ["ssh_mobilenet_v1_025", *words]) == 2
    assert message in capsys.readouterr().err
