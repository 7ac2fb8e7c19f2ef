"""Exported models in each runtime: which one runs which model, threads, wrong input, and no Keras anywhere."""

import json
import threading

import numpy as np
import pytest
from exported import exported, picture_folder, without_keras

from manyfaces import runtimes
from manyfaces.commands.command_line import run as run_tool
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.errors import InputError
from manyfaces.inference.detector import Detector
from manyfaces.runtimes import sessions
from manyfaces.runtimes.faces import by_image
from manyfaces.runtimes.inputs import as_input
from manyfaces.runtimes.models import open_model
from manyfaces.runtimes.sidecar import read_sidecar

KINDS = ["onnx", "faces", "openvino", "litert"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_demo_finds_the_portraits_without_keras(kind, tmp_path):
    path, _ = exported(kind)
    out = without_keras("demo", "--weights", path, picture_folder(), "--out", tmp_path, "--json",
                        tmp_path / "found.jsonl")
    assert out.splitlines()[-1] == f"wrote 2 to {tmp_path}"
    rows = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert [len(row["faces"]) for row in rows] == [1, 1]
    for row, portrait in zip(rows, portraits(), strict=True):
        np.testing.assert_allclose(row["faces"][0]["box"], portrait.box, atol=0.2 * np.ptp(portrait.box[::2]))
        assert set(row["ms"]) == {"net", "decode", "nms"} and row["height"] == len(portrait.image)
    assert sorted(path.name for path in tmp_path.glob("*.jpg")) == ["a.jpg", "b.jpg"]


def test_demo_prints_a_table_of_an_exported_model(capsys, tool):
    path, _ = exported("onnx")
    assert run_tool(tool("demo").main, ["--weights", str(path), str(picture_folder() / "*.png"), "--threads", "1",
                                        "--no-pictures"]) == 0
    header, first, second, last = capsys.readouterr().out.splitlines()
    assert last == "2 done"
    assert header.split() == ["source", "size", "faces", "best", "net", "ms", "decode", "ms", "nms", "ms"]
    assert first.split()[-6:-4] == ["512x600", "1"] and second.split()[-6:-4] == ["512x512", "1"]


@pytest.mark.parametrize("arguments, message", [
    (["m.h5", "PICTURES"], "m.h5: no such weights file"),
    (["none.onnx", "PICTURES"], "none.onnx: no such model file"),
    (["MODEL", "none.png"], "none.png: no such file or folder"),
    (["MODEL", "PICTURES", "--cfg", "x.yml"], "an exported model brings its own config; leave x.yml out"),
    (["MODEL", "PICTURES", "--no-pictures", "--out", "x"], "--out x: pictures are written there, which --no-pictures"),
    (["MODEL", "PICTURES", "--score", "2"], "--score is 2.0, expected from 0 to 1"),
    (["MODEL", "PICTURES", "--threads", "0"], "threads is 0, expected a whole number, from 1 to 1024"),
    (["MODEL", "PICTURES", "--threads", "100000"], "threads is 100000, expected a whole number, from 1 to 1024"),
    (["MODEL", "PICTURES", "--runtime", "litert"], "litert"),
    (["MODEL", "PICTURES", "--set", "NET.ALPHA", "1"], "NET.ALPHA"),
    (["MODEL", "MODEL"], "no source could be read"),
])
def test_demo_names_bad_input_next_to_a_model(arguments, message, tool, capsys, tmp_path):
    names = {"MODEL": str(exported("onnx")[0]), "PICTURES": str(picture_folder())}
    arguments = [names.get(word, word) for word in arguments]
    out = [] if "--out" in arguments else ["--out", str(tmp_path)]
    assert run_tool(tool("demo").main, ["--weights", *arguments, *out]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_json_goes_to_standard_output_and_inference_is_demo(tool, capsys):
    words = [str(exported("onnx")[0]), str(picture_folder()), "--json", "-"]
    assert run_tool(tool("demo").main, ["--weights", *words]) == 0
    ours = capsys.readouterr()
    assert ours.err.splitlines()[-1] == "2 done"
    assert run_tool(tool("inference").main, words) == 0
    earlier = capsys.readouterr()
    assert earlier.err.startswith("tools/inference.py is the earlier name of manyfaces detect --weights MODEL\n")
    for text in (ours.out, earlier.out):
        rows = [json.loads(line) for line in text.splitlines()]
        assert [len(row["faces"]) for row in rows] == [1, 1] and "picture" not in rows[0]


def test_inference_writes_pictures_only_where_it_is_told(tool, monkeypatch):
    called = []
    monkeypatch.setattr("manyfaces.commands.demo.main", called.append)
    for words in (["m.onnx", "a.png"], ["m.onnx", "a.png", "--out", "found"]):
        run_tool(tool("inference").main, words)
    assert called == [["--weights", "m.onnx", "a.png", "--overwrite", "--no-pictures"],
                      ["--weights", "m.onnx", "a.png", "--out", "found", "--overwrite"]]


@pytest.mark.slow
def test_the_test_tool_takes_an_exported_model_without_a_config_or_keras(tmp_path):
    path, _ = exported("openvino")
    out = without_keras("test", "--weights", path, "--images", picture_folder(), "--out", tmp_path / "pred")
    assert out.startswith(f"{tmp_path / 'pred'}: 2 images, ")
    settings = json.loads((tmp_path / "pred" / "settings.json").read_text())
    assert settings["weights"] == path.name and settings["sha256"] == runtimes.read_sidecar(path)["sha256"]
    assert len((tmp_path / "pred" / "a.txt").read_text().splitlines()) > 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "openvino", "litert"])
def test_threads_share_a_model(kind):
    family, run, cfg = open_model(exported(kind)[0], threads=1)
    detector = Detector(family, run, cfg)
    images = [portrait.image for portrait in portraits()] * 3
    alone = [detector.detect(image, threshold=0) for image in images[:2]]
    results = [None] * len(images)

    def work(number):
        for _ in range(2):
            results[number] = detector.detect(images[number], threshold=0)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(len(images))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for number, faces in enumerate(results):
        np.testing.assert_array_equal(faces.boxes, alone[number % 2].boxes)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_result_is_not_changed_by_later_calls(name):
    _, run, _ = open_model(exported("onnx")[0], name, threads=1)
    image = portraits()[0].image[None, :96, :96]
    first = run(image)
    kept = {key: values.copy() for key, values in first.items()}
    run(255 - image)
    for key, values in first.items():
        np.testing.assert_array_equal(values, kept[key])


@pytest.mark.slow
def test_which_runtime_runs_which_model(monkeypatch, tmp_path):
    (path, _), (litert, _) = exported("onnx"), exported("litert")
    facts = runtimes.read_sidecar(path)
    assert runtimes.readers("a.ONNX") == ["onnxruntime", "openvino"] and runtimes.readers("a.pb") == []
    for wrong, message in (("tensorrt", "expected one of onnxruntime, openvino, litert"),
                           ("litert", "litert does not read it; expected onnxruntime or openvino")):
        with pytest.raises(InputError, match=message):
            open_model(path, wrong)
    with pytest.raises(InputError, match=r"m\.pb: no runtime reads it; expected a file that ends in \.onnx, "):
        runtimes.open_session("m.pb", facts)
    monkeypatch.setattr(sessions, "installed", lambda: ["onnxruntime"])
    assert type(open_model(path)[1]).__module__ == "manyfaces.runtimes.onnx"
    with pytest.raises(InputError, match=r"the package openvino is not installed; pip install 'manyfaces\[openvino\]'"):
        open_model(path, "openvino")
    with pytest.raises(InputError, match=r"none of the runtimes that read it is installed: pip install "):
        open_model(litert)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "litert"])
def test_a_broken_model_is_bad_input(name, tmp_path):
    kind = {"litert": "litert", "openvino": "openvino"}.get(name, "onnx")
    path, _ = exported(kind)
    broken = tmp_path / path.name
    broken.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=rf"{path.name}: \w+ ?\w* cannot"):
        runtimes.open_session(broken, runtimes.read_sidecar(path), name)


def facts_of(**given):
    return {"file": "m.onnx", "input": {"type": "uint8", "height": None, "width": None, "multiple": 1, **given}}


def test_images_are_converted_to_what_the_model_takes():
    images = np.full((1, 5, 6, 3), 7.6)
    images[0, 0, 0] = -3, 300, 8.4
    actual = as_input(images, facts_of())
    assert actual.dtype == np.uint8 and actual[0, 0, 0].tolist() == [0, 255, 8] and (actual[0, 1:] == 8).all()
    grown = as_input(actual, facts_of(multiple=4))
    assert grown.shape == (1, 8, 8, 3) and (grown[0, 5:] == 114).all() and (grown[0, :, 6:] == 114).all()
    np.testing.assert_array_equal(grown[:, :5, :6], actual)
    assert as_input(actual[:, :, ::-1], facts_of(type="float32")).flags.c_contiguous
    for bad, message in ((actual[0], r"shape \(5, 6, 3\), expected \(B, H, W, 3\)"), (actual[..., :1], "shape")):
        with pytest.raises(InputError, match=message):
            as_input(bad, facts_of())
    with pytest.raises(InputError, match="images have the width 6, m.onnx takes 300 only"):
        as_input(actual, facts_of(height=5, width=300))


def test_rows_of_a_batch_go_to_their_images():
    rows = {"image": np.int64([0, 2, 0]), "scores": np.float32([0.9, 0.8, 0.7]), "boxes": np.arange(12).reshape(3, 4)}
    actual = by_image(rows, 3)
    assert [array.tolist() for array in actual["boxes"]] == [[[0, 1, 2, 3], [8, 9, 10, 11]], [], [[4, 5, 6, 7]]]
    assert [len(array) for array in actual["scores"]] == [2, 0, 1] and set(actual) == {"scores", "boxes"}


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "litert"])
def test_the_sidecar_of_another_model_is_noticed_by_its_outputs(runtime):
    path, _ = exported("litert" if runtime == "litert" else "onnx")
    facts = read_sidecar(path)
    other = {**facts, "outputs": [{"name": "m1_scores"}, {"name": "other"}]}
    assert sessions.open_session(path, facts, runtime)
    with pytest.raises(InputError, match=r"has no output 'other', which its sidecar lists, but m1_boxes, "):
        sessions.open_session(path, other, runtime)
