"""Annotations that fit other images, have other classes, rows or encodings, or lie among other files."""

import os
import time

import cv2
import numpy as np
import pytest

from manyfaces.commands.command_line import run
from manyfaces.datasets import READERS, load_roidb, statistics, statistics_table
from manyfaces.datasets.folders import find_images, listed_images, walk
from manyfaces.errors import InputError
from manyfaces.evaluation import read_predictions
from manyfaces.texts import read_text

FACES = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


def image(path, width=100, height=80):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def xml(*objects, size="", name="a.jpg"):
    return f"<annotation><filename>{name}</filename>{size}{''.join(FACES.format(*o) for o in objects)}</annotation>"


def read(form, folder, **options):
    return READERS[form](str(folder / "labels"), str(folder / "images"), **options)


# ------------------------------------------------------------------------ boxes and sizes

BOXES = {"inside": (10, 10, 90, 70), "to the border": (0, 0, 100, 80), "one px out": (-1, 0, 101, 81),
         "a quarter out": (-10, 0, 30, 80), "mostly out": (90, 0, 120, 80), "far out": (300, 10, 340, 50),
         "beside": (-40, 0, 0, 80), "larger": (-100, -100, 300, 300)}


def as_wider(folder, boxes):
    rows = "".join(f"{x1} {y1} {x2 - x1} {y2 - y1}\n" for x1, y1, x2, y2 in boxes)
    text(folder / "labels", f"a.jpg\n{len(boxes)}\n{rows}")


def as_retinaface(folder, boxes):
    text(folder / "labels", "# a.jpg\n" + "".join(f"{a} {b} {c - a} {d - b}\n" for a, b, c, d in boxes))


def as_ssh(folder, boxes):
    text(folder / "labels", "a " + " ".join(f"{a} {b} {c - 1} {d - 1}" for a, b, c, d in boxes))


def as_voc(folder, boxes):
    text(folder / "labels" / "a.xml", xml(*(("face", *box) for box in boxes)))


def as_coco(folder, boxes):
    faces = ", ".join(f'{{"id": {i}, "image_id": 1, "category_id": 1, "bbox": [{a}, {b}, {c - a}, {d - b}]}}'
                      for i, (a, b, c, d) in enumerate(boxes))
    text(folder / "labels", f'{{"images": [{{"id": 1, "file_name": "a.jpg"}}], "annotations": [{faces}], '
                            '"categories": [{"id": 1, "name": "face"}]}')


WRITERS = {"wider": as_wider, "retinaface": as_retinaface, "ssh": as_ssh, "voc": as_voc, "coco": as_coco}


@pytest.mark.parametrize("form", WRITERS)
def test_boxes_are_held_against_their_image(form, tmp_path):
    image(tmp_path / "images" / "a.jpg")
    WRITERS[form](tmp_path, list(BOXES.values()))
    roidb = read(form, tmp_path)
    kept = [box for name, box in BOXES.items() if name not in ("far out", "beside")]
    assert roidb.records[0].boxes.tolist() == [list(box) for box in kept]
    assert roidb.records[0].ignore.tolist() == [False] * 4 + [True] * 2
    assert roidb.dropped == {"faces outside their image": 2}
    found = statistics(roidb)
    assert found["partly outside"] == 1 and found["annotated"] == 8
    assert found["ignored by reason"] == {"mostly outside their image": 2}
    table = statistics_table(roidb)
    assert "faces outside their image" in table and "partly          1   faces leave their image" in table
    assert "300 10 340 50 (x1 y1 x2 y2) is mostly outside a.jpg, which has 100 x 80 px" in table
    assert "1 of 1 images with faces have such ones: the annotation may belong to images of another size" in table


def test_the_first_three_images_with_faces_outside_are_named(tmp_path):
    names = [f"{n}.jpg" for n in range(9)]
    for name in names:
        image(tmp_path / "images" / name)
    text(tmp_path / "labels", "".join(f"{name}\n1\n{500 if n % 2 else 5} 5 20 20\n" for n, name in enumerate(names)))
    notes = read("wider", tmp_path).notes
    assert [note.split("mostly outside ")[1].split(",")[0] for note in notes] == ["1.jpg", "3.jpg", "5.jpg"]


def test_boxes_of_images_that_were_turned_are_recognised(tmp_path):
    image(tmp_path / "images" / "a.jpg", 100, 400)
    as_wider(tmp_path, [(300, 20, 380, 90), (10, 10, 60, 60)])
    roidb = read("wider", tmp_path)
    assert roidb.dropped == {"faces outside their image": 1}
    assert roidb.notes[-1] == ("the faces of 1 of these 1 images would fit if the image were turned by 90 degrees")


def test_corners_that_were_written_for_sides_are_recognised(tmp_path):
    for name in "ab":
        image(tmp_path / "images" / f"{name}.jpg")
    text(tmp_path / "labels", "a.jpg\n2\n60 40 90 75\n10 10 30 40\nb.jpg\n1\n40 30 95 70\n")
    assert read("wider", tmp_path).notes[-1] == (
        "the faces of 2 of 2 images would fit if their numbers were x1 y1 x2 y2 and not x y width height")
    text(tmp_path / "labels", "a.jpg\n2\n60 40 35 30\n10 10 30 40\nb.jpg\n1\n40 30 55 40\n")
    assert read("wider", tmp_path).notes == []


@pytest.mark.parametrize("form", WRITERS)
def test_fractions_where_pixels_are_expected_are_refused(form, tmp_path):
    image(tmp_path / "images" / "a.jpg")
    WRITERS[form](tmp_path, [(.1, .2, .5, .6), (0, 0, 1, 1)] if form != "ssh" else [(-.9, -.8, .5, .6)])
    with pytest.raises(InputError, match="all faces are between 0 and 1, so they seem to be fractions of the image"):
        read(form, tmp_path)


def test_a_coordinate_that_is_no_pixel_is_refused(tmp_path):
    image(tmp_path / "images" / "a.jpg")
    text(tmp_path / "labels", "a.jpg\n1\n1 1 1e300 5\n")
    with pytest.raises(InputError, match=r"line 1: image a.jpg has a face with the coordinate 1e\+300"):
        read("wider", tmp_path)


SIZE = "<size><width>{}</width><height>{}</height><depth>3</depth></size>"


@pytest.mark.parametrize("size", [(200, 160), (80, 100), (100, 81)])
def test_the_size_in_an_xml_must_be_that_of_the_image(size, tmp_path):
    image(tmp_path / "images" / "a.jpg")
    image(tmp_path / "images" / "b.jpg")
    text(tmp_path / "labels" / "a.xml", xml(("face", 1, 2, 30, 40), size=SIZE.format(*size)))
    text(tmp_path / "labels" / "b.xml", xml(("face", 1, 2, 30, 40), size=SIZE.format("100", "80.0"), name="b.jpg"))
    with pytest.raises(InputError) as error:
        read("voc", tmp_path)
    assert (f"a.jpg: is 100 x 80 pixels after EXIF rotation, but {tmp_path}/labels/a.xml has width {size[0]} and "
            f"height {size[1]}") in str(error.value)
    roidb = read("voc", tmp_path, missing="skip")
    assert [record.image for record in roidb.records] == ["b.jpg"]
    assert roidb.dropped == {"images of another size than the annotation says": 1}


@pytest.mark.parametrize("size", ["", "<size/>", SIZE.format(0, 0), SIZE.format("", " "), SIZE.format(0, 80)])
def test_a_size_that_is_not_known_is_passed(size, tmp_path):
    image(tmp_path / "images" / "a.jpg")
    text(tmp_path / "labels" / "a.xml", xml(("face", 1, 2, 30, 40), size=size))
    assert len(read("voc", tmp_path)) == 1


def test_an_exif_turned_image_has_its_size_as_it_is_seen(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "images").mkdir()
    Image.new("RGB", (100, 80)).save(tmp_path / "images" / "a.jpg", exif=exif)
    for size, fits in (((80, 100), True), ((100, 80), False)):
        text(tmp_path / "labels" / "a.xml", xml(("face", 1, 2, 30, 40), size=SIZE.format(*size)))
        if fits:
            assert read("voc", tmp_path).records[0].width == 80
        else:
            with pytest.raises(InputError, match="is 80 x 100 pixels after EXIF rotation, but"):
                read("voc", tmp_path)


def test_without_images_boxes_are_held_against_the_size_in_the_file(tmp_path):
    objects = ("face", 1, 2, 30, 40), ("face", 300, 2, 330, 40)
    text(tmp_path / "labels" / "a.xml", xml(*objects, size=SIZE.format(100, 80)))
    roidb = READERS["voc"](str(tmp_path / "labels"), None)
    assert roidb.records[0].width == 100 and roidb.dropped == {"faces outside their image": 1}


# ------------------------------------------------------------------------ classes


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


def test_formats_without_classes_refuse_the_option(toy, tool, capsys):
    arguments = ["--format", "wider", "--labels", str(toy["labels"]), "--classes", "face"]
    assert run(tool("build_roidb").main, arguments) == 2
    assert "--classes is for voc, coco, yolo: wider has no classes" in capsys.readouterr().err


# ------------------------------------------------------------------------ rows of YOLO

BOX = "0 .5 .5 .4 .4"
POINTS = [(.4, .45), (.6, .45), (.5, .5), (.42, .6), (.58, .6)]


def yolo(folder, content, **options):
    image(folder / "images" / "a.jpg")
    text(folder / "labels" / "a.txt", content)
    return read("yolo", folder, **options)


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


# ------------------------------------------------------------------------ other files, links, endings


@pytest.mark.parametrize(("name", "content"), [
    ("README.roboflow.txt", "some words\n"), ("train/classes.txt", "face\n"), ("train/classes.txt", ""),
    ("LICENSE.txt", "MIT License\n\nCopyright 2026\n"), ("train/notes.txt", "7\nmy notes of 2026\n"),
    ("train.txt", "images/train/a.jpg\n"), (".hidden/b.txt", BOX), ("train/._a.txt", b"\0\5\x16\7"),
    ("binary.txt", b"\x89PNG\r\n\x1a\n\xff\xfe")])
def test_a_stray_text_invents_no_image(name, content, tmp_path):
    image(tmp_path / "images" / "train" / "a.jpg")
    text(tmp_path / "labels" / "train" / "a.txt", BOX)
    text(tmp_path / "labels" / name, content)
    roidb = read("yolo", tmp_path)
    assert [record.image for record in roidb.records] == ["train/a.jpg"]
    hidden = any(part.startswith(".") for part in name.split("/"))
    note = f"{tmp_path}/labels/{name}: passed over, it has no image and holds no label"
    assert roidb.notes == ([] if hidden else [note])


def test_a_label_whose_image_is_missing_is_still_an_error(tmp_path):
    image(tmp_path / "images" / "a.jpg")
    for name, content in (("a", BOX), ("b", BOX)):
        text(tmp_path / "labels" / f"{name}.txt", content)
    with pytest.raises(InputError, match=r"b\.jpg: no such image; 1 of 2 images"):
        read("yolo", tmp_path)
    text(tmp_path / "labels" / "b.txt", "")
    with pytest.raises(InputError, match=r"b\.jpg: no such image; 1 of 2 images"):
        read("yolo", tmp_path)


def test_other_xml_files_are_passed_over(tmp_path):
    image(tmp_path / "images" / "a.jpg")
    text(tmp_path / "labels" / "a.xml", xml(("face", 1, 2, 30, 40)))
    text(tmp_path / "labels" / "cvat.xml", "<annotations><image/></annotations>")
    text(tmp_path / "labels" / "._a.xml", b"\0\5\x16\7")
    roidb = read("voc", tmp_path)
    assert len(roidb) == 1 and roidb.notes == [
        f"{tmp_path}/labels/cvat.xml: passed over, it holds <annotations>, not Pascal VOC's <annotation>"]
    (tmp_path / "labels" / "a.xml").unlink()
    with pytest.raises(InputError, match=r"labels: holds no \.xml annotation; .*cvat\.xml: passed over"):
        read("voc", tmp_path)


def test_links_to_folders_are_followed_by_every_reader(tmp_path):
    disk = tmp_path / "disk"
    image(disk / "images" / "a.jpg")
    text(disk / "txt" / "a.txt", BOX)
    text(disk / "xml" / "a.xml", xml(("face", 1, 2, 30, 40)))
    text(disk / "pred" / "a.txt", "a\n1\n1 2 30 40 .9\n")
    for form in ("images", "txt", "xml", "pred"):
        (tmp_path / form).mkdir()
        (tmp_path / form / "train").symlink_to(disk / form)
        (disk / form / "loop").symlink_to(disk / form)
        (disk / form / "up").symlink_to(tmp_path / form)
    assert find_images(tmp_path / "images") == ["train/a.jpg"]
    for form, labels in (("yolo", "txt"), ("voc", "xml")):
        roidb = READERS[form](str(tmp_path / labels), str(tmp_path / "images"))
        assert [(record.image, len(record.boxes)) for record in roidb.records] == [("train/a.jpg", 1)]
    assert list(read_predictions(tmp_path / "pred")) == ["train"]


def test_two_links_to_one_folder_are_two_folders(tmp_path):
    text(tmp_path / "disk" / "a.jpg", "")
    for name in ("one", "two"):
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / name).symlink_to(tmp_path / "disk")
    assert find_images(tmp_path / "set") == ["one/a.jpg", "two/a.jpg"]


def test_folders_that_link_to_one_another_end(tmp_path):
    for i in range(4):
        text(tmp_path / str(i) / "x.jpg", "")
        for j in range(4):
            (tmp_path / str(i) / f"to{j}").symlink_to(tmp_path / str(j))
    assert 4 + 4 * 3 <= len(find_images(tmp_path)) < 4 + 4 * 4 * 4


def test_a_walk_lists_broken_links_but_no_pipes(tmp_path):
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    deep = tmp_path
    for _ in range(200):
        deep = deep / "d"
        os.mkdir(deep)
    assert next(walk(tmp_path)) == ("", ["gone.jpg", "self.jpg"]) and len(list(walk(tmp_path))) == 201


def test_pictures_of_all_endings_are_found_and_others_are_named(tmp_path):
    names = ["a.jpg", "b.jfif", "c.JPE", "d.avif", "e.jp2", "f.ppm", "g.pgm", "h.webp", "i.TIFF", "j.bmp"]
    for name in names:
        form = {".jfif": ".jpg", ".JPE": ".jpg", ".TIFF": ".tiff"}.get(os.path.splitext(name)[1], name[1:])
        picture = np.zeros((80, 100, 3), np.uint8) if form != ".pgm" else np.zeros((80, 100), np.uint8)
        text(tmp_path / "images" / name, cv2.imencode(form, picture)[1].tobytes())
        text(tmp_path / "labels" / f"{name[0]}.xml", xml(("face", 1, 2, 30, 40), name=name))
    text(tmp_path / "images" / "z.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert find_images(tmp_path / "images") == names
    assert find_images(tmp_path / "images", others=True) == [*names, "z.heic"]
    assert [(record.image, record.width) for record in read("voc", tmp_path).records] == [(name, 100) for name in names]
    text(tmp_path / "txt" / "a.txt", BOX)
    roidb = READERS["yolo"](str(tmp_path / "txt"), str(tmp_path / "images"))
    assert len(roidb) == len(names) and roidb.notes == [
        f"{tmp_path}/images/z.heic: left out, OpenCV does not read .heic files; convert it to JPEG"]
    text(tmp_path / "txt" / "z.txt", BOX)
    with pytest.raises(InputError, match=r"z\.heic: .*HEIC, which OpenCV does not read; convert it to JPEG"):
        READERS["yolo"](str(tmp_path / "txt"), str(tmp_path / "images"))


@pytest.mark.parametrize(("name", "content"), [
    ("notes.txt", "run 7\nmy notes\n"), ("ev/README.txt", "words\n"), ("LICENSE.TXT", "MIT\n\nCopyright\n")])
def test_a_text_among_predictions_is_passed_over_with_a_word(name, content, tmp_path, capsys):
    text(tmp_path / "ev" / "a.txt", "a\n1\n1 2 30 40 .9\n")
    text(tmp_path / "ev" / "._a.txt", b"\0\5\x16\7")
    text(tmp_path / name, content)
    found = read_predictions(tmp_path)
    assert {event: list(files) for event, files in found.items()} == {"ev": ["a"]}
    assert f"note: {tmp_path}/{name}: passed over, it is no prediction" in capsys.readouterr().err


@pytest.mark.parametrize("content", [
    "", "a\nno count\n", "b\nmany\n1 2 3 4 .5\n", "b\n3\n", "1 2 3\n", b"\x89PNG\r\n\xff"])
def test_a_damaged_prediction_is_no_stray_text(content, tmp_path):
    text(tmp_path / "ev" / "a.txt", content)
    with pytest.raises(InputError, match=r"a\.txt, line 2"):
        read_predictions(tmp_path)


# ------------------------------------------------------------------------ encodings and lines

ROW = "0 .5 .5 .2 .2\r\n\r\n\t0 .4\t.4 .2 .2\n"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_a_mark_says_the_encoding_of_labels_lists_json_xml_yaml_and_predictions(encoding, tmp_path):
    from manyfaces.config import load_config

    def marked(content):
        return content.encode(encoding) if encoding in ("utf-8-sig", "utf-16", "utf-32") else \
            ("\ufeff" + content).encode(encoding)

    assert len(yolo(tmp_path, marked(ROW)).records[0].boxes) == 2
    as_coco(tmp_path / "coco", [(1, 2, 30, 40)])
    text(tmp_path / "c.json", marked((tmp_path / "coco" / "labels").read_text()))
    assert len(READERS["coco"](tmp_path / "c.json", tmp_path / "images").records[0].boxes) == 1
    text(tmp_path / "xml" / "a.xml", marked('<?xml version="1.0" encoding="gb2312"?>' + xml(("\u8138", 1, 2, 30, 40))))
    assert READERS["voc"](tmp_path / "xml", tmp_path / "images").classes == {"\u8138": 1}
    text(tmp_path / "x.yml", marked("SEED: 41\n"))
    assert load_config(tmp_path / "x.yml").SEED == 41
    text(tmp_path / "pred" / "a.txt", marked("a\n1\n1 2 30 40 .9\n"))
    assert read_predictions(tmp_path / "pred")[""]["a"].tolist() == [[1, 2, 30, 40, .9]]


@pytest.mark.parametrize(("encoding", "content", "looks"), [
    ("gb2312", "图片/人脸一号.jpg 1 2 3 4\n", "GB2312"), ("shift_jis", "写真/顔テスト.jpg 1 2 3 4\n", "Shift-JIS"),
    ("euc_kr", "사진/얼굴시험.jpg 1 2 3 4\n", "EUC-KR"), ("cp1252", "caf\xe9/na\xefve.jpg 1 2 3 4\n", "Windows-1252"),
    ("utf-16-le", "a.jpg 1 2 3 4\n", "UTF-16-LE without a mark"), ("utf-16-be", "a.jpg 1 2\n", "UTF-16-BE without")])
def test_other_encodings_are_named_with_what_to_do(encoding, content, looks, tmp_path):
    text(tmp_path / "a.txt", content.encode(encoding))
    with pytest.raises(InputError) as error:
        read_text(tmp_path / "a.txt")
    assert str(error.value).startswith(f"{tmp_path}/a.txt: not a text file") and looks in str(error.value)
    assert "save it as UTF-8" in str(error.value)


@pytest.mark.parametrize(("encoding", "name"), [("gb2312", "\u8138"), ("shift_jis", "\u9854"), ("big5", "\u81c9"),
                                                ("iso-8859-1", "t\xeate"), ("utf-8", "\u8138"),
                                                ("windows-1251", "Лицо")])
def test_the_encoding_that_an_xml_declares_is_read(encoding, name, tmp_path):
    image(tmp_path / "images" / "a.jpg")
    content = f'<?xml version="1.0" encoding="{encoding}"?>\n' + xml((name, 1, 2, 30, 40))
    text(tmp_path / "labels" / "a.xml", content.encode(encoding))
    assert read("voc", tmp_path).classes == {name: 1}


@pytest.mark.parametrize("encoding", ["punycode", "unicode_escape", "zip", "rot13", "nosuch", "utf-7"])
def test_no_codec_that_is_no_encoding_is_used(encoding, tmp_path):
    image(tmp_path / "images" / "a.jpg")
    text(tmp_path / "labels" / "a.xml", f'<?xml version="1.0" encoding="{encoding}"?>' + xml(("face", 1, 2, 30, 40)))
    assert len(read("voc", tmp_path)) == 1  # it is ASCII, whatever it says
    text(tmp_path / "labels" / "a.xml", f'<?xml version="1.0" encoding="{encoding}"?>'.encode() + b"<a>\xff</a>")
    with pytest.raises(InputError, match=r"a\.xml: not "):
        read("voc", tmp_path)


@pytest.mark.parametrize("depth", [101, 200_000])
def test_an_xml_of_many_levels_is_refused(depth, tmp_path):
    text(tmp_path / "labels" / "a.xml", "<annotation>" + "<o>" * depth + "</o>" * depth + "</annotation>")
    with pytest.raises(InputError, match=r"a\.xml: its elements are nested deeper than 100 levels"):
        READERS["voc"](str(tmp_path / "labels"), None)


@pytest.mark.parametrize("zeros", [
    "0 0 0 0 0 0 0 0 0 0", "0.0 0.0 0.0 0.0 0 0 0 0 0 0", "0\t0\t0\t0", "0.0", "-0 0 0 0"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_the_zeros_of_an_image_without_faces(zeros, end, tmp_path):
    lines = ["ev/a.jpg", "0", zeros, "ev/b.jpg", "1", "1\t2 30 40 0 0 0 0 0 0", "ev/c.jpg", "0"]
    text(tmp_path / "a.txt", end.join(lines))
    roidb = READERS["wider"](str(tmp_path / "a.txt"), None)
    assert {record.image: len(record.boxes) for record in roidb.records} == {
        "ev/a.jpg": 0, "ev/b.jpg": 1, "ev/c.jpg": 0}


@pytest.mark.parametrize(("count", "message"), [
    ("9" * 5000, "expected the number of faces"), ("1", "an attribute of")])
def test_numbers_of_a_wider_file_that_are_too_large(count, message, tmp_path):
    text(tmp_path / "a.txt", f"a.jpg\n{count}\n1 2 3 4 0 0 1e300 0 0 0\n")
    with pytest.raises(InputError, match=message) as error:
        READERS["wider"](str(tmp_path / "a.txt"), None)
    assert len(str(error.value)) < 300


def test_tabs_divide_lists(tmp_path):
    text(tmp_path / "list.txt", "a.jpg\t1\r\nb c.jpg\r\n\r\n\td.jpg\n")
    assert listed_images(tmp_path / "list.txt", ["a.jpg", "b c.jpg", "d.jpg"]) == ["a.jpg", "b c.jpg", "d.jpg"]
    text(tmp_path / "ssh.txt", "a\t1 2\t3 4\n")
    assert READERS["ssh"](str(tmp_path / "ssh.txt"), None).records[0].boxes.tolist() == [[1, 2, 4, 5]]


def test_numbers_are_those_of_text_files_and_not_of_python(tmp_path):
    image(tmp_path / "images" / "a.jpg")
    text(tmp_path / "labels" / "a.txt", "0 .5 .5 1_0 .2\n")
    with pytest.raises(InputError, match=r"a\.txt, line 1: expected numbers, found '1_0'"):
        read("yolo", tmp_path)


@pytest.mark.parametrize("word, ignored", [("1", True), ("true", True), ("True", True), ("0", False), ("false", False),
                                           ("", False)])
def test_difficult_is_a_number_or_a_word(word, ignored, tmp_path):
    image(tmp_path / "images" / "a.jpg")
    text(tmp_path / "labels" / "a.xml", xml(("face", 10, 10, 40, 50)).replace(
        "</name>", f"</name><difficult>{word}</difficult>"))
    record, = read("voc", tmp_path).records
    assert record.ignore.tolist() == [ignored]


def test_a_data_yaml_of_any_length_costs_no_time(tmp_path):
    image(tmp_path / "images" / "a.jpg")
    text(tmp_path / "labels" / "a.txt", "0 .5 .5 .2 .2\n")
    text(tmp_path / "data.yaml", "-\n" * 450_000)
    start = time.process_time()
    assert len(read("yolo", tmp_path).records) == 1
    assert time.process_time() - start < 1
