"""The similarity transform by hand and against scikit-image; aligned faces by the new places of marked points."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.transform import SimilarityTransform

from manyfaces.align import REFERENCE_POINTS, align, similarity_transform, warp
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.errors import InputError

SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)


def placed(angle, scale, shift):
    """REFERENCE_POINTS turned by `angle` degrees, scaled, shifted: the landmarks of such a face."""
    c, s = scale * np.cos(np.radians(angle)), scale * np.sin(np.radians(angle))
    return REFERENCE_POINTS @ np.array([[c, s], [-s, c]]) + shift


@pytest.mark.parametrize("target, expected", [
    (SQUARE, [[1, 0, 0], [0, 1, 0]]), (SQUARE + (3, -2), [[1, 0, 3], [0, 1, -2]]),
    (2.5 * SQUARE, [[2.5, 0, 0], [0, 2.5, 0]]), ([[0, 0], [0, 1], [-1, 1], [-1, 0]], [[0, -1, 0], [1, 0, 0]]),
    # A mirrored square is not a rotated square: the best fit is a point at its centre.
    ([[1, 0], [0, 0], [0, 1], [1, 1]], [[0, 0, 0.5], [0, 0, 0.5]])])
def test_transforms_by_hand(target, expected):
    np.testing.assert_allclose(similarity_transform(SQUARE, target), expected, atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(2, 9))
def test_transforms_equal_scikit_image(seed, number):
    rng = np.random.default_rng(seed)
    source = rng.normal(size=(number, 2)) * rng.uniform(1, 100) + rng.uniform(-500, 500, 2)
    turn = rng.uniform(0, 2 * np.pi)
    turn = rng.uniform(0.1, 4) * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    target = source @ turn.T + rng.uniform(-100, 100, 2) + rng.normal(size=source.shape)
    peer = SimilarityTransform()
    if hasattr(SimilarityTransform, "from_estimate"):
        peer = SimilarityTransform.from_estimate(source, target)
    else:
        assert peer.estimate(source, target)
    np.testing.assert_allclose(similarity_transform(source, target), peer.params[:2], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("source, target, message", [
    (SQUARE, SQUARE[:3], "for both, with N >= 2"), ([[1, 2]], [[1, 2]], "N >= 2"), (SQUARE * 0 + 4, SQUARE, "coincide"),
    (SQUARE * np.nan, SQUARE, "NaN"), (SQUARE, SQUARE + np.inf, "infinity")])
def test_no_transform(source, target, message):
    with pytest.raises(ValueError, match=message):
        similarity_transform(source, target)


def marked(points, width, height, radius):
    """A black image with a white disc at each point (continuous px)."""
    image = np.zeros((height, width, 3), np.uint8)
    for point in points:
        centre = tuple(int(round(value)) for value in (np.asarray(point) - 0.5) * 16)
        cv2.circle(image, centre, round(radius * 16), (255, 255, 255), cv2.FILLED, cv2.LINE_AA, 4)
    return image


@pytest.mark.parametrize("size", [112, 96, 224])
@pytest.mark.parametrize("angle, scale, shift", [
    (0, 1, (0, 0)), (30, 2, (200, 60)), (-75, 3.7, (100, 500)), (180, 1.3, (300, 300)), (10, 0.4, (120, 80)),
    (5, 8, (60, 40))])
def test_landmarks_move_to_the_reference_points(angle, scale, shift, size):
    points = placed(angle, scale, shift)
    faces = align(marked(points, 900, 900, 3 * scale), points[None], size)
    assert faces.shape == (1, size, size, 3) and faces.dtype == np.uint8
    number, labels = cv2.connectedComponents((faces[0, ..., 0] > 100).astype(np.uint8))
    assert number == 6
    weights = faces[0, ..., 0].astype(float)
    for point in REFERENCE_POINTS * size / 112:
        y, x = np.nonzero(labels == labels[int(point[1]), int(point[0])])
        centre = np.average(np.stack([x, y], 1) + 0.5, axis=0, weights=weights[y, x])
        np.testing.assert_allclose(centre, point, atol=0.5)


def test_a_face_in_its_place_comes_out_pixel_by_pixel():
    image = portraits()[1].image
    whole = align(image, (REFERENCE_POINTS + (150, 40))[None])[0]
    np.testing.assert_array_equal(whole, image[40:152, 150:262])


def test_outside_the_image_it_is_black():
    image = np.full((112, 112, 3), 200, np.uint8)
    face = align(image, (REFERENCE_POINTS + (-40, 0))[None])[0]
    assert (face[1:-1, :39] == 0).all() and (face[1:-1, 41:-1] == 200).all()
    assert not align(image, (REFERENCE_POINTS + 5000)[None]).any()


def test_a_large_face_is_averaged_not_sampled():
    # Stripes of 2 px, shrunk 8 times: sampling single pixels would give stripes or moire; their mean is 127.5.
    image = np.zeros((1000, 1000, 3), np.uint8)
    image[:, ::4] = image[:, 1::4] = 255
    face = align(image, placed(0, 8, (50, 50))[None])[0].astype(int)
    assert np.abs(face - 127.5).max() < 8


def test_an_image_wider_than_opencv_takes():
    points = placed(0, 1, (39_000, 10))
    image = np.zeros((150, 40_000, 3), np.uint8)
    image[:, 39_000:39_112] = 90
    assert (align(image, points[None])[0][2:-2, 2:-2] == 90).all()


def test_both_portraits_are_upright_and_of_similar_size():
    for portrait in portraits():
        face = align(portrait.image, portrait.landmarks[None], 112)[0]
        transform = similarity_transform(portrait.landmarks, REFERENCE_POINTS)
        np.testing.assert_array_equal(face, warp(portrait.image, transform, 112))
        points = np.hstack([portrait.landmarks, np.ones((5, 1))]) @ transform.T
        assert np.abs(points - REFERENCE_POINTS).max() < 6  # px of 112: another face, about the same places


def test_bad_landmarks_and_sizes_are_named():
    points = np.stack([placed(0, 1, (0, 0)), placed(0, 1, (0, 0))])
    points[1, 3] = np.nan
    with pytest.raises(InputError, match=r"face 1: points hold NaN.*np.isfinite"):
        align(np.zeros((99, 99, 3), np.uint8), points)
    with pytest.raises(InputError, match="face 0: the source points coincide"):
        align(np.zeros((99, 99, 3), np.uint8), np.ones((1, 5, 2)))
    for size in (0, 7, -112, 1e9, 112.5, "112", 5000):
        with pytest.raises(InputError, match="expected a size of 8 to 4096"):
            align(np.zeros((99, 99, 3), np.uint8), points[:1], size)
