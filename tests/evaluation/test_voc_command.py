import json

import numpy as np
import pytest

from manyfaces.commands.command_line import run
from manyfaces.datasets import READERS, Record, Roidb, save_roidb, select
from manyfaces.evaluation import ap50, read_predictions, write_prediction_file
from manyfaces.evaluation.by_height import bin_name, evaluate_roidb, height_bins


@pytest.fixture
def evaluate(tool, capsys):
    def call(protocol, *arguments):
        code = run(tool("evaluate").main, [protocol, *map(str, arguments)])
        return code, *capsys.readouterr()
    return call


def annotation(path, faces):
    """An .xml of faces (x1, y1, x2, y2, difficult)."""
    objects = "".join(
        f"<object><name>face</name><difficult>{int(difficult)}</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>" for x1, y1, x2, y2, difficult in faces)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation><filename>{path.stem}.jpg</filename>{objects}</annotation>")


def prediction(path, *faces):
    """A prediction file of faces (x1, y1, x2, y2, score)."""
    rows = np.array(faces).reshape(-1, 5)
    write_prediction_file(path, path.stem, rows[:, :4], rows[:, 4])


@pytest.fixture
def by_hand(tmp_path):
    """Faces 12, 16 and 40 px high and a difficult one. The smallest is missed, and there are two false positives."""
    annotation(tmp_path / "xml/a/x.xml", [(0, 0, 10, 12, 0), (50, 0, 60, 16, 0), (100, 0, 130, 40, 0),
                                          (200, 0, 230, 18, 1)])
    annotation(tmp_path / "xml/a/y.xml", [(0, 0, 30, 40, 0)])
    annotation(tmp_path / "xml/z.xml", [])
    # By falling score: 40 px right, 18 px wrong, 16 px right, on the difficult one, 30 px wrong.
    prediction(tmp_path / "pred/a/x.txt", (100, 0, 130, 40, 0.9), (50, 0, 60, 16, 0.7), (200, 0, 230, 18, 0.6),
               (300, 0, 310, 18, 0.8))
    prediction(tmp_path / "pred/z.txt", (0, 0, 30, 30, 0.5))
    return tmp_path


def test_by_hand(by_hand, evaluate):
    code, out, _ = evaluate("voc", "--gt", by_hand / "xml", "--pred", by_hand / "pred", "--json", by_hand / "ap.json")
    result, = json.loads((by_hand / "ap.json").read_text())
    assert code == 0 and (result["faces"], result["ignored"], result["images"], result["missing"]) == (4, 1, 3, 1)
    assert result["ap50"] == pytest.approx(1 / 4 + 1 / 4 * 2 / 3)
    assert result["small"] == 2 and result["ap50_small"] == pytest.approx(1 / 2 * 1 / 2)  # 18 px wrong, 16 px right
    heights = {part["low"]: (part["faces"], part["found"], part["ap50"]) for part in result["heights"]}
    assert heights == {0: (0, 0, 0), 10: (1, 0, 0), 16: (1, 1, 0.5), 20: (0, 0, 0), 32: (2, 1, 0.5), 64: (0, 0, 0),
                       128: (0, 0, 0), 256: (0, 0, 0)}
    lines = out.splitlines()
    assert lines[0].split() == ["pred", "ap50", "ap50_small", "images", "faces", "small", "ignored", "detections",
                                "missing", "unknown"]
    assert [line.split()[1:] for line in lines[4:]] == [
        ["10-16", "1", "0", "0.00000"], ["16-20", "1", "1", "0.50000"], ["32-64", "2", "1", "0.50000"]]


def test_lists_subsets_and_unknown_files(by_hand, evaluate):
    arguments = ("voc", "--gt", by_hand / "xml", "--pred", by_hand / "pred")
    assert evaluate(*arguments, "--subset")[1].splitlines()[1].split()[3:] == ["2", "3", "2", "1", "5", "1", "0"]
    (by_hand / "list.txt").write_text("a/x.jpg\na/y\n")
    assert evaluate(*arguments, "--list", by_hand / "list.txt")[1].splitlines()[1].split()[3:] == [
        "2", "4", "2", "1", "4", "1", "1"]
    (by_hand / "pred/z.txt").write_text("z\n1\n1 2 3\n")
    code, out, _ = evaluate(*arguments, "--lenient")
    assert code == 0 and "skipped 0 files and 1 lines" in out


def test_bad_input_is_one_line(by_hand, evaluate):
    (by_hand / "list.txt").write_text("nobody\n")
    (by_hand / "else").mkdir()
    prediction(by_hand / "else/q.txt")
    for arguments, message in [
            (("--gt", by_hand / "none", "--pred", by_hand / "pred"), "none: no such folder of .xml annotations"),
            (("--gt", by_hand / "xml", "--pred", by_hand / "else"), "they look like q, expected such as a/x"),
            (("--gt", by_hand / "xml", "--pred", by_hand / "none"), "none: no such folder of predictions"),
            (("--gt", by_hand / "xml", "--pred", by_hand / "pred", "--list", by_hand / "list.txt"), "'nobody'")]:
        code, out, err = evaluate("voc", *arguments)
        assert code == 2 and out == "" and message in err and err.startswith("error: ") and err.count("\n") == 1


def test_it_is_the_roidb_command_by_height(toy, evaluate, tmp_path):
    roidb = READERS["wider"](toy["labels"], toy["images"])
    save_roidb(roidb, tmp_path / "toy.pkl")
    rng = np.random.default_rng(3)
    for record in roidb.records:
        annotation(tmp_path / "xml" / f"{record.name}.xml",
                   [(*box, skip) for box, skip in zip(record.boxes.tolist(), record.ignore, strict=True)])
        moved = record.boxes + rng.normal(0, 2, record.boxes.shape)
        prediction(tmp_path / "pred" / f"{record.name}.txt", *np.column_stack([moved, rng.random(len(moved))]))
    for protocol, truth in (("voc", ("--gt", tmp_path / "xml", "--images", toy["images"])),
                            ("roidb", ("--roidb", tmp_path / "toy.pkl"))):
        assert evaluate(protocol, *truth, "--pred", tmp_path / "pred", "--json", tmp_path / f"{protocol}.json")[0] == 0
    (voc,), (other,) = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("voc", "roidb"))
    for key in ("ap50", "ap50_small", "wider", "faces", "small", "images", "missing", "heights"):
        assert voc[key] == other[key]
    assert 0.2 < voc["ap50"] < 1 and sum(part["faces"] for part in voc["heights"]) == voc["faces"]


def test_bins_hold_each_height_once():
    bins = height_bins()
    for height in (0, 9.99, 10, 15.9, 16, 19, 20, 128, 255, 256, 4000):
        assert sum(low <= height < high for low, high in bins) == 1
    assert [bin_name(*part) for part in (bins[0], bins[-1], (256, None), (10, 16))] == ["0-10", "256-", "256-", "10-16"]


def test_the_facemask_set_with_its_own_faces_as_detections(shared_dir, tmp_path):
    """Every second face is found: recall and AP are one half, and in each bin the fraction of its faces."""
    folder = shared_dir / "data/facemask"
    truth = READERS["voc"](str(folder / "annotations"), str(folder / "images"),
                           classes=["with_mask", "without_mask", "mask_weared_incorrect"])
    assert len(truth) == 853 and sum(len(record.boxes) for record in truth.records) == 4072
    truth = select(truth, only=(folder / "val.txt").read_text().split())
    seen = 0
    for record in truth.records:
        half = np.arange(seen, seen + len(record.boxes)) % 2 == 0
        seen += len(record.boxes)
        prediction(tmp_path / f"{record.name}.txt", *[(*box, 1.0) for box in record.boxes[half]])
    result = evaluate_roidb(read_predictions(tmp_path), truth)
    assert (result["missing"], result["unknown"], result["faces"]) == (0, 0, seen)
    assert result["ap50"] == pytest.approx(0.5, abs=0.001)
    assert sum(part["found"] for part in result["heights"]) == (seen + 1) // 2
    for part in result["heights"]:
        assert part["ap50"] == pytest.approx(part["found"] / max(part["faces"], 1), abs=1e-3)


def test_ap50_of_the_command_is_the_librarys(by_hand):
    truth = READERS["voc"](str(by_hand / "xml"), None)
    result = evaluate_roidb(read_predictions(by_hand / "pred"), truth)
    found = [[(100, 0, 130, 40, 0.9), (50, 0, 60, 16, 0.7), (200, 0, 230, 18, 0.6), (300, 0, 310, 18, 0.8)], [],
             [(0, 0, 30, 30, 0.5)]]
    assert result["ap50"] == ap50([np.array(f).reshape(-1, 5) for f in found], truth.records)["ap"]
    assert evaluate_roidb({"": {"x": np.zeros((0, 5))}}, Roidb([Record(
        "", "x.jpg", 0, 0, np.zeros((0, 4), np.float32), np.zeros((0, 5, 2)), np.zeros(0, bool))]))["ap50"] == 0
