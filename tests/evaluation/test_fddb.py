"""FDDB's protocol against every threshold computed from scratch with every possible matching, and by hand."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_faces import made_up_set, random_ellipses
from test_ellipses import drawn

from manyfaces.errors import InputError
from manyfaces.evaluation.fddb import Fold
from manyfaces.evaluation.fddb.ellipses import mask_ious
from manyfaces.evaluation.fddb.protocol import evaluate_fddb, image_events

SIZE = (60, 50)


def best_matching(overlaps):
    """(pairs over 0.5, total) of the best one-to-one matching; among equals the one with more pairs over 0.5."""
    overlaps = [list(map(float, row)) for row in (overlaps if len(overlaps) <= overlaps.shape[1] else overlaps.T)]
    best = (0.0, 0)
    for columns in itertools.permutations(range(len(overlaps[0]) if overlaps else 0), len(overlaps)):
        values = [row[column] for row, column in zip(overlaps, columns, strict=True)]
        total, pairs = sum(values), sum(value > 0.5 for value in values)
        if total > best[0] + 1e-10 or abs(total - best[0]) <= 1e-10 and pairs > best[1]:
            best = total, pairs
    return best[1], best[0]


def plainly(folds, detections, sizes):
    """(threshold, false positives, discrete, continuous) at each distinct score, each from scratch."""
    scores = sorted({float(row[-1]) for rows in detections.values() for row in rows}, reverse=True)
    points = []
    for threshold in scores:
        faces = found = pairs = 0
        total = 0.0
        for fold in folds:
            for name, ellipses in fold.faces.items():
                faces += len(ellipses)
                rows = [row for row in detections.get(name, []) if row[-1] >= threshold]
                found += len(rows)
                if rows and len(ellipses):
                    masks = [[drawn(row[:count], sizes[name]).astype(bool) for row in part]
                             for part, count in ((ellipses, 5), (rows, len(rows[0]) - 1))]
                    overlaps = np.array([[(a & b).sum() / max(1, (a | b).sum()) for b in masks[1]] for a in masks[0]])
                    more = best_matching(overlaps)
                    pairs, total = pairs + more[0], total + more[1]
        points.append((threshold, found - pairs, pairs / max(1, faces), total / max(1, faces)))
    return points


def compare(folds, detections, sizes):
    roc = evaluate_fddb(detections, folds, sizes).roc
    points = plainly(folds, detections, sizes)
    assert len(roc.thresholds) == len(points)
    for found, expected in zip(zip(roc.thresholds, roc.false_positives, roc.discrete, roc.continuous, strict=True),
                               points, strict=True):
        assert found == pytest.approx(expected, abs=1e-7)
    return roc


regions = st.tuples(st.integers(4, 20), st.integers(4, 20), st.floats(0, 3.14), st.integers(-5, 65),
                    st.integers(-5, 55))
few_scores = st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9])  # many are equal


@settings(max_examples=80)
@given(st.lists(st.tuples(st.lists(regions, max_size=3), st.lists(st.tuples(regions, few_scores), max_size=4)),
                min_size=1, max_size=3), st.booleans())
def test_every_threshold_from_scratch(images, as_ellipses):
    folds, detections, sizes = [Fold(1, {}), Fold(2, {})], {}, {}
    for index, (faces, found) in enumerate(images):
        rows = [(*r, s) if as_ellipses else (r[3] - r[0], r[4] - r[1], 2 * r[0], 2 * r[1], s) for r, s in found]
        folds[index % 2].faces[f"a/{index}"] = np.array(faces, np.float64).reshape(-1, 5)
        sizes[f"a/{index}"] = SIZE
        if rows or index:
            detections[f"a/{index}"] = np.array(rows, np.float64).reshape(-1, 6 if as_ellipses else 5)
    compare(folds, detections, sizes)


@pytest.mark.parametrize("seed", range(6))
def test_crowds_of_overlapping_faces_from_scratch(seed):
    # Five faces close together, with detections near them: there the best matching is not the greedy one.
    rng = np.random.default_rng(seed)
    faces = random_ellipses(rng, 5, SIZE, 25)
    rows = faces[rng.integers(0, 5, 7)] + rng.normal(size=(7, 5)) * [2, 2, 0.2, 4, 4]
    rows = np.column_stack([np.abs(rows[:, :2]), rows[:, 2:], rng.permutation(7) / 7])
    compare([Fold(1, {"a": faces})], {"a": rows}, {"a": SIZE})


def test_faces_that_share_detections_are_matched_together_and_others_apart():
    # Against one matching of all faces, on many random tables in which most pairs have no IoU.
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(5)
    for _ in range(200):
        overlaps = rng.random((rng.integers(1, 9), rng.integers(1, 25))) * (rng.random() > 0.3)
        overlaps *= rng.random(overlaps.shape) < rng.choice([0.1, 0.25, 0.6])
        scores = rng.integers(0, 12, overlaps.shape[1]) / 12
        sums = np.cumsum(image_events(overlaps, scores)[:, 1:], axis=0)
        for threshold, row in zip(sorted(set(scores), reverse=True), sums, strict=True):
            kept = overlaps[:, scores >= threshold]
            pairs = kept[linear_sum_assignment(kept, maximize=True)]
            assert row == pytest.approx([kept.shape[1], (pairs > 0.5).sum(), pairs.sum()], abs=1e-7)


def events(overlaps, scores):
    return np.cumsum(image_events(np.array(overlaps, np.float64), np.array(scores)), axis=0)[:, 1:].tolist()


def test_special_cases_of_the_rule():
    # Columns: detections, pairs over 0.5, IoU in pairs. Exactly half is not enough, but counts in the continuous score.
    assert events([[0.5]], [0.9]) == [[1, 0, 0.5]]
    assert events([[0.5], [0.25]], [0.9]) == [[1, 0, 0.5]]
    assert events([[np.nextafter(0.5, 1)]], [0.9])[0][1] == 1
    # Two detections on one face: one pair. The better one takes it although it scores lower.
    assert events([[0.6, 0.8]], [0.9, 0.3]) == [[1, 1, 0.6], [2, 1, 0.8]]
    # One detection on two faces: one pair.
    assert events([[0.7], [0.6]], [0.9]) == [[1, 1, 0.7]]
    # The total decides, not the number over 0.5: 0.9 + 0.45 beats 0.6 + 0.7, so the number of true positives falls.
    assert events([[0.6, 0.9], [0.0, 0.7]], [0.4, 0.8])[1] == pytest.approx([2, 2, 1.3])
    assert events([[0.6, 0.9], [0.45, 0.7]], [0.4, 0.8])[1] == pytest.approx([2, 1, 1.35])
    # Of equal totals the one with more pairs over 0.5 is taken. Equal scores enter together.
    assert events([[0.75, 0.25], [0.5, 0.0]], [0.5, 0.5]) == [[2, 1, 0.75]]
    assert events([[0.6, 0.2], [0.4, 0.0]], [0.5, 0.5])[0][:2] == [2, 1]
    assert events(np.zeros((0, 3)), [0.1, 0.2, 0.2]) == [[2, 0, 0], [3, 0, 0]]


def test_a_half_that_masks_make():
    # A region within another of twice its pixels: an IoU of exactly 0.5 is a false positive.
    faces = [np.array([[0.0, 0, 0, 20, 20]])]  # one pixel
    found = {"a": np.array([[20.0, 20, 1, 0, 0.9]])}  # two pixels
    overlaps = mask_ious(faces[0], found["a"], SIZE)
    assert overlaps.tolist() == [[0.5]]
    roc = compare([Fold(1, {"a": faces[0]})], found, {"a": SIZE})
    assert (roc.false_positives.tolist(), roc.discrete.tolist(), roc.continuous.tolist()) == ([1], [0], [0.5])


def test_images_join_at_each_threshold_of_the_set():
    face = np.array([[10.0, 10, 0, 25, 25]])
    hit, off = [15.0, 15, 20, 20], [45.0, 2, 8, 8]
    folds = [Fold(1, {"a": face, "b": face}), Fold(2, {"c": face, "d": face})]
    found = {"a": np.array([[*hit, 0.9], [*off, 0.2]]), "b": np.array([[*off, 0.6]]), "c": np.array([[*hit, 0.2]])}
    result = evaluate_fddb(found, folds, dict.fromkeys("abcd", SIZE))
    assert result.roc.thresholds.tolist() == [0.9, 0.6, 0.2]
    assert result.roc.false_positives.tolist() == [0, 1, 2] and result.roc.discrete.tolist() == [0.25, 0.25, 0.5]
    assert result.folds[1].discrete.tolist() == [0.5] * 3 and result.folds[2].discrete.tolist() == [0.5]
    overlap = mask_ious(face, found["c"], SIZE)[0, 0]
    np.testing.assert_allclose(result.roc.continuous, np.array([1, 1, 2]) * overlap / 4)
    assert result.missing == 1 and (result.roc.faces, result.roc.detections) == (4, 4)
    assert result.roc.at(0) == {"discrete": 0.25, "continuous": pytest.approx(overlap / 4), "threshold": 0.9,
                                "false_positives": 0}
    assert result.roc.at(1)["threshold"] == 0.9 and result.roc.at(2)["threshold"] == 0.2
    # With two false positives in the whole set, each fold has two of the four images and may have one.
    assert [result.folds[n].at(result.fold_limit(n, 2))["discrete"] for n in (1, 2)] == [0.5, 0.5]
    with pytest.raises(InputError, match="1 of 1 images with detections are not in the annotations, the first is 'x'"):
        evaluate_fddb({"x": found["a"]}, folds, {})


def test_sets_without_detections_or_faces():
    folds = [Fold(1, {"a": np.zeros((0, 5)), "b": np.array([[9.0, 9, 0, 20, 20]])})]
    nothing = evaluate_fddb({}, folds, {})
    assert nothing.roc.at(100)["discrete"] == 0 and nothing.missing == 2 and len(nothing.roc.thresholds) == 0
    assert nothing.summary()["curve"]["discrete"] == []
    only = evaluate_fddb({"a": np.array([[1.0, 1, 9, 9, 0.5]])}, [Fold(1, {"a": np.zeros((0, 5))})], {"a": SIZE})
    assert only.roc.false_positives.tolist() == [1] and only.roc.continuous.tolist() == [0]
    assert only.roc.at(0)["threshold"] is None


def test_the_curve_that_is_kept_is_the_best_rate_at_each_number_of_false_positives():
    folds, detections, sizes = made_up_set(40, 12, 3)
    result = evaluate_fddb(detections, folds, sizes)
    for limit in (5, 60, 10_000):
        positives, *rates = result.roc.steps(limit)
        assert positives.max() <= limit and (np.diff(positives) > 0).all()
        for count, *values in zip(positives, *rates, strict=True):
            best = result.roc.at(count)
            assert values == pytest.approx([best["discrete"], best["continuous"]])
    summary = result.summary()
    values = [fold["discrete"]["100"] for fold in summary["folds"]]
    assert summary["mean"]["discrete"]["100"] == pytest.approx(sum(values) / 10)
    assert summary["spread"]["discrete"]["100"] == pytest.approx(
        (sum((value - sum(values) / 10) ** 2 for value in values) / 9) ** 0.5)
    # A fold has 4 of the 40 images, and so 10 of the 100 false positives.
    assert summary["folds"][0]["discrete"]["100"] == result.folds[1].at(10)["discrete"]


@pytest.mark.parametrize(("images", "as_ellipses"), [(2845, False), (500, True)])
def test_a_set_of_the_full_size_within_a_minute(images, as_ellipses):
    folds, detections, sizes = made_up_set(images, 30, 1, as_ellipses)
    start = time.process_time()  # of this process alone: the machine may be busy
    result = evaluate_fddb(detections, folds, sizes)
    seconds = time.process_time() - start
    print(f"{images / seconds:,.0f} images/s, {result.roc.detections / seconds:,.0f} detections/s, {seconds:.2f} s")
    assert seconds < 60 * images / 2845 and (result.roc.images, result.roc.detections) == (images, images * 30)
    # made_up_set finds 95 % of the faces with high scores.
    assert 0.85 < result.roc.at(images / 3)["discrete"] < 0.99
