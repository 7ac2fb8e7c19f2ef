import contextlib
import io
import json
import sys

import numpy as np
import pytest

from manyfaces.commands.command_line import run
from manyfaces.datasets import READERS, Record
from manyfaces.datasets.coco_json import load_coco
from manyfaces.datasets.coco_writer import write_coco
from manyfaces.evaluation import ap50, write_prediction_file
from manyfaces.evaluation.coco import evaluate_coco
from manyfaces.evaluation.coco_results import read_coco_results, write_coco_results


def truth_file(path, images):
    """The CocoFile of images, each a list of (x, y, w, h) or (x, y, w, h, iscrowd); ids from 0 on."""
    entries = [{"id": i, "file_name": f"a/{i}.jpg", "width": 9, "height": 9} for i in range(len(images))]
    annotations = [{"image_id": i, "category_id": 4, "bbox": face[:4], "area": face[2] * face[3],
                    "iscrowd": int(any(face[4:]))} for i, faces in enumerate(images) for face in faces]
    for number, annotation in enumerate(annotations):
        annotation["id"] = number
    path.write_text(json.dumps({"info": {}, "images": entries, "annotations": annotations,
                                "categories": [{"id": 4, "name": "face"}]}))
    return load_coco(path)


def rows(*images):
    return [np.array(found, np.float64).reshape(-1, 5) for found in images]


def test_a_case_by_hand(tmp_path):
    truth = truth_file(tmp_path / "gt.json", [[(0, 0, 40, 40), (100, 0, 100, 200)]])
    # Exact; none; and 62 of 100 rows of the second, which is IoU 0.62: right at 0.5, 0.55 and 0.6.
    result = evaluate_coco(truth, rows([(0, 0, 40, 40, 0.9), (300, 0, 40, 40, 0.8), (100, 0, 62, 200, 0.7)]))
    good, poor = (51 + 50 * 2 / 3) / 101, 51 / 101
    figures, usual = result["limits"]
    assert figures["max_detections"] == 1000 and usual["max_detections"] == 100
    assert figures["AP50"] == pytest.approx(good) and figures["AP75"] == pytest.approx(poor)
    assert figures["AP"] == pytest.approx((3 * good + 7 * poor) / 10)
    assert figures["AR"] == pytest.approx((3 * 1 + 7 * 0.5) / 10) and figures["AR50"] == 1
    assert figures["AP_small"] is None and figures["AP_medium"] == pytest.approx(1)
    assert figures["AP_large"] == pytest.approx(0.3)  # the two of medium size are left out there
    assert {key: value for key, value in figures.items() if key != "max_detections"} == {
        key: value for key, value in usual.items() if key != "max_detections"}
    heights = {part["low"]: part for part in result["heights"]}
    assert [part["faces"] for part in result["heights"]] == [0, 0, 0, 1, 0, 1, 0]
    # The first face and the false positive, whose score is lower, are in 32 to 64 px; only the last is in 128 to 256.
    assert heights[32]["AP50"] == pytest.approx(1) and heights[128]["AP"] == pytest.approx(0.3)
    assert heights[10]["AP"] is None and heights[256]["high"] is None


def test_a_face_on_an_edge_is_of_the_upper_bin_alone(tmp_path):
    truth = truth_file(tmp_path / "gt.json", [[(0, 0, 9, 16), (50, 0, 9, 10), (90, 0, 9, 256)]])
    found = rows([(0, 0, 9, 16, 0.9), (50, 0, 9, 10, 0.8), (90, 0, 9, 256, 0.7)])
    for detections, ap in ((found, 1.0), (rows([]), 0.0)):
        heights = evaluate_coco(truth, detections)["heights"]
        assert [(part["low"], part["AP50"]) for part in heights if part["faces"]] == [(10, ap), (16, ap), (256, ap)]
        assert [part["AP50"] for part in heights if not part["faces"]] == [None] * 4


def test_what_a_hundred_detections_cost(tmp_path):
    crowd = [(20 * i, 0, 10, 12) for i in range(150)]
    truth = truth_file(tmp_path / "gt.json", [crowd, [(0, 0, 10, 12)], []])
    every = [(*face, 0.9 - i / 1000) for i, face in enumerate(crowd)]
    result = evaluate_coco(truth, rows(every, [(0, 0, 10, 12, 1.0)], []))
    thousand, hundred = result["limits"]
    assert (thousand["AP"], thousand["AR"], thousand["unreachable"], thousand["beyond"]) == (1, 1, 0, 0)
    assert (hundred["unreachable"], hundred["beyond"]) == (50, 50) and result["faces"] == 151
    # 101 of 151 faces are found: 0.66 is the last of the 101 recalls that they reach.
    assert hundred["AP50"] == pytest.approx(67 / 101) and hundred["AR"] == pytest.approx(101 / 151)
    less = evaluate_coco(truth, rows(every, [], []), max_detections=10)["limits"]
    assert [part["max_detections"] for part in less] == [10, 100] and less[0]["AR"] == pytest.approx(10 / 151)
    assert len(evaluate_coco(truth, rows([], [], []), max_detections=100)["limits"]) == 1


def test_nothing_found_nothing_there_and_images_left_out(tmp_path):
    truth = truth_file(tmp_path / "gt.json", [[(0, 0, 10, 10)], [(0, 0, 9, 9, 1)]])
    nothing = evaluate_coco(truth, rows([], []))
    assert nothing["limits"][0]["AP"] == 0 and (nothing["faces"], nothing["images"]) == (1, 2)
    # A detection in a crowd is neither right nor wrong.
    assert evaluate_coco(truth, rows([(0, 0, 10, 10, 0.5)], [(2, 2, 3, 3, 0.9)]))["limits"][0]["AP"] == 1
    assert evaluate_coco(truth, rows([(0, 0, 10, 10, 0.5)], [(20, 2, 3, 3, 0.9)]))["limits"][0]["AP"] == (
        pytest.approx(0.5))
    empty = evaluate_coco(truth, [None, *rows([(0, 0, 9, 9, 1)])])
    assert empty["limits"][0]["AP"] is None and (empty["faces"], empty["images"], empty["detections"]) == (0, 1, 1)
    none = evaluate_coco(truth, [None, None])
    assert none["limits"][0]["AR"] is None and none["images"] == 0


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """(folder, CocoFile, rows): 30 images, two of them with 250 faces and as many detections, and crowd regions."""
    folder, rng = tmp_path_factory.mktemp("coco"), np.random.default_rng(5)
    images, found = [], []
    for index in range(30):
        count = 250 if index < 2 else int(rng.integers(0, 12))
        start, side = rng.uniform(0, 1000, (count, 2)), np.exp(rng.uniform(1.5, 5.5, (count, 1)))
        faces = np.concatenate([start, side, side * rng.uniform(1, 1.5, (count, 1))], axis=1)
        images.append([(*face, rng.random() < 0.1) for face in faces.round(1).tolist()])
        moved = faces + rng.normal(0, 0.08, faces.shape) * side
        moved = np.concatenate([moved[rng.random(count) < 0.8], rng.uniform(5, 300, (rng.integers(0, 9), 4))])
        scores = rng.uniform(0, 1, (len(moved), 1)).round(2)  # some are equal
        found.append(np.concatenate([moved[:, :2], np.maximum(moved[:, 2:], 1), scores], axis=1))
    truth = truth_file(folder / "gt.json", images)
    results = [{"image_id": i, "category_id": 4, "bbox": row[:4], "score": row[4]}
               for i, some in enumerate(found) for row in some.tolist()]
    (folder / "results.json").write_text(json.dumps(results))
    return folder, truth, found


def library(name, folder, limits):
    """The evaluator of a library after it has read the files itself, with annotation ids from 1, as it needs them."""
    if name == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    else:
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as COCOeval
    data = json.loads((folder / "gt.json").read_text())
    for annotation in data["annotations"]:
        annotation["id"] += 1
    (folder / "from one.json").write_text(json.dumps(data))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "from one.json"))
        evaluator = COCOeval(truth, truth.loadRes(str(folder / "results.json")), "bbox")
        evaluator.params.maxDets = limits
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


@pytest.mark.parametrize("name", ["pycocotools", "faster_coco_eval"])
def test_the_figures_are_those_of_the_libraries_own_summary(name, made_up):
    folder, truth, found = made_up
    hundred = evaluate_coco(truth, found)["limits"][1]
    # AP, AP50, AP75, small, medium, large, AR at 1, 10 and 100, then AR by size.
    summary = library(name, folder, [1, 10, 100]).stats
    ours = [hundred[key] for key in ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR")]
    np.testing.assert_allclose(ours, [*summary[:6], summary[8]], rtol=0, atol=1e-12)
    assert 0.1 < hundred["AP"] < hundred["AP50"] < 0.9  # nothing here is trivial
    for limit, at in ((1, 6), (10, 7)):
        assert evaluate_coco(truth, found, limit)["limits"][0]["AR"] == pytest.approx(summary[at], abs=1e-12)


@pytest.mark.parametrize("name", ["pycocotools", "faster_coco_eval"])
def test_at_a_thousand_the_figures_are_those_of_the_libraries_arrays(name, made_up):
    folder, truth, found = made_up
    thousand, hundred = evaluate_coco(truth, found)["limits"]
    evaluator = library(name, folder, [1, 100, 1000])
    precision, recall = (np.asarray(evaluator.eval[key]) for key in ("precision", "recall"))
    assert precision.shape == (10, 101, 1, 4, 3)
    for key, overlaps, area in (("AP", slice(None), 0), ("AP50", 0, 0), ("AP75", 5, 0), ("AP_small", slice(None), 1),
                                ("AP_medium", slice(None), 2), ("AP_large", slice(None), 3)):
        assert thousand[key] == pytest.approx(precision[overlaps, :, :, area, 2].mean(), abs=1e-12)
    assert thousand["AR"] == pytest.approx(recall[:, 0, 0, 2].mean(), abs=1e-12)
    assert thousand["AR50"] == pytest.approx(recall[0, 0, 0, 2], abs=1e-12)
    assert thousand["AP"] > hundred["AP"] + 0.02 and hundred["unreachable"] > 100


def test_ap50_is_that_of_pascal_voc_but_for_the_hundred_and_one_recalls(tmp_path):
    """The envelope falls with recall, so its mean over 0, .01, ... 1 brackets the area under it: by 1 / 100 at most.

    The faces here are apart. In crowds the two also differ in the matching: COCO gives a detection the best box that is
    still free, Pascal VOC the best of all.
    """
    rng, records, found, images = np.random.default_rng(2), [], [], []
    for index in range(60):
        count = int(rng.integers(0, 9))
        start = np.column_stack([np.arange(count) * 300.0, rng.uniform(0, 50, count)]).reshape(-1, 2)
        side = np.exp(rng.uniform(2, 5, (count, 1)))
        boxes = np.concatenate([start, start + side], axis=1).round().astype(np.float32)
        shift = rng.normal(0, 0.12, (count, 4)) * side
        extra = rng.uniform(600, 700, (rng.integers(0, 4), 2)) + [0, 2000]
        rows5 = np.concatenate([boxes + shift, np.concatenate([extra, extra + 30], axis=1)])
        found.append(np.column_stack([rows5, rng.permutation(len(rows5)) / 7 + rng.random()]))
        records.append(Record("", f"{index}.jpg", 0, 0, boxes, np.full((count, 5, 2), np.nan), np.zeros(count, bool)))
        images.append([(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes.tolist()])
    sides = [np.column_stack([r[:, :2], r[:, 2:4] - r[:, :2], r[:, 4]]) for r in found]
    result = evaluate_coco(truth_file(tmp_path / "gt.json", images), sides)
    bins = [(result["limits"][0]["AP50"], (0, np.inf))]
    bins += [(part["AP50"], (part["low"], part["high"] or np.inf)) for part in result["heights"] if part["faces"]]
    assert len(bins) == 7 and 0.2 < bins[0][0] < 0.9
    for mean, heights in bins:
        area = ap50(found, records, heights=heights)["ap"]
        assert (101 * mean - 1) / 100 - 1e-9 <= area <= 101 * mean / 100 + 1e-9


# ------------------------------------------------------------------------ the command


@pytest.fixture
def evaluate(tool, capsys):
    def call(*arguments):
        code = run(tool("evaluate").main, ["coco", *map(str, arguments)])
        return code, *capsys.readouterr()
    return call


@pytest.fixture
def toy_results(toy, tmp_path):
    """(truth.json, folder of prediction files, results.json): every toy face, except those of the second image."""
    roidb = READERS["wider"](toy["labels"], toy["images"])
    write_coco(roidb, tmp_path / "gt.json")
    detections = {}
    for index, record in enumerate(roidb.records):
        boxes = record.boxes[: 0 if index == 1 else None]
        detections[record.name] = boxes, np.linspace(0.9, 0.1, len(boxes)).astype(np.float32)
        write_prediction_file(tmp_path / "pred" / f"{record.name}.txt", record.image, *detections[record.name])
    write_coco_results(tmp_path / "results.json", detections, load_coco(tmp_path / "gt.json").ids)
    return tmp_path / "gt.json", tmp_path / "pred", tmp_path / "results.json"


def test_a_folder_and_a_result_file_give_the_same(toy_results, evaluate, tmp_path):
    truth, folder, results = toy_results
    code, out, _ = evaluate("--pred", folder, "--pred", results, "--gt", truth, "--json", tmp_path / "ap.json")
    lines = out.splitlines()
    assert code == 0 and lines[0].split() == ["pred", "max", "dets", "AP", "AP50", "AP75", "AP_small", "AP_medium",
                                              "AP_large", "AR", "AR50"]
    a, b = json.loads((tmp_path / "ap.json").read_text())
    for key in ("limits", "heights", "faces", "images", "detections"):
        assert a[key] == b[key]
    missed, faces = len(load_coco(truth).faces[2]), a["faces"]
    assert missed > 0 and a["limits"][0]["AR"] == pytest.approx(1 - missed / faces)
    assert float(lines[1].split()[-1]) == pytest.approx(1 - missed / faces, abs=1e-5)
    assert "100 instead of 1000 changes AP by +0.0000" in out and "cannot be found" not in out
    (folder / "0--Toy" / "0_Toy_00001.txt").unlink()
    (folder / "0--Toy" / "other.txt").write_text("other\n0\n")
    code, out, _ = evaluate("--pred", folder, "--gt", truth)
    assert "1 images have no prediction file; 1 prediction files are of no image here" in out
    subset = evaluate("--pred", folder, "--gt", truth, "--subset", "--max-dets", 100)[1].splitlines()
    assert subset[1].split()[1:5] == ["100", "1.00000", "1.00000", "1.00000"]
    assert "11 images" in subset[2]


def test_the_cost_of_a_limit_is_printed(evaluate, tmp_path):
    crowd = [(20 * i, 0, 10, 12) for i in range(150)]
    truth_file(tmp_path / "gt.json", [crowd])
    (tmp_path / "r.json").write_text(json.dumps([{"image_id": 0, "category_id": 4, "bbox": box, "score": 1 - i / 200}
                                                 for i, box in enumerate(crowd)]))
    out = evaluate("--pred", tmp_path / "r.json", "--gt", tmp_path / "gt.json")[1]
    assert "with 100 detections per image 50 of 150 faces (33.3%) cannot be found" in out
    assert "100 instead of 1000 changes AP by -0.3366" in out and "it cuts off 50 detections" in out


def test_bad_input_is_one_line(toy_results, evaluate, tmp_path):
    truth, folder, results = toy_results
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "x.txt").write_text("x\n0\n")
    for arguments, message in [
            (("--pred", results, "--gt", truth, "--subset"), "results.json: --subset is for folders"),
            (("--pred", results, "--gt", truth, "--lenient"), "results.json: --lenient is for folders"),
            (("--pred", results, "--gt", truth, "--max-dets", 0), "--max-dets is 0, expected a whole number"),
            (("--pred", results, "--gt", results), "this looks like the results of a detector"),
            (("--pred", truth, "--gt", truth), "this looks like an annotation file"),
            (("--pred", tmp_path / "none", "--gt", truth), "none: no such file"),
            (("--pred", tmp_path / "else", "--gt", truth), "none of the 1 predicted images is in")]:
        code, out, err = evaluate(*arguments)
        assert code == 2 and out == "" and message in err and err.startswith("error: ") and err.count("\n") == 1


def test_without_the_library_the_message_says_what_to_install(toy_results, evaluate, monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval.core.coco", None)
    code, out, err = evaluate("--pred", toy_results[1], "--gt", toy_results[0])
    assert (code, out) == (2, "") and "pip install 'faster-coco-eval>=1.8'" in err and err.count("\n") == 1


def test_results_are_read_as_they_were_written(toy_results):
    truth, _, results = toy_results
    coco = load_coco(truth)
    found = read_coco_results(results, coco)
    assert list(found) == list(coco.ids)
    for name, number in coco.ids.items():
        boxes = np.array([face["bbox"] for face in coco.faces[number]]).reshape(-1, 4)[: 0 if number == 2 else None]
        np.testing.assert_allclose(found[name][:, :4], boxes, rtol=0, atol=1e-3)
