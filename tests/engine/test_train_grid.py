"""A grid trains for some steps, its selection measures whole images, and tools/evaluate.py best_box agrees."""

import json

import numpy as np
import pytest
from tiny_training import rows, scenes_folder, trainer

from manyfaces.commands.command_line import run
from manyfaces.datasets.images import read_image
from manyfaces.datasets.roidb import load_roidb
from manyfaces.evaluation.best_box import evaluate_best_box
from manyfaces.evaluation.files.predictions import write_prediction_file

scenes = pytest.fixture(scenes_folder, scope="module")
GRID = {"FAMILY": "grid", "GRID__INPUT": 96, "GRID__WIDTH": 8, "GRID__BOX_LOSS": "diou", "TEST__SIZE": [96, 96],
        "NET__LANDMARKS": False, "TRAIN__SELECT": "scenes", "TRAIN__SELECT_EVERY": 20, "TRAIN__SELECT_BY": "iou",
        "TRAIN__MAX_FACES": 5, "TRAIN__STEPS": 60, "TRAIN__BATCH": 8, "TRAIN__RATE": 0.02, "NET__BN_MOMENTUM": 0.8,
        "AUGMENT__MOSAIC": 0.0, "TEST__SCORE": 1e-6}


@pytest.mark.slow
def test_a_short_training_and_its_measures(scenes, tmp_path, tool, capsys):
    training = trainer(scenes, "grid", **GRID)
    first = training.selection.evaluate()
    best = training.run()
    log = rows(scenes / "output/grid/select.csv")
    assert best == pytest.approx(max(float(row["iou"]) for row in log), abs=1e-5)
    assert {"iou_nearest", "mse", "grid_object"} <= set(log[0])
    last = training.selection.evaluate()
    assert last["loss"] < 0.9 * first["loss"] and best > first["iou"]

    records = load_roidb(scenes / "data/pickles/scenes.pkl").records
    for record in records:
        found = training.detector.detect(read_image(record.path), threshold=0)
        write_prediction_file(tmp_path / "pred" / f"{record.name}.txt", record.image, found.boxes, found.scores)
    code = run(tool("evaluate").main, ["best_box", "--pred", str(tmp_path / "pred"), "--grid", "3", "--roidb",
                                       str(scenes / "data/pickles/scenes.pkl"), "--json", str(tmp_path / "iou.json")])
    assert code == 0 and "iou_nearest" in capsys.readouterr().out
    result = json.loads((tmp_path / "iou.json").read_text())[0]
    assert result["iou"] == pytest.approx(last["iou"], rel=1e-4) and result["images"] == result["single"] == 9


class Truth:
    """A roidb with the records (name, size, boxes, ignore)."""

    source = "made up"

    def __init__(self, *records):
        from manyfaces.datasets.roidb import Record

        self.records = [Record("", f"{name}.jpg", *size, np.float32(boxes).reshape(-1, 4),
                               np.full((len(boxes), 5, 2), np.nan, np.float32), np.array(ignore, bool))
                        for name, size, boxes, ignore in records]


def test_best_box_by_hand():
    """Areas as fractions of the image. a: 10x10 found in the true 10x20 of 100x100: .01 of .02. b: two faces; the
    second in the order of cells is found exactly (.01), the first is as large and apart. c: no box for a face of .04.
    d: no face that counts. e: three faces, one too many."""
    truth = Truth(("a", (100, 100), [[10, 10, 20, 30]], [False]),
                  ("b", (200, 50), [[0, 30, 20, 35], [100, 0, 120, 5], [0, 0, 9, 9]], [False, False, True]),
                  ("c", (100, 100), [[0, 0, 20, 20]], [False]),
                  ("d", (100, 100), [[0, 0, 20, 20]], [True]),
                  ("e", (100, 100), [[0, 0, 20, 20]] * 3, [False] * 3))
    predictions = {"": {"a": np.array([[0, 0, 90, 90, 0.2], [10, 10, 10, 10, 0.9]]),
                        "b": np.array([[0, 30, 20, 5, 0.6]]), "c": np.zeros((0, 5)), "f": np.zeros((0, 5))}}
    result = evaluate_best_box(predictions, truth, max_faces=2)
    joint = 0.02 + 0.01 + 0.01 + 0.04
    assert result["iou"] == pytest.approx(0.01 / joint)
    assert result["iou_nearest"] == pytest.approx(0.02 / (0.02 + 0.01 + 0.04))
    assert result["iou_single"] == pytest.approx(0.01 / (0.02 + 0.04))
    assert [result[key] for key in ("images", "single", "without", "unknown")] == [3, 2, 1, 1]
    assert evaluate_best_box(predictions, truth, max_faces=3)["images"] == 4
    assert evaluate_best_box(predictions, truth, max_faces=3, subset=True)["images"] == 3
    assert evaluate_best_box({"": {"e": np.zeros((0, 5))}}, truth, max_faces=2, subset=True)["iou"] == 0
