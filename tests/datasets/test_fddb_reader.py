import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manyfaces.datasets import READERS
from manyfaces.datasets.fddb_text import ellipse_boxes, fold_files, read_blocks, read_ellipses
from manyfaces.errors import InputError

# The third image has no face. Two spaces before the last column are as in the official files.
LIST = """2002/08/11/big/img_591
1
40 30 1.570796 50.5 60.25  1
2002/08/26/big/img_265
2
10 10 0.3 20 30  1
0 0 0 5 5  1
2002/07/19/big/img_423
0
"""


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_ellipses_become_the_boxes_that_just_hold_them(tmp_path):
    path = write(tmp_path / "FDDB-fold-01-ellipseList.txt", LIST)
    for labels in (path, tmp_path):
        roidb = READERS["fddb"](labels)
        assert [record.image for record in roidb.records] == [
            "2002/08/11/big/img_591.jpg", "2002/08/26/big/img_265.jpg", "2002/07/19/big/img_423.jpg"]
        # An ellipse with a vertical major axis: 60 px wide and 80 px high. Then a circle.
        np.testing.assert_allclose(roidb.records[0].boxes, [[20.5, 20.25, 80.5, 100.25]], atol=1e-4)
        np.testing.assert_allclose(roidb.records[1].boxes, [[10, 20, 30, 40]], atol=1e-5)
        assert len(roidb.records[2].boxes) == 0 and roidb.dropped == {"faces without area": 1}


def test_all_folds_of_a_folder_are_read_and_find_their_images(tmp_path):
    import cv2

    for fold, name in ((1, "2002/a"), (10, "2003/b")):
        write(tmp_path / f"folds/FDDB-fold-{fold:02d}-ellipseList.txt", f"{name}\n1\n9 5 0 20 15 1\n")
        write(tmp_path / f"folds/FDDB-fold-{fold:02d}.txt", name + "\n")  # the data set has such lists of images too
        (tmp_path / "images" / name).parent.mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), np.zeros((30, 40, 3), np.uint8))
    roidb = READERS["fddb"](str(tmp_path / "folds"), str(tmp_path / "images"))
    assert [(r.image, r.width, r.height) for r in roidb.records] == [("2002/a.png", 40, 30), ("2003/b.png", 40, 30)]
    assert roidb.records[1].boxes.tolist() == [[11, 10, 29, 20]]
    assert list(fold_files(tmp_path / "folds")) == [1, 10]


@given(st.floats(1, 90), st.floats(1, 90), st.floats(-7, 7), st.floats(-50, 50), st.floats(-50, 50))
def test_the_box_touches_the_ellipse_on_all_sides(major, minor, angle, x, y):
    turn = np.linspace(0, 2 * np.pi, 20001)
    along, across = major * np.cos(turn), minor * np.sin(turn)
    points = np.stack([x + along * np.cos(angle) - across * np.sin(angle),
                       y + along * np.sin(angle) + across * np.cos(angle)], axis=1)
    box = ellipse_boxes([[major, minor, angle, x, y]])[0]
    np.testing.assert_allclose(box, [*points.min(axis=0), *points.max(axis=0)], atol=1e-4)


@pytest.mark.parametrize(("old", "new", "line", "message"), [
    ("1\n40", "one\n40", 2, "expected the number of faces of 2002/08/11/big/img_591, found 'one'"),
    ("1\n40", "2\n40", 4, "expected `major minor angle cx cy 1` (face 2 of 2 of 2002/08/11/big/img_591)"),
    ("2\n10", "1\n10", 7, "expected an image, found the face '0 0 0 5 5  1': the count before it is too small"),
    ("img_423\n0", "img_423\n1", 10, "found the end or an empty line"),
    ("\n0\n", "\n", 9, "expected the number of faces of 2002/07/19/big/img_423, found ''"),
    ("60.25  1", "60.25", 3, "expected `major minor angle cx cy 1`"),
    ("60.25", "6O.25", 3, "expected numbers, found '6O.25'"),
    ("60.25", "nan", 3, "expected numbers, found 'nan'"),
    ("10 10 0.3", "10 -10 0.3", 6, "expected radii of 0 or more"),
    ("20 30  1\n0 0 0 5", "20 30  1\n0 0 0 1e9", 7, "no value beyond 16,000 px"),
    ("2002/07/19/big/img_423", "2002/08/26/big/img_265.jpg", 8, "is listed twice, first in line 4"),
])
def test_a_list_that_is_wrong_is_named_by_its_line(old, new, line, message, tmp_path):
    assert old in LIST
    path = write(tmp_path / "list.txt", LIST.replace(old, new, 1))
    with pytest.raises(InputError) as error:
        READERS["fddb"](path)
    assert f"list.txt, line {line}: " in str(error.value) and message in str(error.value)


def test_rows_of_one_file_have_one_form(tmp_path):
    forms = {5: "x y w h score", 6: "major minor angle cx cy score"}
    path = write(tmp_path / "found.txt", "a\n0\n\nb\n1\n1 2 3 4 .5\nc\n2\n1 2 3 4 5\n1 2 3 4 5 6\n")
    with pytest.raises(InputError, match="found.txt, line 10: expected `x y w h score` as in the lines before"):
        read_blocks(path, forms)
    blocks = read_blocks(write(path, "a\n0\n\nb.jpg\n1\n1 2 3 4 5 .5\n"), forms)
    assert [(block.name, block.rows.shape) for block in blocks] == [("a", (0, 6)), ("b", (1, 6))]
    assert read_blocks(write(path, "a\n0\n"), forms)[0].rows.shape == (0, 5)
    assert read_blocks(write(path, ""), forms) == []


values = st.one_of(st.floats().map(repr), st.integers().map(str),
                   st.sampled_from(["1", "0", "nan", "x", "1_0", "\0", ""]))
lines = st.one_of(st.lists(values, max_size=7).map(" ".join), st.integers(0, 3).map(str), st.text(max_size=9),
                  st.sampled_from(["a", "b/c.jpg", "./", "9" * 5000, "1 2 3 4 0.5", "1 2 3 4 5 0.5"]))


@given(st.one_of(st.binary(max_size=60), st.lists(lines, max_size=9).map(
    lambda parts: "\n".join(parts).encode("utf-8", "surrogatepass"))))
def test_any_bytes_are_read_or_named_with_their_line(data):
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            for block in read_blocks(file.name, {5: "x y w h score", 6: "major minor angle cx cy score"}):
                assert block.name and block.rows.shape[1] in (5, 6) and np.isfinite(block.rows).all()
        except InputError as error:
            assert f"{file.name}, line " in str(error) or "not a text file" in str(error)
            assert "\n" not in str(error)


def test_folders_that_hold_no_list(tmp_path):
    for folder, message in ((tmp_path, "holds no FDDB-fold-NN-ellipseList.txt"), (tmp_path / "x", "no such folder")):
        with pytest.raises(InputError, match=message):
            fold_files(folder)
    with pytest.raises(InputError, match="no such file"):
        read_ellipses(tmp_path / "none.txt")
    with pytest.raises(InputError, match="lists no image"):
        READERS["fddb"](write(tmp_path / "empty.txt", "\n"))
