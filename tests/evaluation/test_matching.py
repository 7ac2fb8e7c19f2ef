import subprocess
import sys

import numpy as np
import plain_loops
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manyfaces.evaluation import matching, reference

WAYS = pytest.mark.parametrize("best_boxes", [matching.best_boxes, reference.best_boxes], ids=["compiled", "twin"])


def all_pairs(predictions, images, boxes, owners, iou, extra):
    best = []
    for row, image in zip(predictions, images, strict=True):
        overlaps = [-1.0]
        for box, owner in zip(boxes, owners, strict=True):
            right, bottom = row[0] + row[2], row[1] + row[3]
            other_right, other_bottom = box[0] + box[2], box[1] + box[3]
            width = min(right, other_right) - max(row[0], box[0]) + extra
            height = min(bottom, other_bottom) - max(row[1], box[1]) + extra
            if owner == image and width > 0 and height > 0:
                area = (right - row[0] + extra) * (bottom - row[1] + extra)
                other = (other_right - box[0] + extra) * (other_bottom - box[1] + extra)
                overlaps.append(width * height / (area + other - width * height))
            else:
                overlaps.append(-1.0)
        index = int(np.argmax(overlaps)) - 1
        best.append(index if overlaps[index + 1] >= iou else -1)
    return best


@WAYS
@given(st.integers(0, 10**9), st.sampled_from([0.1, 0.3, 0.5, 0.75, 1.0]), st.sampled_from([0.0, 1.0]))
def test_comparing_only_boxes_in_reach_changes_nothing(best_boxes, seed, iou, extra):
    rng = np.random.default_rng(seed)
    boxes, near = plain_loops.boxes_and_near(rng, 40, 100, 5, 0.2)
    count, images = len(boxes), int(rng.integers(1, 5))
    predictions = np.concatenate([near, boxes, rng.uniform(-100, 100, (5, 4))])
    if rng.random() < 0.5:
        boxes, predictions = np.round(boxes), np.round(predictions)
    if rng.random() < 0.2:  # coordinates so large that rounding exceeds whole pixels
        far = 10.0 ** rng.integers(5, 17)
        boxes[:, 0], predictions[:, 0] = boxes[:, 0] + far, predictions[:, 0] + far
    owners = rng.integers(0, images, count)
    mine = rng.integers(0, images, len(predictions))
    found = best_boxes(predictions, mine, boxes, owners, iou, extra)
    assert found.tolist() == all_pairs(predictions, mine, boxes, owners, iou, extra)


@WAYS
def test_empty_inputs(best_boxes):
    none, one = np.zeros((0, 4)), np.ones((1, 4))
    assert best_boxes(none, np.zeros(0, int), one, np.zeros(1, int), 0.5).shape == (0,)
    assert best_boxes(one, np.zeros(1, int), none, np.zeros(0, int), 0.5).tolist() == [-1]
    assert best_boxes(one, np.ones(1, int), one, np.zeros(1, int), 0.5).tolist() == [-1]


def crowd(seed, count):
    """count predictions and a tenth as many boxes, in few images, with ties."""
    rng = np.random.default_rng(seed)
    boxes = np.concatenate([rng.uniform(0, 2000, (count // 10, 2)), rng.uniform(5, 60, (count // 10, 2))], axis=1)
    predictions = np.repeat(boxes, 10, axis=0) + rng.normal(0, 3, (len(boxes) * 10, 4))
    owners = rng.integers(0, 1 + count // 500, len(boxes))
    return np.round(predictions), np.repeat(owners, 10), np.round(boxes), owners


@pytest.mark.parametrize("count", [10, 1000, 100_000])
def test_compiled_and_twin_are_equal(count):
    problem = crowd(count, count)
    found = matching.best_boxes(*problem, 0.5)
    np.testing.assert_array_equal(found, reference.best_boxes(*problem, 0.5))
    assert (found >= 0).mean() > 0.3


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_blocks_do_not_change_the_result(block, monkeypatch):
    problem = crowd(3, 1000)
    whole = reference.best_boxes(*problem, 0.5)
    monkeypatch.setattr(reference, "_BLOCK", block)
    np.testing.assert_array_equal(reference.best_boxes(*problem, 0.5), whole)


def test_without_compiled_modules_the_twins_serve():
    program = "\n".join([
        "import sys, warnings",
        "sys.modules['manyfaces.evaluation.match'] = None",
        "warnings.simplefilter('ignore')",
        "from manyfaces.evaluation import matching, reference",
        "assert not matching.COMPILED and matching.best_boxes is reference.best_boxes",
        "print(matching.parse_faces(b'x 1 2 3 4 5 6'), matching.parse_faces(b'x' + bytes([10]) + b'0').shape)"])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "(0,", "5)"]
