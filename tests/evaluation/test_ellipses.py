"""Masks and their IoU, against areas worked out by hand and loops over pixels."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manyfaces.evaluation.fddb.ellipses import ellipse_mask, mask_ious, rectangle_spans

ellipses = st.tuples(st.floats(0, 60), st.floats(0, 60), st.floats(-7, 7), st.floats(-30, 130), st.floats(-30, 110))


def whole_mask(ellipse, size):
    """The mask over the whole image, from its window."""
    left, top, window = ellipse_mask(ellipse, size)
    mask = np.zeros((size[1], size[0]), np.uint8)
    mask[top:top + window.shape[0], left:left + window.shape[1]] = window
    assert mask.sum() == window.sum()
    return mask


def drawn(row, size):
    """The region as the benchmark draws it, straight into an image: an ellipse of 5 values, a rectangle of 4."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    if len(row) == 5:
        degrees = round(180 - (math.pi - row[2]) * 180 / math.pi)
        centre = tuple(int(np.rint(np.float32(value))) for value in row[3:])
        return cv2.ellipse(mask, centre, (int(row[0]), int(row[1])), degrees, 0, 360, 1, -1)
    corners = [int(np.rint(np.float32(value))) for value in (row[0], row[1], row[0] + row[2], row[1] + row[3])]
    return cv2.rectangle(mask, corners[:2], corners[2:], 1, -1)


def counted(a, b):
    """Intersection over union, pixel by pixel."""
    both = either = 0
    for p, q in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True):
        both += p and q
        either += p or q
    return both / either if either else 0.0


@given(ellipses)
def test_the_window_holds_what_the_benchmark_draws(ellipse):
    np.testing.assert_array_equal(whole_mask(ellipse, (100, 80)), drawn(ellipse, (100, 80)))


@pytest.mark.parametrize("radius", [10, 25, 60, 140])
def test_the_area_of_a_circle(radius):
    # The drawn edge lies on the circle, so half of its pixels are outside.
    area = int(ellipse_mask((radius, radius, 0, 150, 150), (300, 300))[2].sum())
    assert area == pytest.approx(math.pi * (radius + 0.5) ** 2, rel=0.02)


@pytest.mark.parametrize("angle", [0, 0.3, math.pi / 4, 1.2, math.pi / 2, 2.5, -0.7])
def test_the_area_and_the_moments_of_a_turned_ellipse(angle):
    mask = whole_mask((80, 40, angle, 150, 140), (300, 300))
    assert mask.sum() == pytest.approx(math.pi * 80.5 * 40.5, rel=0.01)
    y, x = np.nonzero(mask)
    assert (x.mean(), y.mean()) == pytest.approx((150, 140), abs=0.1)
    # The variance along the major axis is a quarter of its radius squared; y grows downwards, and so does the angle.
    along = (x - 150) * math.cos(angle) + (y - 140) * math.sin(angle)
    across = (y - 140) * math.cos(angle) - (x - 150) * math.sin(angle)
    assert (along ** 2).mean() == pytest.approx(80.5 ** 2 / 4, rel=0.02)
    assert (across ** 2).mean() == pytest.approx(40.5 ** 2 / 4, rel=0.02)


@given(st.floats(3, 60), st.floats(3, 60), st.integers(-360, 360), st.integers(-20, 120), st.integers(-20, 100))
def test_pixels_off_the_edge_are_those_of_the_formula(major, minor, degrees, x, y):
    mask, angle = whole_mask((major, minor, math.radians(degrees), x, y), (100, 80)), math.radians(degrees)
    for row in range(0, 80, 7):
        for column in range(0, 100, 5):
            along = (column - x) * math.cos(angle) + (row - y) * math.sin(angle)
            across = (row - y) * math.cos(angle) - (column - x) * math.sin(angle)
            if math.hypot(along / (int(major) + 2), across / (int(minor) + 2)) > 1:
                assert not mask[row, column]
            if math.hypot(along / (int(major) - 1.9), across / (int(minor) - 1.9)) < 1:
                assert mask[row, column]


def test_what_the_benchmark_rounds():
    # Radii down, centres to the nearest pixel, half to even, angles to whole degrees.
    exact = whole_mask((30, 20, math.radians(40), 50, 40), (100, 80))
    near = whole_mask((30.99, 20.99, math.radians(40.4), 50.5, 39.6), (100, 80))
    np.testing.assert_array_equal(exact, near)
    # Both corners belong to a rectangle: 10 to 15 and 20 to 28.
    assert rectangle_spans([[10.4, 19.6, 5.0, 8.0]], (100, 80)).tolist() == [[10, 20, 16, 29]]
    assert rectangle_spans([[15, 28, -5, -8]], (100, 80)).tolist() == [[10, 20, 16, 29]]
    assert rectangle_spans([[-5, -5, 7, 200]], (100, 80)).tolist() == [[0, 0, 3, 80]]
    assert mask_ious(np.zeros((1, 5)), np.array([[0, 0, 0, 0, 0.5]]), (100, 80)).tolist() == [[1.0]]  # a pixel


@given(st.lists(ellipses, max_size=3), st.lists(ellipses, max_size=3))
def test_ious_of_ellipses_by_loops(faces, found):
    faces, rows = np.array(faces).reshape(-1, 5), np.array([(*row, 0.5) for row in found]).reshape(-1, 6)
    size = (40, 30)
    faces[:, 3:] *= 0.4
    rows[:, 3:5] *= 0.4
    expected = [[counted(drawn(a, size), drawn(b[:5], size)) for b in rows] for a in faces]
    overlaps = mask_ious(faces, rows, size)
    assert overlaps.shape == (len(faces), len(rows))
    np.testing.assert_allclose(overlaps, np.array(expected).reshape(overlaps.shape), rtol=1e-15)


@given(st.lists(ellipses, max_size=3),
       st.lists(st.tuples(st.floats(-20, 45), st.floats(-20, 35), st.floats(-9, 40), st.floats(-9, 40)), max_size=4))
def test_ious_of_rectangles_by_loops(faces, found):
    faces, rows = np.array(faces).reshape(-1, 5), np.array([(*row, 0.5) for row in found]).reshape(-1, 5)
    size = (40, 30)
    faces[:, 3:] *= 0.4
    expected = [[counted(drawn(a, size), drawn(b[:4], size)) for b in rows] for a in faces]
    overlaps = mask_ious(faces, rows, size)
    assert overlaps.shape == (len(faces), len(rows))
    np.testing.assert_allclose(overlaps, np.array(expected).reshape(overlaps.shape), rtol=1e-15)


def test_ious_that_can_be_worked_out():
    # A circle covers pi / 4 of the box around it; both are 100 times larger than a pixel.
    circle, box = np.array([[100.0, 100, 0, 150, 150]]), np.array([[50.0, 50, 200, 200, 1]])
    assert mask_ious(circle, box, (300, 300))[0, 0] == pytest.approx(math.pi / 4, abs=0.01)
    # Only pixels in the image count: the same half of both is left.
    assert mask_ious(circle, box, (150, 300))[0, 0] == pytest.approx(math.pi / 4, abs=0.01)
    # The face leaves the image and the box ends at its border: with the whole ellipse it would be 0.43.
    outside = np.array([[60.0, 60, 0, 0, 100]])
    assert mask_ious(outside, np.array([[0.0, 40, 60, 120, 1]]), (300, 300))[0, 0] == pytest.approx(0.785, abs=0.02)
    nothing = np.array([[10.0, 10, 0, -50, 50]])
    boxes = np.array([[-60.0, 40, 20, 20, 1], [0, 0, 300, 300, 1]])
    assert mask_ious(nothing, boxes, (300, 300)).tolist() == [[0, 0]]
    # Huge numbers neither overflow nor take memory.
    huge = mask_ious(circle, np.array([[-1e300, -1e308, 2e300, 1.7e308, 1]]), (300, 300))
    far = mask_ious(circle, np.array([[1e308, 0, 1e308, 9, 1]]), (300, 300))
    assert far[0, 0] == 0 and huge[0, 0] == pytest.approx(math.pi * 100.5 ** 2 / 300 ** 2, rel=0.01)
