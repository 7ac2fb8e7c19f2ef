"""Anchor grids: computed by hand, their invariants, and compiled against the NumPy twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manyfaces.boxes import COMPILED, Level, anchor_grid, anchor_sides, anchor_targets, reference
from manyfaces.boxes.levels import as_level
from manyfaces.boxes.reference_targets import anchor_targets as twin_targets
from manyfaces.errors import InputError

functions = pytest.mark.parametrize("function", [anchor_grid, reference.anchor_grid], ids=["picked", "twin"])


@functions
def test_by_hand(function):
    anchors = function(2, 2, 8, [4, 8], [1, 4])  # ratio 4: twice as high, half as wide
    assert anchors.dtype == np.float32 and anchors.shape == (2 * 2 * 4, 4)
    np.testing.assert_array_equal(anchors[:4], [[2, 2, 6, 6], [3, 0, 5, 8], [0, 0, 8, 8], [2, -4, 6, 12]])
    np.testing.assert_array_equal(anchors[4], [10, 2, 14, 6])  # next column
    np.testing.assert_array_equal(anchors[8], [2, 10, 6, 14])  # next row


@functions
def test_given_widths_and_heights_by_hand(function):
    anchors = function(1, 2, 16, [(4, 10), (8, 2)])  # around (8, 8) and (24, 8)
    np.testing.assert_array_equal(anchors, [[6, 3, 10, 13], [4, 7, 12, 9], [22, 3, 26, 13], [20, 7, 28, 9]])
    np.testing.assert_array_equal(function(1, 1, 16, [(4, 10)], [4]), [[7, -2, 9, 18]])  # half as wide, twice as high
    np.testing.assert_array_equal(function(2, 3, 8, [(12, 12), (5, 5)]), function(2, 3, 8, [12, 5]))
    with pytest.raises(InputError, match=r"sizes of shape \(1, 3\), expected numbers, or pairs \(width, height\)"):
        function(1, 1, 16, [(1, 2, 3)])


@functions
def test_areas_ratios_and_centres(function):
    sizes, ratios = [10.5, 36, 330], [0.5, 1.0, 1.3]
    anchors = function(3, 5, 16, sizes, ratios).reshape(3, 5, 3, 3, 4).astype(float)
    wide, high = anchors[..., 2] - anchors[..., 0], anchors[..., 3] - anchors[..., 1]
    np.testing.assert_allclose(wide * high, np.broadcast_to(np.square(sizes)[:, None], wide.shape), rtol=1e-5)
    np.testing.assert_allclose(high / wide, np.broadcast_to(ratios, wide.shape), rtol=1e-5)
    centres = (anchors[..., :2] + anchors[..., 2:]) / 2
    np.testing.assert_allclose(centres[2, 4, 1, 2], [4.5 * 16, 2.5 * 16], atol=1e-4)


@functions
def test_empty_and_bad_input(function):
    assert function(0, 7, 8, [16]).shape == (0, 4)
    for arguments, what in (((2, 2, 0, [16]), "stride"), ((2, -1, 8, [16]), "width is -1, expected a whole number"),
                            ((2, 2, 8, []), "sizes"), ((2, 2, 8, [16, -1]), "all > 0"),
                            ((2, 2, 8, [16], [0]), "ratios")):
        with pytest.raises(InputError, match=what):
            function(*arguments)


def test_levels_from_tuples_and_objects():
    assert as_level((4, 5, 8, (16,)), border=3) == Level(4, 5, 8, (16,), (1.0,), 3)
    assert as_level((4, 5, 8, (16,), (2.0,), None), border=3).border is None  # its own border comes first
    assert as_level(Level(4, 5, 8, (16, 32), (1, 2))).count == 80
    with pytest.raises(InputError, match="found 3 fields"):
        as_level((4, 5, 8))
    with pytest.raises(InputError, match="border is -1"):
        as_level((4, 5, 8, (16,), (1.0,), -1))


def test_sides_by_hand():
    np.testing.assert_allclose(anchor_sides([10, 20], [1, 4]), [[10, 10], [5, 20], [20, 20], [10, 40]])


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled here: there is only the twin")
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9), st.integers(0, 9), st.floats(0.5, 64),
       st.lists(st.floats(1, 600), min_size=1, max_size=3), st.lists(st.floats(0.2, 5), min_size=1, max_size=3))
def test_compiled_equals_twin(height, width, stride, sizes, ratios):
    grid = height, width, stride, sizes, ratios
    np.testing.assert_array_equal(anchor_grid(*grid), reference.anchor_grid(*grid))


@pytest.mark.parametrize("level", [(6, 8, 8, [10, 16], [(1.0, 1.5)]), (6, 8, 8, [10, 16], [[1.0], [1.5]])])
def test_ratios_are_numbers_and_not_pairs(level):
    """Counted by their length, nested ratios would make more anchors than the arrays have room for."""
    for function in (anchor_targets, twin_targets):
        with pytest.raises(InputError, match=r"found ratios of shape \(\d, \d\), expected numbers"):
            function([level], np.zeros((0, 4), np.float32), np.zeros(0, bool), (64, 48))
