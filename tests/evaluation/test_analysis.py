import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_sets import image, matched, random_set

from manyfaces.evaluation import curve_of, evaluate_wider
from manyfaces.evaluation.by_height import COARSE_EDGES
from manyfaces.evaluation.report.analysis import (
    BREAKDOWNS,
    analyse,
    curve_of_part,
    found_at,
    judged,
    operating_points,
    setting_faces,
    working_score,
)

SMALL, TALL = [0, 0, 11, 12], [100, 0, 35, 40]


def rows_of(matches, part):
    return {row["label"]: row for row in analyse(matches)[part]}


def test_a_height_has_its_own_faces_and_false_positives():
    rows = [[*SMALL, 0.9], [*TALL, 0.8], [300, 300, 40, 50, 0.95], [500, 500, 12, 12, 0.1]]
    heights = rows_of(matched(image("a", [SMALL, TALL], rows)), "heights")
    # The false positive of 50 px comes before the tall face. In the bin of the small ones it does not count.
    found = {label: (row["low"], row["high"], row["faces"], row["recall"], row["ap"]) for label, row in heights.items()}
    assert found["10 to 16 px"] == (10, 16, 1, 1.0, 1.0) and found["32 to 64 px"] == (32, 64, 1, 1.0, 0.5)
    assert found["256 px and more"] == (256, None, 0, None, None)
    assert list(heights) == ["under 10 px", "10 to 16 px", "16 to 32 px", "32 to 64 px", "64 to 128 px",
                             "128 to 256 px", "256 px and more"]


def test_a_bin_takes_its_lower_edge():
    for edge in COARSE_EDGES:
        heights = analyse(matched(image("a", [[0, 0, 9, edge]], [[0, 0, 9, edge, 1]], [True])))["heights"]
        assert [row["low"] for row in heights if row["faces"]] == [edge]


def test_under_ten_pixels_are_boxes_that_no_setting_counts():
    tiny, hidden, flat = [0, 0, 8, 9], [50, 0, 8, 8], [90, 0, 0, 8]
    rows = [[*tiny, 0.9], [*hidden, 0.8]]
    matches = matched(image("a", [tiny, hidden, flat, TALL], rows, [False, False, False, True], invalid=[0, 1, 0, 0]))
    under = rows_of(matches, "heights")["under 10 px"]
    assert (under["faces"], under["recall"], under["ap"]) == (1, 1.0, 1.0)
    assert under["population"] == "left out of the settings"
    invalid = rows_of(matches, "invalid")
    assert (invalid["invalid"]["faces"], invalid["invalid"]["recall"]) == (1, 1.0)
    assert (invalid["valid"]["faces"], invalid["valid"]["population"], invalid["valid"]["ap"]) == (1, "hard", 0.0)


def test_an_attribute_meets_all_false_positives():
    # The clear face and one of two blurred ones are found, with a false positive between them.
    boxes = [[0, 0, 20, 20], [100, 0, 20, 20], [200, 0, 20, 20]]
    rows = [[*boxes[0], 0.9], [500, 500, 20, 20, 0.8], [*boxes[1], 0.7]]
    matches = matched(image("a", boxes, rows, blur=[0, 2, 2]))
    blur = rows_of(matches, "blur")
    assert (blur["clear"]["recall"], blur["clear"]["ap"], blur["clear"]["normalised_ap"]) == (1, 1, 1)
    assert (blur["normal blur"]["faces"], blur["normal blur"]["normalised_ap"]) == (0, None)
    # Recall 1/2 at precision 1/2. Scaled to 3 faces: 1.5 found, with one false positive.
    heavy = blur["heavy blur"]
    assert (heavy["recall"], heavy["ap"]) == (0.5, 0.25) and heavy["normalised_ap"] == pytest.approx(0.5 * 1.5 / 2.5)
    assert analyse(matches)["pose"] == [] and set(analyse(matches)) == set(BREAKDOWNS)


def test_an_event_is_its_images():
    matches = matched(image("a", [TALL], [[*TALL, 0.5]], event="0--A"),
                      image("b", [TALL], [[*TALL, 0.5], [300, 0, 30, 30, 0.9]], event="1--B"))
    events = rows_of(matches, "events")
    assert list(events) == ["0--A", "1--B"] and (events["0--A"]["ap"], events["1--B"]["ap"]) == (1.0, 0.5)


def test_the_working_point_is_one_threshold_for_all_rows():
    wrong = [[500, 500 + 2 * i, 20, 20, 0.5] for i in range(1001)]
    matches = matched(image("a", [SMALL, TALL], [[*SMALL, 0.4], [*TALL, 0.6], *wrong]))
    assert working_score(matches) == 0.6
    heights = rows_of(matches, "heights")
    assert (heights["10 to 16 px"]["working_recall"], heights["10 to 16 px"]["recall"]) == (0, 1)
    assert heights["32 to 64 px"]["working_recall"] == 1


def test_operating_points_worked_out_by_hand():
    faces = [[100 * i, 0, 20, 20] for i in range(5)]
    scores = {0: 0.9, 1: 0.7, 2: 0.5, 4: 0.65}  # the fifth does not count
    wrong = [[100 * i, 500, 20, 20, score] for i, score in enumerate((0.8, 0.6, 0.6))]
    matches = matched(image("a", faces, [[*faces[i], score] for i, score in scores.items()] + wrong,
                            [True, True, True, True, False]))
    points = operating_points(matches, "easy", (0, 1, 2, 3, 100))
    assert [point["false_positives"] for point in points] == [0, 1, 2, 3, 100]
    found = [(point["reached"], point["score"], point["recall"], point["precision"]) for point in points]
    # Two false positives of 0.6 enter together, so with a limit of two the threshold stays above them.
    one, every = (1, 0.7, 0.5, pytest.approx(2 / 3)), (3, 0.5, 0.75, 0.5)
    assert found == [(0, 0.9, 0.25, 1), one, one, every, every]


def test_operating_points_where_there_are_none():
    box = [0, 0, 20, 20]
    matches = matched(image("a", [box], [[*box, 0.9], [100, 0, 20, 20, 0.9]]))
    point = {"false_positives": 0, "reached": 0, "score": None, "recall": 0.0, "precision": None}
    assert operating_points(matches, "hard", (0,)) == [point] and working_score(matches, "hard", 0) == np.inf
    assert operating_points(matched(image("a", [box], [])), "hard", (0,)) == [point]


def test_judged_and_found():
    box, ignored = [0, 0, 20, 20], [100, 0, 20, 20]
    rows = [[*box, 0.9], [*box, 0.8], [*ignored, 0.7], [*ignored, 0.6], [300, 0, 20, 20, 0.5]]
    matches = matched(image("a", [box, ignored], rows, [True, False]))
    right, wrong = judged(matches, setting_faces(matches, "hard"))
    assert right.tolist() == [True, False, False, False, False]
    assert wrong.tolist() == [False, True, False, False, True]
    assert found_at(matches).tolist() == [0.9, 0.7]
    assert found_at(matched(image("a", [box], []))).tolist() == [-np.inf]


@given(st.integers(0, 10**9))
def test_a_subset_is_what_the_protocol_gives_when_the_rest_is_ignored(seed):
    images = random_set(seed)
    tables = analyse(matched(*images))
    subsets = [(row, [(truth.boxes[:, 3] >= row["low"]) & (truth.boxes[:, 3] < (row["high"] or np.inf))
                    for truth, _ in images],
              [(rows[:, 3] >= row["low"]) & (rows[:, 3] < (row["high"] or np.inf)) for _, rows in images])
             for row in tables["heights"] if row["low"]]
    subsets += [(row, [np.full(len(truth.boxes), truth.event == row["label"]) for truth, _ in images],
               [np.full(len(rows), truth.event == row["label"]) for truth, rows in images])
              for row in tables["events"]]
    subsets += [(row, [truth.attributes["blur"] == number for truth, _ in images],
               [np.ones(len(rows), bool) for _, rows in images]) for number, row in enumerate(tables["blur"])]
    for row, inside, looked_at in subsets:
        if not row["faces"]:
            continue
        # Other predictions move onto a box that does not count: they are ignored, and the range of scores stays.
        predictions, truths, place = {}, [], [10_000, 10_000, 50, 50]
        for number, (truth, rows) in enumerate(images):
            counted = truth.counted["hard"] & inside[number]
            truths.append(type(truth)(truth.event, truth.name, np.concatenate([truth.boxes, [place]]),
                                      dict.fromkeys(truth.counted, np.append(counted, False))))
            rows = rows.copy()
            alone = np.array([not any(overlap(found, box) >= 0.5 for box in truth.boxes) for found in rows])
            rows[alone & ~looked_at[number], :4] = place
            predictions.setdefault(truth.event, {})[truth.name] = rows
        assert row["ap"] == pytest.approx(evaluate_wider(predictions, truths)["hard"], abs=1e-12)
        assert row["faces"] == sum(truth.counted["hard"].sum() for truth in truths)
    assert json.loads(json.dumps(tables)) == tables


@given(st.integers(0, 10**9), st.sampled_from([0.05, 0.5, 1]), st.sampled_from([0.05, 0.5, None]))
def test_dropping_what_takes_no_part_changes_no_curve(seed, faces, looked_at):
    matches, rng = matched(*random_set(seed, spread=0.1)), np.random.default_rng(seed)
    counted = rng.random(len(matches.boxes)) < faces
    looked_at = None if looked_at is None else rng.random(len(matches.rows)) < looked_at
    part, whole = curve_of_part(matches, counted, looked_at), curve_of(matches, counted, looked_at)
    np.testing.assert_array_equal(part.recall, whole.recall)
    np.testing.assert_array_equal(part.precision, whole.precision)
    assert part.faces == whole.faces
    # Sums over fewer points: NumPy adds them up in another order.
    assert (part.ap, part.exact) == pytest.approx((whole.ap, whole.exact), abs=1e-12)


def overlap(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]) + 1
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]) + 1
    both = max(width, 0) * max(height, 0)
    return both / ((a[2] + 1) * (a[3] + 1) + (b[2] + 1) * (b[3] + 1) - both)
