"""SSD's windows: by hand, by their rules over many draws, and as samples whose boxes are on the faces."""


import numpy as np
import pytest

from manyfaces.config import load_config
from manyfaces.constants import FILL
from manyfaces.data_layer.augment import augment
from manyfaces.data_layer.augment_ssd import fitting, ssd_window
from manyfaces.datasets.roidb import Record

SHAPE = (200, 100)
FACES = np.float32([[60, 20, 120, 80]])
IMAGE = np.float64([0, 0, *SHAPE])


def section(**keys):
    quiet = {"KIND": "ssd", "SIZE": 120, "COLOUR": 0.0, "FLIP": 0.0, **keys}
    return load_config(overrides=[word for key, value in quiet.items() for word in (f"AUGMENT.{key}", value)]).AUGMENT


def windows(count=400, faces=FACES, **keys):
    """(count, 4) x1 y1 x2 y2 of drawn windows."""
    rng, cfg = np.random.default_rng(0), section(**keys)
    return np.array([np.concatenate([start, start + sides]) for start, sides in
                     (ssd_window(SHAPE, faces, rng, cfg) for _ in range(count))])


def iou(a, b):
    """Intersection over union of two boxes, by its definition."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(wide, 0) * max(high, 0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def is_whole(window):
    return np.allclose(window, IMAGE)


def test_fitting_by_hand():
    face = np.float32([[0, 0, 40, 40], [150, 10, 190, 50]])
    crops = np.float64([
        [0, 0, 40, 80],     # IoU 1600 / 3200 with the first face
        [0, 0, 40, 81],     # narrower than 1 : 2
        [0, 0, 160, 80],    # 1600 / 12800 = 0.125
        [150, 10, 190, 50],  # the second face itself
        [-60, 0, 40, 60],   # 1600 / 6000, but its centre is outside
        [100, 60, 140, 100],  # meets no face
    ])
    assert fitting(crops, IMAGE, face, 0.0).tolist() == [0, 2, 3, 5]
    assert fitting(crops, IMAGE, face, 0.125).tolist() == [0, 2, 3]
    assert fitting(crops, IMAGE, face, 0.13).tolist() == [0, 3]
    assert fitting(crops, IMAGE, face, 0.5).tolist() == [0, 3]
    assert fitting(crops, IMAGE, face, 0.51).tolist() == [3]
    assert fitting(crops, IMAGE, face[:0], 0.9).tolist() == [0, 2, 3, 5], "without faces every crop is as good"


@pytest.mark.parametrize("least", [0.1, 0.3, 0.5])
def test_a_crop_keeps_its_overlap_with_a_face(least):
    found = windows(EXPAND_PROBABILITY=0.0, CROP_OVERLAPS=[least])
    crops = [window for window in found if not is_whole(window)]
    kept = np.array([iou(window, FACES[0]) >= least for window in crops])
    # Of three choices one is the whole image, one any crop, and one a crop that reaches the IoU if any of 50 does.
    assert 0.25 < np.mean([is_whole(window) for window in found]) < 0.6
    assert 0.3 < kept.mean() < 1
    for x1, y1, x2, y2 in crops:
        assert x1 >= 0 and y1 >= 0 and x2 <= 200 and y2 <= 100
        assert 0.5 <= (x2 - x1) / (y2 - y1) <= 2
        assert 20 <= x2 - x1 <= 200 and 10 <= y2 - y1 <= 100


def test_only_constrained_crops_reach_a_high_overlap():
    """A third of the windows is drawn with the constraint: many more reach it than without."""
    constrained, chance = (np.mean([iou(window, FACES[0]) >= 0.45 for window in windows(900, CROP_OVERLAPS=least)])
                           for least in ([0.45], []))
    assert constrained > 0.2 > 2 * chance


def test_zoom_out_is_a_larger_window_around_the_image():
    found = windows(EXPAND_PROBABILITY=1.0, EXPAND=3.0, CROP_SIDES=[1.0, 1.0], CROP_OVERLAPS=[])
    factors = (found[:, 2:] - found[:, :2]) / SHAPE
    np.testing.assert_allclose(factors[:, 0], factors[:, 1])
    assert 1 <= factors.min() < 1.1 and 2.9 < factors.max() <= 3
    assert (found[:, :2] <= 1e-9).all() and (found[:, 2:] >= np.array(SHAPE) - 1e-9).all()
    never = windows(50, EXPAND_PROBABILITY=0.0, CROP_SIDES=[1.0, 1.0], CROP_OVERLAPS=[])
    assert all(is_whole(window) for window in never)


def test_a_crop_of_a_canvas_is_never_without_the_image():
    found = windows(EXPAND_PROBABILITY=1.0, EXPAND=4.0, CROP_OVERLAPS=[], faces=FACES[:0])
    centres = (found[:, :2] + found[:, 2:]) / 2
    inside = ((centres > 0) & (centres < SHAPE)).all(axis=1)
    whole_canvas = ((found[:, :2] <= 0) & (found[:, 2:] >= SHAPE)).all(axis=1)
    assert (inside | whole_canvas).all() and 0.2 < inside.mean() < 1


def scene():
    picture = np.full((100, 200, 3), 40, np.uint8)
    picture[20:80, 60:120] = 255
    points = FACES[:, None, :2] + 60 * np.float32([[0.3, 0.3], [0.7, 0.3], [0.5, 0.5], [0.3, 0.8], [0.7, 0.8]])
    return Record("", "a.png", *SHAPE, FACES, points, np.zeros(1, bool)), picture


def test_the_whole_image_is_squeezed_to_a_square_by_hand():
    """200 x 100 px become 120 x 120: x times 0.6, y times 1.2."""
    record, picture = scene()
    sample = augment(record, lambda r, reduce: picture, np.random.default_rng(0),
                     section(EXPAND_PROBABILITY=0.0, CROP_OVERLAPS=[], CROP_SIDES=[1.0, 1.0]))
    np.testing.assert_allclose(sample["boxes"], [[36, 24, 72, 96]])
    np.testing.assert_allclose(sample["landmarks"][0], record.landmarks[0] * [0.6, 1.2], rtol=1e-6)
    assert sample["image"].shape == (120, 120, 3) and not sample["ignore"].any()
    assert (sample["image"][25:95, 38:70] == 255).all() and (sample["image"][:22] == 40).all()


@pytest.mark.parametrize("keys", [{}, {"FLIP": 1.0}, {"MOSAIC": 1.0}, {"EXPAND_PROBABILITY": 1.0}],
                         ids=["", "flip", "mosaic", "zoom-out"])
def test_boxes_stay_on_the_faces(keys):
    record, picture = scene()
    empty, dark = Record("", "b.png", 50, 60, FACES[:0], np.zeros((0, 5, 2), np.float32), np.zeros(0, bool)), \
        np.full((60, 50, 3), 40, np.uint8)
    read = {"a.png": picture, "b.png": dark}
    seen = squeezed = 0
    for seed in range(60):
        sample = augment(record, lambda r, reduce: read[r.image], np.random.default_rng(seed), section(**keys),
                         lambda rng: empty)
        image = sample["image"]
        assert image.shape == (120, 120, 3) and sample["boxes"].min(initial=0) >= 0
        assert sample["boxes"].max(initial=0) <= 120
        rows, columns = np.nonzero((image > 200).all(axis=2))
        if len(rows) < 100 or not len(sample["boxes"]):
            continue
        edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        zoom = np.abs(sample["boxes"][0, 2:] - sample["boxes"][0, :2]).max() / 60
        np.testing.assert_allclose(edges, sample["boxes"][0], atol=1.1 + zoom)
        sides = sample["boxes"][0, 2:] - sample["boxes"][0, :2]
        seen, squeezed = seen + 1, squeezed + (not 0.9 < sides[0] / sides[1] < 1.1)
    assert seen >= 30 and squeezed > 0.5 * seen, "aspects change, as they do when images are squeezed at test"


def test_outside_the_image_it_is_grey():
    record, picture = scene()
    picture[:] = 200
    sample = augment(record, lambda r, reduce: picture, np.random.default_rng(1),
                     section(EXPAND_PROBABILITY=1.0, EXPAND=4.0, CROP_OVERLAPS=[], CROP_SIDES=[1.0, 1.0]))
    assert set(np.unique(sample["image"])) == {FILL, 200}


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (400, 3)])
def test_tiny_images(size):
    image = np.zeros((size[1], size[0], 3), np.uint8)
    record = Record("", "a.png", *size, FACES[:0], np.zeros((0, 5, 2), np.float32), np.zeros(0, bool))
    for seed in range(30):
        sample = augment(record, lambda r, reduce: image, np.random.default_rng(seed), section())
        assert sample["image"].shape == (120, 120, 3)


def test_everything_random_comes_from_the_generator():
    record, picture = scene()
    samples = [augment(record, lambda r, reduce: picture, np.random.default_rng(seed), section(COLOUR=0.5, FLIP=0.5))
               for seed in (1, 1, 2)]
    for key in samples[0]:
        np.testing.assert_array_equal(samples[0][key], samples[1][key])
    assert not np.array_equal(samples[0]["image"], samples[2]["image"])
