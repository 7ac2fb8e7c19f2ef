"""IoU: computed by hand, by counting pixels, and compiled against the NumPy twin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from manyfaces.boxes import COMPILED, overlaps, reference
from manyfaces.errors import InputError

compiled = pytest.mark.skipif(not COMPILED, reason="nothing is compiled here: there is only the twin")
functions = pytest.mark.parametrize("function", [overlaps, reference.overlaps], ids=["picked", "twin"])
whole = st.integers(-12, 12).map(float)
real = st.floats(-500, 500, width=32)


def boxes_of(numbers):
    return arrays.arrays(np.float32, st.tuples(st.integers(0, 9), st.just(4)), elements=numbers)


@functions
def test_by_hand(function):
    boxes = [[0, 0, 10, 10], [5, 5, 5, 9]]
    others = [[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 4, 7], [0, 0, 10, 5]]
    expected = [[1, 50 / 150, 0, 10 / 100, 0.5], [0, 0, 0, 0, 0]]  # the second box has no width
    ious = function(boxes, others)
    assert ious.dtype == np.float32
    np.testing.assert_array_equal(ious, np.array(expected, dtype=np.float32))


@functions
def test_by_counting_pixels(function):
    rng = np.random.default_rng(3)
    corners = rng.integers(0, 24, (40, 2, 2))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    masks = np.zeros((len(boxes), 24, 24), dtype=bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = True
    common = np.einsum("nyx,kyx->nk", masks.astype(int), masks.astype(int))
    union = masks.sum(axis=(1, 2))[:, None] + masks.sum(axis=(1, 2)) - common
    np.testing.assert_allclose(function(boxes, boxes), common / np.maximum(union, 1), rtol=1e-6)


@functions
def test_empty_and_wrong_shapes(function):
    assert function([], [[0, 0, 1, 1]]).shape == (0, 1)
    assert function(np.zeros((3, 4)), np.zeros((0, 4))).shape == (3, 0)
    with pytest.raises(InputError, match=r"others: found an array of shape \(2, 5\), expected \(N, 4\)"):
        function(np.zeros((2, 4)), np.zeros((2, 5)))


@compiled
@given(st.one_of(boxes_of(whole), boxes_of(real)), st.one_of(boxes_of(whole), boxes_of(real)))
def test_compiled_equals_twin(boxes, others):
    np.testing.assert_array_equal(overlaps(boxes, others), reference.overlaps(boxes, others))


@compiled
def test_compiled_equals_twin_on_100_000_boxes():
    rng = np.random.default_rng(0)
    boxes = rng.uniform(0, 100, (100_000, 4)).astype(np.float32)
    boxes[:, 2:] += boxes[:, :2] - 10
    np.testing.assert_array_equal(overlaps(boxes, boxes[:7]), reference.overlaps(boxes, boxes[:7]))
