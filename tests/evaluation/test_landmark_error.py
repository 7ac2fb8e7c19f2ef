"""Landmark error, worked out by hand: of made-up detections, and of a made-up O-Net in known boxes."""

import json

import numpy as np
import pytest
from stand_in import POINTS, picture, save, square_detector

from manyfaces.config import load_config
from manyfaces.datasets import Record, Roidb, save_roidb
from manyfaces.errors import InputError
from manyfaces.evaluation.landmarks import error_summary, landmark_errors, measurable
from manyfaces.inference import loading
from manyfaces.inference.cascade_detector import CascadeDetector
from manyfaces.inference.landmarks import measure_landmarks


def record(folder, name, boxes, landmarks, ignore=None):
    ignore = np.zeros(len(boxes), bool) if ignore is None else np.array(ignore)
    return Record(str(folder), name, 200, 160, np.float32(boxes), np.float32(landmarks), ignore)


def points_of(x, y, side):
    return [x, y] + POINTS * side


@pytest.fixture
def scene(tmp_path):
    """Two green squares of 40 and 80 px (eyes 16 and 32 px apart), labelled faces, and an image without any."""
    save(tmp_path / "a.png", picture(200, 160, (20, 10, 40), (100, 50, 80)))
    save(tmp_path / "b.png", picture(200, 160, (20, 10, 40)))
    moved = points_of(20, 10, 40) + [3, 4]  # every point 5 px off
    one_off = points_of(100, 50, 80)
    one_off[3] += [8, 0]
    apart = points_of(10, 110, 40)
    together, half = apart.copy(), apart.copy()
    together[1] = together[0]
    half[4, 1] = np.nan
    boxes = [[20, 10, 60, 50], [104, 50, 188, 130], *[[10, 110, 50, 150]] * 4]
    points = [moved, one_off, apart, together, half, apart]
    faces = record(tmp_path, "a.png", boxes, points, [False] * 5 + [True])
    return Roidb([faces, record(tmp_path, "b.png", [], np.zeros((0, 5, 2)))], {}, "made up")


def test_a_face_counts_with_five_points_and_two_eyes(scene):
    assert measurable(scene.records[0]).tolist() == [True, True, True, False, False, False]
    assert measurable(scene.records[1]).tolist() == []


def test_errors_of_detections_by_hand(scene):
    rows = measure_landmarks(square_detector(DEMO_SCORE=0.3), scene)
    assert [(row["image"], row["face"]) for row in rows] == [("a", 0), ("a", 1), ("a", 2)]
    # 5 px of 16; 8 px at one of five points, of 32; there is no square at the third face.
    assert [row["detected"] for row in rows] == [pytest.approx(5 / 16), pytest.approx(8 / 5 / 32), None]
    assert {row["given"] for row in rows} == {None}, "squares are found, not told"
    assert [row["detected"] for row in measure_landmarks(square_detector(), scene)] == [None] * 3, "no score of 0.5"
    scene.records[0].boxes[1] = [100, 50, 120, 90]  # an eighth of the square
    assert measure_landmarks(square_detector(DEMO_SCORE=0.3), scene)[1]["detected"] is None


def test_of_several_detections_the_one_with_the_highest_iou_is_taken(tmp_path):
    save(tmp_path / "a.png", picture(200, 160, (20, 10, 40)))
    roidb = Roidb([record(tmp_path, "a.png", [[20, 10, 60, 50]], [points_of(20, 10, 40)])], {}, "made up")
    detector = square_detector(DEMO_SCORE=0.3, NMS=0.9)
    whole = detector.family.decode

    def decode(outputs, size):
        faces = whole(outputs, size)
        larger = type(faces)(faces.boxes + np.float32([0, 0, 8, 8]), faces.scores + 0.5, faces.landmarks + 8)
        return type(faces).concatenate([larger, faces])

    detector.family.decode = decode
    assert measure_landmarks(detector, roidb)[0]["detected"] == pytest.approx(0, abs=1e-6)


class OneLook:
    """Nets of a cascade: nothing is proposed; O-Net has the points at POINTS and keeps its crops."""

    def __init__(self):
        self.crops = []

    def __call__(self, images):
        self.crops.append(images)
        return {"landmarks": np.tile(POINTS.reshape(1, 10), (len(images), 1))}


def nothing(images):
    height, width = ((side - 1) // 2 - 4 for side in images.shape[1:3])
    return {"scores": np.tile(np.float32([9, -9]), (1, height, width, 1)),
            "boxes": np.zeros((1, height, width, 4), np.float32)}


@pytest.mark.parametrize("words", [[], ["CASCADE.ROUND", "false", "CASCADE.RESAMPLE", "mean"]])
def test_errors_in_known_boxes_by_hand(tmp_path, words):
    cfg = load_config(overrides=["FAMILY", "mtcnn", *words])
    onet = OneLook()
    detector = CascadeDetector({"pnet": nothing, "rnet": None, "onet": onet}, cfg)
    # The square around 20 10 60 70 is 10 10 70 70: 60 px, eyes 24 px apart. Only it is green.
    save(tmp_path / "a.png", picture(200, 160, (10, 10, 60)))
    labelled = points_of(10, 10, 60) + [0, 3]
    beside = points_of(300, 300, 40)
    roidb = Roidb([record(tmp_path, "a.png", [[20, 10, 60, 70], [300, 300, 340, 340]], [labelled, beside])], {}, "mine")
    rows = measure_landmarks(detector, roidb)
    assert [row["given"] for row in rows] == [pytest.approx(3 / 24), None]
    assert {row["detected"] for row in rows} == {None}
    (crops,) = onet.crops
    assert crops.shape == (1, 48, 48, 3) and crops.dtype == (np.float32 if words else np.uint8)
    assert (crops == [0, 255, 0]).all()


def test_figures_of_a_set():
    found = error_summary([0.02, 0.04, 0.3, np.nan])
    assert found == {"faces": 3, "error": pytest.approx(0.12), "median": 0.04, "failed": pytest.approx(1 / 3)}
    assert error_summary([])["error"] is None
    assert np.isnan(landmark_errors(np.full((1, 5, 2), np.nan), POINTS[None])).all()


def test_the_tool_prints_and_writes_the_errors(scene, tmp_path, tool, monkeypatch, capsys):
    save_roidb(scene, tmp_path / "scene.pkl")
    asked = []

    def detector_of(*arguments, **_):
        asked.append(arguments)
        detector = square_detector(DEMO_SCORE=0.3)
        detector.source = tmp_path / "scene.pkl"  # any file instead of weights
        return detector

    monkeypatch.setattr(loading, "detector_of", detector_of)
    tool("evaluate").main(["landmarks", "--roidb", str(tmp_path / "scene.pkl"), "--weights", "m.onnx",
                           "--json", str(tmp_path / "out.json"), "--set", "TEST.NMS", "0.4"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("3 faces") and lines[2].split() == ["as", "detected", "2", "18.12", "18.12", "50.00"]
    assert len(lines) == 3 and asked == [(None, "m.onnx", ["TEST.NMS", "0.4"], None, None, None, None)]
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["detected"]["error"] == pytest.approx((5 / 16 + 8 / 5 / 32) / 2) and len(result["faces"]) == 3
    assert result["given"]["faces"] == 0 and result["all"] == 3 and result["settings"]["nms"] == 0.3


def test_what_cannot_be_measured_is_an_error(scene, tmp_path):
    detector = square_detector(DEMO_SCORE=0.3)
    with pytest.raises(InputError, match="made up: none of its 1 images has a face with five landmarks"):
        measure_landmarks(detector, Roidb(scene.records[1:], {}, "made up"))
    whole = detector.family.decode

    def boxes_alone(outputs, size):
        faces = whole(outputs, size)
        return type(faces)(faces.boxes, faces.scores)

    detector.family.decode = boxes_alone
    with pytest.raises(InputError, match="finds no landmarks; expected a detector that does"):
        measure_landmarks(detector, scene)
