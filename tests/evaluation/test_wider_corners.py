"""Special cases of the WIDER protocol, each worked out by hand. Sides are one pixel longer than w and h."""

import numpy as np
import plain_loops
import pytest

from manyfaces.errors import InputError
from manyfaces.evaluation import SETTINGS, GroundTruth, curve_of, evaluate_wider, match_wider

A, B = [10, 10, 19, 19], [50, 50, 9, 9]  # 20 x 20 and 10 x 10 pixels, far from each other
STRAY = [80, 80, 9, 9]  # on no box


def evaluate(files, boxes, counted=None, **options):
    """Result of files (name -> rows) on boxes (name -> boxes); counted: name -> flags, else all. Equals the loops."""
    predictions = {"e": {name: np.array(rows, float).reshape(-1, 5) for name, rows in files.items()}}
    truth = []
    for name, there in boxes.items():
        there = np.array(there, float).reshape(-1, 4)
        flags = np.array((counted or {}).get(name, [True] * len(there)), bool)
        truth.append(GroundTruth("e", name, there, dict.fromkeys(SETTINGS, flags)))
    result = evaluate_wider(predictions, truth, **options)
    if not options:
        assert result["hard"] == pytest.approx(plain_loops.average_precision(predictions, truth, "hard"), abs=1e-12)
        assert result["exact"]["hard"] == pytest.approx(plain_loops.exact(predictions, truth, "hard"), abs=1e-12)
    return result


def hard(*arguments):
    return evaluate(*arguments)["hard"]


def test_a_missing_file_is_skipped_and_its_faces_are_missed():
    files, boxes = {"x": [[*A, 0.5]]}, {"x": [A], "y": [A]}
    result = evaluate(files, boxes)
    assert result["hard"] == result["exact"]["hard"] == 0.5 and result["images"] == 2
    assert "only 1 of 2 images have a prediction file" in result["warnings"][0]
    assert "50.0% / 50.0%" in result["warnings"][0]
    result = evaluate(files, boxes, subset=True)
    assert result["hard"] == 1 and result["images"] == 1 and "prediction file" not in " ".join(result["warnings"])


def test_an_image_without_predictions_is_as_a_missing_file_but_is_there():
    result = evaluate({"x": [[*A, 0.5]], "y": []}, {"x": [A], "y": [A]})
    assert result["hard"] == 0.5 and "prediction file" not in " ".join(result["warnings"])
    assert evaluate({"x": [[*A, 0.5]], "y": []}, {"x": [A], "y": [A]}, subset=True)["hard"] == 0.5
    result = evaluate({"x": [], "y": []}, {"x": [A], "y": [A]})
    assert result["hard"] == result["exact"]["hard"] == 0 and "there is no prediction at all" in result["warnings"]


def test_predictions_on_an_image_without_boxes_are_no_false_positives():
    assert hard({"x": [[*A, 0.5]], "y": [[*STRAY, 0.9]]}, {"x": [A], "y": []}) == 1
    # But their scores stretch the others: of 0.9 and 0.5 on a range to 1000 both enter at the last threshold, 0.
    files = {"x": [[*A, 0.9], [*STRAY, 0.5]], "y": [[*STRAY, 1000]]}
    assert hard({"x": files["x"]}, {"x": [A]}) == 1
    result = evaluate(files, {"x": [A], "y": []})
    assert result["hard"] == 0.5 and result["exact"]["hard"] == 1 and result["predictions"] == 3


def test_on_an_image_whose_boxes_do_not_count_a_stray_prediction_is_a_false_positive():
    boxes, counted = {"x": [A], "y": [B]}, {"y": [False]}
    assert hard({"x": [[*A, 0.5]], "y": [[*STRAY, 0.9]]}, boxes, counted) == 0.5
    assert hard({"x": [[*A, 0.5]], "y": [[*B, 0.9]]}, boxes, counted) == 1


def test_no_face_counts_at_all():
    assert hard({"x": [[*A, 0.9], [*STRAY, 0.1]]}, {"x": [A]}, {"x": [False]}) == 0


def test_equal_scores_enter_together_and_the_first_in_the_file_takes_the_face():
    # Hit and stray at the same threshold: precision 1/2 at recall 1, whichever comes first.
    for rows in ([[*A, 0.5], [*STRAY, 0.5], [*B, 0.1]], [[*STRAY, 0.5], [*A, 0.5], [*B, 0.1]]):
        assert hard({"x": rows}, {"x": [A, B]}) == pytest.approx(0.5 * 2 / 3 + 0.5 * 2 / 3)
    truth = [GroundTruth("e", "x", np.array([A], float), dict.fromkeys(SETTINGS, np.array([True])))]
    rows = np.array([[*STRAY, 0.1], [12, 10, 19, 19, 0.5], [*A, 0.5]])
    matches = match_wider({"e": {"x": rows}}, truth)
    assert matches.rows.tolist() == rows[[1, 2, 0]].tolist()
    assert matches.best.tolist() == [0, 0, -1] and matches.first.tolist() == [True, False, False]


def test_one_prediction_in_all():
    assert hard({"x": [[*A, 0.123]]}, {"x": [A]}) == 1
    assert hard({"x": [[*A, -7]]}, {"x": [A, B]}) == 0.5
    assert hard({"x": [[*STRAY, 0.5]]}, {"x": [A]}) == 0


def test_where_all_scores_are_equal_each_counts_as_one():
    # All enter at the first threshold: precision 2/3 at recall 1. MATLAB would divide 0 by 0 and find nothing.
    result = evaluate({"x": [[*A, 0.7], [*STRAY, 0.7], [*B, 0.7]]}, {"x": [A, B]})
    assert result["hard"] == result["exact"]["hard"] == pytest.approx(2 / 3)
    assert "all 3 scores are equal (0.7): each counts as 1" in result["warnings"][0] and len(result["warnings"]) == 1
    truth = [GroundTruth("e", "x", np.array([A], float), dict.fromkeys(SETTINGS, np.array([True])))]
    matches = match_wider({"e": {"x": np.array([[*A, 0.7]])}}, truth)
    assert matches.stretched.tolist() == [1] and curve_of(matches, matches.counted[:, 0]).recall.tolist() == [1] * 1000


@pytest.mark.parametrize(("side", "found"), [
    ([10, 10, 0, 0], True),  # one pixel
    ([10, 10, -0.5, 19], True),  # half a pixel wide
    ([10, 10, -1, 19], False), ([10, 10, 19, -1], False),  # no pixel: no IoU with anything, not even with itself
    ([10, 10, -30, -30], False)])  # nor are two negative sides a positive area
def test_sides_that_are_not_positive(side, found):
    assert hard({"x": [[*side, 0.5]]}, {"x": [side]}) == (1 if found else 0)
    # The face counts anyway, and the prediction is a false positive before the hit on B.
    assert hard({"x": [[*side, 0.9], [*B, 0.1]]}, {"x": [side, B]}) == (1 if found else 0.25)
    assert hard({"x": [[*side, 0.9], [*B, 0.1]]}, {"x": [B]}) == 0.5
    assert hard({"x": [[*B, 0.1]]}, {"x": [side, B]}) == 0.5


def test_a_prediction_on_an_ignored_box_is_neither_right_nor_wrong():
    rows = [[*B, 0.9], [*B, 0.8], [*A, 0.1]]
    assert hard({"x": rows}, {"x": [A, B]}, {"x": [True, False]}) == 1
    # Without the box they are two false positives: precision 1/3.
    assert hard({"x": rows}, {"x": [A]}) == pytest.approx(1 / 3)


def test_a_second_prediction_on_a_taken_box_is_a_false_positive():
    rows = [[*A, 0.9], [*A, 0.5], [*B, 0.1]]
    assert hard({"x": rows}, {"x": [A, B]}) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_the_best_box_decides_even_if_it_is_ignored_or_taken_and_another_is_free():
    a, b = [0, 0, 19, 19], [2, 0, 19, 19]  # their IoU is 18/22
    assert hard({"x": [[*a, 0.9]]}, {"x": [a, b]}, {"x": [False, True]}) == 0
    # The prediction is left out, not wrong: a later one on b has precision 1.
    assert hard({"x": [[*a, 0.9], [*b, 0.1]]}, {"x": [a, b]}, {"x": [False, True]}) == 1
    # Taken: wrong, and b stays free for the third, at precision 2/3.
    rows = [[*a, 0.9], [*a, 0.8], [*b, 0.1]]
    assert hard({"x": rows}, {"x": [a, b]}) == pytest.approx(0.5 + 0.5 * 2 / 3)


@pytest.mark.parametrize("boxes", [[[8, 10, 19, 19], [12, 10, 19, 19]], [[12, 10, 19, 19], [8, 10, 19, 19]], [A, A]])
def test_of_equal_ious_the_first_box_of_the_ground_truth_is_taken(boxes):
    assert hard({"x": [[*A, 0.5]]}, {"x": boxes}, {"x": [True, False]}) == 1
    assert hard({"x": [[*A, 0.5]]}, {"x": boxes}, {"x": [False, True]}) == 0
    assert hard({"x": [[*A, 0.5], [*A, 0.4]]}, {"x": boxes}) == 0.5


def test_scores_a_thousandth_apart_are_told_apart_by_the_exact_ap_only():
    rows = [[*A, 1.0], [*STRAY, 0.99995], [*B, 0.0]]
    result = evaluate({"x": rows}, {"x": [A]})
    assert result["hard"] == 0.5 and result["exact"]["hard"] == 1


def test_files_in_any_order_give_the_same():
    rows = np.array([[*A, 0.9], [*A, 0.8], [*B, 0.7], [*STRAY, 0.6]])
    for seed in range(5):
        shuffled = np.random.default_rng(seed).permutation(rows)
        assert hard({"x": shuffled}, {"x": [A, B]}) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_numbers_that_are_not_finite_are_an_error_that_names_the_image():
    with pytest.raises(InputError, match="e/x: a prediction is not finite"):
        evaluate({"y": [[*A, 0.5]], "x": [[*A, np.nan]]}, {"x": [], "y": [A]})
