"""The benchmark of the WIDER protocol: its loops find what the evaluator finds, also on real files."""

import os
import tarfile

import numpy as np
import pytest

from benchmarks import run_section, wider
from benchmarks.wider import plain_parse, plain_protocol
from manyfaces.commands.command_line import run
from manyfaces.evaluation import SETTINGS, GroundTruth, evaluate_wider, read_predictions


@pytest.mark.parametrize("seed", range(20))
def test_the_loops_find_what_the_evaluator_finds(seed):
    rng, truth, predictions = np.random.default_rng(seed), [], {"e": {}}
    for index in range(3):
        boxes = rng.integers(0, 12, (int(rng.integers(0, 6)), 4)) / 2
        near = boxes[rng.integers(0, len(boxes), 8)] + rng.integers(-1, 2, (8, 4)) / 2 if len(boxes) else boxes
        found = np.concatenate([near, rng.integers(-2, 12, (3, 4)) / 2])
        predictions["e"][f"n{index}"] = np.column_stack([found, rng.integers(0, 6, len(found))]).astype(float)
        truth.append(GroundTruth("e", f"n{index}", boxes, {s: rng.random(len(boxes)) < 0.7 for s in SETTINGS}))
    result = evaluate_wider(predictions, truth)
    assert plain_protocol(predictions, truth) == pytest.approx([result[s] for s in SETTINGS], abs=1e-9)


def test_table_of_a_made_up_set():
    table, _ = run_section("wider", every=8, repeats=1)
    assert [row[0] for row in table.rows] == ["parse", "matching and three curves", "all"]
    assert "one image in 8: 50 images" in table.note
    for _, *texts in table.rows:
        # To the printed digits: 0.9 ms may be 0.85 or 0.95.
        (least, most), (loops_least, loops_most), (ratio_least, ratio_most) = map(printed, texts)
        assert loops_least / most <= ratio_most and ratio_least <= loops_most / least


def printed(text):
    """The smallest and the largest number that rounds to `text`."""
    half = 0.5 * 10.0 ** -len(text.partition(".")[2])
    return float(text) - half, float(text) + half


def test_another_result_is_an_error(monkeypatch):
    monkeypatch.setattr(wider, "plain_protocol", lambda predictions, truth: [0.5, 0.5, 0.5])
    with pytest.raises(RuntimeError, match="the loops give AP"):
        run_section("wider", every=40, repeats=1)


def test_fifty_times_as_fast_as_the_loops_on_real_files(shared_dir, tmp_path, tool, capsys):
    folder = shared_dir / "data/wider_eval"
    with tarfile.open(folder / "predictions/retinaface_mnet025.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    pred = next(at for at, folders, _ in os.walk(tmp_path) if "0--Parade" in folders)
    table, lost = run_section("wider", pred=pred, gt=folder / "ground_truth", every=32)
    assert "101 images" in table.note and float(table.rows[1][3]) >= 50
    cost = {row[0]: [float(value) for value in row[1:4]] for row in lost.rows}
    whole = cost.pop("as they are")
    assert cost.pop("boxes cut to whole numbers") == whole  # as these were already
    assert all(cost[f"scores from 0.{k} on"] < whole for k in (1, 3, 5)) and cost["scores with 1 digit"] < whole
    assert cost["at most 100 boxes an image"][2] < whole[2] - 1 and cost["overlap without the +1"] < whole
    plain, ours = plain_parse(pred), read_predictions(pred)
    assert plain.keys() == ours.keys() and all(
        plain[event][name].tobytes() == rows.tobytes() for event, files in ours.items() for name, rows in files.items())
    assert run(tool("benchmark").main, ["wider", "--pred", pred]) == 2
    assert "found one of --pred and --gt" in capsys.readouterr().err
