"""Drawing: boxes, dots, colours and the colour bar, tested by the pixels that change."""

import cv2
import numpy as np
import pytest

from manyfaces.detections import Detections
from manyfaces.drawing import LANDMARK_COLOURS, bar, draw, score_colours


def grey(width, height):
    return np.full((height, width, 3), 120, np.uint8)


def changed(drawn, image):
    """(H, W) bool: the pixels that were drawn."""
    return (drawn[:, : image.shape[1]] != image).any(axis=2)


POINTS = np.float32([[[40, 40], [60, 40], [50, 50], [42, 60], [58, 60]]])


def test_the_number_of_a_track_stands_at_its_box():
    image, boxes = grey(200, 200), [[60, 80, 120, 150], [10, 0, 50, 40]]
    plain = draw(image, Detections(boxes, [0.9, 0.9]))
    numbered = draw(image, Detections(boxes, [0.9, 0.9], ids=[12, 3]))
    rows, columns = np.nonzero((plain != numbered).any(axis=2))
    above, inside = rows[columns >= 55], rows[columns < 55]
    assert above.max() < 82 and above.min() > 55  # above its box
    assert inside.min() >= 0 and inside.max() < 30  # below the upper edge of the image
    other = draw(image, Detections(boxes, [0.9, 0.9], ids=[34, 3]))
    assert (other != numbered).any()
    for box in ([-50, -50, 20, 20], [190, 190, 260, 260], [1e9, 1e9, 2e9, 2e9]):  # at and beyond the borders
        draw(image, Detections([box], [0.9], ids=[2**40]))


def test_a_box_is_a_line_in_the_colour_of_its_score_and_the_image_stays():
    image = grey(200, 100)
    drawn = draw(image, Detections([[30, 20, 70, 80]], [0.8]), 0.5)
    assert drawn.shape == image.shape and (image == 120).all()
    mask = changed(drawn, image)
    assert mask[18:82, 28:72].sum() == mask.sum() > 150  # nothing is drawn outside
    assert not mask[25:75, 35:65].any()  # nor inside
    colour = score_colours([0.8])[0].astype(int)
    on_edge = drawn[50, 29:31].astype(int)  # antialiased: a mixture, but closer to the colour than to the image
    assert np.abs(on_edge - colour).sum(axis=1).min() < np.abs(120 - colour).sum() / 2


def test_only_faces_from_the_score_on_are_drawn():
    image, faces = grey(200, 100), Detections([[10, 10, 40, 40], [100, 10, 140, 40]], [0.6, 0.4])
    mask = changed(draw(image, faces, 0.5), image)
    assert mask[:, :60].any() and not mask[:, 60:].any()
    assert changed(draw(image, faces, 0.3), image)[:, 60:].any()
    np.testing.assert_array_equal(draw(image, faces, 0.7), image)


def test_the_face_with_the_higher_score_is_on_top():
    boxes = [[20, 20, 80, 80], [20, 20, 80, 80]]
    one, other = (draw(grey(100, 100), Detections(boxes, scores), 0.5) for scores in ([0.95, 0.55], [0.55, 0.95]))
    np.testing.assert_array_equal(one, other)
    sure, unsure = (draw(grey(100, 100), Detections(boxes[:1], [score]), 0.5).astype(int) for score in (0.95, 0.55))
    assert np.abs(one - sure).sum() < np.abs(one - unsure).sum() / 3


def test_landmarks_are_dots_where_they_are_known():
    image, box = grey(100, 100), [[20, 20, 80, 80]]
    faces = Detections(box, [0.9], POINTS)
    with_dots, without = draw(image, faces), draw(image, faces, landmarks=False)
    dots = (with_dots != without).any(axis=2)
    number, _, stats, centres = cv2.connectedComponentsWithStats(dots.astype(np.uint8))
    assert number == 6  # background and five
    dots = centres[1:][np.argsort(centres[1:, 0] + 1000 * centres[1:, 1].round(-1))]
    np.testing.assert_allclose(dots + 0.5, POINTS[0], atol=0.6)  # a pixel's centre is at one half
    assert LANDMARK_COLOURS[0] == tuple(with_dots[40, 39]) or LANDMARK_COLOURS[0] == tuple(with_dots[39, 39])
    missing = POINTS.copy()
    missing[0, 2] = np.nan
    dots = (draw(image, Detections(box, [0.9], missing)) != without).any(axis=2)
    assert cv2.connectedComponents(dots.astype(np.uint8))[0] == 5
    np.testing.assert_array_equal(draw(image, Detections(box, [0.9])), without)


def test_lines_grow_with_the_image_but_not_over_small_faces():
    def width(size, box):
        image = grey(size, size)
        mask = changed(draw(image, Detections([box], [0.9])), image)
        return mask[round(box[1] + box[3]) // 2].sum() / 2  # a row through the middle crosses both sides

    large = [width(size, [0.2 * size, 0.2 * size, 0.8 * size, 0.8 * size]) for size in (100, 800, 3000)]
    assert large[0] <= 3 and large[0] < large[1] < large[2]
    assert large[2] >= 7
    assert width(3000, [1000, 1000, 1012, 1012]) <= 3


def test_colours_rise_from_blue_over_green_to_red():
    colours = score_colours([0.5, 0.75, 1.0]).astype(int)
    assert colours.argmax(axis=1).tolist() == [2, 1, 0]
    np.testing.assert_array_equal(score_colours([0.1, 0.3]), score_colours([0.5, 0.5]))  # below the bar: its end
    assert score_colours([0.3], low=0.1)[0].tolist() != score_colours([0.1], low=0.1)[0].tolist()
    assert score_colours([]).shape == (0, 3)
    assert (colours.max(axis=1) > 150).all()  # bright enough to be seen on black


def test_the_bar_is_added_at_the_right_and_holds_the_colours_in_order():
    image = grey(400, 300)
    faces = Detections([[20, 20, 80, 80]], [0.9])
    drawn = draw(image, faces, colour_bar=True)
    assert drawn.shape[0] == 300 and 400 + 20 < drawn.shape[1] < 400 + 80
    np.testing.assert_array_equal(drawn[:, :400], draw(image, faces))
    strip = drawn[:, 400:]
    column = strip[:, strip.shape[1] // 4]
    column = column[np.ptp(column.astype(int), axis=1) > 30]  # without the white above and below
    np.testing.assert_array_equal(column[0], score_colours([1.0])[0])
    np.testing.assert_array_equal(column[-1], score_colours([0.5])[0])
    assert (strip.max(axis=2) < 100).sum() > 100  # black digits


@pytest.mark.parametrize("width, height", [(100, 100), (1000, 60), (60, 1000), (3000, 2000), (20000, 50), (1, 1)])
def test_the_bar_has_its_labels_inside_for_every_size(width, height):
    strip = bar(height, width)
    assert strip.shape[0] == height
    black = np.argwhere(strip.max(axis=2) < 100)
    if height >= 50:
        assert len(black) > 30
        assert black[:, 0].min() >= 0 and (strip[:, -1] == 255).all()  # no digit is clipped at the right edge
        assert strip.shape[1] < 0.2 * np.sqrt(width * height) + 30


@pytest.mark.parametrize("low, labels", [(0.5, 6), (0.3, 8), (0.02, 10)])
def test_the_bar_reaches_down_to_the_lowest_score_drawn(low, labels):
    strip = bar(1000, 1000, low)
    ticks = strip[:, :, 0].copy()
    column = next(x for x in range(ticks.shape[1]) if (ticks[:, x] == 0).sum() and (ticks[:, x] == 255).sum() > 900)
    assert cv2.connectedComponents((ticks[:, column : column + 1] == 0).astype(np.uint8))[0] - 1 == labels


def test_boxes_may_leave_the_image_and_images_may_be_of_any_size():
    boxes = [[-50, -50, 30, 30], [90, 90, 1e6, 1e6], [-1e9, 0, 1e9, 5]]
    far = Detections(boxes, [0.9, 0.8, 0.7], np.tile(POINTS, (3, 1, 1)))
    for width, height in ((100, 100), (1, 1), (20000, 50), (3, 5000)):
        assert draw(grey(width, height), far, colour_bar=True).shape[0] == height
    empty = Detections(np.zeros((0, 4)), [])
    np.testing.assert_array_equal(draw(grey(20, 20), empty), grey(20, 20))


def test_views_are_drawn_and_wrong_types_are_an_error_of_the_caller():
    image = grey(100, 80)[:, ::-1]  # not contiguous
    assert draw(image, Detections([[20, 20, 60, 60]], [0.9])).shape == image.shape
    for wrong in (grey(10, 10).astype(np.float32), grey(10, 10)[..., 0], np.zeros((4, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match="expected uint8"):
            draw(wrong, Detections([], []))
