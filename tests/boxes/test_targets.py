"""Anchor targets: rules by hand, invariants, and compiled against the NumPy twin, label by label."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.targets import LEVELS, SIZE, crowd_faces
from manyfaces.boxes import COMPILED, Level, anchor_targets, overlaps, reference, reference_targets
from manyfaces.errors import InputError

functions = pytest.mark.parametrize("function", [anchor_targets, reference_targets.anchor_targets],
                                    ids=["picked", "twin"])
# Four anchors of 10 x 10 side by side, corners at 0, 10, 20, 30.
ROW = [Level(1, 4, 10, (10,))]


def targets(function, boxes, ignore=None, levels=ROW, image_size=(40, 10), **rules):
    boxes = np.reshape(boxes, (-1, 4))
    labels, matched = function(levels, boxes, np.zeros(len(boxes), bool) if ignore is None else ignore, image_size,
                               **rules)
    assert labels.dtype == np.int8 and matched.dtype == np.int32
    np.testing.assert_array_equal(matched >= 0, labels == 1)
    return labels.tolist(), matched.tolist()


@functions
def test_thresholds_are_reached_by_equality(function):
    # 5 of 10 columns: IoU 50 / 150 = 1/3 with two anchors; 10 x 3 within the last: 0.3.
    faces = [[5, 0, 15, 10], [30, 0, 40, 3]]
    third = 1 / 3
    assert targets(function, faces, best=None, positive=third, negative=0.3) == ([1, 1, 0, -1], [0, 0, -1, -1])
    assert targets(function, faces, best=None, positive=0.34, negative=third) == ([-1, -1, 0, 0], [-1] * 4)
    assert targets(function, faces, best=None, positive=0.34, negative=0.34) == ([0, 0, 0, 0], [-1] * 4)


@functions
def test_highest_iou_wins_and_ties_go_to_the_first_face(function):
    faces = [[0, 0, 10, 6], [0, 0, 10, 8], [0, 2, 10, 10]]
    assert targets(function, faces)[1] == [1, -1, -1, -1]
    assert targets(function, faces[::-1])[1] == [0, -1, -1, -1]


@functions
def test_best_rule(function):
    small = [21, 1, 26, 6]  # 25 of 100: below both thresholds
    assert targets(function, small, best=None) == ([0, 0, 0, 0], [-1] * 4)
    assert targets(function, small, best=0.25) == ([0, 0, 1, 0], [-1, -1, 0, -1])
    assert targets(function, small, best=0.26) == ([0, 0, 0, 0], [-1] * 4)
    tie = [7, 1, 13, 4]  # 9 of 109 with each of the first two: the lower anchor
    assert targets(function, tie, best=0) == ([1, 0, 0, 0], [0, -1, -1, -1])
    assert targets(function, [50, 0, 60, 10], best=0) == ([0, 0, 0, 0], [-1] * 4)  # meets no anchor


@functions
def test_best_rule_takes_precedence_over_a_higher_iou_and_the_higher_iou_wins_a_shared_best_anchor(function):
    big, small = [20, 0, 30, 10], [21, 1, 26, 6]
    # Anchor 2 is the best of both; the big face has the higher IoU and gets it, whatever its place in the list.
    assert targets(function, [small, big], best=0.2)[1] == [-1, -1, 1, -1]
    assert targets(function, [big, small], best=0.2)[1] == [-1, -1, 0, -1]
    # The best anchor of the wide face is 2. The small face has a lower IoU with anchor 1 than the wide one, but anchor
    # 1 is its best, so it gets it.
    wide, small = [10.5, 0, 30, 10], [11, 0, 15, 10]
    assert overlaps([wide], [[10, 0, 20, 10]]) > overlaps([small], [[10, 0, 20, 10]])
    assert targets(function, [wide, small], best=None, positive=0.4)[1] == [-1, 0, 0, -1]
    assert targets(function, [wide, small], best=0.4, positive=0.4)[1] == [-1, 1, 0, -1]
    assert targets(function, [small, small], best=0)[1] == [-1, 0, -1, -1]  # equal IoUs: the first face


@functions
def test_ignore_regions_hide_background_only(function):
    boxes = [[0, 0, 10, 10], [0, 0, 40, 5], [29, 0, 40, 10]]  # a face, a strip over half of all, one over the last
    assert targets(function, boxes, [False, True, True], ignore_overlap=0.5) == ([1, -1, -1, -1], [0, -1, -1, -1])
    assert targets(function, boxes, [False, True, True], ignore_overlap=0.51) == ([1, 0, 0, -1], [0, -1, -1, -1])
    # The IoU counts too: 30 of 100, covered fraction 0.3.
    assert targets(function, [[10, 0, 13, 10]], [True], negative=0.3, ignore_overlap=1)[0] == [0, -1, 0, 0]
    assert targets(function, [[10, 0, 13, 10]], [True], negative=0.31, ignore_overlap=1)[0] == [0, 0, 0, 0]


@functions
def test_border(function):
    levels = [Level(1, 4, 10, (12,), (1.0,), None)]  # corners at -1, 9, 19, 29 .. 11, 21, 31, 41
    face = [0, 0, 10, 10]
    assert targets(function, face, levels=levels)[0] == [1, 0, 0, 0]
    assert targets(function, face, levels=[levels[0]._replace(border=1)])[0] == [1, 0, 0, 0]
    shut = targets(function, face, levels=[levels[0]._replace(border=0.5)], best=0)
    assert shut == ([-1, -1, -1, -1], [-1] * 4)  # all leave the image at the top
    tall = targets(function, face, levels=[tuple(levels[0][:5])], image_size=(40, 13), border=1, best=0)
    assert tall == ([1, 0, 0, 0], [0, -1, -1, -1])
    inner = targets(function, face, levels=[Level(3, 4, 10, (12,), (1.0,), 0)], image_size=(40, 40), best=0)
    assert inner == ([-1] * 5 + [1, 0, -1] + [-1, 0, 0, -1], [-1] * 5 + [0] + [-1] * 6)  # the best of those inside


@functions
def test_levels_follow_one_another(function):
    levels = [(1, 2, 20, (20,)), (1, 1, 40, (20, 40))]
    labels, matched = targets(function, [[20, 0, 40, 20], [0, 0, 40, 40]], levels=levels, positive=0.6, negative=0.5,
                              best=None, image_size=(40, 40))
    assert (labels, matched) == ([0, 1, 0, 1], [-1, 0, -1, 1])


@functions
def test_anchors_of_given_widths_and_heights(function):
    """Two cells of two anchors: 10 x 20 and 20 x 10 around (10, 10) and (30, 10)."""
    levels = [Level(1, 2, 20, ((10, 20), (20, 10)))]
    wide, high = [20, 5, 40, 15], [5, 0, 15, 20]  # IoU of a face with an anchor of the other kind: 100 / 300
    assert targets(function, [wide, high], levels=levels, image_size=(40, 20), best=None, positive=0.4,
                   negative=0.4) == ([1, 0, 0, 1], [1, -1, -1, 0])
    assert targets(function, [wide, high], levels=levels, image_size=(40, 20), best=None, positive=0.4,
                   negative=0.3) == ([1, -1, -1, 1], [1, -1, -1, 0])


@functions
def test_nothing_to_learn(function):
    assert targets(function, []) == ([0, 0, 0, 0], [-1] * 4)
    assert targets(function, [3, 3, 3, 9], best=0) == ([0, 0, 0, 0], [-1] * 4)  # no width
    assert targets(function, [], levels=[]) == ([], [])
    assert targets(function, [[0, 0, 5, 5]], levels=[(0, 4, 8, (16,))]) == ([], [])


@functions
def test_bad_input(function):
    face = np.array([[0, 0, 10, 10]])
    for wrong, rules, what in ((face[:, :3], {}, r"\(1, 3\), expected \(N, 4\)"),
                               (face * np.nan, {}, "box 0 is .*finite"),
                               (face, {"positive": 0.2}, r"negative is 0.3, expected a number from 0 to 0.2"),
                               (face, {"positive": 0}, "positive is 0"), (face, {"best": 1.5}, "best is 1.5"),
                               (face, {"ignore_overlap": np.nan}, "ignore_overlap is nan")):
        with pytest.raises(InputError, match=what):
            function(ROW, wrong, [False], (40, 10), **rules)
    with pytest.raises(InputError, match="boxes and ignore: found 1 and 2 rows"):
        function(ROW, face, [False, True], (40, 10))


@st.composite
def scenes(draw):
    """Small pyramids and boxes; half of them have integer coordinates, so that ties are common."""
    number = draw(st.sampled_from([st.integers(-10, 60), st.floats(-10, 60, width=32)]))
    side = draw(st.sampled_from([st.integers(-1, 40), st.floats(-1, 40, width=32)]))
    border = st.sampled_from([None, 0, 3, 20])
    level = st.builds(Level, st.integers(0, 6), st.integers(0, 6), st.sampled_from([1, 4, 8, 7.3, 16]),
                      st.one_of(st.lists(st.sampled_from([4, 8, 16, 5.5, 64]), min_size=1, max_size=2),
                                st.lists(st.sampled_from([(4, 9), (9.4, 15), (30, 12)]), min_size=1, max_size=3)),
                      st.lists(st.sampled_from([1, 0.5, 2, 1.3]), min_size=1, max_size=2), border)
    boxes = np.array(draw(st.lists(st.tuples(number, number, side, side), max_size=8)), np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    if len(boxes) > 1 and draw(st.booleans()):
        boxes[-1] = boxes[0]
    negative = draw(st.sampled_from([0, 0.1, 0.3, 1 / 3, 0.5]))
    return (draw(st.lists(level, max_size=3)), boxes, draw(st.lists(st.booleans(), min_size=len(boxes),
                                                                     max_size=len(boxes))),
            (draw(st.integers(10, 60)), draw(st.integers(10, 60))),
            max(negative, draw(st.sampled_from([0.1, 0.35, 0.5, 1]))), negative,
            draw(st.sampled_from([None, 0, 0.2, 0.25, 0.5, 1])), None, draw(st.sampled_from([0.1, 0.5, 1])))


compiled = pytest.mark.skipif(not COMPILED, reason="nothing is compiled here: there is only the twin")


@compiled
@settings(max_examples=150, deadline=None)
@given(scenes())
def test_compiled_equals_twin(scene):
    for actual, expected in zip(anchor_targets(*scene), reference_targets.anchor_targets(*scene), strict=True):
        np.testing.assert_array_equal(actual, expected)


@compiled
@pytest.mark.parametrize("best", [None, 0, 0.2])
def test_compiled_equals_twin_on_a_crowd(best):
    boxes = np.concatenate([crowd_faces(90, np.random.default_rng(1)),
                            crowd_faces(10, np.random.default_rng(2), sides=(100, 900))])
    arguments = (LEVELS, boxes, np.arange(len(boxes)) % 7 == 3, SIZE, 0.5, 0.3, best)
    labels, matched = anchor_targets(*arguments)
    for actual, expected in zip((labels, matched), reference_targets.anchor_targets(*arguments), strict=True):
        np.testing.assert_array_equal(actual, expected)
    if best is None:  # then the IoU of every positive with its face reaches the threshold
        anchors = np.concatenate([reference.anchor_grid(*level[:5]) for level in LEVELS])
        chosen = np.flatnonzero(labels == 1)
        own = reference.overlaps64(anchors[chosen], boxes)[np.arange(len(chosen)), matched[chosen]]
        assert len(chosen) > 100 and (own >= 0.5).all()


@compiled
def test_anchors_far_from_the_origin_are_not_lost():
    """float32 numbers near 1e5 are 0.008 apart: the window of cells must allow for that."""
    levels = [Level(1, 60_000, 2, (3.3,), (0.7,))]
    x = np.random.default_rng(0).uniform(119_000, 119_990, 40)
    boxes = np.stack([x, 0 * x - 1, x + 4, 0 * x + 2.5], axis=1).astype(np.float32)
    arguments = (levels, boxes, np.zeros(40, bool), (120_000, 2), 0.5, 0.3, 0.0)
    for actual, expected in zip(anchor_targets(*arguments), reference_targets.anchor_targets(*arguments), strict=True):
        np.testing.assert_array_equal(actual, expected)
