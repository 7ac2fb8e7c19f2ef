"""The subsets of the real validation set and the kinds of errors sum to the whole."""

import os
import tarfile
import time

import numpy as np
import pytest

from manyfaces.evaluation import SETTINGS, match_wider, read_ground_truth, read_predictions
from manyfaces.evaluation.report.analysis import (
    ATTRIBUTE_LABELS,
    analyse,
    found_at,
    judged,
    operating_points,
    setting_faces,
)
from manyfaces.evaluation.report.error_kinds import error_kinds


@pytest.fixture(scope="module")
def matches(shared_dir, tmp_path_factory):
    folder, unpacked = shared_dir / "data/wider_eval", tmp_path_factory.mktemp("predictions")
    with tarfile.open(folder / "predictions/retinaface_mnet025.tar.xz") as archive:
        archive.extractall(unpacked, filter="data")
    pred = next(at for at, folders, _ in os.walk(unpacked) if "0--Parade" in folders)
    return match_wider(read_predictions(pred), read_ground_truth(folder / "ground_truth"))


@pytest.fixture(scope="module")
def analysis(matches):
    start = time.process_time()  # of this process alone: the machine may be busy
    tables = analyse(matches)
    assert time.process_time() - start < 4
    return tables


def test_the_subsets_sum_to_all_faces(matches, analysis):
    for part in ("events", "blur", "occlusion", "pose", "illumination", "expression"):
        rows = analysis[part]
        assert sum(row["faces"] for row in rows) == matches.faces["hard"] == 31958
        found = sum(row["faces"] * row["recall"] for row in rows)
        assert found == pytest.approx(judged(matches, setting_faces(matches, "hard"))[0].sum())
    # Three faces of 9 px count in hard; the row below 10 px has the valid boxes of that height instead.
    heights = [row for row in analysis["heights"] if row["population"] == "hard"]
    assert [row["faces"] for row in heights] == [8108, 11185, 7553, 3191, 1339, 579]
    assert sum(row["faces"] for row in heights) == 31958 - 3
    assert {row["label"]: row["faces"] for row in analysis["invalid"]} == {"valid": 31958, "invalid": 585}
    assert len(analysis["events"]) == 61 and all(len(analysis[name]) == len(labels)
                                                 for name, labels in ATTRIBUTE_LABELS.items())


def test_the_whole_as_a_subset_has_the_official_ap(matches, analysis):
    valid = analysis["invalid"][0]  # all faces of hard are valid
    assert round(valid["ap"], 5) == round(valid["normalised_ap"], 5) == 0.73829


def test_the_readings_that_breakdowns_are_made_for(analysis):
    ap = {part: [row["normalised_ap"] for row in analysis[part]] for part in ("blur", "occlusion")}
    assert ap["blur"] == sorted(ap["blur"], reverse=True) and ap["occlusion"] == sorted(ap["occlusion"], reverse=True)
    heights = [row["ap"] for row in analysis["heights"]]
    assert heights[:6] == sorted(heights[:6])
    rows = [row for table in analysis.values() for row in table]
    assert all(row["working_recall"] <= row["recall"] and row["ap"] <= row["recall"] for row in rows)


def test_operating_points_are_those_of_plain_counting(matches):
    for setting in SETTINGS:
        right, wrong = judged(matches, setting_faces(matches, setting))
        for point in operating_points(matches, setting):
            inside = matches.rows[:, 4] >= point["score"]
            assert (wrong & inside).sum() == point["reached"] <= point["false_positives"]
            assert (right & inside).sum() == pytest.approx(point["recall"] * matches.faces[setting])
            lower = matches.rows[matches.rows[:, 4] < point["score"], 4]
            lower = lower[np.isin(lower, matches.rows[right | wrong, 4])].max()
            assert (wrong & (matches.rows[:, 4] >= lower)).sum() > point["false_positives"]


def test_kinds_of_errors_sum_to_all(matches):
    counted = setting_faces(matches, "hard")
    start = time.process_time()
    kinds = error_kinds(matches, files=4000)
    assert time.process_time() - start < 4
    missed = kinds.pop("missed")
    assert missed["count"] == (found_at(matches)[counted] == -np.inf).sum() == 4532
    assert sum(found["count"] for found in kinds.values()) == judged(matches, counted)[1].sum()
    assert sum(found["working_count"] for found in kinds.values()) == 1000
    for found in (missed, *kinds.values()):
        assert sum(file["count"] for file in found["files"]) == found["working_count"]
        assert 0 < found["cost"] < 1 - 0.738
    assert 1 - missed["working_count"] / 31958 == pytest.approx(operating_points(matches)[2]["recall"])
