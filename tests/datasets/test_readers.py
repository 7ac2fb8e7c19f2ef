import os
from types import MappingProxyType

import cv2
import numpy as np
import pytest

from manyfaces.datasets import READERS
from manyfaces.errors import InputError


@pytest.fixture
def images(tmp_path):
    """A folder with 0--A/x.jpg and 0--A/y.png, both 100 px wide and 80 px high."""
    folder = tmp_path / "images"
    (folder / "0--A").mkdir(parents=True)
    for name in ("x.jpg", "y.png"):
        cv2.imwrite(str(folder / "0--A" / name), np.zeros((80, 100, 3), np.uint8))
    return folder


def read(form, tmp_path, text, images=None, **options):
    path = tmp_path / "labels.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return READERS[form](str(path), images and str(images), **options)


def boxes(roidb):
    return {record.image: record.boxes.tolist() for record in roidb.records}


WIDER = """0--A/x.jpg
3
10 20 30 40 2 0 1 0 1 0
1.5 2.25 3.5 4 0 0 0 1 0 0
5 5 0 9 0 0 0 0 0 0
0--A/y.png
0
0 0 0 0 0 0 0 0 0 0
0--A/z.jpg
0
0--A/w.jpg
1
7 8 9 10
"""


@pytest.mark.parametrize("ending", ["\n", "\r\n", " \r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_wider_text(ending, start, tmp_path):
    roidb = read("wider", tmp_path, start + WIDER.replace("\n", ending))
    assert boxes(roidb) == {"0--A/x.jpg": [[10, 20, 40, 60], [1.5, 2.25, 5, 6.25]], "0--A/y.png": [], "0--A/z.jpg": [],
                            "0--A/w.jpg": [[7, 8, 16, 18]]}
    first, last = roidb.records[0], roidb.records[3]
    assert first.boxes.dtype == np.float32 and np.isnan(first.landmarks).all() and first.landmarks.shape == (2, 5, 2)
    assert first.ignore.tolist() == [False, True] and roidb.dropped == {"faces without area": 1}
    assert {key: values.tolist() for key, values in first.attributes.items()} == {
        "blur": [2, 0], "expression": [0, 0], "illumination": [1, 0], "invalid": [0, 1], "occlusion": [1, 0],
        "pose": [0, 0]}
    assert last.attributes["blur"].tolist() == [-1] and not last.ignore.any()
    assert (first.width, first.height, first.root) == (0, 0, "")


@pytest.mark.parametrize(("text", "line", "message"), [
    (WIDER.replace("3\n10", "4\n10"), 6, "expected face 4 of 4 of 0--A/x.jpg, found '0--A/y.png'"),
    (WIDER.replace("3\n10", "2\n10"), 5, "found the box '5 5 0 9 0 0 0 0 0 0': the count before it is too small"),
    (WIDER.replace("3\n10", "three\n10"), 2, "expected the number of faces of 0--A/x.jpg, found 'three'"),
    (WIDER.replace("3\n10", "-1\n10"), 2, "found '-1'"),
    (WIDER.replace("1.5 2.25", "1.5 O.25"), 4, "expected numbers, found 'O.25'"),
    (WIDER.replace("1.5 2.25", "1.5 nan"), 4, "expected numbers, found 'nan'"),
    (WIDER.replace("1.5 2.25", "1.5 inf"), 4, "found 'inf'"),
    (WIDER.replace("7 8 9 10", "7 8 9"), 13, "found 3 numbers"),
    (WIDER.replace("7 8 9 10", "7 8 9 10 0.9"), 13, "found 5 numbers"),
    (WIDER.replace("\n7 8 9 10", ""), 13, "expected face 1 of 1 of 0--A/w.jpg, found ''"),
    (WIDER[:-len("1\n7 8 9 10\n")], 12, "expected the number of faces of 0--A/w.jpg, found ''"),
    (WIDER.replace("0--A/z", "0--A/x"), 9, "image 0--A/x.jpg is listed twice"),
    (WIDER.replace("0--A/z", "../z"), 9, "leaves the folder of the images"),
    (WIDER.replace("0--A/z", "/z"), 9, "leaves the folder of the images"),
])
def test_wider_text_that_is_wrong_is_named_by_its_line(text, line, message, tmp_path):
    for content in (text, text.replace("\n", "\r\n")):
        with pytest.raises(InputError) as error:
            read("wider", tmp_path, content)
        assert f"labels.txt, line {line}: " in str(error.value) and message in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("form", ["wider", "retinaface", "ssh"])
def test_files_that_are_none(form, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        READERS[form](str(tmp_path / "absent.txt"), None)
    with pytest.raises(InputError, match="is a folder"):
        READERS[form](str(tmp_path), None)
    with pytest.raises(InputError, match="lists no image"):
        read(form, tmp_path, "\n")
    with pytest.raises(InputError, match="not a text file"):
        read(form, tmp_path, b"0--A/x.jpg\xff\xfe\n")


def test_a_mat_file_that_is_none(tmp_path):
    path = tmp_path / "wider.mat"
    for content, message in ((None, "no such file"), (b"text", "not a MATLAB file"), (b"", "not a MATLAB file")):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            READERS["wider"](str(path), None)
    from scipy.io import savemat
    savemat(path, {"event_list": np.zeros((2, 2))})
    with pytest.raises(InputError, match="not structured like wider_face_train.mat"):
        READERS["wider"](str(path), None)


RETINAFACE = """# 0--A/x.jpg
10 20 30 40 11 21 0 12 22 1 13 23 0 14 24 0 15 25 0 0.82
1 2 3 4 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1
0 2 3 4 -1 -1 -1 3.5 4 -1 -1 -1 -1 -1 5 0 -1 -1 -1 0.3
# 0--A/y.png
# 0--A/z.jpg
5 6 7 8
9 9 -1 5
"""


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_retinaface_landmarks(ending, tmp_path):
    roidb = read("retinaface", tmp_path, RETINAFACE.replace("\n", ending))
    assert boxes(roidb) == {"0--A/x.jpg": [[10, 20, 40, 60], [1, 2, 4, 6], [0, 2, 3, 6]], "0--A/y.png": [],
                            "0--A/z.jpg": [[5, 6, 12, 14]]}
    assert roidb.dropped == {"faces without area": 1} and not roidb.records[0].ignore.any()
    full, none, some = roidb.records[0].landmarks
    assert full.tolist() == [[11, 21], [12, 22], [13, 23], [14, 24], [15, 25]]
    assert np.isnan(none).all()
    assert np.isnan(some[[0, 2, 4]]).all() and some[[1, 3]].tolist() == [[3.5, 4], [-1, 5]]  # a point left of the image


@pytest.mark.parametrize(("text", "line", "message"), [
    (RETINAFACE.replace("11 21 0", "11 21"), 2, "expected 4 numbers (a box) or 20"),
    (RETINAFACE.replace("11 21 0", "11 a 0"), 2, "found 'a'"),
    ("1 2 3 4\n" + RETINAFACE, 1, "expected `# image` before the first face"),
    (RETINAFACE.replace("y.png", "x.jpg"), 5, "listed twice"),
])
def test_retinaface_that_is_wrong_is_named_by_its_line(text, line, message, tmp_path):
    with pytest.raises(InputError) as error:
        read("retinaface", tmp_path, text)
    assert f"labels.txt, line {line}: " in str(error.value) and message in str(error.value)


def test_ssh_list_has_inclusive_corners_and_no_extension(images, tmp_path):
    text = "0--A/x 49.0 30.0 70.0 78.0 1 2 1 2\r\n0--A/y\r\n"
    roidb = read("ssh", tmp_path, text, images)
    # A face 22 px wide and 49 px high at (49, 30), and a face of one pixel.
    assert boxes(roidb) == {"0--A/x.jpg": [[49, 30, 71, 79], [1, 2, 2, 3]], "0--A/y.png": []}
    assert [(r.width, r.height) for r in roidb.records] == [(100, 80)] * 2
    assert list(boxes(read("ssh", tmp_path, text))) == ["0--A/x.jpg", "0--A/y.jpg"]
    with pytest.raises(InputError, match=r"labels.txt, line 2: expected four numbers per face after 0--A/y, found 3"):
        read("ssh", tmp_path, "0--A/x 1 2 3 4\n0--A/y 1 2 3\n")
    with pytest.raises(InputError, match=r"line 1: expected numbers, found 'two'"):
        read("ssh", tmp_path, "0--A/x 1 two 3 4\n")


def test_missing_images_are_an_error_or_counted(images, tmp_path):
    text = "0--A/x.jpg\n1\n1 2 3 4\n0--A/absent.jpg\n2\n1 2 3 4\n1 2 3 4\n0--A/gone.jpg\n0\n"
    with pytest.raises(InputError, match=r"absent.jpg: no such image; 2 of 3 images listed in .*labels.txt"):
        read("wider", tmp_path, text, images)
    roidb = read("wider", tmp_path, text, images, missing="skip")
    assert boxes(roidb) == {"0--A/x.jpg": [[1, 2, 4, 6]]} and roidb.dropped == {"images missing": 2}
    with pytest.raises(InputError, match="no such folder of images"):
        read("wider", tmp_path, text, tmp_path / "nowhere")


def test_unreadable_images_are_an_error_or_counted(images, tmp_path):
    (images / "0--A" / "text.jpg").write_text("no image")
    text = "0--A/x.jpg\n0\n0--A/text.jpg\n1\n1 2 3 4\n"
    with pytest.raises(InputError, match=r"text\.jpg: cannot be decoded, it holds text .*labels\.txt, line 3"):
        read("wider", tmp_path, text, images)
    roidb = read("wider", tmp_path, text, images, missing="skip")
    assert list(boxes(roidb)) == ["0--A/x.jpg"] and roidb.dropped == {"images unreadable": 1}


XML = """<annotation><filename>x.jpg</filename><size><width>100</width><height>80</height></size>
<object><name>with_mask</name><difficult>0</difficult>
 <bndbox><xmin> 10 </xmin><ymin>20.5</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object>
<object><name>dog</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object>
<object><name>face</name><difficult>1</difficult>
 <bndbox><xmin>5</xmin><ymin>6</ymin><xmax>7</xmax><ymax>8</ymax></bndbox></object>
</annotation>"""


def voc(tmp_path, images, *contents, **options):
    folder = tmp_path / "annotations" / "0--A"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in zip("xyz", contents, strict=False):
        (folder / f"{name}.xml").write_bytes(content if isinstance(content, bytes) else content.encode())
    return READERS["voc"](str(folder.parent), images and str(images), **options)


def test_voc_folder(images, tmp_path):
    old = "<annotation>\r\n<filename>old name.jpg</filename>\r\n</annotation>\r\n"
    roidb = voc(tmp_path, images, XML, old, classes={"with_mask", "dog", "face"})
    assert boxes(roidb) == {"0--A/x.jpg": [[10, 20.5, 30, 40], [1, 2, 3, 4], [5, 6, 7, 8]], "0--A/y.png": []}
    assert roidb.records[0].ignore.tolist() == [False, False, True]
    some = voc(tmp_path, images, XML, classes={"with_mask", "face"})
    assert boxes(some)["0--A/x.jpg"] == [[10, 20.5, 30, 40], [5, 6, 7, 8]]
    assert list(boxes(voc(tmp_path, None, XML))) == ["0--A/x.jpg", "0--A/old name.jpg"]


@pytest.mark.parametrize(("content", "message"), [
    (XML.replace("20.5", "2O"), r"x\.xml, object 1: expected a number in bndbox/ymin, found '2O'"),
    (XML.replace("<xmin>1</xmin>", ""), r"x\.xml, object 2: expected a number in bndbox/xmin, found ''"),
    (XML[:200], r"x\.xml: not readable as XML"), ("", r"x\.xml: not readable as XML"),
    (XML.replace("x.jpg", "../../secret.jpg"), None),
])
def test_voc_that_is_wrong_is_named(content, message, images, tmp_path):
    if message is None:  # only the last component of the path in the file counts
        assert list(boxes(voc(tmp_path, images, content))) == ["0--A/x.jpg"]
        return
    with pytest.raises(InputError, match=message):
        voc(tmp_path, images, content, classes={"with_mask", "dog", "face"})


LAUGHS = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a0 "ha">' + "".join(
    f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12)) + (
    "]><annotation><filename>&a11;</filename></annotation>")


@pytest.mark.parametrize("content", [
    LAUGHS.encode(), LAUGHS.encode("utf-16"),
    b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/hostname">]><annotation><filename>&f;</filename></annotation>',
], ids=["billion laughs", "in utf-16", "external entity"])
def test_voc_entities_are_refused_before_they_grow(content, images, tmp_path):
    with pytest.raises(InputError, match=r"x\.xml: it declares a document type"):
        voc(tmp_path, images, content)


def test_voc_folder_that_is_none(tmp_path):
    with pytest.raises(InputError, match="no such folder of .xml"):
        READERS["voc"](str(tmp_path / "nowhere"), None)
    with pytest.raises(InputError, match="holds no .xml"):
        READERS["voc"](str(tmp_path), None)


def yolo(tmp_path, images, options=MappingProxyType({}), **files):
    folder = tmp_path / "labels"
    (folder / "0--A").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / "0--A" / f"{name}.txt").write_bytes(content.encode())
    return READERS["yolo"](str(folder), images and str(images), **options)


def test_yolo_fractions(images, tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "classes.txt").write_text("face\n")
    roidb = yolo(tmp_path, images, {"classes": [0, 1]}, x="0 0.5 0.5 0.2 0.5\r\n1 0.1 0.25 0.2 0\r\n")
    assert boxes(roidb) == {"0--A/x.jpg": [[40, 20, 60, 60]], "0--A/y.png": []}
    assert roidb.dropped == {"faces without area": 1}


@pytest.mark.parametrize(("line", "message"), [
    ("0 0.5 0.5 0.2", "expected `class cx cy w h`, alone or with .*, found 4 numbers"),
    ("0 0.5 x 0.2 0.2", "expected numbers, found 'x'"),
    ("0 50 50 20 20", "expected fractions of the image between 0 and 1")])
def test_yolo_that_is_wrong_is_named_by_its_line(line, message, images, tmp_path):
    with pytest.raises(InputError, match=rf"x\.txt, line 2: {message}"):
        yolo(tmp_path, images, x=f"0 0.5 0.5 0.2 0.5\n{line}\n")


def test_yolo_needs_images_and_labels(images, tmp_path):
    with pytest.raises(InputError, match="the folder of the images is needed"):
        yolo(tmp_path, None, x="0 0.5 0.5 0.2 0.5")
    with pytest.raises(InputError, match=r"absent\.jpg: no such image; 1 of 3 images"):
        yolo(tmp_path, images, x="", absent="0 0.5 0.5 0.2 0.5")
    empty = tmp_path / "empty"
    os.mkdir(empty)
    with pytest.raises(InputError, match="holds no .txt label"):
        READERS["yolo"](str(empty), str(images))


def test_landmarks_of_one_face_a_line(images, tmp_path):
    """In the file the box is left right top bottom."""
    text = "0--A\\x.jpg 27 69 14 62 33 30 56 31 45 40 35 50.5 55 51\r\n"
    (record,) = read("landmarks", tmp_path, text, images).records
    assert (record.image, record.boxes.tolist()) == ("0--A/x.jpg", [[27, 14, 69, 62]])
    assert record.landmarks.tolist() == [[[33, 30], [56, 31], [45, 40], [35, 50.5], [55, 51]]]


def test_a_line_of_landmarks_that_is_short_is_named(images, tmp_path):
    line = "0--A/{} 27 69 14 62 1 1 2 2 3 3 4 4 5"
    text = line.format("x.jpg") + " 5\n" + line.format("y.png")
    with pytest.raises(InputError, match=r"labels\.txt, line 2: expected left right top bottom and five points.*13"):
        read("landmarks", tmp_path, text, images)
