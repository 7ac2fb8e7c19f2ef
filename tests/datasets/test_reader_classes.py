"""Classes that have to be chosen, and the rows of YOLO: landmarks, polygons, scores."""

import numpy as np
import pytest
from label_files import BOX, as_coco, image, read, text, xml, yolo

from manyfaces.commands.command_line import run
from manyfaces.datasets import READERS, load_roidb
from manyfaces.datasets.folders import listed_images
from manyfaces.errors import InputError


def several_classes(folder, form):
    image(folder / "images" / "a.jpg")
    if form == "voc":
        text(folder / "labels" / "a.xml", xml(("car", 1, 2, 30, 40), ("head", 1, 2, 31, 41), ("car", 1, 2, 32, 42)))
    elif form == "yolo":
        text(folder / "labels" / "a.txt", "0 .5 .5 .2 .2\n7 .5 .5 .4 .4\n0 .5 .5 .6 .6\n")
        text(folder / "data.yaml", "path: x\nnames:\n  0: car\n  7: head\n")
    else:
        as_coco(folder, [(1, 2, 30, 40), (1, 2, 31, 41), (1, 2, 32, 42)])
        content = (folder / "labels").read_text().replace('1, "bbox": [1, 2, 30', '2, "bbox": [1, 2, 30')
        text(folder / "labels", content.replace('"name": "face"', '"name": "car"').replace(
            "}]}", '}, {"id": 2, "name": "head"}]}'))


@pytest.mark.parametrize("form", ["voc", "yolo", "coco"])
def test_several_classes_need_a_choice(form, tmp_path, tool, capsys):
    several_classes(tmp_path, form)
    with pytest.raises(InputError, match=r"expected one class, or one named 'face', found 'car' \(2 objects\), 'head' "
                                         r"\(1\); choose those that are faces with --classes"):
        read(form, tmp_path)
    for classes, count in ((["head"], 1), (["car", "head"], 3), (["head", "hat"], 1)):
        assert len(read(form, tmp_path, classes=classes).records[0].boxes) == count
    with pytest.raises(InputError, match=r"expected one of the classes 'hat', found 'car' \(2 objects\)"):
        read(form, tmp_path, classes=["hat"])
    arguments = ["--format", form, "--labels", str(tmp_path / "labels"), "--images", str(tmp_path / "images"),
                 "--out", str(tmp_path / "a.pkl")]
    assert run(tool("build_roidb").main, [*arguments, "--classes", "head"]) == 0
    out = capsys.readouterr().out
    assert "class           2   car, left out\n" in out and "class           1   head\n" in out
    assert len(load_roidb(tmp_path / "a.pkl").records[0].boxes) == 1


def test_one_class_or_one_named_face_needs_no_choice(tmp_path):
    image(tmp_path / "images" / "a.jpg")
    text(tmp_path / "labels" / "a.xml", xml(("person", 1, 2, 30, 40)))
    assert len(read("voc", tmp_path).records[0].boxes) == 1
    text(tmp_path / "labels" / "a.xml", xml(("person", 1, 2, 30, 40), ("Face", 5, 6, 30, 40)))
    roidb = read("voc", tmp_path)
    assert roidb.records[0].boxes[:, 0].tolist() == [5] and roidb.taken == {"Face"}


def test_numbers_and_names_of_yolo_mean_the_same(tmp_path):
    several_classes(tmp_path, "yolo")
    assert len(read("yolo", tmp_path, classes=[7]).records[0].boxes) == 1
    assert len(read("yolo", tmp_path, classes=["0"]).records[0].boxes) == 2
    (tmp_path / "data.yaml").unlink()
    with pytest.raises(InputError, match=r"found '0' \(2 objects\), '7' \(1\)"):
        read("yolo", tmp_path)
    text(tmp_path / "labels" / "classes.txt", "car\n" + "x\n" * 6 + "head\n")
    assert read("yolo", tmp_path, classes=["head"]).classes == {"car": 2, "head": 1}


@pytest.mark.parametrize("content", ["names: [a, &x {b: *x}]\n", "names: 3\n", "{", "\xff", "- a\n", "names: [[[a]]]\n",
                                     "a: &a [1,1]\nb: &b [*a,*a,*a,*a,*a,*a]\n<<: [{}, {}]\n"])
def test_a_data_yaml_of_another_form_does_no_harm(content, tmp_path):
    several_classes(tmp_path, "yolo")
    (tmp_path / "data.yaml").write_bytes(content.encode("latin-1"))
    assert len(read("yolo", tmp_path, classes=[0]).records[0].boxes) == 2


@pytest.mark.parametrize(("content", "message"), [
    ("names:\n  0: car\n  7: head\n  0: face\n", "'names' has class 0 twice, as 'car' and 'face'; remove one"),
    ("names: {7: head, 07: face}\n", "'names' has class 7 twice, as 'head' and 'face'; remove one"),
    ("names: [car]\nnc: 1\nnames: [face]\n", "has the key 'names' twice; remove one")])
def test_two_names_for_a_class_are_refused(content, message, tmp_path):
    several_classes(tmp_path, "yolo")
    text(tmp_path / "data.yaml", content)
    with pytest.raises(InputError, match=f"data.yaml: {message}"):
        read("yolo", tmp_path, classes=["face"])
    text(tmp_path / "data.yaml", "names: {0: face, 7: head, 00: face}\n")  # the same name
    assert len(read("yolo", tmp_path, classes=["face"]).records[0].boxes) == 2


def test_formats_without_classes_refuse_the_option(toy, tool, capsys):
    arguments = ["--format", "wider", "--labels", str(toy["labels"]), "--classes", "face"]
    assert run(tool("build_roidb").main, arguments) == 2
    assert "--classes is for voc, coco, yolo: wider has no classes" in capsys.readouterr().err


# ------------------------------------------------------------------------ rows of YOLO

POINTS = [(.4, .45), (.6, .45), (.5, .5), (.42, .6), (.58, .6)]


def test_rows_with_five_landmarks(tmp_path):
    plain = BOX + "".join(f" {x} {y}" for x, y in POINTS)
    visible = BOX + "".join(f" {x} {y} {v}" for (x, y), v in zip(POINTS, (2, 1, 0, 2, 2), strict=True))
    without = BOX + " -1 -1 0 0" + "".join(f" {x} {y}" for x, y in POINTS[2:])
    record = yolo(tmp_path, f"{plain}\n{visible}\n{BOX}\n{without}\n").records[0]
    assert record.boxes.tolist() == [pytest.approx([30, 24, 70, 56])] * 4
    expected = np.array(POINTS) * (100, 80)
    np.testing.assert_allclose(record.landmarks[0], expected, rtol=1e-6)
    np.testing.assert_allclose(record.landmarks[1], np.where([[1], [1], [0], [1], [1]], expected, np.nan), rtol=1e-6)
    assert np.isnan(record.landmarks[2]).all()
    np.testing.assert_allclose(record.landmarks[3], np.where([[0], [0], [1], [1], [1]], expected, np.nan), rtol=1e-6)


def test_polygons_are_their_bounding_boxes(tmp_path):
    corners = ".1 .2 .5 .1 .6 .5 .3 .7"
    seven = ".2 .2 .4 .2 .5 .3 .5 .5 .4 .6 .2 .6 .1 .4"  # 15 numbers
    roidb = yolo(tmp_path, f"0 {corners}\n0 {seven}\n{BOX}\n")
    assert roidb.records[0].boxes.tolist() == [
        pytest.approx([10, 8, 60, 56]), pytest.approx([10, 16, 50, 48]), pytest.approx([30, 24, 70, 56])]
    assert roidb.notes == [f"2 polygons are read as their bounding boxes, the first is {tmp_path}/labels/a.txt, line 1"]
    far = "0 .9 .9 .05 .05 .1 .1 .2 .1 .3 .3 .1 .3 .1 .2"  # as a box, its points would be far away
    assert yolo(tmp_path, far).records[0].boxes.tolist() == [pytest.approx([5, 4, 90, 72])]


def test_data_yaml_says_how_many_points_a_row_has(tmp_path):
    row = BOX + " .5 .5" * 17
    text(tmp_path / "data.yaml", "kpt_shape: [17, 2]\nnames: [person]\n")
    roidb = yolo(tmp_path, row)
    assert roidb.records[0].boxes.tolist() == [pytest.approx([30, 24, 70, 56])]
    assert np.isnan(roidb.records[0].landmarks).all() and roidb.classes == {"person": 1}
    with pytest.raises(InputError, match=r"line 1: expected .*\(numbers: 5, 39\), found 15 numbers"):
        yolo(tmp_path, BOX + " .5 .5" * 5)


@pytest.mark.parametrize(("row", "message"), [
    (BOX + " .97", "found a box with 6 numbers; the last one seems to be a score"),
    (BOX + " .5 .5" * 5 + " .9", "found a box with 16 numbers; the last one seems to be a score"),
    (BOX + " .5 .5 2" * 5 + " .9", "found a box with 21 numbers; the last one seems to be a score"),
    ("0 .5 .5 .4", "found 4 numbers"), (BOX + " .5 .5 .5", "found 8 numbers"),
    ("0.5 .5 .5 .4 .4", "expected the number of a class first"), ("-1 .5 .5 .4 .4", "number of a class first"),
    (BOX + " 40 45" * 5, "expected fractions of the image"), ("0 1 2 50 2 50 60", "expected fractions of the image"),
])
def test_other_rows_are_named_by_what_they_are(row, message, tmp_path):
    with pytest.raises(InputError) as error:
        yolo(tmp_path, f"{BOX}\n{row}\n")
    assert f"{tmp_path}/labels/a.txt, line 2: " in str(error.value) and message in str(error.value)


def test_one_label_for_two_images_is_an_error(tmp_path):
    image(tmp_path / "images" / "a.png")
    with pytest.raises(InputError, match=r"a\.txt: a\.jpg and a\.png could all be its image; remove or rename all but"):
        yolo(tmp_path, BOX)
    image(tmp_path / "images" / "b.jpg")
    image(tmp_path / "images" / "b.png")
    (tmp_path / "images" / "a.png").unlink()
    assert [record.image for record in read("yolo", tmp_path).records] == ["a.jpg", "b.jpg", "b.png"]  # background
    for form, labels in (("ssh", "b 1 1 9 9"), ("voc", None)):
        if labels is None:
            text(tmp_path / "labels" / "b.xml", xml(("face", 1, 1, 9, 9), name="c.jpg"))
            folder = tmp_path / "labels"
        else:
            folder = tmp_path / "list.txt"
            text(folder, labels)
        with pytest.raises(InputError, match=r"b\.jpg and b\.png could all be its image"):
            READERS[form](str(folder), str(tmp_path / "images"))
    with pytest.raises(InputError, match=r"'b' could be b\.jpg and b\.png; write it with its extension"):
        text(tmp_path / "list.txt", "a\nb\n")
        listed_images(tmp_path / "list.txt", ["a.jpg", "b.jpg", "b.png"])
