"""MTCNN's samples: the kinds of squares against plain loops; landmarks against painted dots."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mtcnn_scenes import make, maker, write_records

from manyfaces.cascade import resample
from manyfaces.config import load_config
from manyfaces.data_layer.mtcnn.landmarks import landmark_samples
from manyfaces.data_layer.mtcnn.samples import Quotas, judge, positive_from, quotas, squares_of_image
from manyfaces.datasets.roidb import Record

CFG = load_config().MTCNN


def record(boxes, ignore=None, landmarks=None, size=(320, 240)):
    boxes = np.float32(boxes).reshape(-1, 4)
    landmarks = np.full((len(boxes), 5, 2), np.nan) if landmarks is None else landmarks
    ignore = np.zeros(len(boxes), bool) if ignore is None else ignore
    return Record("", "x.jpg", *size, boxes, np.float32(landmarks), np.array(ignore, bool))


def iou(a, b):
    """IoU of two boxes, by the definition."""
    wide, high = (max(0.0, min(a[n + 2], b[n + 2]) - max(a[n], b[n])) for n in (0, 1))
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return wide * high / (sum(areas) - wide * high)


def test_the_kind_of_a_square_depends_on_its_iou():
    """A face of 100 x 100 px, and squares of the same size: moved by d, their IoU is (100 - d) / (100 + d)."""
    face = np.float32([[100, 100, 200, 200]])
    moves = [0, 20, 22, 42, 44, 53, 54, 55, 100]  # .667 at 20, .639 at 22, .408 at 42, .389 at 44, .307, .299
    squares = np.float32([[100 + d, 100, 200 + d, 200] for d in moves])
    owner, kind = judge(squares, face, np.zeros((0, 4), np.float32), CFG)
    assert kind.tolist() == ["positive", "positive", "part", "part", "", "", "negative", "negative", "negative"]
    assert owner.tolist() == [0] * 9
    touching = np.float32([[254, 100, 255, 101]])  # of an ignore region, only inside the squares at 55 and 100
    assert judge(squares, face, touching, CFG)[1].tolist()[-3:] == ["negative", "", ""]


def test_a_narrow_face_has_positives_although_no_square_reaches_the_usual_iou():
    narrow = np.float32([[0, 0, 40, 100]])
    best = max(iou((20 - s / 2, 50 - s / 2, 20 + s / 2, 50 + s / 2), narrow[0]) for s in np.arange(40, 100, 0.1))
    assert best < CFG.POSITIVE
    assert positive_from(narrow, CFG)[0] == pytest.approx(CFG.NARROW * best, abs=1e-4)
    found = squares_of_image(record(narrow + 100), Quotas(5, 5, 0, 0), np.random.default_rng(0), CFG)
    assert len(found["positive"][0]) == 5


@st.composite
def scenes(draw):
    """Faces, some of them ignored or small, and squares that a cascade might propose."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(0, 6))
    sides = np.exp(rng.uniform(np.log(4), np.log(120), (count, 2)))
    corner = rng.uniform(0, [300, 220], (count, 2))
    boxes = np.concatenate([corner, corner + sides], axis=1)
    length = rng.integers(10, 150, 40)[:, None]
    start = rng.integers(-20, 250, (40, 2))
    mined = np.concatenate([start, start + length], axis=1).astype(np.float32)
    return record(boxes, rng.random(count) < 0.3), mined if draw(st.booleans()) else None, rng


@given(scenes())
def test_every_sample_is_what_its_kind_says(scene):
    image, mined, rng = scene
    found = squares_of_image(image, Quotas(3, 3, 0, 10), rng, CFG, mined)
    doubtful = [box for box, ignored in zip(image.boxes, image.ignore, strict=True)
                if ignored or max(box[2] - box[0], box[3] - box[1]) < CFG.MIN_FACE]
    faces = [box for box in image.boxes if not any(box is other or (box == other).all() for other in doubtful)]
    for kind, (squares, moves) in found.items():
        for square, move in zip(squares.astype(float), moves.astype(float), strict=True):
            side = square[2] - square[0]
            assert side == square[3] - square[1] and (square == np.rint(square)).all()
            overlaps = [iou(square, face) for face in faces]
            if kind == "negative":
                assert max(overlaps, default=0) < CFG.NEGATIVE + 1e-6 and not move.any()
                assert not any(iou(square, region) > 0 for region in doubtful)
                continue
            best = int(np.argmax(overlaps))
            np.testing.assert_allclose(square + move * side, faces[best], atol=1e-3)
            least = positive_from(np.float32([faces[best]]), CFG)[0]
            if kind == "positive":
                assert overlaps[best] >= least - 1e-6
            else:
                assert CFG.PART - 1e-6 <= overlaps[best] < least + 1e-6


def test_mined_squares_come_first_and_random_ones_fill_only_some_of_the_negatives():
    image = record([[100, 80, 180, 160]])
    mined = np.float32([[100, 80, 180, 160], [101, 80, 181, 160], [10, 10, 40, 40], [200, 20, 260, 80]])
    found = squares_of_image(image, Quotas(4, 0, 0, 8), np.random.default_rng(1), CFG, mined)
    positives, negatives = found["positive"][0].tolist(), found["negative"][0].tolist()
    assert len(positives) == 4 and positives[:2] == mined[:2].tolist() or positives[1::-1] == mined[:2].tolist()
    assert sorted(negatives[:2]) == mined[2:].tolist() and len(negatives) == 2 + math.floor(CFG.EASY * 8)


def test_quotas_give_the_wanted_numbers():
    rng = np.random.default_rng(3)
    records = [record([[20 + 90 * n, 30, 90 + 90 * n, 110] for n in range(i % 4)]) for i in range(200)]
    cfg = load_config(overrides=["MTCNN.COUNTS", "[700, 500, 0, 1100]"]).MTCNN
    quota = quotas(records, [], cfg)
    found = [squares_of_image(part, quota, rng, cfg) for part in records]
    counts = {kind: sum(len(part[kind][0]) for part in found) for kind in found[0]}
    assert 600 < counts["positive"] <= 800 and 400 < counts["part"] <= 600 and 1000 < counts["negative"] <= 1200


def painted(points, size=(200, 160)):
    """A black image with a dot of another colour at each of five points."""
    image = np.zeros((size[1], size[0], 3), np.float64)
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    colours = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1)]
    for (px, py), colour in zip(points, colours, strict=True):
        image += np.exp(-((x - px) ** 2 + (y - py) ** 2) / 8)[..., None] * np.float64(colour) * 255
    return image.clip(0, 255).astype(np.uint8), colours


def test_landmarks_stay_on_their_points_however_a_crop_is_moved_and_turned():
    points = np.float64([[80, 60], [120, 62], [101, 80], [84, 100], [118, 101]])
    image, colours = painted(points)
    face = record([[65, 40, 135, 120]], landmarks=points[None], size=(200, 160))
    side = 48
    crops, landmarks = landmark_samples(image, face, 40, np.random.default_rng(2), side, CFG,
                                        lambda image, squares, side: resample(image, squares.astype(int), (side, side)))
    assert len(crops) == len(landmarks) == 40
    slopes = [(five[3] - five[1]) / (five[2] - five[0]) for five in landmarks]
    assert min(slopes) < -0.1 and max(slopes) > 0.15, "some are turned either way"
    y, x = np.mgrid[:side, :side] + 0.5
    for crop, five in zip(crops.astype(np.float64), landmarks.reshape(-1, 5, 2) * side, strict=True):
        for (px, py), colour in zip(five, colours, strict=True):
            if not 5 < min(px, py) <= max(px, py) < side - 5:
                continue
            near = (abs(x - px) < 5) & (abs(y - py) < 5)
            weight = near * np.where(np.bool_(colour), crop, 255 - crop).min(axis=2).clip(40) - near * 40.0
            centre = (weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()
            assert abs(centre[0] - px) < 0.6 and abs(centre[1] - py) < 0.6


def test_faces_without_all_five_points_and_small_ones_give_no_landmark_samples():
    points = np.float32([[[10, 10], [20, 10], [15, 15], [11, 20], [19, 20]]] * 4)
    points[1, 4] = np.nan
    boxes = [[0, 0, 40, 40]] * 3 + [[0, 0, 20, 20]]
    crops, _ = landmark_samples(np.zeros((240, 320, 3), np.uint8), record(boxes, [0, 0, 1, 0], points), 3,
                                np.random.default_rng(0), 12, CFG,
                                lambda image, squares, side: np.zeros((len(squares), side, side, 3), np.uint8))
    assert len(crops) == 3


def test_images_are_sampled_at_another_scale(tmp_path):
    """A mark of 40 x 30 px in an image of 200 x 150: halved, face and mark still coincide."""
    from manyfaces.datasets.roidb import scaled

    image = np.zeros((150, 200, 3), np.uint8)
    image[60:90, 80:120] = 255
    record = Record("", "x.png", 200, 150, np.float32([[80, 60, 120, 90]]), np.full((1, 5, 2), 100, np.float32),
                    np.zeros(1, bool))
    for factor, size in ((0.5, (75, 100)), (1.3, (195, 260)), (0.001, (1, 1))):
        other, pixels = scaled(record, image, factor)
        assert pixels.shape[:2] == (other.height, other.width) == size
    other, pixels = scaled(record, image, 0.5)
    np.testing.assert_array_equal(other.boxes, [[40, 30, 60, 45]])
    np.testing.assert_array_equal(other.landmarks[0, 0], [50, 50])
    assert (pixels[30:45, 40:60] == 255).all() and pixels.astype(int).sum() == 255 * 3 * 15 * 20
    np.testing.assert_array_equal(record.boxes, [[80, 60, 120, 90]])


def test_a_data_set_named_twice_is_mined_in_two_scales(tmp_path):
    records = write_records(tmp_path / "images", 2, files=1)
    seen = []

    def propose(images):
        seen.extend(image.shape[:2] for image in images)
        return [np.zeros((0, 4), np.float32)] * len(images)

    make(tmp_path / "made", maker(records, propose, MTCNN__SCALES="[0.5, 1.5]"))
    assert len(set(seen)) == 4 and all(75 <= height <= 225 for height, _ in seen)  # two of train, two of select
    again = list(seen)
    make(tmp_path / "again", maker(records, propose, MTCNN__SCALES="[0.5, 1.5]"))
    assert seen[len(again):] == again
