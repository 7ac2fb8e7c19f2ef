"""Detections and Detector: mirroring, scales, batches, suppression, with nets that are known to the last pixel."""

import cv2
import numpy as np
import pytest
from stand_in import picture, square_detector

from manyfaces.config import load_config
from manyfaces.constants import FILL
from manyfaces.detections import Detections
from manyfaces.errors import InputError
from manyfaces.inference.base import _view, scaled_size
from manyfaces.inference.detector import Detector
from manyfaces.nets.family import Family

POINTS = np.float32([[[2, 3], [8, 3], [5, 6], [3, 8], [7, 8]]])


class Fixed(Family):
    """A family whose net has always found the same: boxes in fractions of the (unpadded) image's sides, and scores."""

    multiple = 32

    def __init__(self, boxes, scores, landmarks=None):
        self.boxes, self.scores, self.landmarks = np.float32(boxes), np.float32(scores), landmarks
        self.inputs = []

    def run(self, images):
        self.inputs.append(images)
        return {"number": np.arange(len(images), dtype=np.float32)}

    def decode(self, outputs, size):
        landmarks = None if self.landmarks is None else np.float32(self.landmarks) * np.float32(size)
        return Detections(self.boxes * np.float32([*size, *size]), self.scores, landmarks)


def detector(family, *overrides):
    return Detector(family, family.run, load_config(overrides=overrides))


def test_detections_are_float32_arrays_of_their_shape():
    empty = Detections([], [], [])
    assert (empty.boxes.shape, empty.scores.shape, empty.landmarks.shape) == ((0, 4), (0,), (0, 5, 2))
    assert len(empty) == 0 and len(Detections([[0, 0, 1, 1]], [1])) == 1
    assert Detections([[0, 0, 1, 1]], [0.1]).scores.dtype == np.float32
    faces = Detections([[0, 0, 1, 1], [2, 2, 3, 4], [5, 5, 6, 6]], [0.1, 0.9, 0.5], np.repeat(POINTS, 3, axis=0))
    for taken in (faces.take([1]), faces.take(np.array([False, True, False]))):
        assert taken.boxes.tolist() == [[2, 2, 3, 4]] and taken.landmarks.shape == (1, 5, 2)


def test_mirrored_by_hand_and_twice():
    faces = Detections([[1, 2, 9, 10]], [0.5], POINTS)
    once = faces.mirrored(20)
    assert once.boxes.tolist() == [[11, 2, 19, 10]]
    # The eye that was right is left now: 20 - 8 = 12 comes first, and so for the mouth's corners.
    assert once.landmarks[0].tolist() == [[12, 3], [18, 3], [15, 6], [13, 8], [17, 8]]
    again = once.mirrored(20)
    np.testing.assert_array_equal(again.boxes, faces.boxes)
    np.testing.assert_array_equal(again.landmarks, faces.landmarks)
    assert Detections([[1, 2, 9, 10]], [0.5]).mirrored(20).landmarks is None


def test_scaled_and_concatenated():
    faces = Detections([[1, 2, 9, 10]], [0.5], POINTS, {"net": 1.0}).scaled(2, 3)
    assert faces.boxes.tolist() == [[2, 6, 18, 30]] and faces.landmarks[0, 0].tolist() == [4, 9]
    both = Detections.concatenate([faces, Detections([[0, 0, 1, 1]], [0.2], POINTS, {"net": 2.0, "decode": 1.0})])
    assert len(both) == 2 and both.landmarks.shape == (2, 5, 2) and both.times == {"net": 3.0, "decode": 1.0}
    assert Detections.concatenate([faces, Detections([[0, 0, 1, 1]], [0.2])]).landmarks is None


@pytest.mark.parametrize("size, scale, limits, expected", [
    ((1024, 768), 1, {}, (1024, 768)), ((1024, 768), 0.5, {}, (512, 384)), ((1024, 768), 600, {}, (800, 600)),
    ((768, 1024), 600, {}, (600, 800)), ((1024, 768), 10, {}, (10240, 7680)), ((1024, 768), 2, {"max_side": 1600},
                                                                              (1600, 1200)),
    ((1024, 768), 1200, {"max_side": 1600}, (1600, 1200)), ((1024, 768), 1, {"max_side": 4000}, (1024, 768)),
    ((1000, 500), 1, {"max_pixels": 125_000}, (500, 250)), ((3, 3), 0.01, {}, (1, 1)), ((333, 77), 0.5, {}, (166, 38)),
])
def test_scaled_size(size, scale, limits, expected):
    assert scaled_size(*size, scale, **limits) == expected


def test_each_scale_gives_the_faces_of_the_original():
    family = Fixed([[0.1, 0.2, 0.3, 0.5]], [0.9], [[[0.1, 0.2]] * 5])
    found = detector(family, "TEST.SCALES", "[0.5, 1, 330]").detect(np.zeros((200, 300, 3), np.uint8), threshold=0)
    assert sorted(inputs.shape for inputs in family.inputs) == [(1, 128, 160, 3), (1, 224, 320, 3), (1, 352, 512, 3)]
    np.testing.assert_allclose(found.boxes, [[30, 40, 90, 100]], rtol=1e-5)  # three of them, suppressed to one
    np.testing.assert_allclose(found.landmarks[0], [[30, 40]] * 5, rtol=1e-5)


def test_flip_looks_at_the_mirrored_image_and_mirrors_back():
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :20] = 255
    family = Fixed([[0, 0, 0.25, 1]], [0.9], [[[0.1, 0.2], [0.2, 0.2], [0.15, 0.3], [0.1, 0.5], [0.2, 0.5]]])
    found = detector(family, "TEST.FLIP", "True").detect(image, threshold=0)
    plain, mirrored = (inputs[0] for inputs in family.inputs)
    np.testing.assert_array_equal(mirrored, plain[:, ::-1])
    assert sorted(found.boxes.tolist()) == [[0, 0, 24, 64], [72, 0, 96, 64]]
    right = found.landmarks[found.boxes[:, 0] > 50][0]
    np.testing.assert_allclose(right[:, 0], 96 * (1 - np.float32([0.2, 0.1, 0.15, 0.2, 0.1])), rtol=1e-5)
    assert right[0, 0] < right[1, 0]
    assert len(detector(family, "TEST.FLIP", "True").detect(image, flip=False, threshold=0)) == 1


def test_images_of_any_sizes_come_back_in_their_order_in_few_batches():
    sizes = [(60, 90), (64, 96), (100, 40), (62, 70), (60, 90)]
    images = [np.full((*size, 3), i, np.uint8) for i, size in enumerate(sizes)]
    family = Fixed([[0, 0, 1, 1]], [0.9])
    found = detector(family, "TEST.BATCH", "3").detect(images, threshold=0)
    assert [faces.boxes[0].tolist() for faces in found] == [[0, 0, w, h] for h, w in sizes]
    # Four of them pad to 96 x 64 px, and a batch has at most three.
    assert sorted(inputs.shape for inputs in family.inputs) == [(1, 64, 96, 3), (1, 128, 64, 3), (3, 64, 96, 3)]
    for inputs in family.inputs:
        for image in inputs:
            height, width = sizes[image[0, 0, 0]]
            assert (image[:height, :width] == image[0, 0, 0]).all()
            assert (image[height:] == FILL).all() and (image[:, width:] == FILL).all()
    assert detector(family).detect([], threshold=0) == []


def test_batched_and_alone_find_the_same():
    images = [picture(100, 90, (10, 20, 30)), picture(110, 70, (50, 8, 24), (5, 40, 16)), picture(128, 96),
              picture(90, 90, (1, 1, 88))]
    alone, together = square_detector(), square_detector(BATCH=8)
    for image, faces in zip(images, together.detect(images, threshold=0), strict=True):
        one = alone.detect(image, threshold=0)
        np.testing.assert_array_equal(faces.boxes, one.boxes)
        np.testing.assert_array_equal(faces.scores, one.scores)
        np.testing.assert_array_equal(faces.landmarks, one.landmarks)


def test_a_pyramid_finds_each_face_once():
    image = picture(160, 128, (16, 16, 32), (96, 64, 48))
    found = square_detector(SCALES=[0.5, 1, 2], FLIP=True).detect(image, threshold=0)
    boxes = found.boxes[np.argsort(found.boxes[:, 0])]
    assert np.abs(boxes - [[16, 16, 48, 48], [96, 64, 144, 112]]).max() <= 2


def test_hard_suppression_keeps_the_best_in_order():
    boxes = [[0, 0, 0.5, 1], [0, 0, 0.5, 0.9], [0.6, 0, 1, 1], [0.6, 0, 1, 0.2]]
    family = Fixed(boxes, [0.3, 0.8, 0.5, 0.9])
    image = np.zeros((100, 100, 3), np.uint8)
    found = detector(family).detect(image, threshold=0)
    np.testing.assert_allclose(found.scores, [0.9, 0.8, 0.5])  # 0.3 overlaps 0.8 by 0.9; 0.5 overlaps 0.9 by 0.2
    np.testing.assert_allclose(detector(family, "TEST.NMS", "0.1").detect(image, threshold=0).scores, [0.9, 0.8])
    found = detector(family, "TEST.NMS", "0.95").detect(image, threshold=0)
    np.testing.assert_allclose(found.scores, [0.9, 0.8, 0.5, 0.3])
    np.testing.assert_allclose(detector(family, "TEST.KEEP", "2").detect(image, threshold=0).scores, [0.9, 0.8])


@pytest.mark.parametrize("method, second", [("linear", 0.8 * (1 - 0.5)), ("gaussian", 0.8 * np.exp(-(0.5**2) / 0.5))])
def test_soft_suppression_lowers_scores(method, second):
    # The second box is the lower half of the first: their overlap is 0.5.
    family = Fixed([[0, 0, 0.5, 1], [0, 0.5, 0.5, 1], [0.6, 0, 1, 1]], [0.9, 0.8, 0.7])
    found = detector(family, "TEST.NMS_METHOD", method).detect(np.zeros((100, 100, 3), np.uint8), threshold=0)
    np.testing.assert_allclose(found.scores, sorted([0.9, 0.7, second], reverse=True), rtol=1e-5)
    one = detector(family, "TEST.NMS_METHOD", method, "TEST.KEEP", "1")
    assert len(one.detect(np.zeros((9, 9, 3), np.uint8), threshold=0)) == 1


def test_nothing_found():
    family = Fixed(np.zeros((0, 4)), [], np.zeros((0, 5, 2)))
    for method in ("hard", "linear", "gaussian"):
        found = detector(family, "TEST.NMS_METHOD", method, "TEST.SCALES", "[0.5, 1]")
        found = found.detect(picture(50, 40), threshold=0)
        assert len(found) == 0 and found.landmarks.shape == (0, 5, 2)


def test_times_are_measured_apart():
    found = square_detector(SCALES=[1, 2]).detect(picture(64, 64, (8, 8, 20)), threshold=0)
    assert set(found.times) == {"net", "decode", "nms"} and all(ms >= 0 for ms in found.times.values())


# ----------------------------------------------------------------- TEST.SIZE


def test_every_image_is_squeezed_to_the_given_size_and_its_faces_come_back():
    """Boxes in px of each image as it was; images of any size share a batch."""
    squares = square_detector(SIZE=[96, 64], BATCH=8)
    images = [picture(192, 64, (40, 16, 32)), picture(48, 128, (8, 32, 24)), picture(96, 64, (10, 20, 30))]
    found = squares.detect(images, threshold=0)
    assert squares.family.shapes == [(3, 64, 96, 3)]
    for faces, box in zip(found, ([40, 16, 72, 48], [8, 32, 32, 56], [10, 20, 40, 50]), strict=True):
        assert len(faces) == 1
        np.testing.assert_allclose(faces.boxes[0], box, atol=2.1)  # a pixel of the squeezed image is two of the first
    np.testing.assert_array_equal(found[2].boxes[0], [10, 20, 40, 50])


@pytest.mark.parametrize("scales, seen", [([1, 2], {(64, 96), (128, 192)}), ([32], {(32, 48)}), ([0.5], {(32, 48)})])
def test_scales_are_of_the_given_size(scales, seen):
    squares = square_detector(SIZE=[96, 64])
    squares.family.multiple = 1
    squares.detect(picture(500, 300, (100, 100, 90)), scales, threshold=0)
    assert {shape[1:3] for shape in squares.family.shapes} == seen


def test_mirrored_faces_of_a_squeezed_image_come_back_too():
    squares = square_detector(SIZE=[96, 64], FLIP=True, NMS=1.0)
    found = squares.detect(picture(192, 64, (40, 16, 32)), threshold=0)
    assert len(found) == 2
    for box in found.boxes:
        np.testing.assert_allclose(box, [40, 16, 72, 48], atol=2.1)


@pytest.mark.parametrize("size, method", [
    ((60, 50), cv2.INTER_AREA), ((97, 31), cv2.INTER_AREA), ((60, 73), cv2.INTER_AREA), ((97, 73), cv2.INTER_NEAREST),
    ((120, 20), cv2.INTER_LINEAR), ((130, 90), cv2.INTER_LINEAR)])
def test_the_net_sees_the_mean_of_what_a_smaller_pixel_covers(size, method):
    image = np.random.default_rng(0).integers(0, 256, (73, 97, 3), dtype=np.uint8)
    seen = _view(image, size, False).astype(int)
    expected = cv2.resize(image, size, interpolation=method)
    assert seen.shape == (size[1], size[0], 3) and np.abs(seen - expected).max() <= 1
    np.testing.assert_array_equal(_view(image, size, True), seen[:, ::-1])


def test_faces_are_those_from_the_shown_score_on_unless_more_are_asked_for():
    image = np.zeros((100, 100, 3), np.uint8)
    boxes = [[0, 0, 0.5, 1], [0, 0, 0.5, 0.9], [0.6, 0, 1, 1], [0.6, 0, 1, 0.2]]
    own = detector(Fixed(boxes, [0.3, 0.8, 0.5, 0.9]), "TEST.NMS", "0.95", "TEST.DEMO_SCORE", "0.6")
    scores = own.detect(image, threshold=0).scores.tolist()
    assert np.allclose(scores, [0.9, 0.8, 0.5, 0.3])
    shown = own.detect(image)
    assert shown.scores.tolist() == scores[:2] and shown.threshold == 0.6
    for threshold, count in ((0.5, 3), (0.51, 2), (0.02, 4), (1, 0)):
        faces, = own.detect([image], threshold=threshold)
        assert faces.scores.tolist() == scores[:count] and faces.threshold == threshold
    for wrong in (-0.1, 1.1, float("nan"), "0.5"):
        with pytest.raises(InputError, match="^threshold is "):
            own.detect(image, threshold=wrong)
