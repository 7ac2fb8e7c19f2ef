"""The format of an annotation is found by its content, and the split by a hash of the names."""

import hashlib

import pytest
from label_files import BOX, image, text, xml

from manyfaces.commands.command_line import run
from manyfaces.datasets import READERS, load_roidb, split
from manyfaces.datasets.readers import find_format
from manyfaces.datasets.roidb import hash_fraction
from manyfaces.errors import InputError

FILES = {  # format -> content of a.txt, or of the file of the second entry
    "wider": ("0--A/a.jpg\n1\n10 20 30 40 0 0 0 0 0 0\n", "bbx_gt.txt"),
    "retinaface": ("# a.jpg\n10 20 30 40\n", "label.txt"),
    "ssh": ("a 10 20 39 59 50 20 80 60\n", "list.txt"),
    "landmarks": ("a.jpg " + "1 " * 14 + "\n", "list.txt"),
    "coco": ('{"images": [], "annotations": [], "categories": []}', "x.json"),
    "voc": (xml(("face", 1, 2, 30, 40)), "a.xml"),
    "yolo": (f"{BOX}\n", "a.txt"),
    "fddb": ("2002/08/11/big/img_591\n1\n123.58 85.54 1.26 269.69 161.78 1\n", "FDDB-fold-01-ellipseList.txt"),
}


@pytest.mark.parametrize("form", FILES)
def test_each_format_is_found_in_a_folder_beside_other_files(tmp_path, form):
    content, name = FILES[form]
    text(tmp_path / "set" / "labels" / name, content)
    text(tmp_path / "set" / "readme.txt", "a set of faces\n2019\n")
    text(tmp_path / "set" / "train.txt", "a\nb\n")
    text(tmp_path / "set" / "package.json", '{"name": "x"}')
    image(tmp_path / "set" / "images" / "a.jpg")
    found = find_format(tmp_path / "set")
    folder = form in ("voc", "yolo", "fddb")
    assert found.name == form
    assert found.labels == str(tmp_path / "set" / "labels" / ("" if folder else name)).rstrip("/")
    assert name in found.why


def test_every_reader_has_an_example():
    assert FILES.keys() == READERS.keys()


@pytest.mark.parametrize("content", [
    "0 0.5 0.5 0.4\n", "0 50 50 40 40\n", "a 1 2 3\n", "# a list of images\n1 2 3 4\n", "",
    "\0\1\2\n"])
def test_what_is_no_annotation_is_not_taken_for_one(tmp_path, content):
    text(tmp_path / "a.txt", content)
    with pytest.raises(InputError, match=r"no annotation was recognised among 1 \.txt; .*yolo \(YOLO\)"):
        find_format(tmp_path)


def test_ambiguous_labels_are_an_error_that_says_what_is_there(tmp_path):
    for form in ("voc", "yolo"):
        text(tmp_path / form / FILES[form][1], FILES[form][0])
    with pytest.raises(InputError, match=r"Pascal VOC \(1 files, such as voc/a.xml\) and YOLO .*--format voc or yolo"):
        find_format(tmp_path)
    text(tmp_path / "two" / "train.json", FILES["coco"][0])
    text(tmp_path / "two" / "val.json", FILES["coco"][0])
    with pytest.raises(InputError, match=r"holds 2 files of COCO, such as train.json and val.json; name the one"):
        find_format(tmp_path / "two")
    with pytest.raises(InputError, match="one per image; name their folder"):
        find_format(tmp_path / "voc" / "a.xml")
    with pytest.raises(InputError, match="no such annotation"):
        find_format(tmp_path / "absent")


def test_hash_rule_of_a_tenth_is_divisibility_by_ten():
    """The rule that chose the selection images of wider_more."""
    names = [f"{event}--Parade/{i}_x" for event in range(3) for i in range(400)]
    tenth = {name for name in names if int(hashlib.md5(name.encode()).hexdigest(), 16) % 10 == 0}
    assert 60 < len(tenth) < 180
    assert {name for name in names if hash_fraction(name) < 0.1} == tenth
    assert tenth < {name for name in names if hash_fraction(name) < 0.25}


def test_split_writes_two_sets_that_stay_when_images_are_added(toy, tool, tmp_path, capsys):
    def build(*arguments):
        code = run(tool("build_roidb").main, list(map(str, arguments)))
        return code, capsys.readouterr()

    labels = ("--labels", toy["labels"], "--images", toy["images"])
    code, said = build(*labels, "--split", 0.7, "--out", tmp_path / "t.pkl")
    assert code == 0, said.err
    assert "format   WIDER FACE" in said.out and not (tmp_path / "t.pkl").exists()
    train, held = ({r.name for r in load_roidb(tmp_path / f"t_{side}.pkl").records} for side in ("train", "select"))
    everything = READERS["wider"](str(toy["labels"]), str(toy["images"]))
    assert train | held == {r.name for r in everything.records} and not train & held and train and held
    everything.records = [r for r in everything.records if r.name not in sorted(train)[:2]]
    assert {r.name for r in split(everything, 0.7)[1].records} == held
    code, said = build(*labels, "--split", 0.7)
    assert code == 2 and "--split needs --out" in said.err
    code, said = build(*labels, "--split", 1.2, "--out", tmp_path / "t.pkl")
    assert code == 2 and "--split is 1.2" in said.err


@pytest.mark.parametrize("fraction", [0.001, 0.5, 0.999])
def test_both_sides_have_a_face(toy, fraction):
    roidb = READERS["wider"](str(toy["labels"]), str(toy["images"]))
    roidb.records = roidb.records[:3]
    for side in split(roidb, fraction):
        assert any((~record.ignore).any() for record in side.records)


def test_one_image_cannot_be_divided(toy):
    roidb = READERS["wider"](str(toy["labels"]), str(toy["images"]))
    roidb.records = [record for record in roidb.records if len(record.boxes)][:1]
    with pytest.raises(InputError, match="1 of 1 images have a face that counts"):
        split(roidb, 0.9)
