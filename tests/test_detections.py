"""Detections: faces one by one, thresholds, JSON, and images made from them; by hand."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_in import picture, save

from manyfaces.datasets.images import ImageError
from manyfaces.detections import Detections, Face
from manyfaces.drawing import draw
from manyfaces.errors import InputError

BOXES = [[10, 20, 50, 70], [60, 20, 90, 60], [0, 0, 8, 8]]
SCORES = [0.9, 0.6, 0.3]
POINTS = np.arange(30, dtype=np.float32).reshape(3, 5, 2)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def faces(landmarks=POINTS):
    return Detections(BOXES, SCORES, landmarks, {"net": 1.0}, 0.5)


def test_an_integer_gives_a_face_and_anything_else_gives_detections():
    detections = faces()
    assert isinstance(detections[1], Face) and detections[1].box.tolist() == BOXES[1]
    assert detections[-1].score == np.float32(0.3) and detections[np.int64(0)].landmarks.shape == (5, 2)
    for chosen in (detections[1:], detections[np.array([False, True, True])], detections[[1, 2]]):
        assert isinstance(chosen, Detections) and chosen.boxes.tolist() == BOXES[1:]
        assert chosen.landmarks.shape == (2, 5, 2)
    with pytest.raises(IndexError):
        detections[3]
    assert faces(None)[0].landmarks is None


def test_iteration_gives_every_face_in_order():
    assert [face.box.tolist() for face in faces()] == BOXES
    for (box, score, points), want in zip(faces(), SCORES, strict=True):
        assert (box.shape, points.shape) == ((4,), (5, 2)) and score == np.float32(want)
    assert list(Detections([], [])) == [] and not Detections([], [])


def test_above_keeps_the_score_itself_and_remembers_it():
    assert len(faces().above()) == 2 and len(faces().above(0.6)) == 2 and len(faces().above(0.61)) == 1
    assert faces().above(0.3).threshold == 0.3 and len(faces().above(0.3)) == 3
    moved = faces().above(0.4).scaled(2, 2).mirrored(200).take([0])
    assert moved.threshold == 0.4 and moved.times == {"net": 1.0}


def test_ids_survive_what_is_done_with_faces():
    tracked = Detections(BOXES, SCORES, POINTS, {"net": 1.0}, 0.5, ids=[7, 3, 9])
    assert tracked.ids.dtype == np.int64 and [face.id for face in tracked] == [7, 3, 9] and tracked[-1].id == 9
    assert faces()[0].id is None and faces().ids is None
    assert tracked.above(0.6).ids.tolist() == [7, 3] and tracked[[2, 0]].ids.tolist() == [9, 7]
    assert tracked.scaled(2, 2).mirrored(200).take([1]).ids.tolist() == [3]
    assert Detections.concatenate([tracked, tracked[:1]]).ids.tolist() == [7, 3, 9, 7]
    assert Detections.concatenate([tracked, faces()]).ids is None
    back = Detections.from_json(tracked.to_json())
    assert back.ids.tolist() == [7, 3, 9] and tracked.to_dict()["faces"][1]["id"] == 3
    assert "id" not in faces().to_dict()["faces"][0]
    copied = pickle.loads(pickle.dumps(tracked[1]))
    box, score, points = copied  # as before there were ids
    assert isinstance(copied, Face) and copied.id == 3 and box.tolist() == BOXES[1] and points.shape == (5, 2)
    for wrong in (None, 1.5, "1", True, -1):
        rows = tracked.to_dict()
        rows["faces"][1]["id"] = wrong
        with pytest.raises(InputError, match=r"faces\[1\].id is .*, expected a whole number"):
            Detections.from_json(rows)


def test_repr_is_a_line_that_says_what_was_found():
    assert repr(faces()) == "Detections(3 faces, best 0.900, with landmarks)"
    assert repr(Detections([], [])) == "Detections(0 faces, boxes only)"
    assert repr(faces(None)[:1]) == "Detections(1 face, best 0.900, boxes only)"


# ------------------------------------------------------------------------ JSON


def test_json_by_hand():
    points = POINTS.copy()
    points[0, 2] = np.nan
    assert json.loads(Detections(BOXES, SCORES, points, {"net": 1.0}, 0.25).to_json())["faces"][0] == {
        "box": [10, 20, 50, 70], "score": 0.9, "landmarks": [[0, 1], [2, 3], None, [6, 7], [8, 9]]}
    assert Detections([[0.1, 1e-9, 3e7, 4]], [1 / 3]).to_json() == (
        '{"threshold": 0.5, "landmarks": false, "faces": [{"box": [0.1, 1e-09, 30000000.0, 4.0], '
        '"score": 0.33333334}]}')
    assert Detections([], [], []).to_dict() == {"threshold": 0.5, "landmarks": True, "faces": []}


@given(st.lists(st.tuples(*[FLOATS] * 4, st.floats(0, 1, width=32),
                          st.lists(st.none() | FLOATS, min_size=5, max_size=5)), max_size=4),
       st.booleans(), st.floats(0, 1))
def test_json_and_back_is_the_same_to_the_bit(rows, with_points, threshold):
    points = np.array([[[np.nan if x is None else x] * 2 for x in row[5]] for row in rows], np.float32)
    before = Detections([row[:4] for row in rows], [row[4] for row in rows], points if with_points else None,
                        threshold=threshold)
    after = Detections.from_json(before.to_json())
    np.testing.assert_array_equal(after.boxes, before.boxes)
    np.testing.assert_array_equal(after.scores, before.scores)
    assert after.threshold == threshold and (after.landmarks is None) == (not with_points)
    if with_points:
        np.testing.assert_array_equal(after.landmarks, before.landmarks)


@pytest.mark.parametrize("text, message", [
    ("{", "not JSON"), ("[]", 'no list under "faces"'), ('{"faces": 3}', 'no list under "faces"'),
    ('{"faces": [{"box": [1, 2, 3], "score": 1}]}', r"faces\[0\].box is \[1, 2, 3\], expected 4 numbers"),
    ('{"faces": [{"box": [1, 2, 3, null], "score": 1}]}', r"faces\[0\].box is None, expected a number"),
    ('{"faces": [{"box": [1, 2, 3, 4]}]}', r"faces\[0\].score is None"),
    ('{"faces": [{"box": [1, 2, 1e39, 4], "score": 1}]}', r"faces\[0\].box is 1e\+39"),  # no float32 holds it
    ('{"faces": [7]}', r"faces\[0\].box is None"),
    ('{"faces": [{"box": [1, 2, 3, 4], "score": true}]}', r"faces\[0\].score is True"),
    ('{"faces": [{"box": [1, 2, 3, 4], "score": NaN}]}', r"faces\[0\].score is nan"),
    ('{"landmarks": true, "faces": [{"box": [1, 2, 3, 4], "score": 1}]}', r"faces\[0\].landmarks is None"),
    ('{"faces": [{"box": [1, 2, 3, 4], "score": 1, "landmarks": [1, 2, 3, 4, 5]}]}', "holds 1, expected"),
    ('{"faces": [{"box": [1, 2, 3, 4], "score": 1, "landmarks": [null, null, null, null, ["a", 2]]}]}', "is 'a'"),
    ('{"faces": [{"box": [1, 2, 3, 1e39], "score": 1}]}', r"faces\[0\].box is 1e\+39, expected a number"),
    ('{"faces": [], "faces": [{"box": [1, 2, 3, 4], "score": 1}]}', "an object has the key 'faces' twice"),
    ('{"threshold": "x", "faces": []}', "threshold is 'x'")])
def test_wrong_json_names_the_key(text, message):
    with pytest.raises(InputError, match=message):
        Detections.from_json(text)


# ---------------------------------------------------------------------- images


def test_draw_takes_any_image_and_its_own_threshold(tmp_path):
    image = picture(100, 80)
    path = save(tmp_path / "x.png", image)
    detections = Detections(BOXES, SCORES)
    np.testing.assert_array_equal(detections.draw(path), draw(image, detections, 0.5))
    np.testing.assert_array_equal(detections.above(0.3).draw(image), draw(image, detections, 0.3))
    np.testing.assert_array_equal(detections.draw(image, 0.7), draw(image, detections[:1], 0.7))
    assert detections.draw(image, colour_bar=True).shape[1] > 100
    with pytest.raises(ImageError, match="none.png: no such file"):
        detections.draw(tmp_path / "none.png")


def test_crop_by_hand():
    image = np.arange(80 * 100, dtype=np.uint16).reshape(80, 100)
    image = np.stack([image % 251] * 3, axis=2).astype(np.uint8)
    detections = Detections([[10, 20, 50, 70], [60.4, 20.6, 90.2, 60.5], [-5, -5, 8, 8]], SCORES)
    for face, (x1, y1, x2, y2) in zip(detections.crop(image, 0), [(10, 20, 50, 70), (60, 20, 91, 61), (0, 0, 8, 8)],
                                      strict=True):
        np.testing.assert_array_equal(face, image[y1:y2, x1:x2])
    # A fifth of 40 x 50 at each side; what is below the image (84 > 80 px) is cut off.
    np.testing.assert_array_equal(detections.crop(image, 0.2)[0], image[10:80, 2:58])
    face = detections.crop(image)[0]
    face[:] = 0
    assert image[40, 30].any()  # a copy
    assert Detections([], []).crop(image) == []


def test_crop_says_which_face_lies_outside():
    with pytest.raises(InputError, match=r"face 1, box 60 20 90 60, is outside the image of 50 x 90 px"):
        Detections(BOXES, SCORES).crop(picture(50, 90))
    for margin in (-0.1, np.inf, np.nan):
        with pytest.raises(InputError, match="margin is"):
            Detections(BOXES, SCORES).crop(picture(100, 80), margin)


def test_align_needs_landmarks():
    with pytest.raises(InputError, match="have no landmarks.*NET.LANDMARKS"):
        faces(None).align(picture(100, 80))
    assert Detections([], [], []).align(picture(100, 80), 96).shape == (0, 96, 96, 3)
