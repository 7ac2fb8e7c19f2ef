"""Boxes that are not x y w h in px: a warning, in every protocol; none for boxes that are."""

import json

import numpy as np
import pytest

from manyfaces.datasets import Roidb
from manyfaces.datasets.coco_json import load_coco
from manyfaces.datasets.roidb import Record
from manyfaces.evaluation import SETTINGS, GroundTruth, evaluate_wider
from manyfaces.evaluation.by_height import evaluate_roidb, recall_by_height
from manyfaces.evaluation.coco import evaluate_coco
from manyfaces.evaluation.coco_results import read_coco_results
from manyfaces.evaluation.files.readings import reading_warnings

SIZE, IMAGES, PER_IMAGE = (640, 480), 20, 6


@pytest.fixture
def faces():
    """Per image (6, 4) x y w h in px, inside the image, that do not overlap."""
    rng = np.random.default_rng(8)
    columns = np.arange(PER_IMAGE) * 100 + 10
    return [np.column_stack([columns + rng.uniform(0, 20, PER_IMAGE), rng.uniform(0, 380, PER_IMAGE),
                             rng.uniform(20, 70, (PER_IMAGE, 2))]) for _ in range(IMAGES)]


def scored(boxes):
    """Rows x y w h score of boxes that are 2 px off."""
    return np.column_stack([boxes + 2, np.linspace(0.99, 0.4, len(boxes))])


WRONG = {"corners": lambda b: np.column_stack([b[:, :2], b[:, :2] + b[:, 2:4], b[:, 4:]]),
         "centre": lambda b: np.column_stack([b[:, :2] + b[:, 2:4] / 2, b[:, 2:]]),
         "fractions": lambda b: np.column_stack([b[:, :4] / (640, 480, 640, 480), b[:, 4:]])}


def test_sound_boxes_have_no_warning(faces):
    for rows in ([scored(boxes) for boxes in faces], [None, *map(scored, faces[1:])], [None] * IMAGES,
                 [np.zeros((0, 5))] * IMAGES, [scored(boxes + (300, 300, 0, 0)) for boxes in faces]):
        assert reading_warnings(rows, faces) == []
    edge = [np.array([[-40.0, -30, 80, 80, 0.9], [600, 440, 70, 70, 0.8]])] * IMAGES  # faces that the edge cuts
    assert reading_warnings(edge, faces, [SIZE] * IMAGES) == []
    portraits = [np.array([[10.0, 20, 200, 250, 0.9]])] * IMAGES  # wider than their left edge is far
    assert reading_warnings(portraits, [rows[:, :4] for rows in portraits], [(260, 300)] * IMAGES) == []


@pytest.mark.parametrize("sizes", [None, [(0, 0)] * IMAGES, [SIZE] * IMAGES])
def test_other_readings_are_named_with_their_numbers(faces, sizes):
    rows = [WRONG["corners"](scored(boxes)) for boxes in faces]
    beyond = sum(int(((row[:, 0] + row[:, 2] > 1.1 * 640) | (row[:, 1] + row[:, 3] > 1.1 * 480)).sum()) for row in rows)
    known = sizes is not None and sizes[0][0]
    *by_size, by_faces = reading_warnings(rows, faces, sizes)
    assert by_size == ([f"{beyond} of 120 boxes reach beyond their images: as corners x1 y1 x2 y2 they would not: "
                        "expected x y w h"] if known else [])
    assert "of 120 faces; read as corners x1 y1 x2 y2 they would find 120: expected x y w h" in by_faces
    centre, = reading_warnings([WRONG["centre"](scored(boxes)) for boxes in faces], faces, sizes)
    assert "in 20 of the images the boxes find 0 of 120 faces; read as a centre with w h they would find 120" in centre
    fractions, = reading_warnings([WRONG["fractions"](scored(boxes)) for boxes in faces], faces, sizes)
    assert fractions.startswith("all coordinates are below 1.5: expected x y w h in px")


@pytest.mark.parametrize("side", [2, 3])
@pytest.mark.parametrize("known", [True, False])
def test_negative_sides_are_counted(faces, side, known):
    rows = [scored(boxes) for boxes in faces]
    rows[3][:2, side] *= -1
    one, = reading_warnings([None, *rows[1:]], faces if known else None)
    assert one == "2 of 114 boxes have a negative width or height: expected x y w h"


def test_boxes_of_a_larger_image_are_noticed(faces):
    larger, = reading_warnings([scored(boxes * 3) for boxes in faces], faces, [SIZE] * IMAGES)
    assert "boxes reach beyond their images: expected x y w h in px of the image at its full size" in larger


@pytest.mark.parametrize("wrong", [None, *WRONG])
def test_every_protocol_warns(wrong, faces, tmp_path, tool, capsys):
    rows = [scored(boxes) for boxes in faces]
    rows = [WRONG[wrong](row) for row in rows] if wrong else rows
    corners = [np.column_stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]).astype(np.float32) for boxes in faces]
    blank = np.full((PER_IMAGE, 5, 2), np.nan, np.float32), np.zeros(PER_IMAGE, bool)
    roidb = Roidb([Record("", f"{n}.jpg", *SIZE, boxes, *blank) for n, boxes in enumerate(corners)], {}, "x")
    predictions = {"": {str(n): row for n, row in enumerate(rows)}}
    number = int(wrong is not None)
    for evaluate in (evaluate_roidb, recall_by_height):
        assert bool(evaluate(predictions, roidb)["warnings"]) == bool(number)
    images = [{"id": n, "file_name": f"{n}.jpg", "width": SIZE[0], "height": SIZE[1]} for n in range(IMAGES)]
    annotations = [{"id": 10 * n + k, "image_id": n, "category_id": 1, "bbox": box.tolist()}
                   for n, boxes in enumerate(faces) for k, box in enumerate(boxes)]
    (tmp_path / "gt.json").write_text(json.dumps({"images": images, "annotations": annotations,
                                                  "categories": [{"id": 1, "name": "face"}]}))
    (tmp_path / "r.json").write_text(json.dumps([{"image_id": n, "category_id": 1, "bbox": row[:4].tolist(),
                                                  "score": row[4]} for n, some in enumerate(rows) for row in some]))
    truth = load_coco(tmp_path / "gt.json")
    detections = read_coco_results(tmp_path / "r.json", truth)
    assert bool(evaluate_coco(truth, [detections[name] for name in truth.ids])["warnings"]) == bool(number)
    tool("evaluate").main(["coco", "--pred", str(tmp_path / "r.json"), "--gt", str(tmp_path / "gt.json")])
    assert ("warning: " in capsys.readouterr().out) == bool(number)


def test_the_wider_protocol_warns(faces):
    truth = [GroundTruth("0--A", f"i{n}", boxes, dict.fromkeys(SETTINGS, np.ones(len(boxes), bool)))
             for n, boxes in enumerate(faces)]
    for name, wrong in WRONG.items():
        good, bad = ({"0--A": {f"i{n}": rows for n, rows in enumerate(some)}} for some in (
            [scored(boxes) for boxes in faces], [wrong(scored(boxes)) for boxes in faces]))
        texts = evaluate_wider(bad, truth)["warnings"]
        assert any("expected x y w h" in text for text in texts), name
        assert not any("expected x y w h" in text for text in evaluate_wider(good, truth)["warnings"])
