"""tools/evaluate.py fddb on files: what it prints and writes, and its messages about bad input."""

import json
import os

import cv2
import numpy as np
import pytest
from made_up_faces import made_up_set

from manyfaces.commands.command_line import run
from manyfaces.errors import InputError
from manyfaces.evaluation.fddb import evaluate_fddb, read_detections, read_fddb, read_sizes
from manyfaces.evaluation.fddb.plot import roc_figure, roc_plot


@pytest.fixture
def evaluate(tool, capsys):
    def call(*arguments):
        code = run(tool("evaluate").main, ["fddb", *map(str, arguments)])
        return code, *capsys.readouterr()
    return call


def text(parts, end=""):
    """A list in FDDB's format from image name -> rows; nothing is rounded."""
    return "".join(f"{name}\n{len(rows)}\n" + "".join(" ".join(map(repr, row)) + end + "\n" for row in rows.tolist())
                   for name, rows in parts.items())


@pytest.fixture
def files(tmp_path):
    """A made-up set of 30 images on disk: folder, arguments, and its contents."""
    folds, detections, sizes = made_up_set(30, 10, 7)
    for fold in folds:
        path = tmp_path / "folds" / f"FDDB-fold-{fold.number:02d}-ellipseList.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text(fold.faces, "  1"))
    for name, size in sizes.items():
        path = tmp_path / "images" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((size[1], size[0], 3), np.uint8))
    (tmp_path / "found.txt").write_text(text(detections))
    return tmp_path, ("--annotations", tmp_path / "folds", "--images", tmp_path / "images"), (folds, detections, sizes)


def test_the_files_give_what_the_arrays_give(files):
    folder, _, (folds, detections, sizes) = files
    read = read_fddb(folder / "folds")
    assert [fold.number for fold in read] == list(range(1, 11))
    for a, b in zip(read, folds, strict=True):
        assert list(a.faces) == list(b.faces)
        assert all(np.array_equal(a.faces[name], b.faces[name]) for name in a.faces)
    found = read_detections(folder / "found.txt", read)
    assert all(np.array_equal(found[name], detections[name]) for name in detections)
    assert read_sizes(read, folder / "images") == sizes


def test_what_is_printed_and_written(files, evaluate):
    folder, arguments, (folds, detections, sizes) = files
    code, out, _ = evaluate(*arguments, "--pred", folder / "found.txt", "--json", folder / "r.json", "--roc",
                            folder / "roc_", "--plot", folder / "plots" / "roc.png")
    assert code == 0
    roc = evaluate_fddb(detections, folds, sizes).roc
    header, row, _, folds_header, first, *_ = out.splitlines()
    assert header.split()[:6] == ["pred", "discrete@100", "discrete@1000", "continuous@100", "continuous@1000",
                                  "folds@1000"]
    assert row.split()[1:5] == [f"{roc.at(limit)[kind]:.5f}" for kind in ("discrete", "continuous")
                                for limit in (100, 1000)]
    assert row.split()[-4:] == ["30", f"{roc.faces}", "300", "0"]
    assert folds_header.split()[:2] == ["fold", "images"] and first.split()[:2] == ["1", "3"]
    most = int(roc.false_positives.max())
    assert f"has {most} false positives in all; at 1,000 it may have a higher rate" in out
    result = json.loads((folder / "r.json").read_text())[0]
    assert result["protocol"] == "fddb" and len(result["folds"]) == 10
    assert result["discrete"]["100"] == roc.at(100)["discrete"]
    assert result["points"]["100"]["threshold"] == roc.at(100)["threshold"]
    # As the benchmark writes them: thresholds rise, so the last line has the fewest detections.
    lines = np.loadtxt(folder / "roc_DiscROC.txt")
    np.testing.assert_allclose(lines[::-1], np.stack([roc.discrete, roc.false_positives, roc.thresholds], 1), rtol=1e-8)
    np.testing.assert_allclose(np.loadtxt(folder / "roc_ContROC.txt")[::-1],
                               np.stack([roc.continuous, roc.false_positives], 1), rtol=1e-8)
    assert cv2.imread(str(folder / "plots" / "roc.png")).shape[1] == 2160
    assert (folder / "plots" / "roc.pdf").read_bytes().startswith(b"%PDF")
    for path in roc_plot([("found", roc)], folder / "again"):  # the same curves give the same files
        assert (folder / "plots" / f"roc{path[-4:]}").read_bytes() == (folder / path).read_bytes()


def test_several_methods_share_a_table_and_a_plot(files, evaluate):
    folder, arguments, (folds, detections, sizes) = files
    (folder / "split").mkdir()
    for fold in folds:  # as the benchmark's script needs them
        (folder / "split" / f"fold-{fold.number:02d}-out.txt").write_text(
            text({name: detections[name] for name in fold.faces}))
    half = {name: rows for index, (name, rows) in enumerate(detections.items()) if index % 2}
    (folder / "half.txt").write_text(text(half))
    code, out, _ = evaluate(*arguments, "--pred", folder / "found.txt", "--pred", folder / "split", "--pred",
                            folder / "half.txt")
    lines = out.splitlines()
    assert code == 0 and lines[1].split()[1:] == lines[2].split()[1:] and lines[3].split()[-1] == "15"
    assert "half.txt: 15 of 30 images are not listed; nothing is found there" in out
    both = ("--pred", folder / "half.txt", "--pred", folder / "split")
    code, _, err = evaluate(*arguments, *both, "--roc", folder / "x")
    assert code == 2 and "--roc: writes the curves of one --pred" in err
    rocs = [evaluate_fddb(found, folds, sizes).roc for found in (detections, half)]
    figure = roc_figure([("half of the images, with a name that is long", rocs[1]), ("all", rocs[0])])
    for axes, kind in zip(figure.axes, ("discrete", "continuous"), strict=True):
        labels = [entry.get_text() for entry in axes.get_legend().get_texts()]
        assert labels[0] == f"all: {rocs[0].at(1000)[kind]:.3f}"  # the better one first, in its own colour
        assert labels[1].startswith("half of the") and labels[1].endswith(f"long: {rocs[1].at(1000)[kind]:.3f}")
        x, y = axes.lines[0].get_data()
        assert (x[0], y[0]) == (0, 0) and y[-1] == pytest.approx(rocs[0].at(2000)[kind])
        assert axes.get_xlim() == (0, 2000)


def test_bad_input_is_one_line(files, evaluate):
    folder, arguments, _ = files
    found = folder / "found.txt"

    def fails(*changed):
        code, out, err = evaluate(*arguments, "--pred", found, *changed)
        assert (code, out) == (2, "") and err.count("\n") == 1
        return err

    good = found.read_text()
    name = good.splitlines()[0]
    found.write_text(good + "2002/x\n1\n1 2 3 4 5\n")
    assert f"found.txt, line {good.count(chr(10)) + 1}: image '2002/x' is not in the annotations" in fails()
    found.write_text(good.replace("\n10\n", "\n9\n", 1))
    assert "found.txt, line 12: expected an image, found the face" in fails()
    found.write_text(good + f"{name}\n0\n")
    assert f"image {name} is listed twice, first in line 1" in fails()
    found.write_text(f"{name}\n1\n1 2 3 four 5\n")
    assert "line 3: expected numbers, found 'four'" in fails()
    found.write_text(f"{name}\n1\n1 2 3 4\n")
    assert "line 3: expected `x y w h score` or `major minor angle cx cy score`" in fails()
    found.write_text(f"{name}\n1\n-1 2 0 4 5 0.5\n")
    assert "line 3: expected radii of 0 or more" in fails()
    found.write_text("")
    assert "found.txt: lists no image" in fails()
    found.write_text(good)
    assert "split: no such file" in fails("--pred", folder / "split")
    (folder / "split").mkdir()
    assert "split: has no fold-NN-out.txt" in fails("--pred", folder / "split")
    for number in (1, 2):
        (folder / "split" / f"fold-{number:02d}-out.txt").write_text(f"{name}\n0\n")
    assert f"image {name} is also in another of the files" in fails("--pred", folder / "split")

    os.remove(folder / "images" / f"{name}.jpg")
    assert f"{name}.jpg: no such image; FDDB's masks end where the image does" in fails()
    assert "no such folder of images" in fails("--images", folder / "none")
    again = folder / "folds" / "FDDB-fold-02-ellipseList.txt"
    before = again.read_text()
    again.write_text(before + f"{name}\n0\n")
    assert "FDDB-fold-02-ellipseList.txt, line" in fails() and f"image {name} is listed twice, first at" in fails()
    os.remove(again)
    assert "FDDB-fold-02-ellipseList.txt is missing; all ten folds are needed, found 1, 3, 4" in fails()


def test_without_folds_any_image_is_read(tmp_path):
    (tmp_path / "a.txt").write_text("a/b.jpg\n1\n1 2 3 4 5\n")
    assert read_detections(tmp_path / "a.txt")["a/b"].tolist() == [[1, 2, 3, 4, 5]]
    with pytest.raises(InputError, match="no such folder"):
        read_fddb(tmp_path / "x")
