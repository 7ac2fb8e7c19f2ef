"""Hard suppression: by hand, against OpenCV, and compiled against the NumPy twin, index by index."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.candidates import crowd_candidates
from manyfaces.errors import InputError
from manyfaces.nms import COMPILED, nms, reference

functions = pytest.mark.parametrize("function", [nms, reference.nms], ids=["picked", "twin"])
compiled = pytest.mark.skipif(not COMPILED, reason="nothing is compiled here: there is only the twin")
# IoU: 0 and 1: 80 / 120 = 2/3, 1 and 2: 2/3, 0 and 2: 60 / 140.
THREE = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [4, 0, 14, 10]], dtype=np.float32)


@functions
def test_by_hand(function):
    kept = function(THREE, [0.9, 0.8, 0.7], 0.5)
    assert kept.dtype == np.intp and kept.tolist() == [0, 2]  # the second is dropped before it can suppress the third
    assert function(THREE, [0.8, 0.9, 0.7], 0.5).tolist() == [1]
    assert function(THREE, [0.7, 0.8, 0.9], 0.4).tolist() == [2]


@functions
def test_a_box_at_the_threshold_is_kept(function):
    assert function(THREE[:2], [2, 1], 80 / 120).tolist() == [0, 1]
    assert function(THREE[:2], [2, 1], np.nextafter(80 / 120, 0)).tolist() == [0]
    tenths = [[0, 0, 10, 10], [0, 0, 3, 10]]  # 30 of 100 is equal to the literal 0.3
    assert function(tenths, [2, 1], 0.3).tolist() == [0, 1]


@functions
def test_thresholds_0_and_1(function):
    boxes = [[0, 0, 10, 10], [0, 0, 10, 10], [10, 0, 20, 10], [9, 9, 11, 11]]
    assert function(boxes, [4, 3, 2, 1], 0).tolist() == [0, 2]  # boxes that only touch have IoU 0
    assert function(boxes, [4, 3, 2, 1], 1).tolist() == [0, 1, 2, 3]


@functions
def test_equal_scores_keep_their_order(function):
    assert function(THREE, [0.0, -0.0, 0.0], 0.5).tolist() == [0, 2]
    assert function(np.tile(THREE[:1], (5, 1)), np.ones(5), 0.5).tolist() == [0]
    assert function(THREE, [-np.inf, -1e30, np.inf], 1).tolist() == [2, 1, 0]


@functions
def test_limit(function):
    boxes = np.arange(6)[:, None] * 20 + np.array([[0, 0, 10, 10]])
    for limit, expected in ((None, [5, 4, 3, 2, 1, 0]), (2, [5, 4]), (0, []), (9, [5, 4, 3, 2, 1, 0])):
        assert function(boxes, np.arange(6), 0.5, limit).tolist() == expected
    with pytest.raises(InputError, match="limit is -1"):
        function(boxes, np.arange(6), 0.5, -1)


@functions
def test_empty_one_and_degenerate(function):
    assert function([], [], 0.5).shape == (0,)
    assert function(THREE[:1], [0.1], 0.5).tolist() == [0]
    flat = [[0, 0, 10, 0], [0, 0, 10, 10], [5, 5, 5, 5], [9, 9, 1, 1]]  # without area: IoU 0, so they are kept
    assert function(flat, [1, 2, 3, 4], 0).tolist() == [3, 2, 1, 0]


@functions
def test_bad_input(function):
    for arguments, what in (((THREE, [1, np.nan, 2], 0.5), "score 1 is NaN"), ((THREE, [1, 2], 0.5), "found 3 and 2"),
                            ((THREE * [1, 1, np.inf, 1], [1, 2, 3], 0.5), "box 0 is .*inf.*finite"),
                            ((THREE[:, :3], [1, 2, 3], 0.5), r"\(3, 3\)"), ((THREE, [1, 2, 3], 1.5), "threshold"),
                            ((THREE, [[1], [2], [3]], 0.5), r"scores: found an array of shape \(3, 1\)")):
        with pytest.raises(InputError, match=what):
            function(*arguments)


@functions
def test_input_of_another_type_or_layout(function):
    wide = np.zeros((3, 8))
    wide[:, ::2] = THREE
    assert function(wide[:, ::2], np.array([3, 2, 1], dtype=np.int64), 0.5).tolist() == [0, 2]


def opencv(boxes, scores, threshold):
    sized = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).astype(float)
    return np.asarray(cv2.dnn.NMSBoxes(sized, scores, 0.0, threshold)).ravel()


@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_equals_opencv(threshold):
    """For integer boxes OpenCV computes the same IoU. An IoU at the threshold differs there, so none is at it."""
    boxes, scores = crowd_candidates(3000, np.random.default_rng(0), size=(900, 700))
    boxes = np.round(boxes)
    boxes = boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]
    threshold += 1e-3  # 301 / 1000: no IoU of boxes this small equals it
    np.testing.assert_array_equal(nms(boxes, scores[:len(boxes)], threshold),
                                  opencv(boxes, scores[:len(boxes)], threshold))


@st.composite
def candidates(draw):
    """Boxes with ties in position and score, of mixed sizes, and with coordinates up to the limits of float32."""
    rng = np.random.default_rng(draw(st.integers(0, 2 ** 32)))
    count = draw(st.sampled_from([0, 1, 2, 5, 20, 60, 200]))
    kind = draw(st.sampled_from(["whole", "mixed", "extreme"]))
    if kind == "whole":
        boxes = rng.integers(0, 30, (count, 4)).astype(float)
        boxes[:, 2:] = boxes[:, :2] + rng.integers(-1, 12, (count, 2))
    elif kind == "mixed":
        boxes = rng.uniform(-300, 300, (count, 4))
        boxes[:, 2:] = boxes[:, :2] + np.exp(rng.uniform(-3, 6, (count, 2)))
    else:
        corners = rng.uniform(-1, 1, (count, 2, 2)) * 10.0 ** rng.uniform(-30, 30, (count, 1, 1))
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    scores = rng.integers(-3, 6, count) / 4 if draw(st.booleans()) else rng.normal(size=count)
    scores[rng.random(count) < 0.1] *= -0.0
    return boxes.astype(np.float32), scores.astype(np.float32)


THRESHOLDS = st.sampled_from([0, 0.1, 0.3, 1 / 3, 0.5, 0.7, 0.999999, 1])


@compiled
@settings(max_examples=300, deadline=None)
@given(candidates(), THRESHOLDS, st.sampled_from([None, 0, 1, 3, 50]))
def test_compiled_equals_twin(boxes_and_scores, threshold, limit):
    np.testing.assert_array_equal(nms(*boxes_and_scores, threshold, limit),
                                  reference.nms(*boxes_and_scores, threshold, limit))


@compiled
@pytest.mark.parametrize("count", [1_000, 5_000, 100_000])
def test_compiled_equals_twin_on_a_crowd(count):
    # Fewer boxes are kept in the largest crowd: the twin's time grows with their number.
    rules = {"stray": 0.01, "per_face": 100} if count == 100_000 else {}
    boxes, scores = crowd_candidates(count, np.random.default_rng(count), **rules)
    if rules:
        scores = np.round(scores * 5000) / 5000  # about 20 boxes share each score
    np.testing.assert_array_equal(nms(boxes, scores, 0.3), reference.nms(boxes, scores, 0.3))


@compiled
def test_very_large_boxes_among_small_ones():
    """A box covers thousands of cells of the small boxes: the search must not miss a box, nor visit all cells."""
    boxes, scores = crowd_candidates(4000, np.random.default_rng(7))
    boxes[::40] = boxes[::40] + np.float32([-900, -900, 900, 900])
    for threshold in (0, 1e-4, 0.3):
        np.testing.assert_array_equal(nms(boxes, scores, threshold), reference.nms(boxes, scores, threshold))
