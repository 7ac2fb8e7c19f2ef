import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import manyfaces.evaluation.matching as matching
from manyfaces.evaluation.matching import best_boxes


def all_pairs(predictions, images, boxes, owners, iou, extra):
    best = []
    for row, image in zip(predictions, images, strict=True):
        overlaps = [-1.0]
        for box, owner in zip(boxes, owners, strict=True):
            width = min(row[0] + row[2], box[0] + box[2]) - max(row[0], box[0]) + extra
            height = min(row[1] + row[3], box[1] + box[3]) - max(row[1], box[1]) + extra
            both = max(width, 0) * max(height, 0)
            union = (row[2] + extra) * (row[3] + extra) + (box[2] + extra) * (box[3] + extra) - both
            overlaps.append(both / union if owner == image and both > 0 and union > 0 else -1.0)
        index = int(np.argmax(overlaps)) - 1
        best.append(index if overlaps[index + 1] >= iou else -1)
    return best


@given(st.integers(0, 10**9), st.sampled_from([0.1, 0.3, 0.5, 0.75, 1.0]), st.sampled_from([0.0, 1.0]))
def test_looking_only_in_reach_changes_nothing(seed, iou, extra):
    rng = np.random.default_rng(seed)
    count, images = int(rng.integers(0, 40)), int(rng.integers(1, 5))
    size = np.exp(rng.uniform(0, rng.uniform(0.1, 5), (count, 2)))
    boxes = np.concatenate([rng.uniform(-100, 100, (count, 2)), size], axis=1)
    near = boxes[rng.integers(0, count, 60)] if count else np.zeros((0, 4))
    near = near + rng.normal(0, 0.2, near.shape) * np.tile(near[:, 2:], 2)
    predictions = np.concatenate([near, boxes, rng.uniform(-100, 100, (5, 4))])
    if rng.random() < 0.5:
        boxes, predictions = np.round(boxes), np.round(predictions)
    owners = rng.integers(0, images, count)
    mine = rng.integers(0, images, len(predictions))
    found = best_boxes(predictions, mine, boxes, owners, iou, extra)
    assert found.tolist() == all_pairs(predictions, mine, boxes, owners, iou, extra)


def test_empty_inputs():
    none, one = np.zeros((0, 4)), np.ones((1, 4))
    assert best_boxes(none, np.zeros(0, int), one, np.zeros(1, int), 0.5).shape == (0,)
    assert best_boxes(one, np.zeros(1, int), none, np.zeros(0, int), 0.5).tolist() == [-1]


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_blocks_do_not_change_the_result(block, monkeypatch):
    rng = np.random.default_rng(1)
    boxes = np.concatenate([rng.uniform(0, 50, (30, 2)), rng.uniform(5, 20, (30, 2))], axis=1)
    predictions = np.repeat(boxes, 3, axis=0) + rng.normal(0, 1, (90, 4))
    images, owners = np.repeat(np.arange(3), 30), np.tile(np.arange(3), 10)
    whole = best_boxes(predictions, images, boxes, owners, 0.5)
    monkeypatch.setattr(matching, "_BLOCK", block)
    np.testing.assert_array_equal(best_boxes(predictions, images, boxes, owners, 0.5), whole)
    assert (whole >= 0).sum() > 20
