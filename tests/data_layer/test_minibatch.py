"""The compiled functions for minibatches: by hand, against OpenCV, and bit for bit against their NumPy twins."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manyfaces import data_layer as picked
from manyfaces.data_layer import reference
from manyfaces.errors import InputError

modules = pytest.mark.parametrize("module", [picked, reference], ids=["picked", "twin"])
compiled = pytest.mark.skipif(not picked.COMPILED, reason="nothing is compiled here: there are only the twins")
NO_FACES = np.zeros((0, 4), np.float32), np.zeros(0, bool), np.zeros((0, 5, 2), np.float32)


def random_image(seed, height, width):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def random_faces(seed, count):
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(-30, 100, (count, 2)), np.exp(rng.uniform(-1, 5, (count, 2)))
    landmarks = corner[:, None] + rng.uniform(0, 1, (count, 5, 2)) * side[:, None]
    landmarks[rng.random(count) < 0.3] = np.nan
    boxes = np.concatenate([corner, corner + side], axis=1).astype(np.float32)
    return boxes, rng.random(count) < 0.2, landmarks.astype(np.float32)


# ------------------------------------------------------------------- shrink


@modules
def test_a_pixel_is_the_mean_of_what_it_covers(module):
    image = np.zeros((1, 3, 3), np.uint8)
    image[0, :, 0], image[0, :, 1] = (0, 90, 210), 77
    # Two pixels of 1.5: (0 + 90 / 2) / 1.5 and (90 / 2 + 210) / 1.5.
    assert module.shrink(image, (2, 1)).tolist() == [[[30, 77, 0], [170, 77, 0]]]
    # The same upright.
    assert module.shrink(image.transpose(1, 0, 2), (1, 2))[:, 0].tolist() == [[30, 77, 0], [170, 77, 0]]


@modules
@pytest.mark.parametrize("size", [(640, 480), (320, 240), (500, 333), (101, 77), (7, 3), (1, 1)])
def test_shrink_is_opencvs_area_mean(module, size):
    image = cv2.GaussianBlur(random_image(0, 480, 640), (5, 5), 1)
    expected = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    found = module.shrink(image, size)
    assert found.dtype == np.uint8 and found.shape == expected.shape
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 1 and difference.mean() < 0.05


@modules
def test_shrink_to_the_same_size_and_of_a_flat_image_changes_nothing(module):
    image = random_image(1, 31, 17)
    np.testing.assert_array_equal(module.shrink(image, (17, 31)), image)
    for grey in (0, 1, 128, 254, 255):
        assert np.unique(module.shrink(np.full((37, 101, 3), grey, np.uint8), (13, 10))).tolist() == [grey]


@modules
def test_shrink_refuses_other_arrays(module):
    for bad in (np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(InputError, match="shrink: found"):
            module.shrink(bad, (2, 2))
    with pytest.raises(InputError, match="size is 0, expected a whole number, from 1 to 131072"):
        module.shrink(np.zeros((4, 4, 3), np.uint8), (0, 2))


@compiled
@given(st.integers(0, 2**32), st.integers(1, 90), st.integers(1, 90), st.integers(1, 90), st.integers(1, 90),
       st.sampled_from(["whole", "window", "mirrored", "columns first", "read only"]))
def test_compiled_shrink_equals_its_twin(seed, height, width, target_height, target_width, layout):
    image = random_image(seed, height + 5, width + 7)
    if layout != "whole":
        image = image[2 : 2 + height, 3 : 3 + width]
    image = image[:, ::-1] if layout == "mirrored" else image
    image = np.asfortranarray(image) if layout == "columns first" else image
    image.flags.writeable = layout != "read only"
    # It is not made for enlarging, but one side may round up by a pixel.
    size = min(target_width, image.shape[1] + 1), min(target_height, image.shape[0] + 1)
    np.testing.assert_array_equal(picked.shrink(image, size), reference.shrink(image, size))


@compiled
def test_compiled_shrink_equals_its_twin_on_a_photograph():
    image = cv2.GaussianBlur(random_image(2, 900, 1200), (0, 0), 3)
    for size in ((640, 480), (1199, 1), (1, 899)):
        np.testing.assert_array_equal(picked.shrink(image, size), reference.shrink(image, size))


# ------------------------------------------------------------ visible faces


@modules
def test_faces_by_hand(module):
    boxes = [[10, 10, 30, 30], [90, 10, 110, 30], [95, 0, 115, 20], [200, 0, 220, 20], [40, 40, 44, 60], [0, 0, 50, 50]]
    landmarks = np.full((6, 5, 2), np.nan)
    landmarks[0], landmarks[1] = (20, 20), [(95, 20), (106, 20), (100, 22), (95, 25), (105, 25)]
    ignore = [False, False, False, False, False, True]
    # Twice as large, moved by (-20, 0), in a window of 190 x 100 px.
    found, ignored, points = module.visible_faces(boxes, ignore, landmarks, (2, 2), (-20, 0), (190, 100), 10, 1 / 3)
    assert found.tolist() == [[0, 20, 40, 60], [160, 20, 190, 60], [170, 0, 190, 40], [60, 80, 68, 100],
                              [0, 0, 80, 100]]
    # The first is whole, three quarters of the second are inside, half of the third; the fourth is 8 px wide.
    assert ignored.tolist() == [False, False, False, True, True]
    assert (points[0] == (20, 40)).all()
    assert np.isnan(points[1:]).all(), "of the second face, a point is beyond the right edge"
    half = module.visible_faces(boxes, ignore, landmarks, (2, 2), (-20, 0), (190, 100), 10, 0.51)[1]
    assert half.tolist() == [False, False, True, True, True]


@modules
def test_no_faces(module):
    boxes, ignore, landmarks = module.visible_faces(*NO_FACES, (1, 1), (0, 0), (10, 10), 4, 0.3)
    assert (boxes.shape, ignore.shape, landmarks.shape) == ((0, 4), (0,), (0, 5, 2))
    assert (boxes.dtype, ignore.dtype, landmarks.dtype) == (np.float32, bool, np.float32)
    # All outside gives the same as none.
    outside = module.visible_faces([[20, 0, 30, 5]], [False], np.zeros((1, 5, 2)), (1, 1), (0, 0), (10, 10), 4, 0.3)
    assert [len(part) for part in outside] == [0, 0, 0]


@modules
def test_faces_of_different_number_are_refused(module):
    boxes, ignore, landmarks = random_faces(0, 3)
    for bad in ((boxes[:2], ignore, landmarks), (boxes, ignore[:2], landmarks), (boxes, ignore, landmarks[:2]),
                (boxes, ignore, landmarks[..., 0])):
        with pytest.raises(InputError, match="faces: found boxes"):
            module.visible_faces(*bad, (1, 1), (0, 0), (10, 10), 4, 0.3)


@compiled
@given(st.integers(0, 2**32), st.sampled_from([0, 1, 2, 40, 700]), st.floats(0.05, 4), st.floats(0.05, 4),
       st.floats(-200, 200), st.floats(-200, 200), st.integers(1, 300), st.integers(1, 300),
       st.sampled_from([0.0, 4.0, 12.0]), st.sampled_from([0.0, 1 / 3, 1.0]))
def test_compiled_faces_equal_their_twins(seed, count, scale_x, scale_y, shift_x, shift_y, width, height, smallest,
                                          least):
    arguments = ((scale_x, scale_y), (shift_x, shift_y), (width, height), smallest, least)
    faces = random_faces(seed, count)
    for found, expected in zip(picked.visible_faces(*faces, *arguments), reference.visible_faces(*faces, *arguments),
                               strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
