"""tools/test.py --format: the same faces as a folder, as COCO's results and as FDDB's list, read back."""

import json

import numpy as np
import pytest
from conftest import ROOT
from stand_in import picture, save, square_detector

from manyfaces.commands.command_line import run
from manyfaces.datasets import READERS
from manyfaces.datasets.coco_json import load_coco
from manyfaces.errors import InputError
from manyfaces.evaluation import read_predictions
from manyfaces.evaluation.coco_results import read_coco_results
from manyfaces.evaluation.fddb import read_detections, write_detections
from manyfaces.inference import models as testing
from manyfaces.inference.folder import detect_folder
from manyfaces.inference.results import FORMATS

CFG = str(ROOT / "cfgs" / "ssh_mobilenet_v1_025.yml")
# In this order they are sorted; sizes differ, so that a batch sees them in another.
PICTURES = {"2002/08/big/img_2.png": (200, 90, (10, 20, 30), (60, 20, 40)), "2002/08/big/img_5.jpg": (110, 70),
            "z.png": (128, 96, (50, 8, 24))}


@pytest.fixture
def images(tmp_path):
    for name, content in PICTURES.items():
        save(tmp_path / "in" / name, picture(*content))
    return tmp_path / "in"


def wider_rows(folder):
    return {f"{event}/{name}".lstrip("/"): rows for event, files in read_predictions(folder).items()
            for name, rows in files.items()}


def same(found, expected):
    assert sorted(found) == sorted(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name].reshape(-1, 5), expected[name])


def test_the_three_formats_hold_the_same_faces(images, tmp_path):
    for form, out in zip(FORMATS, ("pred", "results.json", "found.txt"), strict=True):
        result = detect_folder(square_detector(BATCH=4), images, tmp_path / out, settings={"name": form},
                               file_format=form)
        assert (result["images"], result["faces"], result["resumed"]) == (3, 3, 0)
    expected = wider_rows(tmp_path / "pred")
    assert [len(expected[name]) for name in sorted(expected)] == [2, 0, 1]
    fddb = read_detections(tmp_path / "found.txt")
    same(fddb, expected)
    assert list(fddb) == ["2002/08/big/img_2", "2002/08/big/img_5", "z"]  # sorted, however they were batched
    truth = load_coco(tmp_path / "results.json.images.json")
    same(read_coco_results(tmp_path / "results.json", truth), expected)
    assert [(i["id"], i["file_name"], i["width"], i["height"]) for i in truth.images] == [
        (1, "2002/08/big/img_2.png", 200, 90), (2, "2002/08/big/img_5.jpg", 110, 70), (3, "z.png", 128, 96)]
    for name in ("results.json", "found.txt"):
        settings = json.loads((tmp_path / f"{name}.settings.json").read_text())
        assert settings == {"name": {"results.json": "coco", "found.txt": "fddb"}[name]}
    assert len(READERS["coco"](tmp_path / "results.json.images.json", images)) == 3


def test_an_annotation_gives_the_ids_of_its_images(images, tmp_path):
    labels = {"categories": [{"id": 7, "name": "face"}], "annotations": [], "images": [
        {"id": 40 - n, "file_name": name, "width": 0, "height": 0} for n, name in enumerate([*PICTURES, "other.png"])]}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    detect_folder(square_detector(), images, tmp_path / "r.json", file_format="coco", labels=tmp_path / "labels.json")
    results = json.loads((tmp_path / "r.json").read_text())
    assert sorted(result["image_id"] for result in results) == [38, 40, 40]
    assert {result["category_id"] for result in results} == {7}
    assert not (tmp_path / "r.json.images.json").exists()

    labels["images"] = labels["images"][1:]
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    with pytest.raises(InputError, match="has no image id for 1 of 3 images, the first is '2002/08/big/img_2.png'"):
        detect_folder(square_detector(), images, tmp_path / "s.json", file_format="coco",
                      labels=tmp_path / "labels.json")
    assert not list(tmp_path.glob("s.json*"))
    (tmp_path / "list.txt").write_text("z\n2002/08/big/img_5\n")
    detect_folder(square_detector(), images, tmp_path / "s.json", names=tmp_path / "list.txt", file_format="coco",
                  labels=tmp_path / "labels.json")
    assert [result["image_id"] for result in json.loads((tmp_path / "s.json").read_text())] == [38]


def test_a_list_gives_the_order_and_unreadable_images_are_left_out(images, tmp_path):
    (images / "broken.png").write_text("no image")
    (tmp_path / "list.txt").write_text("z\nbroken\n2002/08/big/img_2\n")
    result = detect_folder(square_detector(BATCH=4), images, tmp_path / "f.txt", names=tmp_path / "list.txt",
                           file_format="fddb")
    assert result["failed"] == ["broken.png"]
    assert list(read_detections(tmp_path / "f.txt")) == ["z", "2002/08/big/img_2"]
    detect_folder(square_detector(), images, tmp_path / "r.json", names=tmp_path / "list.txt", file_format="coco")
    assert [(i["file_name"], i["width"]) for i in load_coco(tmp_path / "r.json.images.json").images] == [
        ("z.png", 128), ("broken.png", 0), ("2002/08/big/img_2.png", 200)]


def test_nothing_is_written_where_no_image_could_be_read(tmp_path):
    save(tmp_path / "in/x.png", picture(40, 30))
    (tmp_path / "in/x.png").write_text("no image")
    assert detect_folder(square_detector(), tmp_path / "in", tmp_path / "f.txt", file_format="fddb")["images"] == 0
    assert not list(tmp_path.glob("f.txt*"))


def test_fddb_keeps_every_digit(tmp_path):
    rng = np.random.default_rng(3)
    boxes = (rng.random((50, 4)) * 400).astype(np.float32)
    scores = rng.random(50).astype(np.float32)
    write_detections(tmp_path / "f.txt", {"a/b.jpg": (boxes, scores), "c.jpg": (boxes[:0], scores[:0])})
    found = read_detections(tmp_path / "f.txt")
    assert found["c"].shape == (0, 5)
    expected = np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2], scores])
    np.testing.assert_array_equal(found["a/b"].astype(np.float32), expected)


def test_what_cannot_be_is_said_before_anything_is_detected(images, tmp_path):
    detector = square_detector()
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="file: is a file, expected a folder"):
        detect_folder(detector, images, tmp_path / "file")
    for form in ("coco", "fddb"):
        with pytest.raises(InputError, match=f"--resume: {form} results are one file"):
            detect_folder(detector, images, tmp_path / "out", file_format=form, resume=True)
        with pytest.raises(InputError, match="in: is a folder, expected the file"):
            detect_folder(detector, images, tmp_path / "in", file_format=form)
    for form in ("wider", "fddb"):
        with pytest.raises(InputError, match=f"--labels: only COCO's results have image ids, found --format {form}"):
            detect_folder(detector, images, tmp_path / "out", file_format=form, labels="x.json")
    with pytest.raises(InputError, match="--format 'voc': expected one of wider, coco, fddb"):
        detect_folder(detector, images, tmp_path / "out", file_format="voc")
    save(images / "z.bmp", picture(32, 32))
    for form in FORMATS:
        with pytest.raises(InputError, match="z.bmp and z.png would both be written to"):
            detect_folder(detector, images, tmp_path / "out", file_format=form)
    assert detector.family.shapes == [] and not (tmp_path / "out").exists()


def test_from_the_command_line_to_the_evaluator(tool, images, tmp_path, monkeypatch, capsys):
    def load_detector(cfg, weights=None):
        detector = square_detector(weights)
        detector.cfg = cfg
        return detector

    monkeypatch.setattr(testing, "load_detector", load_detector)
    (tmp_path / "w.weights.h5").write_bytes(b"stands for weights")
    call = ["--cfg", CFG, "--weights", str(tmp_path / "w.weights.h5"), "--images", str(images), "--format", "fddb"]
    assert run(tool("test").main, [*call, "--out", str(tmp_path / "f.txt")]) == 0
    assert f"{tmp_path}/f.txt: 3 images, 3 faces" in capsys.readouterr().out
    # Three faces lie in the pictures; what the detector says of each is the square that holds the ellipse.
    for number in range(1, 11):
        (tmp_path / f"FDDB-fold-{number:02d}-ellipseList.txt").write_text(
            {1: "2002/08/big/img_2\n2\n15 15 0 25 35 1\n20 20 0 80 40 1\n2002/08/big/img_5\n0\n",
             2: "z\n1\n12 12 0 62 20 1\n"}.get(number, ""))
    assert run(tool("evaluate").main, ["fddb", "--annotations", str(tmp_path), "--images", str(images), "--pred",
                                       str(tmp_path / "f.txt")]) == 0
    row = capsys.readouterr().out.splitlines()[1].split()
    assert row[1:3] == ["1.00000", "1.00000"] and row[3] == row[4] and 0.75 < float(row[3]) < 0.85
    assert run(tool("test").main, [*call, "--out", str(tmp_path / "f.txt"), "--resume"]) == 2
    assert capsys.readouterr().err.startswith("error: --resume: fddb results are one file")
