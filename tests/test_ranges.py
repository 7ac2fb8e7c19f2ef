"""Numbers out of range: one InputError that names the key, option or argument, what was found, and what is expected."""

import numpy as np
import pytest
from demo_stand_in import CFG
from stand_in import picture, square_detector

from manyfaces import Detector
from manyfaces.commands.command_line import run
from manyfaces.config import check_value, load_config
from manyfaces.detections import Detections
from manyfaces.errors import InputError, Range, check_number, check_whole
from manyfaces.evaluation.by_height import height_bins
from manyfaces.evaluation.voc import ap50
from manyfaces.evaluation.wider import average_precision
from manyfaces.inference.demo.demo import Demo
from manyfaces.inference.folder import detect_folder

NAN = float("nan")
SQUARE = picture(100, 80, (10, 20, 30))
NO_SCALES = [[0], [-1], [], 1.0, [NAN], [float("inf")], ["1"], "1", [[1]], [True], np.zeros(2), [1, 0], {}, [None]]
NO_FRACTION = [-3, 1.5, 50, NAN, float("inf"), "0.5", None, True, [0.5]]


@pytest.mark.parametrize("scales", NO_SCALES)
def test_scales_are_numbers_over_0(scales, tmp_path):
    detector = square_detector()
    with pytest.raises(InputError, match="^scales (is|holds) .*, expected .*numbers.*"):
        detector.detect(SQUARE, scales=scales)
    with pytest.raises(InputError, match="^TEST.SCALES (is|holds) "):
        square_detector(SCALES=scales).detect(SQUARE)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match="^scales (is|holds) "):
        detect_folder(detector, tmp_path, tmp_path / "out", scales=scales)


def test_scales_may_be_a_tuple_or_an_array():
    detector = square_detector()
    for scales in ((1.0,), np.ones(1), np.ones(1, int), [np.float32(1)], (1,)):
        assert len(detector.detect(SQUARE, scales=scales, threshold=0)) == 1
        assert len(square_detector(SCALES=scales).detect(SQUARE, threshold=0)) == 1


@pytest.mark.parametrize("key, values", [
    ("SCORE", [1, 50, -3, NAN, None, "half"]), ("NMS", [-1, 30, NAN]), ("DEMO_SCORE", [-0.1, 2, NAN]),
    ("MAX_PIXELS", [-5, 1.5, NAN]), ("TOP", [0, -1]), ("KEEP", [0, 2.5]), ("BATCH", [0, -2]), ("MAX_SIDE", [-1]),
    ("TILE_OVERLAP", [0]), ("NMS_METHOD", ["soft", 3]), ("SIZE", [[300], [0, 300], 300]), ("LARGE", ["cut"])])
def test_a_changed_key_is_checked_like_one_of_a_file(key, values):
    for value in values:
        detector = square_detector(**{key: value})
        with pytest.raises(InputError, match=rf"^TEST\.{key} (is|holds) .*, expected "):
            detector.detect(SQUARE)
        with pytest.raises(InputError, match=rf"TEST\.{key} (is|holds) .*, expected "):
            load_config(overrides=[f"TEST.{key}", [value] if value is None else value])
    assert len(square_detector(**{key: load_config().TEST[key]}).detect(SQUARE, threshold=0)) == 1


@pytest.mark.parametrize("overrides, message", [
    (["TEST.SCALES", "[0]"], r"TEST\.SCALES holds 0, expected numbers, each more than 0, at least one"),
    (["TEST.SCALES", "[]"], r"TEST\.SCALES is \[\], expected numbers, each more than 0, at least one"),
    (["TEST.SCORE", "50"], r"TEST\.SCORE is 50\.0, expected .*at least 0 and less than 1"),
    (["TEST.NMS", "30"], r"TEST\.NMS is 30\.0, expected from 0 to 1"),
])
def test_a_shipped_detector_refuses_them_when_it_is_opened(overrides, message):
    with pytest.raises(InputError, match=message):
        Detector.load("ssh_mobilenet_v1_025", overrides=overrides)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "two", True])
def test_threads_are_a_whole_number(threads):
    with pytest.raises(InputError, match="^threads is .*, expected a whole number, from 1 to 1024"):
        Detector.load("ssh_mobilenet_v1_025", threads=threads)


@pytest.mark.parametrize("score", [-3, 1.5, 50, NAN, "0.5", True, [0.5]])
def test_a_score_is_from_0_to_1(score):
    faces = Detections([[0, 0, 9, 9]], [0.9])
    for call, name in ((lambda: faces.above(score), "score"), (lambda: faces.draw(SQUARE, score), "min_score"),
                       (lambda: Demo(square_detector(), None, score), "score")):
        with pytest.raises(InputError, match=f"^{name} is .*, expected a number from 0 to 1"):
            call()
    assert len(faces.above(0)) == 1 and len(faces.above(1)) == 0 and len(faces.above(np.float32(0.9))) == 1


@pytest.mark.parametrize("iou", [0, -1, 1.5, 50, NAN, None])
def test_an_iou_is_from_above_0_to_1(iou):
    for call in (ap50, average_precision):
        with pytest.raises(InputError, match="^iou is .*, expected a number more than 0 and at most 1"):
            call([], [], iou=iou)


@pytest.mark.parametrize("words, message", [
    (["demo", "--score", "50"], "--score is 50.0, expected from 0 to 1"),
    (["demo", "--score", "nan"], "--score is nan, expected a finite number"),
    (["demo", "--frames", "-1"], "--frames is -1, expected a whole number, at least 0"),
    (["test", "--images", ".", "--out", "x", "--scales", "1,0"], "--scales holds 0.0, expected numbers, each more"),
    (["test", "--images", ".", "--out", "x", "--scales", "nan"], "--scales holds nan, expected numbers"),
    (["test", "--images", ".", "--out", "x", "--scales", ""], "--scales '': expected numbers over 0"),
    (["test", "--images", ".", "--out", "x", "--cfg", CFG, "--set", "TEST.SCORE", "2"], "TEST.SCORE is 2.0, expected"),
    (["report", "--pred", "x", "--gt", "x", "--out", "x", "--crops", "-1"], "--crops is -1, expected a whole number"),
    (["evaluate", "coco", "--pred", "x", "--gt", "x", "--max-dets", "0"], "--max-dets is 0, expected a whole number"),
    (["evaluate", "heights", "--pred", "x", "--roidb", "x", "--precision", "90"], "--precision is 90.0, expected a"),
    (["evaluate", "heights", "--pred", "x", "--roidb", "x", "--precision", "nan"], "--precision is nan, expected a"),
    (["evaluate", "heights", "--pred", "x", "--roidb", "x", "--score", "nan"], "--score is nan, expected a number"),
    (["evaluate", "heights", "--pred", "x", "--roidb", "x", "--edges", "10,nan"], "--edges '10,nan': expected rising"),
    (["evaluate", "best_box", "--pred", "x", "--roidb", "x", "--grid", "0"], "--grid is 0, expected a whole number"),
    (["evaluate", "best_box", "--pred", "x", "--roidb", "x", "--max-faces", "0"], "--max-faces is 0, expected a whole"),
    (["cluster_templates", "--roidb", "x", "--low", "nan"], "--low is nan, expected a number at least 0"),
    (["cluster_templates", "--roidb", "x", "--low", "9", "--high", "3"], "--high is 3.0, expected a number of more"),
    (["cluster_templates", "--roidb", "x", "--count", "0"], "--count is 0, expected a whole number, at least 1"),
    (["cluster_templates", "--roidb", "x", "--held-out", "1"], "--held-out is 1.0, expected a number"),
])
def test_command_lines_refuse_them_before_they_begin(words, message, tool, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(tool(words[0]).main, words[1:]) == 2
    assert f"error: {message}" in capsys.readouterr().err.replace("--set: ", "")


def test_the_two_checks():
    assert check_number(np.float32(0.5), "x") == 0.5 and check_number(3, "x", Range(over=1)) == 3
    assert check_whole(np.int64(3), "x") == 3 and check_value("TEST.SCALES", (0.5, 1), "scales") == [0.5, 1]
    for value in NO_FRACTION:
        with pytest.raises(InputError, match="^x is "):
            check_number(value, "x")
    for check in (check_number, check_whole):
        with pytest.raises(InputError, match="^x is a number of 16610 bits, expected a"):
            check(10**5000, "x")
    for value in (-1, 1.0, "1", None, NAN, True):
        with pytest.raises(InputError, match="^x is .*, expected a whole number, at least 0"):
            check_whole(value, "x")
    for edges in ((), (10, 5), (0, 5), (5, NAN), (5, np.inf)):
        if edges:
            with pytest.raises(InputError, match="^edges are "):
                height_bins(edges)
