"""Tracks: ids by hand, against a clip whose ids are known, smoothed landmarks, and hiding in the gaps of a track."""

import sys

import numpy as np
import pytest

from benchmarks.tracks import clip, score, tracked
from manyfaces import Detector
from manyfaces.detections import Detections
from manyfaces.errors import InputError
from manyfaces.inference.video.gaps import HELD, Bridge
from manyfaces.inference.video.smoothing import Smoother
from manyfaces.inference.video.tracks import MEMORY, Tracker


def box(x, y=0, side=40):
    return [x, y, x + side, y + side]


def ids(tracker, boxes, seconds, scores=None):
    """The id of each box of a frame; None: it was left out."""
    faces = Detections(boxes, [0.9] * len(boxes) if scores is None else scores)
    given = tracker.update(faces, seconds)
    known = {tuple(each): int(key) for key, each in zip(given.ids, given.boxes.tolist(), strict=True)}
    return [known.get(tuple(each)) for each in np.float32(boxes).reshape(-1, 4).tolist()]


# ------------------------------------------------------------------------- ids


def test_ids_stay_with_faces_whatever_their_order():
    tracker = Tracker(0.6)
    assert ids(tracker, [box(0), box(100)], 0.0) == [1, 2]
    assert ids(tracker, [box(110), box(10)], 0.04) == [2, 1]
    assert ids(tracker, [box(120), box(20), box(300)], 0.08) == [2, 1, 3] and tracker.count == 2
    assert ids(tracker, [box(300)], 0.12) == [3] and tracker.count == 3


def test_two_faces_that_cross_keep_their_ids():
    tracker = Tracker(0.6)
    for number in range(41):
        assert ids(tracker, [box(8 * number, 0), box(320 - 8 * number, 20)], number / 25) == [1, 2]


def test_a_weak_face_continues_a_track_and_begins_none():
    tracker = Tracker(0.6)
    assert ids(tracker, [box(0), box(200)], 0.0, [0.9, 0.3]) == [1, None]
    assert ids(tracker, [box(2), box(202)], 0.04, [0.9, 0.3]) == [1, None]
    assert ids(tracker, [box(4), box(204)], 0.08, [0.2, 0.3]) == [1, None]


@pytest.mark.parametrize("gone, same", [(MEMORY - 0.1, True), (MEMORY + 0.1, False)])
def test_a_lost_face_is_waited_for(gone, same):
    """It moves on behind something at the speed that it had, and its box has shrunk before it was lost."""
    tracker = Tracker(0.6)
    for number in range(25):
        ids(tracker, [box(4 * number)], number / 25)
    for number in range(25, 29):  # half hidden
        ids(tracker, [[4 * number, 0, 4 * number + 40 - 6 * (number - 24), 40]], number / 25)
    ids(tracker, [], 29 / 25)
    back = 28 / 25 + gone
    assert ids(tracker, [box(100 * back)], back) == [1 if same else 2]


def test_time_counts_and_not_frames():
    """At 5 frames a second a face moves further than its own box, and some frames were skipped."""
    tracker = Tracker(0.6)
    for seconds in (0.0, 0.2, 0.4, 0.8, 1.0, 1.6):
        assert ids(tracker, [box(150 * seconds)], seconds) == [1]


def test_a_slow_film_is_tracked_and_a_pause_is_not():
    tracker = Tracker(0.6)
    for number in range(5):
        assert ids(tracker, [box(5 * number), box(300)], 1.5 * number) == [1, 2]
    assert ids(tracker, [box(25), box(300)], 3600.0) == [3, 4]


def test_a_face_far_away_is_another_one():
    tracker = Tracker(0.6)
    assert ids(tracker, [box(0)], 0.0) == [1]
    assert ids(tracker, [box(400)], 1.0) == [2]


def test_what_is_given_stays_as_it_was_and_all_of_a_face_is_kept():
    points = np.arange(20, dtype=np.float32).reshape(2, 5, 2)
    faces = Detections([box(0), box(100)], [0.9, 0.05], points, {"net": 1.0}, 0.1)
    given = Tracker(0.6).update(faces, 0.0)
    assert (given.ids.tolist(), given.times, given.threshold) == ([1], {"net": 1.0}, 0.1) and faces.ids is None
    np.testing.assert_array_equal(given.landmarks, points[:1])
    assert Tracker(0.6).update(Detections([], []), 0.0).ids.tolist() == []


def test_without_scipy_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(InputError, match=r"tracking needs SciPy: pip install 'manyfaces\[track\]'"):
        Tracker(0.6)


# ----------------------------------------------------------------- measured


def test_idf1_and_switches_by_hand():
    """Two people in four frames. Track 7 follows the first one for three frames and then the second one; track 8 the
    second one for two frames; a false face has id 9. The best assignment is 7 for the first, 8 for the second: 5 of
    8 + 7 faces, twice."""
    a, b, far = box(0), box(100), box(500)
    frames = [([a, b], [0, 1], [a, b], [7, 8]), ([a, b], [0, 1], [a, b], [7, 8]), ([a, b], [0, 1], [a], [7]),
              ([a, b], [0, 1], [b, far], [7, 9])]
    result = score(frames)
    assert result.idf1 == pytest.approx(2 * 5 / (8 + 7)) and (result.switches, result.tracks) == (1, 3)
    assert (result.truth, result.found, result.recall) == (8, 7, 6 / 8)
    assert score([([a], [0], [], []), ([a], [0], [], [])]).idf1 == 0


@pytest.mark.parametrize("rate, seconds, idf1, switches", [(5, 10, 0.87, 1), (10, 5, 0.97, 0)])
def test_people_of_a_clip_keep_their_ids(rate, seconds, idf1, switches):
    """Crossings, a bar and a change of scale; who is away for two seconds has a new id after that."""
    result, _, faces = tracked(Detector.load("ssh_mobilenet_v1_025"), clip(rate, seconds))
    assert result.idf1 >= idf1 and result.switches <= switches and result.recall > 0.95
    assert result.found < 1.1 * result.truth and faces[0].landmarks.shape == (4, 5, 2)


# -------------------------------------------------------------------- landmarks


def with_points(points, key=1, side=100):
    return Detections([box(0, side=side)], [0.9], np.float32(points).reshape(1, 5, 2), ids=[key])


def test_landmarks_of_a_face_at_rest_do_not_tremble():
    rng, smoother = np.random.default_rng(0), Smoother()
    raw = 50 + rng.normal(0, 1, (100, 5, 2))
    smooth = np.array([smoother.update(with_points(points), number / 25).landmarks[0]
                       for number, points in enumerate(raw)])
    assert np.diff(smooth[25:], axis=0).std() < 0.35 * np.diff(raw[25:], axis=0).std()
    assert smooth[25:].mean() == pytest.approx(50, abs=0.3)


def test_landmarks_of_a_moving_face_are_not_behind():
    """A face that moves by its height per second: the landmarks lag by less than 3 % of it."""
    smoother = Smoother()
    for number in range(50):
        points = np.full((5, 2), 100 * number / 25)
        smooth = smoother.update(with_points(points), number / 25).landmarks[0]
    assert np.abs(smooth - points).max() < 3


def test_each_track_is_smoothed_alone_and_unknown_points_stay_unknown():
    smoother = Smoother()
    one = with_points(np.full((5, 2), 10), 1)
    assert smoother.update(one, 0.0).landmarks[0].max() == 10
    assert smoother.update(with_points(np.full((5, 2), 90), 2), 0.04).landmarks[0].min() == 90  # another face
    points = np.full((5, 2), 12.0)
    points[2] = np.nan
    given = smoother.update(with_points(points, 1), 0.04).landmarks[0]
    assert np.isnan(given[2]).all() and (given[[0, 1, 3, 4]] < 12).all() and (given[[0, 1, 3, 4]] > 10).all()
    back = smoother.update(with_points(np.full((5, 2), 14), 1), 0.08).landmarks[0]
    assert back[2].tolist() == [14, 14]  # known again
    late = smoother.update(with_points(np.full((5, 2), 50), 1), 5.0).landmarks[0]
    assert (late == 50).all()  # away for too long
    assert smoother.update(Detections([box(0)], [0.9], ids=[1]), 6.0).landmarks is None


# ------------------------------------------------------------------------- gaps


def hidden(bridge, frames):
    """x of the boxes that are hidden in each frame, by its time."""
    rows = []
    for seconds, faces in frames:
        rows += bridge.add(np.zeros((4, 4, 3), np.uint8), Detections(
            [box(x) for _, x in faces], [0.9] * len(faces), ids=[key for key, _ in faces]), seconds)
    rows += bridge.rest()
    assert [seconds for *_, seconds in rows] == [seconds for seconds, _ in frames]  # each frame once, in order
    return [sorted({float(each[0]) for each in boxes}) for _, boxes, _ in rows]


def test_a_face_that_was_missed_between_two_hits_is_hidden_on_its_way():
    rows = hidden(Bridge(), [(0.0, [(1, 0)]), (0.1, []), (0.2, []), (0.3, []), (0.4, [(1, 40)])])
    assert [any(x == pytest.approx(10 * number) for x in row) for number, row in enumerate(rows)] == [True] * 5


def test_a_face_is_hidden_half_a_second_before_and_after_its_track():
    frames = [(number / 10, [(1, 70)] if number == 10 else []) for number in range(21)]
    rows = hidden(Bridge(), frames)
    assert [number for number, row in enumerate(rows) if row == [70]] == list(range(5, 16))
    assert sum(map(len, rows)) == 11


def test_tracking_hides_all_that_is_hidden_without_it():
    rng = np.random.default_rng(0)
    frames = [(number / 10, [(key, float(10 * key + number)) for key in range(1, 5) if rng.random() < 0.5])
              for number in range(40)]
    for (seconds, _), row in zip(frames, hidden(Bridge(), frames), strict=True):
        assert {x for at, faces in frames if 0 <= seconds - at <= HELD for _, x in faces} <= set(row)


def test_other_tracks_are_not_joined():
    rows = hidden(Bridge(), [(0.0, [(1, 0)]), (0.8, []), (1.6, [(2, 100)])])
    assert rows == [[0], [], [100]]


def test_few_frames_wait_where_they_are_large():
    bridge, image = Bridge(most_bytes=250), np.zeros((5, 10, 2), np.uint8)  # two of 100 bytes
    faces = Detections([], [], ids=[])
    assert [len(list(bridge.add(image, faces, number / 100))) for number in range(5)] == [0, 0, 1, 1, 1]
    assert len(list(bridge.rest())) == 2
