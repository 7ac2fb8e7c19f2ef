"""The examples in the galleries, and the positions of their crops and boxes."""

import numpy as np
from small_sets import image, matched

from manyfaces.evaluation.curve import Curve
from manyfaces.evaluation.report.charts import precision_recall
from manyfaces.evaluation.report.error_kinds import error_kinds
from manyfaces.evaluation.report.html.crops import GREY, SIZE, crop, inside
from manyfaces.evaluation.report.html.exhibits import easiest_first, galleries, ious
from manyfaces.evaluation.report.html.gallery import FAR, _box
from manyfaces.evaluation.report.html.svg import bar_chart, line_chart


def shown(*images, **options):
    matches = matched(*images)
    return galleries(matches, error_kinds(matches), **options)


def test_the_easiest_missed_faces_come_first():
    boxes = [[0, 0, 20, 20], [100, 0, 40, 40], [200, 0, 90, 90], [300, 0, 60, 60]]
    scene = image("a", boxes, [], blur=[0, 0, 2, 0], occlusion=[0, 0, 0, 1])
    matches = matched(scene)
    assert easiest_first(matches, np.arange(4)).tolist() == [1, 0, 3, 2]  # clear ones by height, then occluded, blurred
    matches.counted[:, :2] = [[True, True], [False, False], [False, True], [False, False]]  # easy, medium
    assert easiest_first(matches, np.arange(4)).tolist() == [0, 2, 1, 3]
    found = galleries(matches, error_kinds(matches))["missed"]
    assert [exhibit.lines[1] for exhibit in found] == ["20 × 20 px", "90 × 90 px", "40 × 40 px", "60 × 60 px"]
    assert found[1].lines[2] == "heavy blur" and found[3].lines[2] == "partial occlusion"
    assert found[0].alt == "Missed face, 20 × 20 px, at x 0, y 0 in e/a"


def test_a_missed_face_shows_what_came_nearest_and_what_others_made_of_it():
    face = [100, 100, 49, 49]
    beside = [130, 100, 49, 49, 0.75]  # 20 of 50 columns
    one, other = matched(image("a", [face], [beside])), matched(image("a", [face], [[*face, 0.9]]))
    exhibit = galleries(one, error_kinds(one), others=[("B", other)])["missed"][0]
    assert exhibit.lines == ["not found", "49 × 49 px", "nearest: IoU 0.25, score 0.75", "B: 0.9"]
    assert exhibit.boxes == [("truth", [100, 100, 49, 49], ""), ("wrong", beside[:4], "0.75")]
    assert galleries(other, error_kinds(other), others=[("A", one)])["missed"] == []


def test_faces_found_below_the_working_point_follow_those_never_found():
    faces = [[0, 0, 30, 30], [100, 0, 50, 50], [200, 0, 40, 40]]
    wrong = [[5000 + 100 * i, 0, 30, 30, 0.5] for i in range(1001)]  # the working point lets 1,000 in
    late = [*faces[1], 0.25]
    found = shown(image("a", faces, [[*faces[2], 0.9], *wrong, late]))["missed"]
    assert [exhibit.lines[0] for exhibit in found] == ["not found", "score only 0.25"]
    assert ("other", late[:4], "0.25") in found[1].boxes


def test_false_positives_by_score_and_one_of_each_face():
    face = [100, 100, 49, 49]
    near = [[100 + shift, 100, 49, 49, score] for shift, score in ((25, 0.8), (26, 0.9), (27, 0.7))]
    again = [[100, 101, 49, 49, 0.6]]
    empty = [[1000 + 100 * i, 900, 30, 30, 0.5 + 0.01 * i] for i in range(6)]
    found = shown(image("a", [face, [600, 600, 30, 30]], [[*face, 0.95], *near, *again, *empty],
                        counted=[True, False]))
    assert [len(found[kind]) for kind in ("missed", "localisation", "duplicate", "background")] == [0, 1, 1, 3]
    assert found["localisation"][0].lines == ["score 0.9", "49 × 49 px", "IoU 0.32"]
    assert [exhibit.lines[0] for exhibit in found["background"]] == ["score 0.55", "score 0.54", "score 0.53"]
    assert [kind for kind, *_ in found["duplicate"][0].boxes] == ["ignored", "truth", "other", "wrong"]
    assert found["duplicate"][0].boxes[2] == ("other", face, "0.95")
    scene = image("a", [face], [[1000, 0, 9, 9, 1]])
    assert all(shown(scene)[kind] for kind in ("missed", "background"))
    assert not any(shown(scene, most=0).values()) and not any(shown(scene, paths={"e/b": "b.jpg"}).values())


def test_iou_has_the_pixel_of_the_protocol():
    assert ious(np.array([0, 0, 9, 19]), np.array([[0.0, 0, 19, 19], [10, 0, 9, 19], [5, 5, 0, 0]])).tolist() == [
        0.5, 0, 1 / 200]


def test_a_crop_of_160_px_is_the_image_itself():
    picture = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    assert np.array_equal(crop(picture, (40, 20, 160)), picture[20:180, 40:200])
    edge = crop(picture, (-60, 100, 160))
    assert np.array_equal(edge[:100, 60:], picture[100:200, :100])
    assert (edge[:, :60] == GREY).all() and (edge[100:] == GREY).all()
    assert (crop(picture, (900, 900, 50)) == GREY).all()
    # Of an image decoded at half its size the same window is half as wide.
    small = crop(picture, (80, 40, 160), ratio=0.5)
    assert small.shape == (SIZE, SIZE, 3) and abs(small.mean() - picture[20:100, 40:120].mean()) < 3
    assert crop(picture, (-1e12, -1e12, 2e12)).shape == (SIZE, SIZE, 3)


def test_windows_move_into_the_image():
    assert inside((10, 20, 50), (300, 200)) == (10, 20, 50)
    assert inside((-10, 170, 50), (300, 200)) == (0, 150, 50)
    assert inside((-100, -100, 250), (300, 200)) == (0, -25, 250)  # higher than the image: grey above and below
    assert inside((-500, -500, 900), (300, 200)) == (0, -50, 300)


def test_a_box_stands_in_the_crop_where_it_stands_in_the_image():
    drawn = _box((100, 50, 80), "wrong", [120, 60, 40, 20], "0.5")  # twice the size
    assert 'x="40.0" y="20.0" width="80.0" height="40.0" class="wrong"' not in drawn  # the class comes first
    assert 'class="wrong" x="40.0" y="20.0" width="80.0" height="40.0"' in drawn and ">0.5</text>" in drawn
    assert _box((100, 50, 80), "wrong", [300, 60, 40, 20], "") == ""
    vast = _box((100, 50, 80), "wrong", [-1e30, -1e30, 2e30, 2e30], "")
    assert f'x="{-FAR:.1f}"' in vast and f'width="{2 * FAR:.1f}"' in vast


def one_curve(curve):
    return line_chart(precision_recall("Hard", [("a", curve)]))


def test_charts_draw_what_they_are_given():
    chart = bar_chart([("a", "3 faces", [(0.5, 1.0)]), ("b", "none", [(None, None)])], "two bars")
    assert 'width="148"' in chart and 'd="M296 ' in chart
    assert chart.count('class="bar s0"') == 1 and ">–</text>" in chart
    steps = np.linspace(0, 1, 1000)
    line = one_curve(Curve(steps, 1 - 0.5 * steps, 0.75, 0.75, 10))
    path = next(part for part in line.split('d="') if 'class="curve s0"' in part).split('"')[0]
    points = np.array([point.split() for point in path.removeprefix("M").split("L")], float)
    assert points[0].tolist() == [42, 10] and points[-1].tolist() == [330, 116]  # the corners of the frame
    assert len(points) < 800 and np.abs(np.diff(points, axis=0)).max() < 2
    # Before the first prediction there is no precision: nothing is drawn there, and a single point is a dot.
    none = one_curve(Curve(np.zeros(9), np.zeros(9), 0, 0, 1))
    assert 'd="" class="curve s0"' in none
    assert 'd="M42 10L42 10"' in one_curve(Curve(np.zeros(1), np.ones(1), 0, 0, 1))
