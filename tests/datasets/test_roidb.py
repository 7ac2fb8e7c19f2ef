import errno
import os
import pickle

import numpy as np
import pytest

import manyfaces.datasets.storage as storage
import manyfaces.files as files
from manyfaces.datasets import Record, Roidb, load_roidb, load_sources, save_roidb, select, statistics, statistics_table
from manyfaces.errors import InputError


def record(image, faces, root="/images", seed=0, **attributes):
    rng = np.random.default_rng([seed, faces])
    corner = rng.uniform(0, 50, (faces, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 50, (faces, 2))], axis=1).astype(np.float32)
    landmarks = rng.uniform(0, 50, (faces, 5, 2)).astype(np.float32)
    landmarks[::2] = np.nan
    return Record(root, image, 100, 80, boxes, landmarks, rng.random(faces) < 0.5,
                  {key: np.array(values, np.int32) for key, values in attributes.items()})


def roidb():
    records = [record("a/x.jpg", 3, blur=[0, 1, 2]), record("a/y.v2.png", 0, blur=[]), record("b/x.jpg", 1, blur=[2])]
    return Roidb(records, {"faces without area": 2}, "labels.txt")


def assert_same(a, b):
    assert (a.root, a.image, a.width, a.height) == (b.root, b.image, b.width, b.height)
    for key in ("boxes", "landmarks", "ignore"):
        assert getattr(a, key).dtype == getattr(b, key).dtype
        np.testing.assert_array_equal(getattr(a, key), getattr(b, key))
    assert a.attributes.keys() == b.attributes.keys()
    for key, values in a.attributes.items():
        np.testing.assert_array_equal(values, b.attributes[key])


def test_a_saved_roidb_comes_back_as_it_was(tmp_path):
    path = tmp_path / "new" / "x.pkl"
    save_roidb(roidb(), path)
    loaded = load_roidb(path)
    assert (loaded.source, loaded.dropped, len(loaded)) == ("labels.txt", {"faces without area": 2}, 3)
    for a, b in zip(roidb().records, loaded.records, strict=True):
        assert_same(a, b)
    loaded.records[0].boxes[:] = 7  # each record has its own arrays
    assert not (loaded.records[2].boxes == 7).any()


def test_an_empty_roidb_and_another_root(tmp_path):
    save_roidb(Roidb([], {}, "nothing"), tmp_path / "x.pkl")
    assert load_roidb(tmp_path / "x.pkl").records == []
    save_roidb(roidb(), tmp_path / "x.pkl")
    moved = load_roidb(tmp_path / "x.pkl", root="/elsewhere").records[0]
    assert moved.path == os.path.join("/elsewhere", "a", "x.jpg") and moved.name == "a/x"


def test_attributes_that_only_some_records_have_are_minus_one_elsewhere(tmp_path):
    save_roidb(Roidb([record("x.jpg", 2, blur=[1, 2]), record("y.jpg", 1)]), tmp_path / "x.pkl")
    assert [r.attributes["blur"].tolist() for r in load_roidb(tmp_path / "x.pkl").records] == [[1, 2], [-1]]


class Harmful:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_calls_something_is_refused_and_calls_nothing(protocol, tmp_path):
    target = tmp_path / "made by the pickle"
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"format": "manyfaces roidb 1", "images": Harmful(str(target))}, protocol))
    with pytest.raises(InputError, match=r"x\.pkl: refused, it asks for .*open"):
        load_roidb(path)
    assert not target.exists()
    pickle.loads(path.read_bytes())["images"].close()  # the call would have worked
    assert target.exists()


@pytest.mark.parametrize("value", [np.zeros(3), roidb(), np.dtype("O"), int, os.path.join])
def test_not_even_arrays_and_classes_of_ours_are_unpickled(value, tmp_path):
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(value))
    with pytest.raises(InputError, match="refused"):
        load_roidb(path)


def test_damaged_and_foreign_files_are_named(tmp_path):
    path = tmp_path / "x.pkl"
    with pytest.raises(InputError, match=r"x\.pkl: no such file; build it with `manyfaces data build`"):
        load_roidb(path)
    save_roidb(roidb(), path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"x\.pkl: "):
            load_roidb(path)
    for value in (["a", "list"], {"format": "manyfaces roidb 9"}, {"format": "manyfaces roidb 1"}):
        path.write_bytes(pickle.dumps(value))
        with pytest.raises(InputError, match="(not a roidb|damaged roidb)"):
            load_roidb(path)
    data = pickle.loads(whole)
    data["ignore"] = storage.pack(np.zeros(3, bool))
    del data["checksum"]
    path.write_bytes(pickle.dumps(data))
    with pytest.raises(InputError, match="damaged roidb .*columns of different length"):
        load_roidb(path)


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "x.pkl"
    save_roidb(roidb(), path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_roidb(Roidb([]), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["x.pkl"]


def test_select_takes_names_with_and_without_extension():
    images = lambda chosen: [r.image for r in chosen.records]  # noqa: E731
    assert images(select(roidb(), only=["a/x", "b/x.jpg", ""])) == ["a/x.jpg", "b/x.jpg"]
    assert images(select(roidb(), without=["a/x.jpg"])) == ["a/y.v2.png", "b/x.jpg"]
    assert images(select(roidb(), only=["a/x", "a/y.v2"], without=["a/x"])) == ["a/y.v2.png"]
    assert images(select(roidb())) == ["a/x.jpg", "a/y.v2.png", "b/x.jpg"]
    assert images(select(roidb(), only=[])) == []


def test_select_does_not_pass_over_a_name_that_is_not_there():
    with pytest.raises(InputError, match="1 of 2 listed images are not in labels.txt, the first is 'x'"):
        select(roidb(), without=["a/x", "x"])
    assert len(select(roidb(), without=["a/x", "x"], strict=False)) == 2


def test_sources_are_joined_with_their_weights(tmp_path):
    save_roidb(roidb(), tmp_path / "one.pkl")
    save_roidb(Roidb([record("c.jpg", 2)]), tmp_path / "two.pkl")
    for weights, expected in [(None, [1, 1, 1, 1]), (2, [2, 2, 2, 2]), ([1, 3], [1, 1, 1, 3]),
                              ({"two": 0.5}, [1, 1, 1, 0.5])]:
        records, found = load_sources("one+two", weights, tmp_path)
        assert [r.image for r in records] == ["a/x.jpg", "a/y.v2.png", "b/x.jpg", "c.jpg"] and found == expected


@pytest.mark.parametrize(("sources", "weights", "message"), [
    ("one+", None, "expected names joined by"), ("one", [1, 2], "2 source weights for the 1 sources"),
    ("one", [0], "expected a number > 0"), ("one", [float("nan")], "a number > 0"), ("one", ["2"], "a number > 0"),
    ("one", {"tow": 2}, "'tow', which is not one of the sources"), ("two", None, r"two\.pkl: no such file"),
    ("none", None, "hold no image")])
def test_wrong_sources_are_named(sources, weights, message, tmp_path):
    save_roidb(roidb(), tmp_path / "one.pkl")
    save_roidb(Roidb([]), tmp_path / "none.pkl")
    with pytest.raises(InputError, match=message):
        load_sources(sources, weights, tmp_path)


def test_statistics_count_what_is_there():
    boxes = np.array([[0, 0, 5, 9.9], [0, 0, 5, 10], [0, 0, 5, 600], [0, 0, 5, 20], [0, 0, 5, 20]], np.float32)
    landmarks = np.full((5, 5, 2), np.nan, np.float32)
    landmarks[1, 2] = 3  # one point is enough
    faces = Record("", "x.jpg", 0, 0, boxes, landmarks, np.array([0, 0, 0, 1, 1], bool),
                   {"invalid": np.array([0, 0, 0, 1, 0], np.int32)})
    found = statistics(Roidb([faces, record("y.jpg", 0)], {"faces without area": 3, "images missing": 4}, "s"))
    assert (found["images"], found["images without faces"], found["images of unknown size"]) == (2, 1, 1)
    assert (found["annotated"], found["faces"], found["ignored"], found["faces with landmarks"]) == (8, 5, 2, 1)
    assert found["ignored by reason"] == {"invalid": 1, "other": 1}
    assert list(found["heights"].values()) == [1, 1, 0, 0, 0, 0, 0, 1] and found["median height"] == 10
    assert list(found["heights"]) == ["0-10", "10-16", "16-20", "20-32", "32-64", "64-128", "128-256", "256-"]
    table = statistics_table(Roidb([faces], {"images missing": 4}))
    assert "kept of 5 annotated" in table and "4   images missing" in table
    assert "images          0" in statistics_table(Roidb([]))


@pytest.mark.parametrize("change", [
    lambda data: data.pop("dropped"), lambda data: data.pop("source"), lambda data: data.pop("attributes"),
    lambda data: data.update(dropped=["x"]), lambda data: data.update(dropped={"x": "many"}),
    lambda data: data.update(images=list(range(3))), lambda data: data.update(roots=[None] * 3),
    lambda data: data.update(counts=storage.pack(np.int32([3, -1, 0]))),
    lambda data: data.update(counts=storage.pack(np.float32([1, 1, 1]))),
    lambda data: data.update(counts=storage.pack(np.int32([2**31 - 1] * 3))),
    lambda data: data.update(sizes=storage.pack(np.int32([[-1, 5]] * 3))),
    lambda data: data.update(sizes=storage.pack(np.int32([1, 2, 3]))),
    lambda data: data.update(ignore=("float32", [1], b"1234")), lambda data: data.update(ignore=("bool", [-1], b"")),
    lambda data: data.update(ignore=3), lambda data: data.update(boxes=data["landmarks"]),
    lambda data: data.update(attributes={"blur": data["boxes"]}), lambda data: data.update(attributes=None),
    lambda data: data.update(boxes=storage.pack(np.full_like(storage.unpack(data["boxes"]), np.nan)))])
def test_every_part_of_a_roidb_is_checked(change, tmp_path):
    path = tmp_path / "x.pkl"
    save_roidb(roidb(), path)
    data = pickle.loads(path.read_bytes())
    del data["checksum"]  # it would find most of these
    change(data)
    path.write_bytes(pickle.dumps(data))
    with pytest.raises(InputError, match=r"x\.pkl: damaged (roidb|or not a pickle) \(.*\); build it"):
        load_roidb(path)


def test_a_roidb_whose_bytes_changed_is_refused(tmp_path):
    path = tmp_path / "x.pkl"
    save_roidb(roidb(), path)
    whole, before = path.read_bytes(), load_roidb(path)
    refused = 0
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1:])
        try:
            after = load_roidb(path)
        except InputError:
            refused += 1
        else:  # what is not protected: the names of the format and of the checksum
            assert [r.image for r in after.records] == [r.image for r in before.records]
            for a, b in zip(after.records, before.records, strict=True):
                np.testing.assert_array_equal(a.boxes, b.boxes)
                np.testing.assert_array_equal(a.landmarks, b.landmarks)
    assert refused > len(whole) / 3 * 0.95
