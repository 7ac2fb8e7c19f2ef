import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_sets import image, matched, random_set

from manyfaces.evaluation.report.analysis import found_at, judged, setting_faces
from manyfaces.evaluation.report.error_kinds import KINDS, error_kinds

A, B, C, D, E = ([100 * i, 0, 19, 19] for i in range(5))
SHIFTED = [10, 0, 0, 0]  # a third of the union is left


def moved(box):
    return [a + b for a, b in zip(box, SHIFTED, strict=True)]


def costs(matches):
    return {kind: found["cost"] for kind, found in error_kinds(matches).items()}


def test_each_kind_and_the_gain_of_fixing_it_worked_out_by_hand():
    rows = [[*A, 0.9], [*A, 0.8], [*moved(B), 0.7], [500, 500, 19, 19, 0.6], [*C, 0.5], [*moved(C), 0.4], [*E, 0.3]]
    kinds = error_kinds(matched(image("a", [A, B, C, D, E], rows, [True, True, False, True, True])))
    assert {kind: found["count"] for kind, found in kinds.items()} == {
        "missed": 2, "localisation": 2, "duplicate": 1, "background": 1}
    # Four faces: one found with precision 1, one at the end with 2/6 - and with 2/5 when one wrong box is removed.
    before = 1 / 4 + 1 / 4 * 2 / 6
    assert kinds["duplicate"]["cost"] == pytest.approx(1 / 4 + 1 / 4 * 2 / 5 - before)
    assert kinds["background"]["cost"] == pytest.approx(1 / 4 + 1 / 4 * 2 / 5 - before)
    # B is found after the duplicate, the one at the ignored C is ignored, E comes after two wrong ones.
    assert kinds["localisation"]["cost"] == pytest.approx(1 / 4 + 1 / 4 * 2 / 3 + 1 / 4 * 3 / 5 - before)
    # Without B and D two faces are left.
    assert kinds["missed"]["cost"] == pytest.approx(1 / 2 + 1 / 2 * 2 / 6 - before)

    assert kinds["duplicate"]["examples"] == [{"image": "e/a", "box": A, "score": 0.8, "face": A}]
    assert kinds["background"]["examples"] == [{"image": "e/a", "box": [500, 500, 19, 19], "score": 0.6, "face": None}]
    assert [found["face"] for found in kinds["localisation"]["examples"]] == [B, C]
    assert [found["box"] for found in kinds["missed"]["examples"]] == [B, D]
    assert kinds["missed"]["files"] == [{"image": "e/a", "count": 2}] and list(kinds) == list(KINDS)


def test_a_fixed_box_takes_its_face_from_a_lower_score_or_is_removed():
    # The wrong box comes first: fixed it finds the face, and the lower one is removed, not a duplicate before B.
    matches = matched(image("a", [A, B], [[*moved(A), 0.9], [*A, 0.5], [*B, 0.3]]))
    assert costs(matches)["localisation"] == pytest.approx(1 - 2 / 3)
    # The face is found already: the fixed box is removed, and B has no wrong one before it.
    matches = matched(image("a", [A, B], [[*A, 0.9], [*moved(A), 0.5], [*B, 0.3]]))
    assert costs(matches)["localisation"] == pytest.approx(1 - (1 / 2 + 1 / 2 * 2 / 3))


def test_nothing_found_and_nothing_to_find():
    kinds = error_kinds(matched(image("a", [A, B], [])))
    assert (kinds["missed"]["count"], kinds["missed"]["cost"], kinds["background"]["count"]) == (2, 1, 0)
    kinds = error_kinds(matched(image("a", [A], [[*A, 0.5], [300, 0, 5, 5, 0.4]], [False])))
    assert [found["cost"] for found in kinds.values()] == [0, 0, 0, 0]
    assert (kinds["missed"]["count"], kinds["background"]["count"]) == (0, 1)


def test_the_working_point_leaves_out_low_scores():
    wrong = [[300 + 50 * i, 300, 19, 19, 0.9 - i / 10] for i in range(4)]
    images = [image("a", [A, B], [[*A, 0.65], *wrong[:3]]), image("b", [A], [[*A, 0.1], wrong[3]])]
    kinds = error_kinds(matched(*images), false_positives=3)
    background, missed = kinds["background"], kinds["missed"]
    # 0.65 is the lowest score with three false positives: there A of the second image is not found either.
    assert (background["count"], background["working_count"]) == (4, 3)
    assert (missed["count"], missed["working_count"]) == (1, 2)
    assert background["files"] == [{"image": "e/a", "count": 3}]
    assert missed["files"] == [{"image": "e/a", "count": 1}, {"image": "e/b", "count": 1}]


def test_the_worst_come_first_and_as_many_as_asked_for():
    images = [image(f"n{i}", [[0, 0, 19, 20 + 10 * i]], [[300, 300 + 60 * j, 19, 19, 0.1 * i + 0.01 * j]
                                                        for j in range(i)]) for i in range(5)]
    kinds = error_kinds(matched(*images), files=2, examples=3)
    assert kinds["background"]["files"] == [{"image": "e/n4", "count": 4}, {"image": "e/n3", "count": 3}]
    assert [found["score"] for found in kinds["background"]["examples"]] == pytest.approx([0.43, 0.42, 0.41])
    assert [found["box"][3] for found in kinds["missed"]["examples"]] == [60, 50, 40]


def overlap(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]) + 1
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]) + 1
    both = max(width, 0) * max(height, 0)
    return both / ((a[2] + 1) * (a[3] + 1) + (b[2] + 1) * (b[3] + 1) - both)


@given(st.integers(0, 10**9))
def test_kinds_are_those_of_the_loops_and_sum_to_all_errors(seed):
    images, expected = random_set(seed), dict.fromkeys(KINDS, 0)
    for truth, rows in images:
        counted, taken = truth.counted["hard"], set()
        for row in sorted(rows.tolist(), key=lambda row: -row[4]):
            overlaps = [overlap(row, box) for box in truth.boxes]
            best = int(np.argmax(overlaps))
            if overlaps[best] < 0.5:
                expected["localisation" if overlaps[best] >= 0.1 else "background"] += 1
            elif best in taken and counted[best]:
                expected["duplicate"] += 1
            else:
                taken.add(best)
        expected["missed"] += sum(face and i not in taken for i, face in enumerate(counted))
    matches = matched(*images)
    kinds = error_kinds(matches, false_positives=5, files=100, examples=1000)
    assert {kind: found["count"] for kind, found in kinds.items()} == expected
    counted = setting_faces(matches, "hard")
    right, wrong = judged(matches, counted)
    assert sum(found["count"] for found in kinds.values()) - expected["missed"] == wrong.sum()
    assert expected["missed"] == (found_at(matches)[counted] == -np.inf).sum() == counted.sum() - right.sum()
    for found in kinds.values():
        assert len(found["examples"]) == found["count"] and found["cost"] >= -1e-12
        assert sum(file["count"] for file in found["files"]) == found["working_count"]
    assert sum(found["working_count"] for found in kinds.values()) - kinds["missed"]["working_count"] <= 5
    assert json.loads(json.dumps(kinds)) == kinds
