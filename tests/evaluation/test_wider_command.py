"""tools/evaluate.py wider with several methods: names, tables, breakdowns, plot and JSON."""

import json
import os

import numpy as np
import pytest

from manyfaces.commands.command_line import run
from manyfaces.commands.evaluate import wider
from manyfaces.commands.evaluate.shared import method_names
from manyfaces.datasets import READERS
from manyfaces.evaluation import match_wider, read_ground_truth, read_predictions, write_prediction_file
from manyfaces.evaluation.report.analysis import BREAKDOWNS, analyse, operating_points
from manyfaces.evaluation.report.error_kinds import KINDS, error_kinds
from manyfaces.evaluation.report.published import USUAL


@pytest.fixture
def evaluate(tool, capsys, toy):
    def call(*arguments):
        code = run(tool("evaluate").main, ["wider", "--gt", str(toy["ground_truth"]), *map(str, arguments)])
        return code, *capsys.readouterr()
    return call


@pytest.fixture(scope="module")
def folders(toy, tmp_path_factory):
    """Two methods: one finds all toy faces, the other some of them, with a false positive in each image."""
    base = tmp_path_factory.mktemp("methods")
    for record in READERS["wider"](toy["labels"], toy["images"]).records:
        scores = np.linspace(1, 0.5, len(record.boxes))
        write_prediction_file(base / "good" / "pred" / f"{record.name}.txt", record.image, record.boxes, scores)
        boxes = np.concatenate([record.boxes[::2], [[0, 0, 3, 30]]])
        write_prediction_file(base / "poor" / f"{record.name}.txt", record.image, boxes, np.append(scores[::2], 0.75))
    return base / "good" / "pred", base / "poor"


def test_several_methods_in_one_table_one_plot_and_one_json(evaluate, folders, toy, tmp_path):
    good, poor = folders
    code, out, _ = evaluate("--pred", good, "--pred", poor, "--json", tmp_path / "all.json",
                            "--plot", tmp_path / "curves.png", "--published", "mtcnn")
    lines = [line.split() for line in out.splitlines()]
    assert code == 0 and [line[:2] for line in lines[1:5]] == [
        ["good", "ports"], ["good", "official"], ["poor", "ports"], ["poor", "official"]]
    points = next(i for i, line in enumerate(lines) if line[:2] == ["pred", "recall@10"])
    assert [line[0] for line in lines[points + 1:points + 3]] == ["good", "poor"]
    assert f"wrote {tmp_path / 'curves.png'} and {tmp_path / 'curves.pdf'}" in out
    assert (tmp_path / "curves.png").stat().st_size > 20_000 and (tmp_path / "curves.pdf").stat().st_size > 5_000

    truth, results = read_ground_truth(toy["ground_truth"]), json.loads((tmp_path / "all.json").read_text())
    assert [result["name"] for result in results] == ["good", "poor"]
    for result, folder in zip(results, folders, strict=True):
        matches = match_wider(read_predictions(folder), truth)
        assert result["operating_points"]["easy"] == operating_points(matches, "easy")
        assert result["breakdown"] == analyse(matches) and result["errors"] == error_kinds(matches)
    assert results[1]["hard"] < results[0]["hard"] == 1
    assert results[1]["errors"]["background"]["count"] == 12 and results[0]["errors"]["background"]["count"] == 0


def test_only_the_plot_of_all_official_faces_has_published_results(evaluate, folders, toy, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(wider, "pr_plot", lambda methods, path, published: shown.append(len(published)) or [path])
    words = ["--pred", folders[0], "--plot", tmp_path / "x"]
    evaluate(*words)
    evaluate(*words, "--published", "ssh")
    matches = match_wider(read_predictions(folders[0]), read_ground_truth(toy["ground_truth"]))
    monkeypatch.setattr(wider, "OFFICIAL", matches.faces)
    evaluate(*words)
    assert shown == [0, 1, len(USUAL)]


def test_breakdown_of_one_method_and_of_two(evaluate, folders):
    good, poor = folders
    one = evaluate("--pred", poor, "--breakdown")[1].splitlines()
    assert set(BREAKDOWNS) <= set(one) and any("normalised AP" in line for line in one)
    errors, files = (next(i for i, line in enumerate(one) if line.split()[:2] == start) for start in
                     (["AP", "at"], ["most", "at"]))
    assert [line.split()[0] for line in one[errors + 1:errors + 5]] == list(KINDS)
    images = {kind: [line.split()[1:] for line in one[files + 1:] if line.startswith(kind)] for kind in KINDS}
    assert images["background"] == [["1", f"0--Toy/0_Toy_0000{i}"] for i in range(3)] and not images["duplicate"]
    assert 1 <= len(images["missed"]) <= 3 and int(images["missed"][0][0]) >= int(images["missed"][-1][0]) > 0
    two = evaluate("--pred", good, "--pred", poor, "--breakdown", "--names", "A,B")[1].splitlines()
    event = two[two.index("events: AP") + 2].split()
    assert two[two.index("events: AP") + 1].split() == ["faces", "A", "B"] and event[0] == "0--Toy"
    assert float(event[2]) == 1 and float(event[3]) < 1
    assert "heights" not in evaluate("--pred", poor)[1]


def test_names_are_as_short_as_tells_the_folders_apart():
    def names(*paths):
        return method_names([path.replace("/", os.sep) for path in paths], None)

    assert names("/a/ssh/pred", "/b/tiny") == ["ssh", "tiny"]
    assert names("/a/ssh/pred", "/b/ssh") == ["a/ssh", "b/ssh"]
    assert names("/a/ssh/", "/a/ssh") == ["ssh", "ssh"]
    assert names("/a/x/wider", "/a/y/wider", "/a/z") == ["x/wider", "y/wider", "z"]


def test_bad_arguments_are_one_line_and_cost_no_time(evaluate, folders, tmp_path):
    good, _ = folders
    code, out, err = evaluate("--pred", good, "--names", "A,B")
    assert (code, out, err) == (2, "", "error: --names: 2 names for 1 --pred; expected one for each, as in A,B\n")
    code, out, err = evaluate("--pred", good, "--plot", tmp_path / "x", "--published", "nobody")
    assert (code, out) == (2, "") and "no 'nobody'; expected usual, all, none or some of" in err
