"""Warnings of evaluate_wider about predictions that lost something: each loss alone, and none for a good set."""

import numpy as np
import pytest

from manyfaces.evaluation import SETTINGS, GroundTruth, evaluate_wider


@pytest.fixture(scope="module")
def crowd():
    """(files, truth): 40 images with 12 faces each, all found with scores over 0..1, and strays."""
    rng = np.random.default_rng(0)
    files, truth = {}, []
    for index in range(40):
        boxes = np.concatenate([rng.uniform(0, 900, (12, 2)), rng.uniform(20, 60, (12, 2))], axis=1)
        strays = np.concatenate([rng.uniform(2000, 2900, (12 + index, 2)), np.full((12 + index, 2), 20.5)], axis=1)
        scores = np.concatenate([rng.uniform(0.2, 1, 12), rng.uniform(0.02, 0.6, len(strays))])
        rows = np.column_stack([np.concatenate([boxes + 0.25, strays]), scores])
        files[f"n{index}"] = rows[np.argsort(-scores)]
        truth.append(GroundTruth("e", f"n{index}", boxes, dict.fromkeys(SETTINGS, np.ones(12, bool))))
    return files, truth


def warnings_of(crowd, change):
    files, truth = crowd
    changed = {name: change(rows.copy()) for name, rows in files.items()}
    return evaluate_wider({"e": {name: rows for name, rows in changed.items() if rows is not None}}, truth)["warnings"]


def scores(function):
    def change(rows):
        rows[:, 4] = function(rows[:, 4])
        return rows
    return change


def whole(rows):
    rows[:, :4] = np.floor(rows[:, :4])
    return rows


def test_a_good_set_has_no_warning(crowd):
    assert warnings_of(crowd, lambda rows: rows) == []


ELSEWHERE = "In a test with another detector, "  # the figures are not those of the user's predictions


@pytest.mark.parametrize(("change", "text"), [
    (whole, f"all boxes are whole numbers: write them as floats. {ELSEWHERE}boxes cut by int() lowered AP (easy / "
     "medium / hard) from 87.9 / 82.4 / 65.1 to 86.5 / 81.4 / 64.1"),
    (lambda rows: rows[rows[:, 4] >= 0.5],
     f"no score is under 0.5: keep detections from 0.02 on. {ELSEWHERE}a score threshold of 0.5 lowered AP (easy / "
     "medium / hard) from 87.9 / 82.4 / 65.1 to 84.6 / 77.5 / 57.9"),
    (scores(lambda s: s.round(2)), "only 98 distinct scores for 1,740 predictions"),
    (lambda rows: rows[np.random.default_rng(0).permutation(len(rows))],
     "40 of 40 files are not sorted by score: they are sorted here, as by the official tools. "
     f"{ELSEWHERE}a port that does not sort lowered AP"),
    (lambda rows: np.concatenate([rows[:7], rows[-3:]]),
     "no file has more than 10 boxes, and 40 files have exactly that many: 16.7% / 16.7% / 16.7%"),
    (scores(lambda s: 1 / (1 + np.exp(-40 * (s - 0.3)))), "within a thousandth of the highest"),
    (scores(lambda s: s * 0 + 0.5), "all 1,740 scores are equal (0.5)")])
def test_each_loss_is_reported_alone(crowd, change, text):
    warnings = warnings_of(crowd, change)
    assert len(warnings) == 1 and text in warnings[0]


@pytest.mark.parametrize(("change", "run"), [(lambda s: s - s.min() * 1.5, "-0.0"), (lambda s: 10 * s + 5, "5.")])
def test_scores_beyond_0_and_1_are_named_and_have_no_threshold(crowd, change, run):
    one, = warnings_of(crowd, scores(change))
    assert one.startswith(f"scores run from {run}") and ": expected 0 to 1. They are stretched to 0..1 here" in one


def test_missing_files_and_what_they_cost(crowd):
    files, truth = crowd
    some = {"e": dict(list(files.items())[:30])}
    assert evaluate_wider(some, truth)["warnings"] == [
        "only 30 of 40 images have a prediction file: the faces of the others are missed, 25.0% / 25.0% / 25.0% of "
        "those that count. --subset evaluates only the 30 images"]
    assert evaluate_wider(some, truth, subset=True)["warnings"] == []


def test_of_few_predictions_nothing_is_concluded(crowd):
    files, truth = crowd
    rows = files["n0"][:8].copy()
    rows[:, :4] = rows[:, :4].round()
    assert evaluate_wider({"e": {"n0": rows}}, truth[:1])["warnings"] == []
