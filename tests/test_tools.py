"""The command lines: their help; tools/test.py, demo.py and the scripts that call them, with a stand-in for the net."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from conftest import ROOT
from stand_in import Squares, picture, save, square_detector

from manyfaces import pretrained
from manyfaces.command_line import run
from manyfaces.config import load_config
from manyfaces.datasets.sources import default_sources, find_sources
from manyfaces.detector import Detector
from manyfaces.engine import test as testing
from manyfaces.errors import InputError

TOOLS = sorted(path.stem for path in (ROOT / "tools").glob("*.py"))
CFG = str(ROOT / "cfgs" / "ssh_mobilenet_v1_025.yml")


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Tools get a detector of green squares instead of a net; gives a file that stands for its weights."""
    def load_detector(cfg, weights=None):
        assert weights == str(tmp_path / "w.weights.h5")
        detector = square_detector()
        cfg.TEST.NMS = 0.5
        detector.cfg = cfg
        return detector

    monkeypatch.setattr(testing, "load_detector", load_detector)
    (tmp_path / "w.weights.h5").write_bytes(b"stands for weights")
    return str(tmp_path / "w.weights.h5")


@pytest.mark.parametrize("name", TOOLS)
def test_every_tool_has_help_with_an_example_that_calls_it(name, tool, capsys):
    with pytest.raises(SystemExit) as end:
        tool(name).main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert f"tools/{name}.py" in text.split("example:\n")[1]
    assert os.access(ROOT / "tools" / f"{name}.py", os.X_OK)


@pytest.mark.parametrize("name", ["train", "test", "demo"])
def test_help_comes_without_waiting_for_keras(name):
    code = ("import runpy, sys\ntry:\n    runpy.run_path(sys.argv[1], run_name='__main__')\n"
            "except SystemExit:\n    pass\nprint('keras' in sys.modules, file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", code, ROOT / f"tools/{name}.py", "--help"], capture_output=True,
                          text=True)
    assert done.stderr == "False\n"


@pytest.mark.parametrize("path", sorted((ROOT / "cfgs").glob("*.yml")), ids=lambda path: path.stem)
def test_every_config_loads_under_its_own_name_and_is_short(path):
    assert load_config(path).NAME == path.stem
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert sum(not line.startswith("#") for line in lines) <= 20


def test_test_writes_predictions_that_evaluate_reads(tool, toy, stand_in, tmp_path, capsys):
    out = tmp_path / "pred"
    code = run(tool("test").main, ["--cfg", CFG, "--weights", stand_in, "--images", toy["images"], "--out", str(out),
                                   "--scales", "0.5,1", "--flip"])
    captured = capsys.readouterr()
    assert code == 0 and captured.out.startswith(f"{out}: 12 images, ")
    assert len(list(out.rglob("*.txt"))) == 12
    assert json.loads((out / "settings.json").read_text())["scales"] == [0.5, 1.0]
    assert run(tool("evaluate").main, ["wider", "--pred", str(out), "--gt", toy["ground_truth"]]) == 0


@pytest.mark.parametrize("scales", ["", "a", "1,,2", "0", "-1", "inf", "nan"])
def test_wrong_scales_are_bad_input(scales, tool, stand_in, tmp_path, capsys):
    code = run(tool("test").main, ["--cfg", CFG, "--weights", stand_in, "--images", str(tmp_path), "--out",
                                   str(tmp_path / "o"), f"--scales={scales}"])
    assert code == 2 and f"error: --scales {scales!r}: expected numbers" in capsys.readouterr().err


def demo(tool, *arguments):
    return run(tool("demo").main, ["--cfg", CFG, *map(str, arguments)])


def test_demo_draws_prints_and_writes_json(tool, stand_in, tmp_path, capsys):
    save(tmp_path / "in/a.png", picture(300, 200, (50, 60, 40), (200, 20, 60)))
    save(tmp_path / "in/b/a.png", picture(100, 80))
    out = tmp_path / "out"
    assert demo(tool, "--weights", stand_in, "--out", out, "--json", tmp_path / "f.json", "--score", "0.3",
                tmp_path / "in") == 0
    header, first, second, last = capsys.readouterr().out.splitlines()
    assert header.split() == ["source", "size", "faces", "best", "net", "decode", "nms"]
    assert first.split()[-6:-3] == ["300x200", "2", "0.333"] and second.split()[-6:-3] == ["100x80", "0", "-"]
    assert all(float(value) >= 0 for value in first.split()[-3:])
    assert last == f"wrote 2 to {out}"
    drawn = cv2.imread(str(out / "a.jpg"))
    assert drawn.shape[0] == 200 and drawn.shape[1] > 300 and (out / "a_2.jpg").is_file()
    rows = json.loads((tmp_path / "f.json").read_text())
    assert [len(row["faces"]) for row in rows] == [2, 0]
    assert sorted(face["box"] for face in rows[0]["faces"]) == [[50, 60, 90, 100], [200, 20, 260, 80]]
    assert np.shape(rows[0]["faces"][0]["landmarks"]) == (5, 2)
    assert (rows[0]["width"], rows[0]["height"]) == (300, 200)


def test_demo_warms_up_once_a_size_so_that_times_are_those_of_a_second_look(tool, stand_in, tmp_path, monkeypatch):
    for name, width in (("a", 100), ("b", 100), ("c", 200)):
        save(tmp_path / f"in/{name}.png", picture(width, 80))
    widths, run_net = [], Squares.run
    monkeypatch.setattr(Squares, "run", lambda self, batch: widths.append(batch.shape[2]) or run_net(self, batch))
    assert demo(tool, "--weights", stand_in, "--out", tmp_path / "out", tmp_path / "in") == 0
    assert widths == [128, 128, 128, 224, 224]  # a twice, b once, c twice


def test_demo_reads_and_writes_video(tool, stand_in, tmp_path, capsys):
    film = str(tmp_path / "film.avi")
    writer = cv2.VideoWriter(film, cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
    for x in range(6):
        writer.write(np.ascontiguousarray(picture(160, 120, (20 + 10 * x, 30, 40))[..., ::-1]))
    writer.release()
    assert demo(tool, "--weights", stand_in, "--out", tmp_path / "out", "--score", "0.3", "--frames", "4", "--json",
                tmp_path / "f.json", film) == 0
    assert "160x120      4  0.333" in capsys.readouterr().out
    capture = cv2.VideoCapture(str(tmp_path / "out/film.mp4"))
    count = 0
    while (read := capture.read())[0]:
        count += 1
        assert read[1].shape[1] > 160  # with the bar
    assert count == 4
    frames = json.loads((tmp_path / "f.json").read_text())[0]["frames"]
    assert [frame[0]["box"][0] for frame in frames] == pytest.approx([20, 30, 40, 50], abs=3)


def test_sources_are_images_folders_globs_videos_and_cameras(tmp_path):
    for name in ("b.png", "a.png", "more/c.jpg"):
        save(tmp_path / name, picture(32, 32))
    (tmp_path / "film.MP4").write_bytes(b"x")
    (tmp_path / "more/7").write_bytes(b"x")
    found = find_sources([tmp_path, tmp_path / "*.png", tmp_path / "film.MP4", "0"])
    assert [(source.kind, source.name) for source in found] == [
        ("image", "a"), ("image", "b"), ("image", "c"), ("video", "film"), ("image", "a_2"), ("image", "b_2"),
        ("video", "film_2"), ("camera", "camera_0")]
    assert find_sources([tmp_path / "more/7"])[0].kind == "image"  # a file named like a camera is a file
    for word, message in (("none.jpg", "no such file or folder"), ("none*.jpg", "nothing matches it")):
        with pytest.raises(InputError, match=message):
            find_sources([tmp_path / word])


def test_demo_has_two_portraits_and_a_crowd_where_demo_data_is_empty(tmp_path):
    (tmp_path / "README.md").write_text("put images here")
    found = default_sources(tmp_path)
    assert [source.name for source in found] == ["grace_hopper", "astronaut", "crowd"]
    assert [source.read()[1] for source in found] == [(512, 600), (512, 512), (1600, 1000)]
    save(tmp_path / "mine.png", picture(32, 32))
    assert [source.name for source in default_sources(tmp_path)] == ["mine"]
    assert len(default_sources(tmp_path / "absent")) == 3


def test_the_shipped_weights_go_by_the_name_of_the_config(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    with pytest.raises(InputError, match=r"no weights ship for x \(there are: none\).*--weights output/x/best"):
        pretrained.weights_file("x")
    (tmp_path / "x.weights.h5").touch()
    assert pretrained.weights_file("x") == tmp_path / "x.weights.h5" and pretrained.names() == ["x"]
    with pytest.raises(InputError, match="no weights ship for y .there are: x."):
        Detector.load("y")
    with pytest.raises(InputError, match="x.yml: the config of the shipped weights is missing"):
        Detector.load("x")


def script(name, *arguments, **environment):
    """Run an experiment script with `echo` in Python's place: the commands that it would run."""
    return subprocess.run([ROOT / "experiments/scripts" / f"{name}.sh", *arguments], capture_output=True, text=True,
                          env={**os.environ, "PYTHON": "echo", **environment}, cwd="/")


def test_scripts_map_the_short_names():
    assert script("train_ssh", "1", "wider+facemask", "vgg16", "--resume").stdout.split() == (
        "tools/train.py --cfg cfgs/ssh_vgg16.yml --resume --set NAME ssh_vgg16_wider+facemask TRAIN.DATASETS "
        "wider_train+facemask_train TRAIN.SELECT wider_select+facemask_select").split()
    assert script("train_ssh", "cpu", "", "mobile").stdout.split() == (
        "tools/train.py --cfg cfgs/ssh_mobilenet_v1_100.yml").split()
    assert "NAME ssh_mobilenet_v1_025 TRAIN.DATASETS" in script("train_ssh", "0", "wider+facemask").stdout
    done = script("demo_ssh", "cpu", "toy", "mobile", "a.jpg")
    assert done.stdout.split()[1:3] == ["--cfg", str(ROOT / "cfgs/ssh_mobilenet_v1_100.yml")]
    assert done.stdout.split()[-1] == "a.jpg"


def test_the_test_script_evaluates_a_part_of_wider_as_a_part(tmp_path):
    save(tmp_path / "wider/WIDER_val/images/0--Parade/x.jpg", picture(32, 32))
    done = script("test_ssh", "-1", "wider", "mobile_025", "--flip", DATA=str(tmp_path))
    assert done.returncode == 0, done.stderr
    _, test, evaluate = done.stdout.splitlines()
    assert test.startswith("tools/test.py --cfg cfgs/ssh_mobilenet_v1_025.yml")
    assert test.endswith(f"--images {tmp_path}/wider/WIDER_val/images "
                         "--out output/ssh_mobilenet_v1_025/pred_wider --flip")
    assert evaluate.split()[:5] == ["tools/evaluate.py", "wider", "--gt", f"{tmp_path}/wider/ground_truth", "--subset"]


@pytest.mark.parametrize("name, arguments, message", [
    ("train_ssh", ("x",), "GPU_ID is 'x'"), ("train_ssh", ("0", "coco"), "DATASET is 'coco'"),
    ("test_ssh", ("0", "wider", "res50"), "NET is 'res50'"), ("demo_ssh", ("0", "", "vgg"), "NET is 'vgg'"),
    ("test_ssh", ("0", "crowd"), "no such folder")])
def test_scripts_say_what_is_wrong(name, arguments, message):
    done = script(name, *arguments, DATA="/nonexistent")
    assert done.returncode == 2 and done.stderr.startswith("error: ") and message in done.stderr
    assert script(name, "--help").stdout.split("\n")[2].startswith("Usage: experiments/scripts/")


def make(*arguments):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", "-C", ROOT, *arguments], capture_output=True, text=True, env=environment)


def test_make_says_which_python_it_needs_and_lists_its_targets(tmp_path):
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = make(f"VENV={tmp_path}/venv", f"PYTHON={old}")
    assert done.returncode == 2 and not (tmp_path / "venv").exists()
    assert f"error: Python 3.11, 3.12 or 3.13 is needed; found none as {old}" in done.stderr
    targets = [line.split()[1] for line in make("--no-print-directory", "help").stdout.splitlines()]
    assert targets == ["setup", "demo", "test", "train-toy", "bench", "clean", "distclean", "help"]
