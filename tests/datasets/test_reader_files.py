"""Labels among other files, behind links and with other endings."""

import os

import cv2
import numpy as np
import pytest
from label_files import BOX, image, read, text, xml

from manyfaces.datasets import READERS
from manyfaces.datasets.folders import find_images, walk
from manyfaces.errors import InputError
from manyfaces.evaluation import read_predictions


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
    for number in range(9):
        text(tmp_path / "images" / f"z{number}.heic", b"x")
    notes = READERS["yolo"](str(tmp_path / "txt"), str(tmp_path / "images")).notes
    assert len(notes) == 4 and notes[3] == "7 more pictures are passed over for the same reason"
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
