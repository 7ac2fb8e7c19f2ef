"""Resampling: compiled and twin equal to the bit, both against OpenCV, and by hand."""

import cv2
import numpy as np
import pytest

from manyfaces.cascade import COMPILED, reference, resample, resample_into
from manyfaces.errors import InputError

compiled = pytest.mark.skipif(not COMPILED, reason="nothing is compiled here")


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@compiled
@pytest.mark.parametrize("method", reference.METHODS)
@pytest.mark.parametrize("seed", range(20))
def test_equal_to_the_twin_bit_for_bit(method, seed):
    rng = np.random.default_rng(seed)
    image = picture(*rng.integers(1, 90, 2), seed)
    corner = rng.integers(-60, 90, (12, 2))
    windows = np.concatenate([corner, corner + rng.integers(1, 120, (12, 2))], axis=1)
    size = tuple(int(side) for side in rng.integers(1, 60, 2))
    crops = resample(image, windows, size, method)
    np.testing.assert_array_equal(crops, reference.resample(image, windows, size, method))
    exact = resample(image, windows, size, method, dtype=np.float32)
    np.testing.assert_array_equal(exact, reference.resample(image, windows, size, method, dtype=np.float32))
    assert np.abs(exact - crops).max() <= 0.5
    whole, twins = (np.zeros((70, 80, 3), np.uint8) for _ in range(2))
    for function, canvas in ((resample_into, whole), (reference.resample_into, twins)):
        function(image, canvas[5 : 5 + size[1], 7 : 7 + size[0]], method)
    np.testing.assert_array_equal(whole, twins)
    assert not whole[:5].any() and not whole[:, :7].any() and not whole[5 + size[1] :].any()


@compiled
def test_rows_need_not_be_contiguous():
    image = picture(30, 40)
    np.testing.assert_array_equal(resample(image[::2, 3:20], [[1, 1, 9, 9]], (5, 5)),
                                  resample(image[::2, 3:20].copy(), [[1, 1, 9, 9]], (5, 5)))


def test_means_by_hand():
    image = np.uint8([[10, 20, 30, 40, 50]])[..., None].repeat(3, axis=2)
    crops = resample(image, [[0, 0, 5, 1]], (2, 1), "mean")[0, 0, :, 0]
    assert crops.tolist() == [20, 40]  # pixels 0 1 2 and 2 3 4, each of them whole
    assert resample(image, [[0, 0, 2, 1]], (4, 1), "mean")[0, 0, :, 0].tolist() == [10, 10, 20, 20]
    # centres at -0.25, 0.25, 0.75 and 1.25 px: clamped at the ends, 1/4 and 3/4 of the way in between
    assert resample(image, [[0, 0, 2, 1]], (4, 1), "smooth")[0, 0, :, 0].tolist() == [10, 13, 18, 20]


def test_grey_outside():
    crops = resample(picture(4, 4), [[-2, -2, 2, 2], [10, 10, 14, 14]], (4, 4), "mean", 9)
    assert (crops[0, :2] == 9).all() and (crops[0, :, :2] == 9).all() and (crops[1] == 9).all()
    np.testing.assert_array_equal(crops[0, 2:, 2:], picture(4, 4)[:2, :2])


@pytest.mark.parametrize(("size", "way"), [((31, 23), cv2.INTER_AREA), ((180, 150), cv2.INTER_LINEAR)])
def test_beside_opencv(size, way):
    """Integer divisors: the same mean. Growing: weights in 1/64 instead of 1/2048, so within two grey levels."""
    image = cv2.GaussianBlur(picture(23 * 4, 31 * 4), (5, 5), 2)
    crops = resample(image, [[0, 0, 124, 92]], size)[0].astype(int)
    assert np.abs(crops - cv2.resize(image, size, interpolation=way)).max() <= (1 if way == cv2.INTER_AREA else 2)


def test_beside_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    image = picture(53, 47)
    for size in ((24, 24), (48, 48), (20, 51)):
        theirs = torch.nn.functional.interpolate(torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32)),
                                                 size=size[::-1], mode="area")[0].numpy().transpose(1, 2, 0)
        np.testing.assert_allclose(resample(image, [[0, 0, 47, 53]], size, "mean", dtype=np.float32)[0], theirs,
                                   atol=1e-4)


@pytest.mark.parametrize("function", [resample, reference.resample])
def test_bad_input(function):
    image = picture(5, 5)
    for arguments, words in (((image.astype(np.float32), [[0, 0, 2, 2]], (2, 2)), "float32"),
                             ((image, [[0, 0, 2, 2], [3, 3, 3, 5]], (2, 2)), "window 1 is"),
                             ((image, [[0, 0, 2, 2]], (0, 2)), "size is 0, expected a whole number, from 1 to 131072"),
                             ((image, [[0, 0, 2, 2]], (2, 2), "cubic"), "'cubic'"),
                             ((image, [[0, 0, 2, 2]], (2, 2), "mean", 0, np.int16), "int16"),
                             ((image[:, ::2], [[0, 0, 2, 2]], (2, 2)), "the pixels of a row contiguous")):
        with pytest.raises(InputError, match=words):
            function(*arguments)
    assert function(image, np.zeros((0, 4)), (3, 2)).shape == (0, 2, 3, 3)
