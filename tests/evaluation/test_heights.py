"""Recall by height, in cases worked out by hand."""

import json

import numpy as np
import pytest

from manyfaces.commands.command_line import run
from manyfaces.datasets import Record, Roidb, save_roidb
from manyfaces.evaluation import write_prediction_file
from manyfaces.evaluation.by_height import recall_by_height


def record(name, boxes, ignore=None):
    boxes = np.float32(boxes).reshape(-1, 4)
    return Record("", name, 400, 400, boxes, np.full((len(boxes), 5, 2), np.nan, np.float32),
                  np.zeros(len(boxes), bool) if ignore is None else np.array(ignore))


# Faces of 12, 16 and 40 px and an ignored one of 18 px; another image with a face of 40 px.
TRUTH = Roidb([record("x.jpg", [(0, 0, 10, 12), (50, 0, 60, 16), (100, 0, 130, 40), (200, 0, 230, 18)],
                      [False, False, False, True]), record("y.jpg", [(0, 0, 30, 40)])], source="truth")
# By falling score: 40 px right, wrong, 16 px right, ignored, a second one on the 16 px: precisions 1, 1/2, 2/3, 2/4.
FOUND = np.array([(100, 0, 130, 40, 0.9), (300, 0, 310, 18, 0.8), (50, 0, 60, 16, 0.7), (200, 0, 230, 18, 0.6),
                  (50, 0, 60, 15, 0.5)])


def predictions(rows=FOUND, **more):
    rows = np.array(rows, float).reshape(-1, 5).copy()
    rows[:, 2:4] -= rows[:, :2]
    return {"": {"x": rows, **more}}


def bins(point):
    """{low: (faces, found)} of the bins that have faces."""
    return {part["low"]: (part["faces"], part["found"]) for part in point["heights"] if part["faces"]}


@pytest.mark.parametrize("precision, score, reached, recall, found", [
    (0.9, 0.9, 1, 1 / 4, {10: 0, 16: 0, 32: 1}),
    (0.66, 0.7, 2 / 3, 2 / 4, {10: 0, 16: 1, 32: 1}),  # a lower score reaches it again, after precision 1/2
    (0.5, 0.5, 1 / 2, 2 / 4, {10: 0, 16: 1, 32: 1}),
])
def test_at_a_precision(precision, score, reached, recall, found):
    point = recall_by_height(predictions(), TRUTH, precision)["points"][0]
    assert (point["asked"], point["score"]) == ("precision", score)
    assert point["precision"] == pytest.approx(reached) and point["recall"] == recall
    assert bins(point) == {low: (2 if low == 32 else 1, count) for low, count in found.items()}
    assert all(part["recall"] is None for part in point["heights"] if not part["faces"])


@pytest.mark.parametrize("score, reached, recall", [(0.02, 2 / 4, 2 / 4), (0.7, 2 / 3, 2 / 4), (0.71, 1 / 2, 1 / 4),
                                                    (0.95, None, 0)])
def test_at_a_score(score, reached, recall):
    point = recall_by_height(predictions(), TRUTH, score=score)["points"][1]
    assert (point["asked"], point["score"], point["recall"]) == ("score", score, recall)
    assert point["precision"] == (None if reached is None else pytest.approx(reached))


def test_equal_scores_enter_together():
    """Right and wrong at 0.9: no score keeps more than 1/2, whichever comes first in the file."""
    for rows in ([(100, 0, 130, 40, 0.9), (300, 0, 310, 18, 0.9)], [(300, 0, 310, 18, 0.9), (100, 0, 130, 40, 0.9)]):
        high, _ = recall_by_height(predictions(rows), TRUTH, 0.51)["points"]
        assert (high["score"], high["precision"], high["recall"]) == (None, None, 0)
        assert recall_by_height(predictions(rows), TRUTH, 0.5)["points"][0]["recall"] == 1 / 4


def test_nothing_found_and_no_faces():
    for point in recall_by_height(predictions(np.zeros((0, 5))), TRUTH)["points"]:
        assert point["recall"] == 0 and point["precision"] is None
    empty = recall_by_height(predictions(), Roidb([record("x.jpg", [])], source="none"))
    assert empty["faces"] == 0 and [point["recall"] for point in empty["points"]] == [None, None]


def test_subset_leaves_images_without_a_file_out():
    result = recall_by_height(predictions(z=np.zeros((0, 5))), TRUTH, subset=True)
    assert (result["images"], result["faces"], result["missing"], result["unknown"]) == (1, 3, 1, 1)
    assert result["points"][0]["recall"] == pytest.approx(1 / 3)


def test_the_tool(tool, tmp_path, capsys):
    save_roidb(TRUTH, tmp_path / "truth.pkl")
    for name, rows in (("one", FOUND), ("two", FOUND[2:]), ("three", FOUND[:1])):
        write_prediction_file(tmp_path / name / "x.txt", "x", rows[:, :4], rows[:, 4])
    words = ["heights", "--roidb", tmp_path / "truth.pkl", "--pred", tmp_path / "one", "--pred", tmp_path / "two",
             "--pred", tmp_path / "three", "--json", tmp_path / "out.json"]
    main = tool("evaluate").main
    assert run(main, [*map(str, words), "--edges", "14,30", "--names", "a,b,c"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split() for line in out[1:9]] == [
        ["score", "precision", "recall", "0-14", "14-30", "30-"],
        ["faces", "4", "1", "1", "2"],
        ["a", "0.9000", "1.000", "0.250", "0.000", "0.000", "0.500"],
        ["a", "0.0200", "0.500", "0.500", "0.000", "1.000", "0.500"],
        ["b", "0.7000", "1.000", "0.250", "0.000", "1.000", "0.000"],
        ["b", "0.0200", "0.500", "0.250", "0.000", "1.000", "0.000"],
        ["c", "0.9000", "1.000", "0.250", "0.000", "0.000", "0.500"],
        ["c", "0.0200", "1.000", "0.250", "0.000", "0.000", "0.500"]]
    assert out[9] == "a: 1 images have no prediction file; their faces count"
    assert [result["name"] for result in json.loads((tmp_path / "out.json").read_text())] == ["a", "b", "c"]
    table = tmp_path / "heights.csv"
    table.write_text("set,detector,point,score,precision,height,faces,recall\nother,a,score 0.02,,,all,5,0.1\n"
                     "truth,old,score 0.02,,,all,4,0.1\n")
    assert run(main, [*map(str, words), "--edges", "14,30", "--names", "a,b,c", "--csv", str(table)]) == 0
    capsys.readouterr()
    lines = table.read_text().splitlines()
    assert lines[1:4] == ["other,a,score 0.02,,,all,5,0.1", "truth,a,precision 0.9,0.9000,1.000,all,4,0.250",
                          "truth,a,precision 0.9,0.9000,1.000,0-14,1,0.000"]
    assert len(lines) == 2 + 3 * 2 * 4 and not any("old" in line for line in lines)
    table.write_text("a,b\n1,2\n")
    assert run(main, [*map(str, words), "--csv", str(table)]) == 2
    assert "expected the columns set, detector" in capsys.readouterr().err
    for option, text, message in (("--edges", "20,10", "rising heights in px"), ("--edges", "x", "such as 10,20,60"),
                                  ("--precision", "1.5", "more than 0 and at most 1")):
        assert run(main, [*map(str, words), option, text]) == 2
        assert message in capsys.readouterr().err
