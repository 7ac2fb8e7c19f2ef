import numpy as np
import pytest

from manyfaces.datasets import Record, Roidb
from manyfaces.datasets.attributes import add_attributes, ignoring
from manyfaces.errors import InputError


def roidb(boxes, ignore=None, image="x.jpg", source="labels.txt", **attributes):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    record = Record("/images", image, 100, 80, boxes, np.zeros((len(boxes), 5, 2), np.float32),
                    np.zeros(len(boxes), bool) if ignore is None else np.array(ignore),
                    {key: np.array(values, np.int32) for key, values in attributes.items()})
    return Roidb([record], {}, source)


def test_faces_find_their_attributes_in_any_order():
    a, b, c = [0, 0, 20, 20], [40, 0, 60, 20], [0, 40, 30, 70]
    near_b, near_a = [40, 1, 60, 21], [0.05, 0, 20, 20.05]
    other = roidb([near_b, near_a], [True, False], blur=[1, 2], invalid=[1, 0])
    merged, counts = add_attributes(roidb([a, b, c]), other)
    assert counts == {"matched": 2, "unmatched": 1, "added": 0}
    record = merged.records[0]
    np.testing.assert_array_equal(record.boxes, np.array([a, b, c], np.float32))  # not those of the other file
    assert record.ignore.tolist() == [False, True, False]
    assert record.attributes["blur"].tolist() == [2, 1, -1] and record.attributes["invalid"].tolist() == [0, 1, -1]


def test_pairs_are_made_best_first_and_one_to_one():
    boxes = [[0, 0, 20, 20], [0, 0, 20, 22]]
    merged, counts = add_attributes(roidb(boxes), roidb([[0, 0, 20, 22]], blur=[2]))
    assert merged.records[0].attributes["blur"].tolist() == [-1, 2] and counts["unmatched"] == 1
    merged, _ = add_attributes(roidb([boxes[0]]), roidb([[0, 0, 20, 22], [0, 0, 20, 21]], blur=[2, 1]))
    assert merged.records[0].attributes["blur"].tolist() == [1]


def test_ignored_faces_that_we_lack_join_as_ignored_and_others_do_not():
    other = roidb([[0, 0, 9, 9], [20, 20, 29, 29]], [True, False], invalid=[1, 0])
    merged, counts = add_attributes(roidb([], blur=[]), other)
    record = merged.records[0]
    assert counts == {"matched": 0, "unmatched": 0, "added": 1}
    assert record.boxes.tolist() == [[0, 0, 9, 9]] and record.ignore.tolist() == [True]
    assert record.landmarks.shape == (1, 5, 2) and record.attributes["invalid"].tolist() == [1]
    assert record.attributes["blur"].tolist() == [-1]


def test_an_image_that_the_other_file_lacks_is_an_error():
    with pytest.raises(InputError, match="other.txt: has no 'x'; 1 of the 1 images of labels.txt are not in it"):
        add_attributes(roidb([]), roidb([], image="y.jpg", source="other.txt"))


def test_what_lies_on_no_box_becomes_an_ignored_region():
    record = roidb([[0, 0, 20, 20], [50, 0, 60, 10]], [False, True], blur=[1, 2]).records[0]
    found = [[0, 0, 20, 22], [50, 0, 60, 9], [30, 30, 40, 40], [16, 0, 36, 20]]  # IoU .91, .9, 0, .11
    more = ignoring(record, found)
    assert more.boxes.tolist() == [*record.boxes.tolist(), *found[2:]] and more.ignore.tolist() == [False, *[True] * 3]
    assert np.isnan(more.landmarks[2:]).all() and more.attributes["blur"].tolist() == [1, 2, -1, -1]
    assert len(ignoring(record, found, 0.1).boxes) == 3 and len(record.boxes) == 2
    assert ignoring(record, []).boxes.tolist() == record.boxes.tolist()
    assert ignoring(roidb([]).records[0], found).ignore.tolist() == [True] * 4
