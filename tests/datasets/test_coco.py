import json

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from manyfaces.commands.command_line import run
from manyfaces.datasets import READERS, Record, Roidb, load_roidb
from manyfaces.datasets.attributes import add_attributes
from manyfaces.datasets.coco_json import load_coco
from manyfaces.datasets.coco_writer import short_sides, write_coco
from manyfaces.errors import InputError

FILE = {
    "info": {"description": "two images"},
    "categories": [{"id": 7, "name": "person"}, {"id": 3, "name": "Face"}],
    "images": [{"id": 20, "file_name": "0--A/x.jpg", "width": 100, "height": 80},
               {"id": 10, "file_name": "./0--A\\y.png", "width": 100, "height": 80}],
    "annotations": [
        {"id": 5, "image_id": 20, "category_id": 3, "bbox": [10, 20.5, 30, 40], "iscrowd": 0,
         "keypoints": [11, 21, 2, 12.5, 22, 1, 13, 23, 0, 0, 0, 0, 15, 25, 2],
         "attributes": {"blur": 2, "occluded": True, "rotation": 0.0, "name": "x"}},
        {"id": 6, "image_id": 20, "category_id": 7, "bbox": [0, 0, 90, 80]},
        {"id": 9, "image_id": 20, "category_id": 3, "bbox": [1, 2, 3, 4], "iscrowd": 1, "attributes": {"blur": 0},
         "keypoints": [0] * 51},
        {"id": 8, "image_id": 20, "category_id": 3, "bbox": [1, 2, 0, 4]}],
}


def changed(**changes):
    """FILE with another value at these keys, such as `images__0__width=3`; None removes the key."""
    data = json.loads(json.dumps(FILE))
    for path, value in changes.items():
        *way, last = [int(key) if key.isdigit() else key for key in path.split("__")]
        at = data
        for key in way:
            at = at[key]
        if value is None:
            del at[last]
        else:
            at[last] = value
    return data


def read(tmp_path, data, images=None, **options):
    path = tmp_path / "labels.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return READERS["coco"](str(path), images and str(images), **options)


def test_a_file_by_hand(tmp_path):
    roidb = read(tmp_path, FILE)
    x, y = roidb.records
    assert (x.image, x.width, x.height, y.image) == ("0--A/x.jpg", 100, 80, "0--A/y.png")
    assert x.boxes.tolist() == [[10, 20.5, 40, 60.5], [1, 2, 4, 6]] and x.boxes.dtype == np.float32
    assert x.ignore.tolist() == [False, True] and roidb.dropped == {"faces without area": 1}
    np.testing.assert_array_equal(
        x.landmarks, [[[11, 21], [12.5, 22], [np.nan] * 2, [np.nan] * 2, [15, 25]], [[np.nan] * 2] * 5])
    assert {key: values.tolist() for key, values in x.attributes.items()} == {"blur": [2, 0], "occluded": [1, -1]}
    assert y.boxes.shape == (0, 4) and set(y.attributes) == {"blur", "occluded"}
    people = read(tmp_path, FILE, classes={"person"})
    assert people.records[0].boxes.tolist() == [[0, 0, 90, 80]]
    only = changed(categories=[{"id": 7, "name": "head"}], annotations=FILE["annotations"][1:2])
    assert read(tmp_path, only).records[0].boxes.tolist() == [[0, 0, 90, 80]]  # the only category, whatever its name


def test_a_line_end_in_a_file_name_is_read(tmp_path):
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "x\n1\n.jpg"), np.zeros((80, 100, 3), np.uint8))
    data = changed(images=[FILE["images"][0] | {"file_name": "x\n1\n.jpg"}])
    record, = read(tmp_path, data, tmp_path / "images").records
    assert record.image == "x\n1\n.jpg" and len(record.boxes) == 2 and (record.width, record.height) == (100, 80)


@pytest.mark.parametrize(("data", "message"), [
    ("{", "labels.json, line 1: not JSON"), ("{\n'a': 1}", "labels.json, line 2: not JSON"),
    ("[" * 100_000, "labels.json: not readable as JSON"), ('{"images": ' + "9" * 5000 + "}", "not readable as JSON"),
    ("[]", "found a list; this looks like the results of a detector"), ("3", "expected a COCO object"),
    (changed(images=None), "labels.json: expected a list in 'images', found nothing"),
    (changed(annotations={"a": 1}), "expected a list in 'annotations', found an object"),
    (changed(annotations__1=[]), "annotations[1]: expected an object, found a list"),
    (changed(images__0__id="20"), "images[0]: expected a whole number in 'id', found '20'"),
    (changed(images__1__id=20), "images[1]: id 20 is already used by an earlier image"),
    (changed(images__1__file_name=None), "images[1]: expected a path in 'file_name', found nothing"),
    (changed(images__1__file_name="../../x.jpg"), "images[1]: file_name '../../x.jpg' leaves the folder"),
    (changed(images__1__file_name="a\\..\\..\\x.jpg"), "leaves the folder"),
    (changed(images__1__file_name="/x.jpg"), "leaves the folder"),
    (changed(images__1__file_name="x\0.jpg"), "leaves the folder of the images or is no path"),
    (changed(images__1__file_name="x\ud800.jpg"), "leaves the folder of the images or is no path"),
    (changed(images__1__file_name="0--A/x.jpg"), "image 10: image 0--A/x.jpg is listed twice"),
    (changed(images__0__width=100.5), "images[0]: expected a whole number in 'width', found 100.5"),
    (changed(images__0__height=-1), "images[0]: expected pixels in 'height', found -1"),
    (changed(annotations__2__id=None), "annotations[2]: expected a whole number in 'id', found nothing"),
    (changed(annotations__2__id=5), "annotation 5: this id is already used by an earlier annotation"),
    (changed(annotations__0__image_id=21), "annotation 5: image_id 21 is not in the file"),
    (changed(annotations__0__category_id=1), "annotation 5: category_id 1 is not in the file"),
    (changed(annotations__2__bbox=None), "annotation 9: expected four numbers x y w h in 'bbox', found nothing"),
    (changed(annotations__2__bbox=[1, 2, 3]), "annotation 9: expected four numbers x y w h in 'bbox', found [1, 2, 3]"),
    (changed(annotations__2__bbox=[1, 2, 3, "4"]), "annotation 9: expected four numbers"),
    (changed(annotations__2__bbox=[1, 2, 3, True]), "annotation 9: expected four numbers"),
    (changed(annotations__2__bbox=[1, 2, 3, float("nan")]), "annotation 9: expected four numbers"),
    (changed(annotations__2__bbox=[1, 2, 3, 10 ** 400]), "not readable as JSON (found a whole number of 401 digits)"),
    (changed(annotations__2__iscrowd=2), "annotation 9: expected 0 or 1 in 'iscrowd', found 2"),
    (changed(annotations__2__area=float("inf")), "annotation 9: expected square pixels in 'area', found inf"),
    (changed(annotations__0__keypoints=["a"] * 15), "annotation 5: expected five times x y visibility in 'keypoints'"),
    (changed(annotations__0__keypoints={"a": 1}), "annotation 5: expected five times x y visibility in 'keypoints'"),
    (changed(categories__1__name="head"),
     "'categories': expected one class, or one named 'face', found 'head' (3 objects), 'person' (1); choose"),
    (changed(categories=[], annotations=[]), "expected one category, or one named 'face', in 'categories', found none"),
    (changed(images=[], annotations=[]), "lists no image"),
])
def test_what_is_wrong_is_named_by_its_key_or_id(data, message, tmp_path):
    with pytest.raises(InputError) as error:
        read(tmp_path, data)
    text = str(error.value)
    assert message in text and "labels.json" in text and "\n" not in text


def test_files_that_are_none(tmp_path):
    for path, message in ((tmp_path / "absent.json", "no such file"), (tmp_path, "is a folder")):
        with pytest.raises(InputError, match=message):
            READERS["coco"](str(path), None)
        with pytest.raises(InputError, match=message):
            load_coco(path)
    (tmp_path / "x.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(InputError, match=r"x\.json: not a text file: it begins with the mark of UTF-16-LE"):
        load_coco(tmp_path / "x.json")
    with pytest.raises(InputError, match=r"one of the classes 'cat', found 'Face' \(3 objects\), 'person' \(1\)"):
        read(tmp_path, FILE, classes={"cat"})


def test_images_at_hand_must_be_as_large_as_the_file_says(tmp_path):
    (tmp_path / "0--A").mkdir()
    for name, shape in (("x.jpg", (80, 100, 3)), ("y.png", (100, 80, 3))):
        cv2.imwrite(str(tmp_path / "0--A" / name), np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match=r"y\.png: is 80 x 100 pixels .*labels\.json, image 10 has width 100 and "
                       "height 80"):
        read(tmp_path, FILE, tmp_path)
    roidb = read(tmp_path, changed(images__1__width=0), tmp_path)
    assert [(r.width, r.height) for r in roidb.records] == [(100, 80), (80, 100)]
    (tmp_path / "0--A" / "y.png").unlink()
    with pytest.raises(InputError, match=r"y\.png: no such image; 1 of 2 images"):
        read(tmp_path, FILE, tmp_path)
    assert len(read(tmp_path, FILE, tmp_path, missing="skip")) == 1


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
                    max_leaves=5)


def places(value, way=()):
    """Yield the keys that lead to each value inside a JSON value."""
    yield way
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*way, key))


@given(st.sampled_from(list(places(FILE))[1:]), JSON)
def test_anything_in_any_place_is_read_or_refused_in_one_line(tmp_path_factory, way, value):
    data = at = json.loads(json.dumps(FILE))
    for key in way[:-1]:
        at = at[key]
    at[way[-1]] = value
    try:
        roidb = read(tmp_path_factory.mktemp("any"), data)
    except InputError as error:
        assert "labels.json" in str(error) and "\n" not in str(error)
    else:
        assert all(np.isfinite(record.boxes).all() for record in roidb.records) and len(roidb) == 2


# ------------------------------------------------------------------------ there and back

FLOATS = st.floats(-2 ** 15, 2 ** 15, width=32)
SIDES = st.floats(2.0 ** -6, 2 ** 12, width=32)


@st.composite
def roidbs(draw):
    names = draw(st.lists(st.sampled_from(["blur", "invalid", "difficult", "größe"]), unique=True))
    records = []
    for index in range(draw(st.integers(1, 4))):
        count = draw(st.integers(0, 4))
        width, height = draw(st.sampled_from([(0, 0), (2 ** 16, 2 ** 17)]))  # a known size holds the boxes
        start = draw(arrays(np.float32, (count, 2), elements=FLOATS.map(abs) if width else FLOATS))
        end = start + draw(arrays(np.float32, (count, 2), elements=SIDES))
        landmarks = draw(arrays(np.float32, (count, 5, 2), elements=FLOATS))
        landmarks[draw(arrays(bool, (count, 5)))] = np.nan
        attributes = {name: draw(arrays(np.int32, count, elements=st.integers(-1, 3))) for name in names}
        records.append(Record("", f"0--Ä/{index} b.jpg", width, height,
                              np.concatenate([start, end], axis=1).astype(np.float32), landmarks,
                              draw(arrays(bool, count)), attributes))
    return Roidb(records, {}, "made/up.txt")


@given(roidbs())
def test_a_roidb_comes_back_as_it_was(tmp_path_factory, roidb):
    boxes = np.concatenate([record.boxes for record in roidb.records])
    assume(not len(boxes) or boxes.max() > 1.001)  # else they would be taken for fractions
    path = tmp_path_factory.mktemp("coco") / "x.json"
    write_coco(roidb, path)
    back = READERS["coco"](str(path), None)
    assert len(back) == len(roidb) and back.dropped == {}
    for ours, theirs in zip(roidb.records, back.records, strict=True):
        assert (theirs.image, theirs.width, theirs.height) == (ours.image, ours.width, ours.height)
        for key in ("boxes", "landmarks", "ignore"):
            np.testing.assert_array_equal(getattr(theirs, key), getattr(ours, key), strict=True)
        # -1 is not written, so an attribute that is -1 everywhere is not in the file.
        for name in ours.attributes.keys() | theirs.attributes.keys():
            unknown = np.full(len(ours.boxes), -1, np.int32)
            np.testing.assert_array_equal(theirs.attributes.get(name, unknown), ours.attributes[name], strict=True)
    before = path.read_bytes()
    write_coco(back, path)
    assert path.read_bytes() == before.replace(b"faces of up.txt", b"faces of x.json")


def test_numbers_are_written_as_short_as_they_may_be():
    boxes = np.array([[0.1, 449, 0.3, 571], [276.56, 1 / 3, 454.68, 1e5]], np.float32)
    assert short_sides(boxes)[0].tolist() == [0.1, 449, 0.2, 122] and short_sides(boxes)[1, 2] == 178.12
    rng = np.random.default_rng(0)
    start = rng.uniform(-1e4, 1e4, (100_000, 2)) * 10.0 ** rng.integers(-6, 2, (100_000, 2))
    boxes = np.concatenate([start, start + rng.uniform(1e-3, 1e3, start.shape)], axis=1).astype(np.float32)
    sides = short_sides(boxes)
    np.testing.assert_array_equal((sides[:, :2] + sides[:, 2:]).astype(np.float32), boxes[:, 2:])
    np.testing.assert_array_equal(sides[:, :2].astype(np.float32), boxes[:, :2])


def test_the_tool_on_a_toy_set_there_and_back(toy, tool, tmp_path, capsys):
    out = tmp_path / "deep" / "toy.json"
    arguments = ["--format", "retinaface", "--labels", str(toy["retinaface"]), "--attributes", str(toy["labels"]),
                 "--images", str(toy["images"])]
    assert run(tool("wider_to_coco").main, [*arguments, "--out", str(out)]) == 0
    assert "not known" not in capsys.readouterr().err
    data = json.loads(out.read_text())
    assert data["categories"][0]["id"] == 1 and data["categories"][0]["name"] == "face"
    assert len(data["categories"][0]["keypoints"]) == 5 and data["images"][0]["width"] == 320
    assert run(tool("build_roidb").main, ["--format", "coco", "--labels", str(out), "--images", str(toy["images"]),
                                          "--out", str(tmp_path / "toy.pkl")]) == 0
    ours, _ = add_attributes(READERS["retinaface"](toy["retinaface"], toy["images"]), READERS["wider"](toy["labels"]))
    theirs = load_roidb(tmp_path / "toy.pkl")
    assert len(ours) == len(theirs) == 12
    for a, b in zip(ours.records, theirs.records, strict=True):
        assert (a.path, a.width, a.height) == (b.path, b.width, b.height)
        for key in ("boxes", "landmarks", "ignore"):
            np.testing.assert_array_equal(getattr(a, key), getattr(b, key))
        np.testing.assert_equal(a.attributes, b.attributes)


def test_the_tool_without_images_says_what_is_not_known(toy, tool, tmp_path, capsys):
    out, names = tmp_path / "toy.json", tmp_path / "names.txt"
    names.write_text("0--Toy/0_Toy_00003\n")
    arguments = ["--labels", str(toy["labels"]), "--out", str(out)]
    assert run(tool("wider_to_coco").main, [*arguments, "--only", str(names)]) == 0
    assert "note: width and height of 1 images are unknown and written as 0" in capsys.readouterr().err
    data = json.loads(out.read_text())
    assert data["images"] == [{"id": 1, "file_name": "0--Toy/0_Toy_00003.jpg", "width": 0, "height": 0}]
    assert data["categories"] == [{"id": 1, "name": "face"}] and "keypoints" not in data["annotations"][0]
    assert data["annotations"][0]["attributes"].keys() == {"blur", "expression", "illumination", "invalid",
                                                           "occlusion", "pose"}
    out.unlink()
    assert run(tool("wider_to_coco").main, ["--labels", str(tmp_path / "none.txt"), "--out", str(out)]) == 2
    assert "none.txt: no such file" in capsys.readouterr().err and not out.exists()


def test_the_official_mat_file_there_and_back(shared_dir, tmp_path):
    ours = READERS["wider"](shared_dir / "data/wider_official/wider_face_val.mat", None)
    write_coco(ours, tmp_path / "val.json")
    theirs = READERS["coco"](tmp_path / "val.json", None)
    assert len(theirs) == 3226
    for key in ("boxes", "ignore"):
        a, b = (np.concatenate([getattr(record, key) for record in roidb.records]) for roidb in (ours, theirs))
        np.testing.assert_array_equal(a, b)
    assert len(b) == 39708 - 11  # without the 11 faces without area
    for name in ("blur", "expression", "illumination", "invalid", "occlusion", "pose"):
        a, b = (np.concatenate([record.attributes[name] for record in roidb.records]) for roidb in (ours, theirs))
        np.testing.assert_array_equal(a, b)
