"""Tiles: where they lie, and that they show what the whole shows, by nets that are known to the last pixel."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_in import picture, square_detector

from manyfaces.errors import InputError
from manyfaces.inference.detector import Detector
from manyfaces.inference.tiles import fewest, maps_of_tiles, parts, tiles_of

SIDE = st.integers(1, 60).map(lambda n: 32 * n)


@given(SIDE, SIDE, st.integers(20_000, 3_000_000), st.integers(1, 200))
def test_each_cell_is_of_one_tile_that_reaches_beyond_it(width, height, most, overlap):
    try:
        (across, down), columns, rows = tiles_of(width, height, most, overlap, 32)
    except InputError:
        beyond = 2 * 32 * -(-overlap // 32) + 32  # px of the smallest tile
        assert min(beyond, width) * min(beyond, height) > most
        return
    assert across * down <= most and across % 32 == down % 32 == 0
    for side, length, axis in ((width, across, columns), (height, down, rows)):
        assert [part.first for part in axis] == [0, *(part.end for part in axis[:-1])] and axis[-1].end == side
        for start, first, end in axis:
            assert start % 32 == first % 32 == 0 <= start and start + length <= side and first < end
            assert start == 0 or first - start >= overlap
            assert start + length == side or start + length - end >= overlap


@given(SIDE, SIDE, st.integers(51_000, 1_000_000), st.sampled_from([32, 64, 96]))
def test_no_other_cut_shows_the_net_fewer_pixels(width, height, most, overlap):
    def pixels(columns, rows):
        (across, places), (down, levels) = parts(width, columns, overlap, 32), parts(height, rows, overlap, 32)
        return across * len(places) * down * len(levels) if across * down <= most else np.inf

    (across, down), columns, rows = tiles_of(width, height, most, overlap, 32)
    assert across * down * len(columns) * len(rows) == min(
        pixels(i, j) for i in range(1, width // 32 + 1) for j in range(1, height // 32 + 1))


@given(SIDE, SIDE, st.sampled_from([32, 64, 160]))
def test_the_fewest_tiles(side, room, overlap):
    fitting = [count for count in range(1, side // 32 + 1) if parts(side, count, overlap, 32)[0] <= room]
    assert fewest(side, room, overlap, 32) == (fitting[0] if fitting else 0)


def test_a_tile_too_small_for_its_overlap_is_an_error():
    detector = square_detector(MAX_PIXELS=100_000)
    with pytest.raises(InputError, match=r"TEST.MAX_PIXELS is 100,000: the smallest tile of an image of 1216 x 800 px "
                                         r"has 295,936 px with a TEST.TILE_OVERLAP of 256; .* TEST.LARGE shrink"):
        detector.detect(picture(1200, 800))


# -------------------------------------------------------------------- maps


def sums(images, reach, stride):
    """A net: each cell sums up the brightness within `reach` px of its corner, black beyond the image."""
    side = 2 * reach + 1
    grey = images.sum(axis=3, dtype=np.float64)
    whole = np.stack([cv2.boxFilter(each, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
                      for each in grey])
    return whole[:, ::stride, ::stride, None]


@pytest.mark.parametrize("size", [(320, 256), (1024, 32), (32, 1088), (352, 416)])
def test_maps_are_those_of_the_whole_where_the_overlap_is_as_wide_as_the_net_sees(size):
    image = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)

    def run(images):
        assert images.shape[1] * images.shape[2] <= 30_000
        return {"fine": sums(images, 40, 1), "a": sums(images, 64, 8), "b": sums(images, 50, 32)}

    def show(x, y, width, height):
        return image[None, y : y + height, x : x + width]

    found = maps_of_tiles(run, show, *size, tiles_of(*size, 30_000, 64, 32))
    for name, values in {"fine": sums(image[None], 40, 1), "a": sums(image[None], 64, 8),
                         "b": sums(image[None], 50, 32)}.items():
        np.testing.assert_array_equal(found[name], values[0])
    too_narrow = maps_of_tiles(run, show, *size, tiles_of(*size, 30_000, 32, 32))
    assert (too_narrow["a"] != sums(image[None], 64, 8)[0]).any()


# ---------------------------------------------------------------- detectors

SQUARES = [(3, 5, 40), (150, 120, 60), (210, 300, 33), (391, 2, 25), (380, 290, 50), (100, 230, 90)]


def same(found, expected):
    assert len(found) == len(expected) > 0
    for values, others in ((found.boxes, expected.boxes), (found.scores, expected.scores),
                           (found.landmarks, expected.landmarks)):
        np.testing.assert_array_equal(values, others)


def test_tiles_find_what_the_whole_shows():
    image = picture(433, 347, *SQUARES)  # no multiple of anything
    whole, cut = square_detector(), square_detector(MAX_PIXELS=40_000, TILE_OVERLAP=40)
    for options in ({}, {"flip": True}, {"scales": [0.5, 1, 2]}):
        same(cut.detect(image, **options, threshold=0), whole.detect(image, **options, threshold=0))
    assert max(shape[1] * shape[2] for shape in cut.family.shapes) <= 40_000
    found = cut.detect([image, picture(100, 60, (5, 5, 20)), image], threshold=0)
    same(found[0], found[2])
    assert len(found[1]) == 1


def test_an_image_of_one_tile_goes_as_it_always_did():
    image = picture(433, 347, *SQUARES)
    whole, limited = square_detector(MAX_PIXELS=0), square_detector(MAX_PIXELS=448 * 352)
    same(limited.detect(image, threshold=0), whole.detect(image, threshold=0))
    assert limited.family.shapes == whole.family.shapes == [(1, 352, 448, 3)]


def test_twenty_thousand_pixels_by_fifty():
    squares = [(x, x // 100 % 11, 39) for x in range(0, 19_950, 487)]
    for size, placed in (((20_000, 50), squares), ((50, 20_000), [(y, x, side) for x, y, side in squares])):
        image = picture(*size, *placed)
        cut, whole = square_detector(MAX_PIXELS=100_000), square_detector(MAX_PIXELS=0)
        same(cut.detect(image, threshold=0), whole.detect(image, threshold=0))
        assert len(cut.family.shapes) > 10 and whole.family.shapes == [(1, *(-(-side // 32) * 32 for side in
                                                                             size[::-1]), 3)]


def test_who_asks_for_it_has_large_images_scaled_down():
    detector = square_detector(MAX_PIXELS=40_000, LARGE="shrink")
    found = detector.detect(picture(433, 347, (150, 120, 60)), threshold=0)
    assert detector.family.shapes == [(1, 192, 224, 3)]  # 223 x 179 px, padded
    np.testing.assert_allclose(found.boxes, [[150, 120, 210, 180]], atol=2)
    assert detector.shrunk_to == 40_000 and square_detector(MAX_PIXELS=40_000).shrunk_to == 0


def test_a_family_whose_net_pads_nothing_is_never_cut():
    detector = square_detector(MAX_PIXELS=40_000)
    detector.family.multiple = 1
    detector.detect(picture(433, 347, (150, 120, 60)), threshold=0)
    assert detector.shrunk_to == 40_000 and detector.family.shapes == [(1, 179, 223, 3)]


def test_scales_that_a_limit_brings_to_one_size_are_looked_at_once():
    detector = square_detector(MAX_SIDE=300)
    same(detector.detect(picture(240, 100, (50, 20, 40)), scales=[1, 2, 4], threshold=0),
         Detector(detector.family, detector.run, detector.cfg).detect(picture(240, 100, (50, 20, 40)), scales=[1, 2],
                                                                      threshold=0))
    assert [shape[2] for shape in detector.family.shapes] == [256, 320, 256, 320]
