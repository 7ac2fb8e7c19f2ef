"""Suppression by the smaller area: by hand, and compiled against the NumPy twin and plain loops."""

import numpy as np
import pytest

from manyfaces.errors import InputError
from manyfaces.nms import COMPILED, min_nms, nms, reference


def plain(boxes, scores, threshold):
    kept = []
    for n in sorted(range(len(scores)), key=lambda n: -scores[n]):
        for k in kept:
            a, b = np.float64(boxes[n]), np.float64(boxes[k])
            sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
            smaller = min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2]))
            if (sides > 0).all() and sides[0] * sides[1] / smaller > threshold:
                break
        else:
            kept.append(n)
    return kept


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled here")
@pytest.mark.parametrize("seed", range(30))
def test_compiled_twin_and_plain_loops(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.choice([0, 1, 2, 40, 200]))
    corner = rng.integers(0, 40, (count, 2))
    boxes = np.concatenate([corner, corner + rng.integers(0, 30, (count, 2))], axis=1).astype(np.float32)
    scores = rng.integers(0, 20, count).astype(np.float32) / 20  # many ties
    for threshold in (0.0, 0.5, 0.7, 1.0):
        kept = min_nms(boxes, scores, threshold)
        assert kept.tolist() == reference.min_nms(boxes, scores, threshold).tolist()
        assert kept.tolist() == plain(boxes, scores, threshold)


def test_a_box_inside_another_is_dropped():
    boxes, scores = [[0, 0, 40, 40], [10, 10, 20, 20], [30, 30, 50, 50]], [0.5, 0.9, 0.4]
    assert min_nms(boxes, scores, 0.7).tolist() == [1, 2]
    assert nms(boxes, scores, 0.7).tolist() == [1, 0, 2]


def test_a_box_at_the_threshold_is_kept():
    assert min_nms([[0, 0, 4, 1], [3, 0, 7, 1]], [1, 0.5], 0.25).tolist() == [0, 1]


@pytest.mark.parametrize("function", [min_nms, reference.min_nms])
def test_bad_input(function):
    with pytest.raises(InputError, match="NaN"):
        function([[0, 0, 1, 1]], [np.nan], 0.5)
    with pytest.raises(InputError, match="threshold"):
        function([[0, 0, 1, 1]], [0.5], 1.5)
