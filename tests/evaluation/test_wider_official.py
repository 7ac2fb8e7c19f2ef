"""The arithmetic of WIDER FACE's MATLAB tools: int32 by hand, by exact fractions, and by the tools themselves."""

import os
import shutil
import subprocess
import tarfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import plain_loops
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manyfaces.evaluation import (
    SETTINGS,
    GroundTruth,
    evaluate_wider,
    matching,
    read_ground_truth,
    read_predictions,
    reference,
    write_prediction_file,
)

WAYS = pytest.mark.parametrize("official_boxes", [matching.official_boxes, reference.official_boxes],
                               ids=["compiled", "twin"])


def int32(value):
    """A number as MATLAB converts it: halves away from zero, limited. Exact, with fractions."""
    if value != value:
        return 0
    if abs(value) == float("inf"):
        return 2**31 - 1 if value > 0 else -(2**31)
    whole = int(abs(Fraction(value)) + Fraction(1, 2))
    return max(-(2**31), min(2**31 - 1, whole if value > 0 else -whole))


def quotient(row, box):
    """boxoverlap.m for one prediction x y w h (floats) and one box x y w h (whole numbers)."""
    x, y, w, h = (int32(value) for value in box)
    a, b = (x, y, int32(x + w), int32(y + h)), (row[0], row[1], row[0] + row[2], row[1] + row[3])
    left, top = max(a[0], int32(b[0])), max(a[1], int32(b[1]))
    right, bottom = min(a[2], int32(b[2])), min(a[3], int32(b[3]))
    wide, high = int32(int32(right - left) + 1), int32(int32(bottom - top) + 1)
    both = int32(wide * high)
    mine = int32(int32(int32(a[2] - a[0]) + 1) * int32(int32(a[3] - a[1]) + 1))
    union = int32(int32(mine + (b[2] - b[0] + 1) * (b[3] - b[1] + 1)) - both)
    if wide <= 0 or high <= 0:
        return 0
    return int32(Fraction(both, union)) if union else 2**31 - 1


def first_of_the_highest(predictions, images, boxes, owners):
    best = []
    for row, image in zip(predictions.tolist(), images, strict=True):
        quotients = [quotient(row, box) if owner == image else 0
                     for box, owner in zip(boxes.tolist(), owners, strict=True)]
        most = max(quotients, default=0)
        best.append(quotients.index(most) if most >= 1 else -1)
    return best


FACE = (0, 0, 9, 9)  # ten by ten pixels


@WAYS
@pytest.mark.parametrize(("row", "boxes", "owner"), [
    ((30, 0, 99, 99), [(0, 0, 99, 99), (30, 0, 99, 99)], 0),  # 7000 / 13000 is 1 as well as 1: the first
    ((30, 0, 99, 99), [(30, 0, 99, 99), (0, 0, 99, 99)], 0),
    ((30, 0, 99, 99), [(36, 0, 99, 200), (30, 0, 99, 99)], 1),  # 9400 / 20700 is 0
    ((-3.5, 0, 9, 9), [FACE], 0),  # x2 5.5 is 6: 70 / 130, where floats have 65 / 135
    ((-3.6, 0, 9, 9), [FACE], -1),  # x2 5.4 is 5: 60 / 140
    ((3.4, 0, 9, 9), [FACE], 0),  # x1 is 3
    ((3.5, 0, 9, 9), [FACE], -1),  # x1 is 4: half away from zero
    ((-5.5, 0, 9, 9), [(-9, 0, 9, 9)], 0),  # x1 is -6: half away from zero
    ((0, 0, 9, 4), [FACE], 0),  # 50 / 100, exactly one half
    ((0, 0, 9, 3.9), [FACE], 0),  # y2 is 4; the area of the prediction is not rounded: 50 / (149 - 50)
    ((0, 0, 9, 4.1), [FACE], -1),  # 50 / (151 - 50)
    ((0, 0, 60000, 60000), [(0, 0, 60000, 60000)], 0),  # both areas are limited: 2147483647 / 0
    ((0, 0, 9, 9), [(0, 0, 60000, 60000)], -1),
    ((1e300, 0, 9, 9), [FACE, (2**31 - 1, 0, 9, 9)], 1),  # x1 and x2 of both are 2147483647: 10 / 10
    ((0, 0, 9, -2), [(0, 0, 9, -1)], -1)])
def test_by_hand(official_boxes, row, boxes, owner):
    arrays = np.array([row], float), np.zeros(1, int), np.array(boxes, float), np.zeros(len(boxes), int)
    assert official_boxes(*arrays).tolist() == first_of_the_highest(*arrays) == [owner]


@WAYS
@given(st.integers(0, 10**9))
def test_equals_exact_fractions(official_boxes, seed):
    rng = np.random.default_rng(seed)
    boxes, near = plain_loops.boxes_and_near(rng, 30, 40, 4, 0.25)
    count, images = len(boxes), int(rng.integers(1, 4))
    predictions = np.concatenate([near, rng.uniform(-40, 40, (5, 4))])
    predictions = np.round(predictions * 4) / 4 if rng.random() < 0.5 else predictions  # many halves
    boxes = np.round(boxes)
    far = rng.random()
    if far < 0.2:  # where areas, sums and sides are limited
        boxes, predictions = np.round(boxes * 10.0 ** rng.integers(2, 9)), predictions * 10.0 ** rng.integers(2, 9)
    elif far < 0.3:
        predictions[::2] = predictions[::2] * 10.0 ** rng.integers(10, 300)
    owners, mine = rng.integers(0, images, count), rng.integers(0, images, len(predictions))
    with np.errstate(over="ignore"):
        found = official_boxes(predictions, mine, boxes, owners)
    assert found.tolist() == first_of_the_highest(predictions, mine, boxes, owners)


@WAYS
def test_empty_inputs(official_boxes):
    none, one = np.zeros((0, 4)), np.ones((1, 4))
    assert official_boxes(none, np.zeros(0, int), one, np.zeros(1, int)).shape == (0,)
    assert official_boxes(one, np.zeros(1, int), none, np.zeros(0, int)).tolist() == [-1]
    assert official_boxes(one, np.ones(1, int), one, np.zeros(1, int)).tolist() == [-1]


def crowd(seed, count):
    """count predictions and a tenth as many boxes, in few images."""
    rng = np.random.default_rng(seed)
    boxes = np.concatenate([rng.uniform(0, 2000, (count // 10, 2)), rng.uniform(5, 60, (count // 10, 2))], axis=1)
    predictions = np.repeat(boxes, 10, axis=0) + rng.normal(0, 3, (len(boxes) * 10, 4))
    owners = rng.integers(0, 1 + count // 500, len(boxes))
    return predictions, np.repeat(owners, 10), np.round(boxes), owners


@pytest.mark.parametrize("count", [1000, 100_000])
def test_compiled_and_twin_are_equal(count):
    problem = crowd(count, count)
    found = matching.official_boxes(*problem)
    np.testing.assert_array_equal(found, reference.official_boxes(*problem))
    assert (found >= 0).mean() > 0.3 and (found != matching.best_boxes(*problem, 0.5)).any()


def result_of(boxes, rows, counted=None, integer=True):
    boxes, rows = np.array(boxes, float).reshape(-1, 4), np.array(rows, float)
    flags = np.ones(len(boxes), bool) if counted is None else np.array(counted)
    truth = [GroundTruth("e", "n", boxes, dict.fromkeys(SETTINGS, flags), integer=integer)]
    result = evaluate_wider({"e": {"n": rows}}, truth)
    assert {setting: result[setting] for setting in SETTINGS} == result["ports"]
    return result["ports"]["hard"], result["official"]["hard"]


TWO = [(0, 0, 99, 99), (30, 0, 99, 99)]
SECOND = (30, 0, 99, 99, 1.0)


def test_both_figures_by_hand():
    # The row is on the second box; official gives it to the first, which it covers by a half.
    assert result_of(TWO, [SECOND, (500, 500, 9, 9, 0.5)], [False, True]) == (1.0, 0.0)
    assert result_of(TWO, [SECOND, (500, 500, 9, 9, 0.5)], [True, False]) == (0.0, 1.0)
    assert result_of(TWO, [SECOND, (500, 500, 9, 9, 0.5)], [False, True], integer=False) == (1.0, 1.0)
    # Equal scores: MATLAB divides 0 by 0 and lets nothing in.
    assert result_of(TWO, [SECOND], [True, True]) == (0.5, 0.0)


def test_scores_are_stretched_in_float32_from_0_on():
    far = (500, 500, 9, 9)
    # norm_score.m looks for the highest score from realmin('single') on. With scores below 0, steps are wider then:
    # here 0.002, so that both rows are let in together. In the ports they are 1 and 0.99900.
    assert result_of([FACE], [(*FACE, -1.0005), (*far, -1.0015), (*far, -2)]) == (1.0, 1 / 2)
    # In float32 the score of the face reaches a threshold that it just misses in floats. There it is let in one step
    # later, together with a second false positive.
    threshold = 1 - 900 / 1000
    score, wrong = threshold - 1e-9, threshold - 5e-4
    assert float(np.float32(score)) > threshold > score > wrong > 1 - 901 / 1000
    assert result_of([FACE], [(*far, 1), (*FACE, score), (*far, wrong), (*far, 0)]) == (1 / 3, 1 / 2)


def test_the_official_figures_to_five_digits(shared_dir, tmp_path):
    folder = shared_dir / "data/wider_eval"
    with tarfile.open(folder / "predictions/retinaface_mnet025.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    pred = next(at for at, folders, _ in os.walk(tmp_path) if "0--Parade" in folders)
    result = evaluate_wider(read_predictions(pred), read_ground_truth(folder / "ground_truth"))
    # The first line is what the MATLAB tools print under GNU Octave, the second what Python ports print.
    assert [round(result["official"][s], 5) for s in SETTINGS] == [0.90702, 0.88154, 0.73826]
    assert [round(result["ports"][s], 5) for s in SETTINGS] == [0.90696, 0.88158, 0.73829]


def cells(values):
    """(N, 1) object array: a MATLAB cell column."""
    column = np.empty((len(values), 1), object)
    for number, value in enumerate(values):
        column[number, 0] = value
    return column


def write_ground_truth(folder, truth, dtype):
    """The four .mat files; truth: events of GroundTruth, all of one event side by side."""
    from scipy.io import savemat

    events = list(dict.fromkeys(image.event for image in truth))
    groups = [[image for image in truth if image.event == event] for event in events]
    columns = {"event_list": cells(events), "file_list": nested(groups, lambda image: image.name),
               "face_bbx_list": nested(groups, lambda image: image.boxes.astype(dtype))}
    folder.mkdir()
    savemat(folder / "wider_face_val.mat", columns)
    for s in SETTINGS:
        gt_list = nested(groups, lambda image, s=s: np.flatnonzero(image.counted[s])[:, None] + 1.0)
        savemat(folder / f"wider_{s}_val.mat", columns | {"gt_list": gt_list})


def nested(groups, value):
    return cells([cells([value(image) for image in group]) for group in groups])


@pytest.mark.parametrize(("dtype", "integer"), [(np.int32, True), (np.float64, False)])
def test_the_class_of_the_boxes_in_the_file_decides(tmp_path, dtype, integer):
    flags = dict.fromkeys(SETTINGS, np.array([False, True]))
    write_ground_truth(tmp_path / "gt", [GroundTruth("e", "n", np.array(TWO, float), flags)], dtype)
    truth = read_ground_truth(tmp_path / "gt")
    assert [image.integer for image in truth] == [integer] and truth[0].boxes.dtype == np.float64
    result = evaluate_wider({"e": {"n": np.array([SECOND, (500, 500, 9, 9, 0.5)])}}, truth)
    assert (result["ports"]["hard"], result["official"]["hard"]) == (1.0, 0.0 if integer else 1.0)


DRIVER = """
addpath(pwd); addpath(getenv("TOOLS")); addpath(fullfile(getenv("TOOLS"), "plot"));
list = norm_score(read_pred("pred", "gt/wider_face_val.mat"));
for name = {"easy_val", "medium_val", "hard_val"}
    evaluation(list, ["gt/wider_" name{1} ".mat"], name{1}, "setting_int", "x");
    load(["plot/baselines/Val/setting_int/x/wider_pr_info_x_" name{1} ".mat"]);
    printf("AP %.17g\\n", VOCap(pr_cruve(:, 2), pr_cruve(:, 1)));
end
"""
SAVE = """
function save(file, varargin)  % Octave cannot write -v7.3
    pr_cruve = evalin("caller", "pr_cruve"); builtin("save", "-v7", file, "pr_cruve");
end
"""


@pytest.mark.parametrize(("seed", "dtype"), [(0, np.int32), (1, np.int32), (2, np.float64)])
def test_equals_the_official_tools_under_octave(tmp_path, seed, dtype):
    tools, octave = os.environ.get("MANYFACES_WIDER_TOOLS"), shutil.which("octave-cli")
    if not tools or not octave:
        pytest.skip("needs GNU Octave (octave-cli) and MANYFACES_WIDER_TOOLS, the folder of the official eval_tools")
    rng = np.random.default_rng(seed)
    truth = []
    for event in range(61):  # the tools expect as many
        some, images = plain_loops.random_set(rng)
        images = [image for image in images if image.event == "e0"]
        for image in images:
            boxes = np.round(2 * image.boxes) if dtype == np.int32 else image.boxes
            truth.append(GroundTruth(f"{event}", image.name, boxes, image.counted, integer=dtype == np.int32))
            rows = some.get("e0", {}).get(image.name)
            if rows is not None:
                rows[:, :4] = 2 * rows[:, :4] + 0.25 * rng.integers(-1, 2, (len(rows), 4))
                corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
                write_prediction_file(tmp_path / f"pred/{event}/{image.name}.txt", image.name, corners, rows[:, 4])
    write_ground_truth(tmp_path / "gt", truth, dtype)
    (tmp_path / "driver.m").write_text(DRIVER)
    (tmp_path / "save.m").write_text(SAVE)
    done = subprocess.run([octave, "-q", "driver.m"], cwd=tmp_path, capture_output=True, text=True, check=True,
                          env={**os.environ, "TOOLS": str(Path(tools).resolve())}, timeout=300)
    theirs = [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("AP ")]
    result = evaluate_wider(read_predictions(tmp_path / "pred"), read_ground_truth(tmp_path / "gt"))
    assert list(result["official"].values()) == pytest.approx(theirs, abs=1e-12)
    if dtype == np.int32:
        assert np.abs(np.subtract(theirs, list(result["ports"].values()))).max() > 1e-4  # the two are not the same
