import numpy as np
import pytest

from manyfaces.errors import InputError
from manyfaces.evaluation import Skipped, read_prediction_file, read_predictions, write_prediction_file


def written(tmp_path, content, name="0--A/x.txt"):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


GOOD = "0--A/x.jpg\n2\n1 2 3 4 0.99998\n-1.5 2e1 3.25 4 0.5 \n"


@pytest.mark.parametrize("content", [GOOD, GOOD.replace("\n", "\r\n"), GOOD + "\n\n", GOOD.rstrip(), "\ufeff" + GOOD])
def test_a_file_is_read_as_it_stands(content, tmp_path):
    rows = read_prediction_file(written(tmp_path, content))
    assert rows.dtype == np.float64 and rows.tolist() == [[1, 2, 3, 4, 0.99998], [-1.5, 20, 3.25, 4, 0.5]]


def test_a_file_without_faces(tmp_path):
    assert read_prediction_file(written(tmp_path, "x.jpg\n0\n")).shape == (0, 5)


@pytest.mark.parametrize(("content", "line", "message", "lenient"), [
    (GOOD.replace("2\n1", "3\n1"), 2, "says 3 faces, but 2 lines follow", (0, 0, 1)),
    (GOOD.replace("2\n1", "1\n1"), 2, "says 1 faces, but 2 lines follow", (0, 0, 1)),
    (GOOD.replace("0.99998", "high"), 3, "expected `x y w h score`, found '1 2 3 4 high'", (0, 1, 0)),
    (GOOD.replace("0.99998", "nan"), 3, "expected `x y w h score`", (0, 1, 0)),
    (GOOD.replace("0.99998", "inf"), 3, "expected `x y w h score`", (0, 1, 0)),
    (GOOD.replace("0.99998", ""), 3, "found '1 2 3 4'", (0, 1, 0)),
    (GOOD.replace("4 0.99998", "4 0.99998 7").replace("-1.5 ", ""), 3, "found '1 2 3 4 0.99998 7'", (0, 2, 0)),
    (GOOD.replace("2\n1", "two\n1"), 2, "an image name on line 1 and the number of faces, found 'two'", (1, 0, 0)),
    ("1 2 3 4 0.5\n5\n", 2, "expected an image name on line 1", (1, 0, 0)),
    ("1 2 3 4 0.5\n1 2 3 4 0.5\n", 2, "expected an image name on line 1", (1, 0, 0)),
    ("", 2, "found ''", (1, 0, 0)), ("x.jpg", 2, "found ''", (1, 0, 0)),
    (b"\x89PNG\r\n\xff\xfe", 2, "found", (1, 0, 0))])
def test_a_malformed_file_is_named_by_its_line_or_skipped_and_counted(content, line, message, lenient, tmp_path):
    path = written(tmp_path, content)
    with pytest.raises(InputError) as error:
        read_prediction_file(path)
    assert str(error.value).startswith(f"{path}, line {line}: ") and message in str(error.value)
    skipped = Skipped()
    rows = read_prediction_file(path, skipped)
    assert (skipped.files, skipped.lines, skipped.counts) == lenient and len(skipped.messages) == sum(lenient)
    assert rows is None if lenient[0] else rows.shape == (2 - lenient[1], 5)


def test_a_folder_gives_events_and_names(tmp_path):
    written(tmp_path, GOOD)
    written(tmp_path, "y\n0\n", "0--A/y.b.txt")
    written(tmp_path, "z\n0\n", "z.txt")
    written(tmp_path, "no prediction", "0--A/readme.md")
    found = read_predictions(tmp_path)
    assert {event: list(files) for event, files in found.items()} == {"": ["z"], "0--A": ["x", "y.b"]}
    written(tmp_path, "1 2 3", "1--B/bad.txt")
    with pytest.raises(InputError, match=r"bad\.txt, line 2"):
        read_predictions(tmp_path)
    assert read_predictions(tmp_path, Skipped()).keys() == found.keys()


def test_a_folder_that_holds_none(tmp_path):
    with pytest.raises(InputError, match="holds no prediction file"):
        read_predictions(tmp_path)
    with pytest.raises(InputError, match="no such folder of predictions"):
        read_predictions(tmp_path / "nowhere")


def test_what_is_written_comes_back_to_the_last_bit(tmp_path):
    rng = np.random.default_rng(0)
    boxes = rng.uniform(0, 4000, (500, 4)).astype(np.float32)
    boxes[:, 2:] += boxes[:, :2]
    scores = np.concatenate([rng.random(495), [1, 0, 1 - 2**-24, 1e-30, 0.1]]).astype(np.float32)
    path = tmp_path / "0--A" / "x.txt"
    write_prediction_file(path, "0--A/x.jpg", boxes, scores)
    assert path.read_text().startswith("0--A/x.jpg\n500\n")
    rows = read_prediction_file(path).astype(np.float32)
    np.testing.assert_array_equal(rows[:, :2], boxes[:, :2])
    np.testing.assert_array_equal(rows[:, 2:4], boxes[:, 2:] - boxes[:, :2])
    np.testing.assert_array_equal(rows[:, 4], scores)
    write_prediction_file(path, "0--A/x.jpg", np.zeros((0, 4)), np.zeros(0))
    assert path.read_text() == "0--A/x.jpg\n0\n"
