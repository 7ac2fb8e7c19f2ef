"""`manyfaces bulk` and `bulk read` as commands: rows counted, drawn, and converted to what other commands read."""

import json

import cv2
import numpy as np
import pytest
from bulk_data import encoded, folder_of, in_this_process, opener, pa, parquet_of, pq, rows_of, shard_of
from stand_in import picture, save

from manyfaces.bulk.run import run_bulk
from manyfaces.bulk.sources.find import find_source
from manyfaces.commands.command_line import run
from manyfaces.commands.main import main
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.detections import Detections
from manyfaces.evaluation.files.predictions import read_predictions


@pytest.fixture(autouse=True)
def here(monkeypatch):
    in_this_process(monkeypatch)


@pytest.fixture
def out(tmp_path):
    """A finished run over 10 images, of which one cannot be read."""
    folder_of(tmp_path / "photos", 9)
    (tmp_path / "photos" / "e1" / "bad.jpg").write_bytes(b"")
    run_bulk(find_source(str(tmp_path / "photos")), tmp_path / "out", opener, 0.2, rows=4)
    return tmp_path / "out"


def read(*words):
    return run(main, ["bulk", "read", *map(str, words)])


def test_counts(out, capsys):
    assert read(out) == 0
    text = capsys.readouterr().out
    assert "10 of 10 images, 9 faces from score 0.2 on in 6 images, 1 errors; by " in text
    assert "  1 errors: empty file, expected an image\n" in text


def test_what_is_missing_repeated_or_foreign_has_an_exit_code(out, capsys):
    whole = (out / "part-000001.parquet").read_bytes()
    (out / "part-000001.parquet").unlink()
    assert read(out) == 3 and "6 of 10 images" in (text := capsys.readouterr().out) and "unfinished: the same" in text
    (out / "part-000001.parquet").write_bytes((out / "part-000000.parquet").read_bytes())
    assert read(out) == 3 and "4 rows repeat an image, 0 are of no image" in capsys.readouterr().out
    table = pq.read_table(pa.BufferReader(whole))
    pq.write_table(table.set_column(0, "path", pa.array([f"other{k}" for k in range(4)])), out / "part-000001.parquet")
    assert read(out) == 3 and "0 rows repeat an image, 4 are of no image" in capsys.readouterr().out
    (out / "part-000001.parquet").write_bytes(whole[:50])
    assert read(out) == 2 and "cannot be read" in capsys.readouterr().err


def test_a_folder_without_a_run_is_refused(tmp_path, capsys):
    assert read(tmp_path) == 2
    assert "has no _run.json; expected a folder that `manyfaces bulk` wrote" in capsys.readouterr().err


def test_json_lines_are_those_of_detect(out, tmp_path):
    assert read(out, "--json", tmp_path / "a.jsonl") == 0
    rows = rows_of(out)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["source"] for line in lines] == list(rows)
    for line in lines:
        row, faces = rows[line["source"]], Detections.from_json(line)
        assert (line["width"], line["height"], line["by"]) == (row["width"], row["height"], row["model"])
        assert line.get("error") == row["error"] and faces.threshold == 0.2
        assert np.array_equal(faces.boxes, np.float32(row["boxes"] or []).reshape(-1, 4))
        assert np.array_equal(faces.scores, np.float32(row["scores"] or []))


def test_predictions_are_those_of_test(out, tmp_path, capsys):
    assert read(out, "--pred", tmp_path / "pred") == 0
    assert "predictions of 9 images" in capsys.readouterr().out
    predictions, rows = read_predictions(tmp_path / "pred"), rows_of(out)
    assert sorted(predictions) == ["e0", "e1", "e2"] and "bad" not in predictions["e1"]
    for event, images in predictions.items():
        for name, faces in images.items():
            boxes = np.float32(rows[f"{tmp_path}/photos/{event}/{name}.png"]["boxes"]).reshape(-1, 4)
            assert np.array_equal(np.float32(faces[:, :2]), boxes[:, :2]) and len(faces) == len(boxes)


def test_names_in_shards_rows_and_lists_become_names_below_their_folder(tmp_path):
    png = encoded(picture(60, 40, (4, 4, 20)))
    (tmp_path / "s").mkdir()
    shard_of(tmp_path / "s" / "1.tar", [("a/x.png", png)])
    parquet_of(tmp_path / "p" / "b.parquet", {"jpg": [png, png]})
    for name in ("one/a.png", "two/b.png"):
        save(tmp_path / "l" / name, picture(60, 40, (4, 4, 20)))
    (tmp_path / "list.txt").write_text("l/one/a.png\nl/two/b.png\n")
    for source, names in (("s", ["1.tar/a/x.txt"]), ("s/1.tar", ["a/x.txt"]),
                          ("p", ["b.parquet/0.txt", "b.parquet/1.txt"]), ("list.txt", ["one/a.txt", "two/b.txt"])):
        out = tmp_path / f"out_{source.replace('/', '_')}"
        run_bulk(find_source(str(tmp_path / source)), out, opener, 0.2)
        assert read(out, "--pred", out / "pred") == 0
        assert sorted(str(path.relative_to(out / "pred")) for path in (out / "pred").rglob("*.txt")) == names


def test_a_sample_is_drawn_from_files_shards_and_rows(out, tmp_path):
    assert read(out, "--draw", tmp_path / "drawn", "--sample", "4") == 0
    first = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert len(first) == 4
    assert read(out, "--draw", tmp_path / "again", "--sample", "4") == 0
    assert read(out, "--draw", tmp_path / "all", "--sample", "99") == 0
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == first
    assert len(list((tmp_path / "all").iterdir())) == 6  # the images with faces
    png = encoded(picture(60, 40, (4, 4, 20)))
    shard_of(tmp_path / "s.tar", [("x.png", png)])
    parquet_of(tmp_path / "p.parquet", {"jpg": [png]})
    for name in ("s.tar", "p.parquet"):
        run_bulk(find_source(str(tmp_path / name)), tmp_path / f"out_{name}", opener, 0.2)
        assert read(tmp_path / f"out_{name}", "--draw", tmp_path / f"drawn_{name}") == 0
        drawn, = (tmp_path / f"drawn_{name}").iterdir()
        image = cv2.imread(str(drawn))
        assert image.shape[0] >= 40 and (image[:40, :60] != cv2.imdecode(np.frombuffer(png, np.uint8), 1)).any()


def test_an_image_that_is_gone_is_left_out_of_the_sample(out, tmp_path, capsys):
    (tmp_path / "photos" / "e1" / "001.png").unlink()
    assert read(out, "--draw", tmp_path / "all", "--sample", "99") == 0
    captured = capsys.readouterr()
    assert "drew 5 to" in captured.out and "e1/001.png: no such file" in captured.err


def test_the_command_with_a_shipped_model(tmp_path, capsys):
    save(tmp_path / "photos" / "a.png", portraits()[0].image)
    (tmp_path / "photos" / "b.jpg").write_bytes(b"x")
    command = ["bulk", str(tmp_path / "photos"), "--out", str(tmp_path / "out"), "--cfg", "ssh_mobilenet_v1_025"]
    assert run(main, command) == 0
    assert "2 images, 1 faces; 1 could not be read" in capsys.readouterr().out
    row = rows_of(tmp_path / "out")[f"{tmp_path}/photos/a.png"]
    assert len(row["boxes"]) == 1 and row["scores"][0] > 0.9 and row["model"].startswith("ssh_mobilenet_v1_025.onnx ")
    assert run(main, command) == 0 and "0 images, 0 faces; 2 were there already" in capsys.readouterr().out
    assert run(main, [*command, "--set", "TEST.NMS", "0.2"]) == 2
    assert "settings.nms was 0.4, now it is 0.2; choose another --out" in capsys.readouterr().err


def test_nothing_that_can_be_read_is_an_error(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "b.jpg").write_bytes(b"")
    assert run(main, ["bulk", str(tmp_path / "photos"), "--out", str(tmp_path / "out")]) == 2
    assert "no image could be read; `manyfaces bulk read" in capsys.readouterr().err


def test_without_pyarrow_the_commands_say_what_to_install(tmp_path, monkeypatch, capsys):
    import sys

    for name in [name for name in sys.modules if name.startswith(("manyfaces.bulk", "pyarrow"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for words in (["bulk", str(tmp_path), "--out", "x"], ["bulk", "read", str(tmp_path)]):
        assert run(main, words) == 2
        assert "the package pyarrow is not installed: pip install pyarrow" in capsys.readouterr().err
