import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manyfaces.datasets import Record
from manyfaces.evaluation import ap50
from manyfaces.evaluation.curve import area_under_curve


def record(boxes, ignore=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    ignore = np.zeros(len(boxes), bool) if ignore is None else np.array(ignore)
    return Record("", "x.jpg", 0, 0, boxes, np.zeros((len(boxes), 5, 2)), ignore)


def loop_ap(detections, records, low, high):
    marked, faces = [], 0
    for rows, image in zip(detections, records, strict=True):
        heights = [box[3] - box[1] for box in image.boxes]
        counted = [not skip and low <= h < high for skip, h in zip(image.ignore, heights, strict=True)]
        faces += sum(counted)
        taken = set()
        for row in sorted(rows.tolist(), key=lambda row: -row[4]):
            overlaps = [0.0]
            for box in image.boxes.astype(float):
                width, height = min(row[2], box[2]) - max(row[0], box[0]), min(row[3], box[3]) - max(row[1], box[1])
                both = max(width, 0) * max(height, 0)
                overlaps.append(both / ((row[2] - row[0]) * (row[3] - row[1])
                                        + (box[2] - box[0]) * (box[3] - box[1]) - both))
            best = int(np.argmax(overlaps)) - 1
            if overlaps[best + 1] >= 0.5:
                if counted[best]:
                    marked.append((row[4], best not in taken))
                    taken.add(best)
            elif low <= row[3] - row[1] < high:
                marked.append((row[4], False))
    marked.sort(key=lambda pair: -pair[0])
    right = np.cumsum([hit for _, hit in marked]) if marked else np.zeros(0)
    points = [(hits / faces, hits / (i + 1)) for i, hits in enumerate(right)] if faces else []
    # The area under the envelope: each step of recall times the best precision at that recall or beyond.
    return sum((r - (points[i - 1][0] if i else 0)) * max(p for _, p in points[i:]) for i, (r, _) in enumerate(points))


@given(st.integers(0, 10**9), st.sampled_from([(0, np.inf), (0, 20), (20, 40)]))
def test_equals_the_loops(seed, heights):
    rng = np.random.default_rng(seed)
    detections, records = [], []
    for _ in range(rng.integers(1, 5)):
        count = int(rng.integers(0, 8))
        corner = rng.uniform(0, 80, (count, 2)).round(2)
        boxes = np.concatenate([corner, corner + rng.uniform(2, 45, (count, 2)).round(2)], axis=1).astype(np.float32)
        near = boxes[rng.integers(0, count, 8)].astype(float) + rng.normal(0, 2, (8, 4)) if count else np.zeros((0, 4))
        far = rng.uniform(0, 80, (4, 2))
        found = np.concatenate([near, np.concatenate([far, far + rng.uniform(2, 45, (4, 2))], axis=1)])
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        scores = rng.permutation(10_000)[:len(found)] / 10_000  # without ties, whose order across images is arbitrary
        detections.append(np.column_stack([found, scores]))
        records.append(record(boxes, rng.random(count) < 0.2))
    assert ap50(detections, records, heights)["ap"] == pytest.approx(loop_ap(detections, records, *heights), abs=1e-9)


SMALL, TALL = [0, 0, 10, 10], [30, 0, 60, 40]


def test_cases_worked_out_by_hand():
    images = [record([SMALL, TALL])]
    hit = [np.array([[*SMALL, 0.9], [*TALL, 0.8]])]
    assert ap50(hit, images) == {"ap": 1.0, "faces": 2, "found": 2, "detections": 2}
    assert ap50(hit, images, (0, 20)) == {"ap": 1.0, "faces": 1, "found": 1, "detections": 1}
    assert ap50([hit[0][:1]], images)["ap"] == 0.5
    # Two on one face: the second is wrong, and comes before the other face.
    twice = [np.array([[*SMALL, 0.9], [*SMALL, 0.8], [*TALL, 0.1]])]
    assert ap50(twice, images)["ap"] == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_the_other_heights_neither_help_nor_hurt():
    images = [record([SMALL, TALL])]
    wrong_tall, wrong_small = [100, 0, 120, 30, 0.95], [100, 50, 105, 60, 0.95]
    assert ap50([np.array([[*SMALL, 0.9], wrong_tall])], images, (0, 20))["ap"] == 1
    assert ap50([np.array([[*SMALL, 0.9], wrong_small])], images, (0, 20))["ap"] == 0.5
    # A detection of 21 px on the face of 19.5 px counts: the height of the face decides.
    face, found = [0, 0, 20, 19.5], [0, 0, 20, 21, 0.5]
    assert ap50([np.array([found])], [record([face])], (0, 20))["ap"] == 1
    # A face of exactly 20 px is not under 20 px.
    assert ap50([np.zeros((0, 5))], [record([[0, 0, 9, 20]])], (0, 20))["faces"] == 0


def test_boxes_are_continuous_and_half_is_enough():
    assert ap50([np.array([[0, 0, 10, 20, 0.5]])], [record([[0, 0, 20, 20]])])["ap"] == 1
    assert ap50([np.array([[0, 0, 9.99, 20, 0.5]])], [record([[0, 0, 20, 20]])])["ap"] == 0


def test_ignored_faces_and_nothing_at_all():
    found = np.array([[*TALL, 0.9], [*TALL, 0.8], [*SMALL, 0.1]])
    assert ap50([found], [record([SMALL, TALL], [False, True])])["ap"] == 1
    assert ap50([], []) == {"ap": 0.0, "faces": 0, "found": 0, "detections": 0}
    assert ap50([np.array([[*TALL, 0.9]])], [record([])])["ap"] == 0


def test_area_under_curve():
    assert area_under_curve(np.zeros(0), np.zeros(0)) == 0
    assert area_under_curve(np.array([0.5]), np.array([0.8])) == pytest.approx(0.4)
    # The dip at the second point is lifted by the third: 0.4 * 1 + 0.6 * 0.9
    assert area_under_curve(np.array([0.4, 0.4, 1.0]), np.array([1.0, 0.3, 0.9])) == pytest.approx(0.94)
