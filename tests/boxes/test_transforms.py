"""Box and landmark transforms: by hand, encoded and decoded again, and compiled against the NumPy twins."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manyfaces import boxes as picked
from manyfaces.boxes import reference
from manyfaces.errors import InputError

modules = pytest.mark.parametrize("module", [picked, reference], ids=["picked", "twin"])
NAMES = ("encode_boxes", "decode_boxes", "encode_landmarks", "decode_landmarks")
compiled = SimpleNamespace(**{name: getattr(picked, name) for name in NAMES})


def random_boxes(count, seed):
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(-20, 1000, (count, 2)), np.exp(rng.uniform(0, 6, (count, 2)))
    return np.concatenate([corner, corner + side], axis=1).astype(np.float32)


@modules
def test_boxes_by_hand(module):
    anchors = [[0, 0, 10, 20]]  # centre 5, 10
    boxes = [[4, 0, 14, 20 * math.e]]  # centre (9, 10 e): moved by 4 px = 0.4 widths, e times as high
    deltas = module.encode_boxes(boxes, anchors, (0.1, 0.2))
    assert deltas.dtype == np.float32
    np.testing.assert_allclose(deltas, [[4, (10 * math.e - 10) / 20 / 0.1, 0, 5]], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(module.encode_boxes(boxes, anchors, (1, 1))[0, [0, 3]], [0.4, 1], rtol=1e-6)


@modules
def test_decoding_inverts_encoding(module):
    boxes, anchors = random_boxes(2000, 0), random_boxes(2000, 1)
    side = (anchors[:, 2:] - anchors[:, :2]) * 60
    near = (boxes[:, 2:] - boxes[:, :2] < side).all(axis=1)  # decode_boxes clamps larger ones
    back = module.decode_boxes(module.encode_boxes(boxes, anchors), anchors)
    assert near.sum() > 1000
    np.testing.assert_allclose(back[near], boxes[near], atol=0.02)


@modules
def test_decoded_side_is_clamped(module):
    decoded = module.decode_boxes([[0, 0, 1e4, -1e4]], [[0, 0, 16, 16]])
    np.testing.assert_allclose(decoded, [[8 - 500, 8, 8 + 500, 8]], rtol=1e-5)


@modules
def test_landmarks_by_hand_and_nan(module):
    points = np.full((1, 5, 2), np.nan)
    points[0, 0], points[0, 4] = (5, 10), (6, 8)
    deltas = module.encode_landmarks(points, [[0, 0, 10, 20]], 0.1)
    assert deltas.shape == (1, 10) and deltas.dtype == np.float32
    np.testing.assert_allclose(deltas[0, [0, 1, 8, 9]], [0, 0, 1, -1], atol=1e-6)
    assert np.isnan(deltas[0, 2:8]).all()
    np.testing.assert_allclose(module.decode_landmarks(deltas, [[0, 0, 10, 20]], 0.1), points, atol=1e-5)


@modules
def test_empty_and_bad_input(module):
    assert module.encode_boxes([], []).shape == (0, 4) and module.decode_boxes([], []).shape == (0, 4)
    assert module.encode_landmarks(np.zeros((0, 5, 2)), []).shape == (0, 10)
    assert module.decode_landmarks(np.zeros((0, 10)), []).shape == (0, 5, 2)
    box = [[0, 0, 1, 1]]
    with pytest.raises(InputError, match="boxes and anchors: found 1 and 2 rows"):
        module.encode_boxes(box, box * 2)
    with pytest.raises(InputError, match=r"anchors: box 1 is \[3.0, 0.0, 3.0, 1.0\], expected x1 < x2"):
        module.encode_boxes(box * 2, [[0, 0, 1, 1], [3, 0, 3, 1]])
    with pytest.raises(InputError, match="boxes: box 0"):
        module.encode_boxes([[0, 0, np.nan, 1]], box)
    with pytest.raises(InputError, match="anchors: box 0"):
        module.encode_landmarks(np.zeros((1, 5, 2)), [[0, 0, 0, 1]])
    with pytest.raises(InputError, match="expected pairs"):
        module.decode_landmarks(np.zeros((1, 9)), box)
    with pytest.raises(InputError, match=r"landmarks: found an array of shape \(1, 10\)"):
        module.encode_landmarks(np.zeros((1, 10)), box)


@pytest.mark.skipif(not picked.COMPILED, reason="nothing is compiled here: there are only the twins")
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 50), st.integers(0, 2 ** 32), st.sampled_from([(0.1, 0.2), (1.0, 1.0)]))
def test_compiled_equals_twin(count, seed, variances):
    boxes, anchors = random_boxes(count, seed), random_boxes(count, seed + 1)
    deltas = np.random.default_rng(seed).normal(0, 5, (count, 10)).astype(np.float32)
    points = np.random.default_rng(seed).uniform(0, 900, (count, 5, 2)).astype(np.float32)
    for name, arguments in (("encode_boxes", (boxes, anchors, variances)),
                            ("decode_boxes", (deltas[:, :4], anchors, variances)),
                            ("encode_landmarks", (points, anchors)), ("decode_landmarks", (deltas, anchors))):
        actual, expected = getattr(compiled, name)(*arguments), getattr(reference, name)(*arguments)
        assert actual.shape == expected.shape
        # NumPy's logarithm and the C library's may differ in the last bit of a float64.
        np.testing.assert_array_max_ulp(actual, expected, 1)
