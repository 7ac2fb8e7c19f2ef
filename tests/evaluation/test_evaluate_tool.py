import json
import os
import tarfile
import time

import numpy as np
import pytest

from manyfaces.commands.command_line import run
from manyfaces.datasets import READERS, save_roidb
from manyfaces.evaluation import SETTINGS, read_ground_truth, write_prediction_file


@pytest.fixture
def evaluate(tool, capsys):
    def call(*arguments):
        code = run(tool("evaluate").main, list(map(str, arguments)))
        return code, *capsys.readouterr()
    return call


@pytest.fixture
def predictions(toy, tmp_path):
    """Predictions of every toy face except those of the second image, and one false positive in the third."""
    records = READERS["wider"](toy["labels"], toy["images"]).records
    for index, record in enumerate(records):
        boxes, scores = record.boxes, np.linspace(1, 0.5, len(record.boxes))
        if index == 1:
            boxes, scores = boxes[:0], scores[:0]
        if index == 2:
            boxes, scores = np.concatenate([boxes, [[0, 0, 3, 30]]]), np.append(scores, 0.1)
        write_prediction_file(tmp_path / "pred" / f"{record.name}.txt", record.image, boxes, scores)
    return tmp_path / "pred", records


def test_the_official_figures_to_five_digits_in_under_three_seconds(shared_dir, evaluate, tmp_path):
    folder = shared_dir / "data/wider_eval"
    with tarfile.open(folder / "predictions/retinaface_mnet025.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    pred = next(at for at, folders, _ in os.walk(tmp_path) if "0--Parade" in folders)
    start = time.process_time()  # of this process alone: the machine may be busy
    code, out, _ = evaluate("wider", "--pred", pred, "--gt", folder / "ground_truth", "--json", tmp_path / "ap.json")
    assert time.process_time() - start < 3
    assert code == 0 and [line.split()[1:] for line in out.splitlines()[1:3]] == [
        ["ports", "0.90696", "0.88158", "0.73829", "3,226", "297,333", "0", "0.90736", "0.88186", "0.73866"],
        ["official", "0.90702", "0.88154", "0.73826", "3,226", "297,333", "0", "-", "-", "-"]]
    # These detections were written as whole numbers; there is no other sign of a loss.
    assert out.count("warning: ") == 1 and "all boxes are whole numbers" in out
    result = json.loads((tmp_path / "ap.json").read_text())[0]
    assert [round(result[s], 5) for s in SETTINGS] == [0.90696, 0.88158, 0.73829] and len(result["warnings"]) == 1
    assert [round(result["exact"][s], 5) for s in SETTINGS] == [0.90736, 0.88186, 0.73866]


def test_the_official_ground_truth(shared_dir):
    images = read_ground_truth(shared_dir / "data/wider_eval/ground_truth")
    heights = np.concatenate([image.boxes[:, 3] for image in images])
    assert len(images) == 3226 and len(heights) == 39708
    for setting, faces, least in (("easy", 7211, 34), ("medium", 13319, 16), ("hard", 31958, 9)):
        counted = np.concatenate([image.counted[setting] for image in images])
        assert counted.sum() == faces and heights[counted].min() == least
    values = {name: [image.attributes[name] for image in images] for name in images[0].attributes}
    assert all(len(image.boxes) == len(part) for parts in values.values()
               for image, part in zip(images, parts, strict=True))
    highest = {name: int(np.concatenate(parts).max()) for name, parts in values.items()}
    assert highest == {"blur": 2, "expression": 1, "illumination": 1, "invalid": 1, "occlusion": 2, "pose": 1}


def test_toy_predictions_by_both_protocols(toy, predictions, evaluate, tmp_path):
    pred, records = predictions
    missed, faces = len(records[1].boxes), sum(len(record.boxes) for record in records)
    code, out, _ = evaluate("wider", "--pred", pred, "--pred", pred, "--gt", toy["ground_truth"])
    lines = out.splitlines()
    assert code == 0 and lines[0].split() == ["pred", "arithmetic", "easy", "medium", "hard", "images", "predictions",
                                              "unknown", "exact_easy", "exact_medium", "exact_hard"]
    assert lines[1:3] == lines[3:5] and [line.split()[1] for line in lines[1:3]] == ["ports", "official"]
    # The boxes of the toy's .mat are floats, so both are the same.
    for line in lines[1:3]:
        assert float(line.split()[4]) == pytest.approx(1 - missed / faces, abs=1e-5)

    save_roidb(READERS["wider"](toy["labels"], toy["images"]), tmp_path / "toy.pkl")
    code, out, _ = evaluate("roidb", "--pred", pred, "--roidb", tmp_path / "toy.pkl", "--json", tmp_path / "ap.json")
    result = json.loads((tmp_path / "ap.json").read_text())[0]
    assert result["ap50"] == pytest.approx(1 - missed / faces) and (result["images"], result["missing"]) == (12, 0)
    small = [(record.boxes[:, 3] - record.boxes[:, 1]) < 20 for record in records]
    total = sum(map(sum, small))
    assert result["small"] == total and result["ap50_small"] == pytest.approx(1 - sum(small[1]) / total)

    os.remove(pred / "0--Toy" / "0_Toy_00001.txt")
    for protocol, truth, column in (("roidb", ("--roidb", tmp_path / "toy.pkl"), 1),
                                    ("wider", ("--gt", toy["ground_truth"]), 2)):
        whole = evaluate(protocol, "--pred", pred, *truth)[1].splitlines()[1].split()
        subset = evaluate(protocol, "--pred", pred, *truth, "--subset")[1].splitlines()[1].split()
        assert float(whole[column]) < 1 and subset[column] == "1.00000" and "11" in subset


def test_bad_input_is_one_line(toy, predictions, evaluate, tmp_path):
    pred, _ = predictions
    broken = pred / "0--Toy" / "0_Toy_00003.txt"
    broken.write_text("x\n1\n1 2 3 4\n")
    arguments = ("wider", "--pred", pred, "--gt", toy["ground_truth"])
    code, out, err = evaluate(*arguments)
    assert (code, out) == (2, "") and err.startswith(f"error: {broken}, line 3: ") and err.count("\n") == 1
    code, out, _ = evaluate(*arguments, "--lenient")
    assert code == 0 and "skipped 0 files and 1 lines; 0 counts were wrong" in out and str(broken) in out

    for place, message in ((tmp_path, "wider_face_val.mat: no such file"), (tmp_path / "x", "no such file")):
        code, _, err = evaluate("wider", "--pred", pred, "--gt", place)
        assert code == 2 and message in err
    (tmp_path / "gt").mkdir()
    (tmp_path / "gt" / "wider_face_val.mat").write_text("no matrix")
    assert "not a MATLAB file" in evaluate("wider", "--pred", pred, "--gt", tmp_path / "gt")[2]
    from scipy.io import savemat
    savemat(tmp_path / "gt" / "wider_face_val.mat", {"x": 1})
    assert "has no variable event_list" in evaluate("wider", "--pred", pred, "--gt", tmp_path / "gt")[2]
    assert "no such file" in evaluate("roidb", "--pred", pred, "--roidb", tmp_path / "x.pkl")[2]


def test_ground_truth_files_that_do_not_fit_each_other(toy, tmp_path):
    from scipy.io import loadmat, savemat

    from manyfaces.errors import InputError

    for name in os.listdir(toy["ground_truth"]):
        (tmp_path / name).write_bytes(open(os.path.join(toy["ground_truth"], name), "rb").read())
    hard = loadmat(tmp_path / "wider_hard_val.mat")
    cells = hard["gt_list"][0, 0]
    most = max(range(len(cells)), key=lambda i: len(cells[i, 0]))
    cells[most, 0] = cells[most, 0] + 100
    savemat(tmp_path / "wider_hard_val.mat", {"gt_list": hard["gt_list"]})
    with pytest.raises(InputError, match="do not fit each other"):
        read_ground_truth(tmp_path)
