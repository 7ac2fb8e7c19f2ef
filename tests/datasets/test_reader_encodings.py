"""Encodings, lines and numbers of annotations."""

import time

import pytest
from label_files import as_coco, image, read, text, xml, yolo

from manyfaces.datasets import READERS
from manyfaces.datasets.folders import listed_images
from manyfaces.errors import InputError
from manyfaces.evaluation import read_predictions
from manyfaces.texts import read_text

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
