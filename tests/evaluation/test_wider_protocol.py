"""The WIDER protocol against a second implementation: loops that follow the description of the MATLAB tools."""

import numpy as np
import plain_loops
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manyfaces.datasets import Record
from manyfaces.errors import InputError
from manyfaces.evaluation import GroundTruth, average_precision, evaluate_wider

SETTINGS = ("easy", "medium", "hard")


def scene(seed):
    """A few images: boxes, predictions near and far from them, ties in score and in IoU, missing files."""
    rng = np.random.default_rng(seed)
    predictions, truth = {}, []
    grid = rng.random() < 0.5  # whole numbers make ties
    steps = rng.integers(1, 30)
    for index in range(rng.integers(1, 7)):
        count = int(rng.integers(0, 9))
        boxes = np.concatenate([rng.uniform(-5, 60, (count, 2)), rng.uniform(0, 30, (count, 2))], axis=1)
        if count > 2 and rng.random() < 0.3:
            boxes[1] = boxes[0]
        near = boxes[rng.integers(0, count, rng.integers(0, 12))] if count else np.zeros((0, 4))
        near = near + rng.normal(0, 3, near.shape)
        far = np.concatenate([rng.uniform(-5, 60, (4, 2)), rng.uniform(-1, 40, (4, 2))], axis=1)
        found = np.concatenate([near, far])
        if grid:
            boxes, found = np.round(boxes), np.round(found)
        if count and rng.random() < 0.2:
            boxes[0, 2:] = 0
        scores = rng.integers(0, steps, len(found)) / 7 - 1 if rng.random() < 0.7 else rng.random(len(found))
        nested = np.sort(rng.random(3))[::-1]
        draw = rng.random(count)
        truth.append(GroundTruth(f"e{index % 2}", f"n{index}", boxes,
                                 {s: draw >= level for s, level in zip(SETTINGS, nested, strict=True)}))
        if rng.random() < 0.8:
            rows = np.column_stack([found, scores])[rng.permutation(len(found))][:rng.integers(0, len(found) + 1)]
            predictions.setdefault(f"e{index % 2}", {})[f"n{index}"] = rows
    return predictions, truth


@given(st.integers(0, 10**9))
def test_equals_the_loops(seed):
    predictions, truth = scene(seed)
    if not predictions:
        return
    result = evaluate_wider(predictions, truth)
    for setting in SETTINGS:
        assert result[setting] == pytest.approx(plain_loops.average_precision(predictions, truth, setting), abs=1e-12)


@given(st.integers(0, 10**9))
def test_subset_is_the_evaluation_of_those_images_alone(seed):
    predictions, truth = scene(seed)
    if not predictions:
        return
    some = [image for image in truth if image.name in predictions.get(image.event, {})]
    result = evaluate_wider(predictions, truth, subset=True)
    assert {s: result[s] for s in SETTINGS} == {s: evaluate_wider(predictions, some)[s] for s in SETTINGS}
    assert result["images"] == len(some)


def one_image(boxes, rows, counted=None):
    boxes = np.array(boxes, float).reshape(-1, 4)
    flags = np.ones(len(boxes), bool) if counted is None else np.array(counted)
    truth = [GroundTruth("e", "n", boxes, dict.fromkeys(SETTINGS, flags))]
    return evaluate_wider({"e": {"n": np.array(rows, float).reshape(-1, 5)}}, truth)["hard"]


def test_cases_worked_out_by_hand():
    box = [10, 10, 19, 19]  # 20 x 20 pixels with the +1
    assert one_image([box], [[*box, 0.7]]) == 1
    # One of two faces found, no false positive: recall stops at 1/2 with precision 1.
    assert one_image([box, [50, 50, 9, 9]], [[*box, 0.7]]) == 0.5
    # A false positive of a higher score halves the precision at the only point of the curve.
    assert one_image([box], [[*box, 0.2], [80, 80, 9, 9, 0.9]]) == 0.5
    # A second prediction on a taken face is a false positive. After the only face it costs nothing,
    assert one_image([box], [[*box, 0.9], [*box, 0.2]]) == 1
    # but before another face it does: precision 2/3 for the second half of the recall.
    twice = [[*box, 0.9], [*box, 0.5], [50, 50, 9, 9, 0.1]]
    assert one_image([box, [50, 50, 9, 9]], twice) == pytest.approx(0.5 + 0.5 * 2 / 3)
    # On an ignored face it is neither, however often.
    ignored = [50, 50, 9, 9]
    assert one_image([box, ignored], [[*ignored, 0.9], [*ignored, 0.8], [*box, 0.1]], [True, False]) == 1


def test_a_prediction_has_no_second_choice():
    a, b = [0, 0, 19, 19], [2, 0, 19, 19]
    # The second has IoU 1 with a, which is taken, and 0.82 with b: it does not fall back on b.
    assert one_image([a, b], [[*a, 0.9], [*a, 0.8]]) == 0.5
    # An ignored box is chosen like any other: it takes the prediction away from the face that counts.
    assert one_image([a, b], [[*a, 0.9]], [False, True]) == 0


def test_sides_are_one_pixel_longer():
    # 10 of 20 pixels: exactly one half with the +1, and a match; 9 of 19 without.
    assert one_image([[0, 0, 19, 19]], [[0, 0, 9, 19, 0.5]]) == 1
    assert one_image([[0, 0, 19, 19]], [[0, 0, 8.99, 19, 0.5]]) == 0
    assert one_image([[5, 5, 0, 0]], [[5, 5, 0, 0, 0.5]]) == 1  # a box without area is one pixel


def test_scores_are_stretched_over_all_images_and_equal_ones_count_as_one():
    box = [10, 10, 19, 19]
    assert one_image([box], [[*box, -3.5]]) == 1
    assert one_image([box, [50, 50, 9, 9]], [[*box, 4], [50, 50, 9, 9, 4]]) == 1
    # Scores that differ by less than a thousandth of the range enter together: the false positive counts as well.
    assert one_image([box], [[*box, 1.0], [80, 80, 9, 9, 0.9999], [90, 10, 5, 5, 0]]) == 0.5
    assert one_image([box], [[*box, 1.0], [80, 80, 9, 9, 0.5], [90, 10, 5, 5, 0]]) == 1


def test_a_score_at_a_threshold_is_inside():
    box, ignored = [10, 10, 19, 19], [50, 50, 9, 9]
    ends = [[*ignored, 1.0], [*ignored, 0.0]]  # they only set the range
    # 0.5 is the 500th threshold; 0.4995 enters one later, and 0.5005 at the same.
    assert one_image([box, ignored], [*ends, [*box, 0.5], [80, 80, 9, 9, 0.4995]], [True, False]) == 1
    assert one_image([box, ignored], [*ends, [*box, 0.5], [80, 80, 9, 9, 0.5005]], [True, False]) == 0.5


def test_a_missing_file_is_skipped_but_its_faces_count():
    flags = dict.fromkeys(SETTINGS, np.array([True]))
    box = np.array([[10.0, 10, 19, 19]])
    truth = [GroundTruth("e", name, box, flags) for name in "ab"]
    predictions = {"e": {"a": np.array([[10, 10, 19, 19, 0.5]]), "c": np.zeros((0, 5))}, "f": {"a": np.zeros((0, 5))}}
    result = evaluate_wider(predictions, truth)
    assert (result["hard"], result["images"], result["predictions"], result["unknown"]) == (0.5, 2, 1, 2)
    assert result["faces"] == dict.fromkeys(SETTINGS, 2)
    assert evaluate_wider(predictions, truth, subset=True)["hard"] == 1


def test_a_folder_of_other_images_is_an_error():
    truth = [GroundTruth("e", "a", np.zeros((0, 4)), dict.fromkeys(SETTINGS, np.zeros(0, bool)))]
    with pytest.raises(InputError, match="none of the 1 predicted images is in the ground truth, .* look like e/a"):
        evaluate_wider({"": {"a": np.zeros((0, 5))}}, truth)
    result = evaluate_wider({"e": {"a": np.array([[1, 2, 3, 4, 0.5]])}}, truth)
    assert [result[s] for s in SETTINGS] == [0, 0, 0]


def as_record(image):
    corners = np.concatenate([image.boxes[:, :2], image.boxes[:, :2] + image.boxes[:, 2:]], axis=1)
    return Record("", image.name + ".jpg", 0, 0, corners.astype(np.float32), np.zeros((len(corners), 5, 2)),
                  ~image.counted["hard"])


@given(st.integers(0, 10**9))
def test_the_protocol_on_a_roidb_is_the_same(seed):
    predictions, truth = scene(seed)
    detections = []
    for image in truth:
        image.boxes = np.round(image.boxes * 8) / 8  # what float32 holds
        if not len(image.boxes):
            predictions.get(image.event, {}).pop(image.name, None)  # there the roidb counts false positives
        rows = predictions.get(image.event, {}).get(image.name, np.zeros((0, 5)))
        rows[:, :4] = np.round(rows[:, :4] * 8) / 8
        rows = rows.copy()
        rows[:, 2:4] += rows[:, :2]
        detections.append(rows)
    records = [as_record(image) for image in truth]
    expected = plain_loops.average_precision(predictions, truth, "hard")
    assert average_precision(detections, records) == pytest.approx(expected, abs=1e-12)


def test_detections_may_be_objects_and_count_on_images_without_faces():
    class Found:
        boxes = np.array([[10, 10, 29, 29]], np.float32)
        scores = np.array([0.5], np.float32)

    face = Record("", "x.jpg", 0, 0, Found.boxes, np.zeros((1, 5, 2)), np.zeros(1, bool))
    none = Record("", "y.jpg", 0, 0, np.zeros((0, 4), np.float32), np.zeros((0, 5, 2)), np.zeros(0, bool))
    assert average_precision([Found(), np.zeros((0, 5))], [face, none]) == 1
    assert average_precision([Found(), Found()], [face, none]) == 0.5
    assert average_precision([], []) == 0
    with pytest.raises(ValueError):
        average_precision([Found()], [face, none])


def test_each_height_has_an_ap_of_its_own():
    """By hand: a wrong box of 8 px above all right ones costs the APs of all heights, not only that of small faces."""
    boxes = np.array([[0, 0, 10, 12], [100, 0, 140, 50], [200, 0, 260, 70]], np.float32)
    record = Record("", "x.jpg", 0, 0, boxes, np.zeros((3, 5, 2)), np.array([False, False, True]))
    found = np.array([[50, 50, 58, 58, 0.9], [100, 0, 140, 50, 0.8], [200, 0, 260, 70, 0.7], [0, 0, 10, 12, 0.6]])
    assert average_precision([found], [record], heights=[30]) == pytest.approx(1 / 2)  # right after one wrong box
    assert average_precision([found], [record]) == pytest.approx(2 / 3)  # of the envelope 2/3 at both recalls
    assert average_precision([found], [record], heights=[10, 30, 60]) == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert average_precision([found[1:]], [record], heights=[10, 30]) == 1
    assert average_precision([found], [record], heights=[60]) == 0  # the only face of that height is ignored
