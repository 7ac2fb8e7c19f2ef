"""Soft suppression: by hand, at its limits, and compiled against the NumPy twin, equal to the bit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.candidates import crowd_candidates
from manyfaces.errors import InputError
from manyfaces.nms import COMPILED, reference, soft_nms

functions = pytest.mark.parametrize("function", [soft_nms, reference.soft_nms], ids=["picked", "twin"])
compiled = pytest.mark.skipif(not COMPILED, reason="nothing is compiled here: there is only the twin")
# IoU: 0 and 1: 2/3, 1 and 2: 2/3, 0 and 2: 3/7.
THREE = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [4, 0, 14, 10]], dtype=np.float32)


@functions
def test_linear_by_hand(function):
    taken, scores = function(THREE, [0.9, 0.8, 0.7], "linear", threshold=0.5)
    # The first lowers only the second, to 0.8 / 3. The third is taken next and lowers the second again, to 0.8 / 9.
    assert taken.dtype == np.intp and scores.dtype == np.float32
    assert taken.tolist() == [0, 2, 1]
    np.testing.assert_allclose(scores, [0.9, 0.7, 0.8 / 9], rtol=1e-6)


@functions
def test_gaussian_by_hand(function):
    taken, scores = function(THREE, [0.9, 0.8, 0.1], "gaussian", sigma=0.5)
    second = 0.8 * math.exp(-(2 / 3) ** 2 / 0.5)
    third = 0.1 * math.exp(-(3 / 7) ** 2 / 0.5) * math.exp(-(2 / 3) ** 2 / 0.5)
    assert taken.tolist() == [0, 1, 2]
    np.testing.assert_allclose(scores, [0.9, second, third], rtol=1e-6)


@functions
def test_limits(function):
    assert function(THREE, [0.9, 0.8, 0.7], threshold=0.5, min_score=0.5)[0].tolist() == [0, 2]
    assert function(THREE, [0.9, 0.8, 0.7], threshold=1)[0].tolist() == [0, 1, 2]  # no IoU is above 1
    assert function(THREE, [0.2, 0.2, 0.2], threshold=1)[0].tolist() == [0, 1, 2]  # equal scores by index
    taken, scores = function(THREE[[0, 0]], [0.5, 0.4], threshold=0.5, min_score=0)
    assert taken.tolist() == [0, 1] and scores[1] == 0  # 1 - IoU is 0, and 0 is not below 0
    taken, scores = function([], [])
    assert taken.shape == scores.shape == (0,)
    flat = function([[0, 0, 10, 0], [0, 0, 10, 10]], [0.5, 0.9])
    assert flat[0].tolist() == [1, 0] and flat[1][1] == np.float32(0.5)


@functions
def test_bad_input(function):
    for rules, what in (({"method": "cubic"}, "method: found 'cubic', expected one of linear, gaussian"),
                        ({"sigma": 0}, "sigma"), ({"min_score": -1}, "min_score"), ({"threshold": 2}, "threshold")):
        with pytest.raises(InputError, match=what):
            function(THREE, [1, 2, 3], **rules)
    with pytest.raises(InputError, match="score 2 is infinite"):
        function(THREE, [1, 2, np.inf])


def assert_same(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@compiled
@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2 ** 32), st.sampled_from([0, 1, 2, 20, 120]), st.booleans(),
       st.sampled_from(["linear", "gaussian"]), st.sampled_from([0, 0.3, 0.5, 1]), st.sampled_from([0.1, 0.5, 2]),
       st.sampled_from([0, 0.001, 0.3]))
def test_compiled_equals_twin(seed, count, whole, method, threshold, sigma, min_score):
    rng = np.random.default_rng(seed)
    boxes = rng.uniform(-200, 200, (count, 4))
    boxes[:, 2:] = boxes[:, :2] + np.exp(rng.uniform(-3, 6, (count, 2)))
    scores = rng.random(count)
    if whole:
        boxes, scores = np.round(boxes / 10), np.round(scores * 4) / 4
    arguments = boxes, scores, method, threshold, sigma, min_score
    assert_same(soft_nms(*arguments), reference.soft_nms(*arguments))


@compiled
@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_compiled_equals_twin_on_a_crowd(method):
    boxes, scores = crowd_candidates(2000, np.random.default_rng(3), size=(600, 400))
    boxes[::100] += np.float32([-500, -500, 500, 500])  # large boxes that cover more cells than there are chains
    assert_same(soft_nms(boxes, scores, method, 0.1), reference.soft_nms(boxes, scores, method, 0.1))
