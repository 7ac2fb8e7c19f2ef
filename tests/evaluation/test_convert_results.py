import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from manyfaces.commands.command_line import run
from manyfaces.datasets.coco_json import CocoFile, load_coco
from manyfaces.errors import InputError
from manyfaces.evaluation import read_prediction_file, read_predictions, write_prediction_file
from manyfaces.evaluation.coco_results import read_coco_results, write_coco_results, write_coco_rows, write_wider_folder
from manyfaces.evaluation.pairing import pair_by_name

TRUTH = {"images": [{"id": 7, "file_name": "0--A/x.jpg"}, {"id": 3, "file_name": "0--A/y.b.png"},
                    {"id": 5, "file_name": "z"}],
         "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "face"}], "annotations": []}
GOOD = {"image_id": 3, "category_id": 2, "bbox": [1.5, -2, 30, 40.25], "score": 0.125}


@pytest.fixture
def truth(tmp_path):
    (tmp_path / "gt.json").write_text(json.dumps(TRUTH))
    return load_coco(tmp_path / "gt.json")


@pytest.fixture
def convert(tool, tmp_path, capsys):
    def call(results, out, truth="gt.json"):
        code = run(tool("convert_results").main, ["--results", str(tmp_path / results), "--gt", str(tmp_path / truth),
                                                  "--out", str(tmp_path / out)])
        return code, *capsys.readouterr()
    return call


def test_every_image_gets_a_file(truth, convert, tmp_path):
    (tmp_path / "r.json").write_text(json.dumps([GOOD, GOOD | {"image_id": 5, "score": 1e-7}, GOOD | {"score": 1}]))
    code, out, _ = convert("r.json", "pred")
    assert code == 0 and "wrote 3 detections of 3 images" in out and "1 of them without any" in out
    assert (tmp_path / "pred/0--A/x.txt").read_text() == "0--A/x.jpg\n0\n"
    assert (tmp_path / "pred/0--A/y.b.txt").read_text() == "0--A/y.b.png\n2\n1.5 -2 30 40.25 0.125\n1.5 -2 30 40.25 1\n"
    assert read_prediction_file(tmp_path / "pred/z.txt").tolist() == [[1.5, -2, 30, 40.25, 1e-7]]
    assert sorted(path.name for path in (tmp_path / "pred").rglob("*.txt")) == ["x.txt", "y.b.txt", "z.txt"]

    code, out, _ = convert("pred", "back.json")
    assert code == 0 and "wrote 3 detections of 3 images" in out and "0 images have no prediction file" in out
    assert json.loads((tmp_path / "back.json").read_text()) == [
        GOOD, GOOD | {"score": 1}, GOOD | {"image_id": 5, "score": 1e-7}]
    (tmp_path / "pred/z.txt").unlink()
    assert "1 images have no prediction file" in convert("pred", "back.json")[1]


def test_a_line_end_in_a_file_name_costs_no_image(truth, convert, tmp_path):
    odd = TRUTH["images"][0] | {"file_name": "0--A/x\n1\n.jpg"}
    (tmp_path / "gt.json").write_text(json.dumps(TRUTH | {"images": [odd, *TRUTH["images"][1:]]}))
    (tmp_path / "r.json").write_text(json.dumps([GOOD | {"image_id": odd["id"]}]))
    assert "of 3 images" in convert("r.json", "pred")[1]
    assert (tmp_path / "pred/0--A/x\n1\n.txt").read_text() == "0--A/x\\n1\\n.jpg\n1\n1.5 -2 30 40.25 0.125\n"
    assert convert("pred", "back.json")[0] == 0
    assert json.loads((tmp_path / "back.json").read_text()) == [GOOD | {"image_id": odd["id"]}]


def test_no_results_at_all(truth, convert, tmp_path):
    (tmp_path / "r.json").write_text("[]")
    assert convert("r.json", "pred")[0] == 0 and convert("pred", "back.json")[0] == 0
    assert json.loads((tmp_path / "back.json").read_text()) == []


@pytest.mark.parametrize(("data", "message"), [
    ({"image_id": 4}, "image_id 4 is not in"), ({"image_id": "3"}, "expected a whole number in 'image_id', found '3'"),
    ({"image_id": True}, "expected a whole number in 'image_id'"), ({"category_id": 1}, "category_id 1 is not in"),
    ({"category_id": None}, "expected a whole number in 'category_id', found nothing"),
    ({"bbox": None}, "expected four numbers x y w h in 'bbox'"), ({"bbox": [1, 2, 3]}, "expected four numbers"),
    ({"bbox": [1, 2, 3, float("nan")]}, "expected four numbers"), ({"bbox": [1, 2, 3, "4"]}, "expected four numbers"),
    ({"score": float("nan")}, "expected a number in 'score', found nan"), ({"score": float("inf")}, "found inf"),
    ({"score": "0.5"}, "expected a number in 'score', found '0.5'"),
    ({"score": True}, "in 'score'"),
])
def test_a_wrong_result_is_named_by_its_number(data, message, truth, convert, tmp_path):
    (tmp_path / "r.json").write_text(json.dumps([GOOD, GOOD | data]))
    code, out, err = convert("r.json", "pred")
    assert (code, out) == (2, "") and f"{tmp_path / 'r.json'}, [1]: " in err and message in err
    assert err.count("\n") == 1 and not (tmp_path / "pred").exists()


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
                    max_leaves=5)


@given(st.lists(st.fixed_dictionaries({}, optional={key: JSON | st.just(value) for key, value in GOOD.items()}) | JSON,
                max_size=2) | JSON)
def test_anything_is_read_or_refused_in_one_line(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "r.json"
    path.write_text(json.dumps(data))
    truth = CocoFile("gt.json", {2}, [{"id": 3, "file_name": "x.jpg"}], {3: []})
    try:
        found = read_coco_results(path, truth)
    except InputError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
    else:
        assert len(found["x"]) == len(data) and np.isfinite(found["x"]).all()


def test_files_that_are_none(truth, convert, tmp_path):
    for text, message in (("{}", "expected a list of results, found an object"), ("[3]", "[0]: expected an object"),
                          (json.dumps(TRUTH), "this looks like an annotation file"), ("[", "line 1: not JSON"),
                          ("[{}]", "[0]: expected a whole number in 'image_id', found nothing")):
        (tmp_path / "r.json").write_text(text)
        code, _, err = convert("r.json", "pred")
        assert code == 2 and message in err and str(tmp_path / "r.json") in err
    assert "none.json: no such file" in convert("none.json", "pred")[2]
    (tmp_path / "r.json").write_text("[]")
    assert "gt.json: is a file; " in convert("r.json", "gt.json")[2]
    convert("r.json", "pred")
    assert "pred: is a folder; " in convert("pred", "pred")[2]


def test_folders_that_do_not_fit(truth, convert, tmp_path):
    write_prediction_file(tmp_path / "pred/0--A/x.txt", "x", np.zeros((0, 4)), [])
    write_prediction_file(tmp_path / "pred/0--A/other.txt", "other", np.zeros((0, 4)), [])
    code, _, err = convert("pred", "back.json")
    assert code == 2 and "1 prediction files are of no image in" in err and not (tmp_path / "back.json").exists()
    (tmp_path / "pred/0--A/x.txt").write_text("x\n1\n1 2 3\n")
    assert f"{tmp_path / 'pred/0--A/x.txt'}, line 3: " in convert("pred", "back.json")[2]


def test_two_images_of_one_name_cannot_be_told_apart(convert, tmp_path):
    (tmp_path / "gt.json").write_text(json.dumps(TRUTH | {"images": [{"id": 1, "file_name": "a.jpg"},
                                                                     {"id": 2, "file_name": "a.png"}]}))
    (tmp_path / "r.json").write_text("[]")
    assert "images 1 and 2 are both named 'a'" in convert("r.json", "pred")[2]


# ------------------------------------------------------------------------ round trips


def a_truth(count):
    return CocoFile("gt.json", {2}, [{"id": 10 + i, "file_name": f"e{i % 2}/{i}.jpg"} for i in range(count)],
                    {10 + i: [] for i in range(count)})


def folder_rows(folder, truth):
    names = list(truth.ids)
    found, unknown = pair_by_name(read_predictions(folder), names, "gt.json")
    assert unknown == 0
    return dict(zip(names, found, strict=True))


ROWS = arrays(np.float64, st.tuples(st.integers(0, 5), st.just(5)), elements=st.floats(-1e8, 1e8))


@given(st.lists(ROWS, min_size=1, max_size=3))
def test_json_to_folder_to_json_keeps_every_digit(tmp_path_factory, found):
    folder, truth = tmp_path_factory.mktemp("there"), a_truth(len(found))
    rows = dict(zip(truth.ids, found, strict=True))
    write_coco_rows(folder / "a.json", rows, truth.ids, 2)
    write_wider_folder(folder / "pred", read_coco_results(folder / "a.json", truth), truth)
    back = folder_rows(folder / "pred", truth)
    for name in rows:
        np.testing.assert_array_equal(back[name], rows[name], strict=True)
    write_coco_rows(folder / "b.json", back, truth.ids, 2)
    # A zero loses its sign in the folder.
    assert json.loads((folder / "b.json").read_text()) == json.loads((folder / "a.json").read_text())


FLOATS = st.floats(-2.0 ** 20, 2.0 ** 20, width=32)


@given(arrays(np.float32, st.tuples(st.integers(0, 6), st.just(5)), elements=FLOATS))
def test_folder_to_json_to_folder_keeps_every_float32(tmp_path_factory, rows):
    """The two formats of a detector's boxes have the same numbers, and each converts into the other."""
    folder, truth = tmp_path_factory.mktemp("back"), a_truth(1)
    write_prediction_file(folder / "pred/e0/0.txt", "x", rows[:, :4], rows[:, 4])
    first = folder_rows(folder / "pred", truth)["e0/0"]
    write_coco_results(folder / "direct.json", {"e0/0.jpg": (rows[:, :4], rows[:, 4])}, truth.ids, 2)
    write_coco_rows(folder / "converted.json", {"e0/0": first}, truth.ids, 2)
    for name in ("direct.json", "converted.json"):
        results = read_coco_results(folder / name, truth)
        np.testing.assert_array_equal(results["e0/0"], first)
        np.testing.assert_array_equal(results["e0/0"].astype(np.float32)[:, [0, 1, 4]], rows[:, [0, 1, 4]])
        write_wider_folder(folder / "back", results, truth)
        np.testing.assert_array_equal(folder_rows(folder / "back", truth)["e0/0"], first)


def test_what_cannot_be_written_is_not(tmp_path):
    boxes, scores = np.zeros((1, 4)), np.ones(1)
    with pytest.raises(InputError, match="image b.jpg has no id; expected images such as a"):
        write_coco_results(tmp_path / "r.json", {"a": (boxes, scores), "b.jpg": (boxes, scores)}, {"a.jpg": 1})
    for values in ((boxes * np.nan, scores), (boxes, scores * np.inf)):
        with pytest.raises(InputError, match="a detection of a is not finite; nothing is written"):
            write_coco_results(tmp_path / "r.json", {"a": values}, {"a": 1})
    assert list(tmp_path.iterdir()) == []
