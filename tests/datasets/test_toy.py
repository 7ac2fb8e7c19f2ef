import importlib.util
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from manyfaces.datasets import READERS, read_image
from manyfaces.datasets.toy.data_set import portrait_collage, toy_scene, write_toy
from manyfaces.datasets.toy.portraits import Portrait, portraits
from manyfaces.datasets.toy.scene import face_of, paste, similarity
from manyfaces.evaluation import read_ground_truth


def test_the_portraits_are_those_that_other_packages_bring():
    places = (("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"), ("skimage", "data/astronaut.png"))
    for portrait, (package, file) in zip(portraits(), places, strict=True):
        theirs = Path(importlib.util.find_spec(package).origin).parent / file
        np.testing.assert_array_equal(portrait.image, read_image(theirs))


def test_a_scene_depends_on_seed_and_index_alone():
    image, boxes, landmarks = toy_scene(7, 3, width=320)
    again = toy_scene(7, 3, width=320)
    for a, b in zip((image, boxes, landmarks), again, strict=True):
        np.testing.assert_array_equal(a, b)
    others = [toy_scene(7, 4, width=320)[0], toy_scene(8, 3, width=320)[0]]
    assert not any(other.shape == image.shape and (other == image).all() for other in others)


def test_faces_lie_in_the_image_apart_from_each_other_with_eyes_above_mouths():
    faces = 0
    for index in range(25):
        image, boxes, landmarks = toy_scene(1, index, width=400)
        height, width = image.shape[:2]
        assert image.dtype == np.uint8 and width == 400 and 220 <= height <= 400
        assert boxes.dtype == landmarks.dtype == np.float32 and landmarks.shape == (len(boxes), 5, 2)
        assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= (width, height)).all()
        assert (landmarks >= boxes[:, None, :2]).all() and (landmarks <= boxes[:, None, 2:]).all()
        left, right, _, mouth_left, mouth_right = landmarks.transpose(1, 0, 2)
        assert (left[:, 0] < right[:, 0]).all() and (mouth_left[:, 0] < mouth_right[:, 0]).all()
        assert (left[:, 1] < mouth_left[:, 1]).all() and (right[:, 1] < mouth_right[:, 1]).all()
        for a in range(len(boxes)):
            for b in range(a):
                low, high = np.maximum(boxes[a], boxes[b])[:2], np.minimum(boxes[a], boxes[b])[2:]
                assert (high <= low).any()
        faces += len(boxes)
    assert faces > 60


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("scale", [1.7, 1.0, 0.6, 0.31, 0.12])
def test_what_is_drawn_lies_where_it_is_said_to_lie(scale, flip):
    """A portrait with five white dots is pasted; the centre of each dot is measured in the result."""
    points = np.array([[60, 60], [140, 70], [100, 110], [70, 150], [130, 150]], np.float64)
    for dot in range(5):
        image = np.zeros((200, 220, 3), np.uint8)
        cv2.circle(image, tuple(int(v) for v in points[dot] - 0.5), 12, (255, 255, 255), -1)
        mask = np.full((200, 220), 255, np.uint8)
        centre = np.floor(points - 0.5) + 0.5  # cv2.circle takes the index of a pixel; its centre is index + 0.5
        portrait = Portrait(image, np.array([40.0, 40, 160, 180]), centre, mask, mask, ())
        matrix = similarity((100, 110), (201.3, 187.8), scale, 0.15, flip)
        canvas = np.zeros((400, 400, 3), np.float32)
        paste(canvas, image, mask, matrix)
        weight = canvas[..., 0]
        y, x = np.mgrid[:400, :400] + 0.5
        measured = np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
        box, landmarks = face_of(portrait, matrix, flip)
        index = [1, 0, 2, 4, 3].index(dot) if flip else dot  # mirrored, the left eye becomes the right eye
        np.testing.assert_allclose(landmarks[index], measured, atol=0.15)
        assert box[0] < measured[0] < box[2] and box[1] < measured[1] < box[3]


def test_the_box_of_a_turned_face_is_that_of_its_ellipse():
    portrait = Portrait(None, np.array([0.0, 0, 60, 100]), np.zeros((5, 2)), None, None, ())
    angle = 0.3
    box, _ = face_of(portrait, similarity((30, 50), (0, 0), 2.0, angle, True), True)
    around = np.linspace(0, 2 * np.pi, 100_000)
    x, y = 60 * np.cos(around), 100 * np.sin(around)  # the ellipse at twice the size
    np.testing.assert_allclose(box[2], (x * np.cos(angle) - y * np.sin(angle)).max(), rtol=1e-6)
    np.testing.assert_allclose(box[3], (x * np.sin(angle) + y * np.cos(angle)).max(), rtol=1e-6)
    np.testing.assert_allclose(box[:2], -box[2:])


def test_portraits_are_those_that_the_boxes_were_drawn_on():
    """Skin at the nose, eyes darker than cheeks: the coordinates belong to these images."""
    for portrait in portraits():
        assert (portrait.landmarks > portrait.box[:2]).all() and (portrait.landmarks < portrait.box[2:]).all()
        x, y = portrait.landmarks[2].astype(int)
        red, green, blue = portrait.image[y - 3:y + 4, x - 3:x + 4].reshape(-1, 3).mean(axis=0)
        assert red > green > blue and red > 150
        for x, y in portrait.landmarks[:2].astype(int):
            eye = portrait.image[y - 2:y + 3, x - 2:x + 3].mean()
            cheek = portrait.image[y + 25:y + 30, x - 2:x + 3].mean()
            assert eye < 0.7 * cheek
        x1, y1, x2, y2 = portrait.box.astype(int)
        inside = portrait.head[y1:y2, x1:x2].mean()
        assert inside > 200 and portrait.head.sum() < portrait.bust.sum()
        for rows, columns in portrait.objects:
            assert portrait.head[rows, columns].max() == 0


def test_the_files_hold_what_the_scenes_do(toy):
    roidb = READERS["retinaface"](toy["retinaface"], toy["images"])
    plain = READERS["wider"](toy["labels"], toy["images"])
    mats = READERS["wider"](os.path.join(toy["ground_truth"], "wider_face_val.mat"), toy["images"])
    truth = read_ground_truth(toy["ground_truth"])
    assert len(roidb) == len(plain) == len(mats) == len(truth) == 12
    for index, (record, other, third, image) in enumerate(
            zip(roidb.records, plain.records, mats.records, truth, strict=True)):
        scene, boxes, landmarks = toy_scene(14, index, width=320)
        assert (record.width, record.height) == scene.shape[1::-1]
        assert record.image == other.image == third.image == f"{image.event}/{image.name}.jpg"
        np.testing.assert_allclose(record.boxes, boxes, atol=0.011)
        np.testing.assert_allclose(record.landmarks, landmarks, atol=0.0051)
        np.testing.assert_array_equal(record.boxes, other.boxes)
        np.testing.assert_array_equal(record.boxes, third.boxes)
        assert np.abs(read_image(record.path).astype(int) - scene).mean() < 12  # JPEG
        heights = boxes[:, 3] - boxes[:, 1]
        for setting, least in (("easy", 34), ("medium", 16), ("hard", 9)):
            assert image.counted[setting].sum() == (heights >= least).sum()
    assert any(len(record.boxes) == 0 for record in roidb.records)  # an image without faces is among them
    assert sum(len(record.boxes) for record in roidb.records) > 30


def test_a_longer_set_begins_with_a_shorter_one(tmp_path):
    write_toy(tmp_path / "a", images=2, seed=9, width=128)
    write_toy(tmp_path / "b", images=3, seed=9, width=128)
    for name in ("0_Toy_00000.jpg", "0_Toy_00001.jpg"):
        a, b = ((tmp_path / folder / "WIDER_toy/images/0--Toy" / name).read_bytes() for folder in "ab")
        assert a == b
    a, b = ((tmp_path / folder / "wider_face_split/retinaface_toy_label.txt").read_text() for folder in "ab")
    assert b.startswith(a) and len(b) > len(a)


def test_the_collage_is_a_crowd_of_the_two_portraits():
    image = portrait_collage(600, 400, seed=1)
    assert image.shape == (400, 600, 3) and image.dtype == np.uint8
    np.testing.assert_array_equal(image, portrait_collage(600, 400, seed=1))
    assert (image != portrait_collage(600, 400, seed=2)).any()
    assert image[300:].std() > 40  # people, not the plain ground


def test_the_tool_writes_the_set_and_names_bad_numbers(tool, capsys, tmp_path):
    from manyfaces.commands.command_line import run

    main = tool("make_toy").main
    assert run(main, ["--out", str(tmp_path / "x"), "--images", "2", "--width", "128"]) == 0
    assert "wrote 2 scenes" in capsys.readouterr().out
    assert len(os.listdir(tmp_path / "x/WIDER_toy/images/0--Toy")) == 2
    assert run(main, ["--out", str(tmp_path / "y"), "--images", "0"]) == 2
    assert capsys.readouterr().err == "error: --images 0: expected at least 1\n" and not (tmp_path / "y").exists()
