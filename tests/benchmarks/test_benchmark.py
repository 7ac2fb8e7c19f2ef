"""The benchmark at a small size: its figures are consistent, and a peer with another result is an error."""

import csv

import cv2
import numpy as np
import pytest

from benchmarks import SECTIONS, machine, nms, run_section, targets
from benchmarks.candidates import crowd_candidates
from benchmarks.timing import Table, as_csv, median_ms
from manyfaces.commands.command_line import run
from manyfaces.errors import InputError


def test_nms_table():
    table, = nms.run(counts=(200, 400), peers=("NumPy twin", "cv2.dnn.NMSBoxes"))
    assert [row[0].split(", ")[0] for row in table.rows] == ["200"] * 3 + ["400"] * 3
    for ours, *others in (table.rows[:3], table.rows[3:]):
        assert ours[3] == "1" and [row[0].split(", ")[1] for row in others] == ["NumPy twin", "cv2.dnn.NMSBoxes"]
        for row in others:
            assert row[1] == ours[1]  # as many boxes kept
            assert float(row[2]) / float(ours[2]) == pytest.approx(float(row[3]), rel=0.05)


def test_a_peer_that_keeps_other_boxes_is_an_error(monkeypatch):
    monkeypatch.setitem(nms.PEERS, "keeps all", lambda boxes, scores: lambda: np.arange(3))
    with pytest.raises(RuntimeError, match="keeps all keeps other boxes"):
        nms.run(counts=(200,), peers=("keeps all",))


def test_targets_table():
    ssh, tiny = targets.run(count=20, crop_count=5)
    assert [row[0] for row in ssh.rows] == ["20 faces", "18 faces, 2 ignore regions"]
    assert all(row[1] == "78,800" for row in ssh.rows)  # 2 * (150 * 200 + 75 * 100 + 38 * 50)
    assert tiny.rows[0][:2] == ["5 faces", "99,225"]  # 63 * 63 * 25


def test_candidates_are_as_documented():
    boxes, scores = crowd_candidates(3000, np.random.default_rng(0))
    sides = boxes[:, 2:] - boxes[:, :2]
    assert boxes.shape == (3000, 4) and len(np.unique(scores)) == 3000 and 0 < scores.min() and scores.max() < 1
    assert 3 < np.quantile(sides, 0.001) and np.quantile(sides, 0.999) < 120


def test_median_stops_at_its_limit():
    calls = []
    median_ms(lambda: calls.append(1), repeats=5)
    assert len(calls) == 6  # one for the warm-up
    median_ms(lambda: calls.append(1), repeats=5, limit_s=0, warm_up=False)
    assert len(calls) == 7


def test_tool(tool, tmp_path, monkeypatch, capsys):
    table = Table("Title", ("row", "ms"), [["a, b", "1.5"], ["c", "20"]], "A note.")
    assert table.text().splitlines() == ["Title", "row    ms", "----  ---", "a, b  1.5", "c      20", "A note."]
    main = tool("benchmark").main
    monkeypatch.setattr(targets, "run", lambda: [table])
    assert run(main, ["targets", "--csv", str(tmp_path / "a.csv")]) == 0
    assert "a, b  1.5" in capsys.readouterr().out
    with open(tmp_path / "a.csv", newline="") as file:
        assert list(csv.reader(file)) == list(csv.reader(as_csv([table]).splitlines()))
    assert list(csv.reader(as_csv([table]).splitlines()))[1] == ["Title", "a, b", "ms", "1.5", "", "", ""]
    assert run(main, ["target"]) == 2
    assert f"error: section: found 'target', expected one of {', '.join(SECTIONS)}\n" in capsys.readouterr().err


def test_a_time_has_versions_and_processor(monkeypatch):
    monkeypatch.setattr(machine, "version", {"numpy": "2.1", "onnxruntime": "1.5"}.get)
    monkeypatch.setattr(machine, "processor", lambda: "Abacus, 3 GHz")
    monkeypatch.setattr(machine, "cores", lambda: 3)
    rows = [["a", "1"], ["b", "2"]]
    tables = [Table("all", ("row", "ms"), rows, packages=("numpy", "openvino")),
              Table("own", ("row", "ms"), rows, packages={"a": machine.packages_of("onnxruntime")}),
              Table("no time", ("row", "AP"), rows)]
    head, *lines = csv.reader(as_csv(tables).splitlines())
    assert head == ["table", "row", "column", "value", "versions", "processor", "cores"]
    here = ["Abacus, 3 GHz", "3"]
    assert [line[4:] for line in lines] == [["NumPy 2.1", *here]] * 2 + [
        ["NumPy 2.1, ONNX Runtime 1.5", *here]] + [["", "", ""]] * 3


def test_machine():
    assert machine.versions(["numpy", "numpy"]) == f"NumPy {np.__version__}"
    assert machine.processor() and machine.cores() >= 1
    assert machine.version("opencv").startswith(cv2.__version__)


def test_every_section_exists():
    with pytest.raises(InputError):
        run_section("none")
    for name in SECTIONS:
        assert callable(__import__(f"benchmarks.{name}", fromlist=["run"]).run)
