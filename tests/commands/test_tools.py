"""The command lines: their help; tools/test.py, demo.py and the scripts that call them, with a replaced net."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from conftest import ROOT
from processes import PATIENCE, wait_for
from stand_in import picture, save, square_detector

from manyfaces import pretrained
from manyfaces.commands.command_line import run
from manyfaces.config import load_config
from manyfaces.errors import InputError
from manyfaces.inference import models as testing
from manyfaces.inference.detector import Detector

TOOLS = sorted(path.stem for path in (ROOT / "tools").glob("[!_]*.py"))
CFG = str(ROOT / "cfgs" / "ssh_mobilenet_v1_025.yml")


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Give the tools a detector of green squares instead of a net; returns the path of its weights."""
    def load_detector(cfg, weights=None):
        assert weights == str(tmp_path / "w.weights.h5")
        detector = square_detector(weights)
        cfg.TEST.NMS = 0.5
        detector.cfg = cfg
        return detector

    monkeypatch.setattr(testing, "load_detector", load_detector)
    (tmp_path / "w.weights.h5").write_bytes(b"stands for weights")
    return str(tmp_path / "w.weights.h5")


@pytest.mark.parametrize("name", TOOLS)
def test_every_tool_has_help_with_an_example_that_calls_it(name, tool, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(ROOT / "tools" / f"{name}.py")])
    with pytest.raises(SystemExit) as end:
        tool(name).main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert f"  tools/{name}.py" in text.split("example:\n")[1]
    assert os.access(ROOT / "tools" / f"{name}.py", os.X_OK)


@pytest.mark.parametrize("name", ["train", "test", "demo"])
def test_help_comes_without_waiting_for_keras(name):
    code = ("import os, runpy, sys\nsys.path.insert(0, os.path.dirname(sys.argv[1]))\ntry:\n"
            "    runpy.run_path(sys.argv[1], run_name='__main__')\n"
            "except SystemExit:\n    pass\nprint('keras' in sys.modules, file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", code, ROOT / f"tools/{name}.py", "--help"], capture_output=True,
                          text=True)
    assert done.stderr == "False\n"


@pytest.mark.parametrize("venv, advice", [(False, "run make -B -C {root}, then {python} "), (True, "run {python} ")])
def test_a_tool_outside_the_environment_says_what_to_run(venv, advice, tmp_path):
    """-S: no installed packages; the copy of tools/ has no manyfaces beside it."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    python = tmp_path / ".venv/bin/python"
    if venv:
        python.parent.mkdir(parents=True)
        python.touch()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-S", tmp_path / "tools/train.py", "--cfg", "a b.yml"], capture_output=True,
                          text=True, env=environment)
    advice = advice.format(root=tmp_path, python=python)
    assert done.returncode == 2 and done.stderr == (
        f"error: {sys.executable} has no module manyfaces: {advice}{tmp_path}/tools/train.py --cfg 'a b.yml'\n")


def test_a_module_of_ours_that_is_missing_is_a_defect(tmp_path):
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    (tmp_path / "tools/broken.py").write_text("import _start\nimport manyfaces.none\n")
    done = subprocess.run([sys.executable, tmp_path / "tools/broken.py"], capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" in done.stderr and "manyfaces.none" in done.stderr


def test_keras_is_not_there_before_it_is_loaded_quietly():
    """backend.prepare() hides what TensorFlow prints while it loads, if nothing has imported TensorFlow before."""
    code = ("import sys, manyfaces.engine.train, manyfaces.inference.folder, manyfaces.export.export\n"
            "print('keras' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


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
    error = capsys.readouterr().err
    assert code == 2 and error.startswith(("error: --scales holds ", f"error: --scales {scales!r}: "))
    assert ("expected numbers over 0" if error.count(":") > 1 else "expected numbers, each more than 0") in error


def test_the_shipped_weights_are_found_by_the_name_of_the_config(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    with pytest.raises(InputError, match=r"no weights ship for x \(there are: none\); .* such as output/x/best"):
        pretrained.weights_file("x")
    (tmp_path / "x.weights.h5").touch()
    assert pretrained.weights_file("x") == tmp_path / "x.weights.h5" and pretrained.names() == ["x"]
    with pytest.raises(InputError, match="^y: expected a name .x., a model"):
        Detector.load("y")
    with pytest.raises(InputError, match="x.yml: the config of the shipped weights is missing"):
        Detector.load("x")


def script(name, *arguments, **environment):
    """Run an experiment script with `echo` instead of Python; returns the commands that it would run."""
    return subprocess.run([ROOT / "experiments/scripts" / f"{name}.sh", *arguments], capture_output=True, text=True,
                          env={**os.environ, "PYTHON": "echo", **environment}, cwd="/")


def test_scripts_map_the_short_names():
    assert script("train_ssh", "1", "wider+facemask", "vgg16", "--resume").stdout.split() == (
        "tools/train.py --cfg cfgs/ssh_vgg16.yml --set NAME ssh_vgg16_wider+facemask TRAIN.DATASETS "
        "wider_train+facemask_train TRAIN.SELECT wider_select+facemask_select --resume").split()
    assert script("train_ssh", "cpu", "", "mobile").stdout.split() == (
        "tools/train.py --cfg cfgs/ssh_mobilenet_v1_100.yml").split()
    assert "NAME ssh_mobilenet_v1_025 TRAIN.DATASETS" in script("train_ssh", "0", "wider+facemask").stdout
    assert script("train_ssd", "0", "", "mobile_v2_crops", "--resume").stdout.split() == (
        "tools/train.py --cfg cfgs/ssd_mobilenet_v2_075_crops.yml --resume").split()
    assert "NAME ssd_mobilenet_v2_075_toy TRAIN.DATASETS toy_train" in script("train_ssd", "0", "toy").stdout
    done = script("demo_ssh", "cpu", "toy", "mobile", "a.jpg")
    assert done.stdout.split()[1:3] == ["--cfg", str(ROOT / "cfgs/ssh_mobilenet_v1_100.yml")]
    assert done.stdout.split()[-1] == "a.jpg"
    assert script("export_ssh", "cpu", "", "mobile", "onnx_nms", "--set", "TEST.SCORE", "0.3").stdout.split() == (
        "tools/export.py --cfg cfgs/ssh_mobilenet_v1_100.yml --out output/ssh_mobilenet_v1_100/"
        "ssh_mobilenet_v1_100_nms.onnx --nms --set TEST.SCORE 0.3").split()
    assert script("export_ssd", "cpu", "toy").stdout.split()[-1] == (
        "output/ssd_mobilenet_v2_075_toy/ssd_mobilenet_v2_075_toy.onnx")


def test_the_export_scripts_calibrate_on_training_images(tmp_path):
    save(tmp_path / "wider/WIDER_train/images/0--Parade/x.jpg", picture(32, 32))
    words = script("export_grid", "cpu", "", "mobile_v2_075", "litert_int8", DATA=str(tmp_path)).stdout.split()
    assert words[-5:] == ["--out", "output/grid_mobilenet_v2_075/grid_mobilenet_v2_075_litert_int8.tflite", "--int8",
                          "--calibrate", f"{tmp_path}/wider/WIDER_train/images"]


def test_the_test_script_evaluates_a_part_of_wider_as_a_part(tmp_path):
    save(tmp_path / "wider/WIDER_val/images/0--Parade/x.jpg", picture(32, 32))
    (tmp_path / "wider/ground_truth").mkdir()
    done = script("test_ssh", "-1", "wider", "mobile_025", "--flip", DATA=str(tmp_path))
    assert done.returncode == 0, done.stderr
    _, test, evaluate = done.stdout.splitlines()
    assert test.startswith("tools/test.py --cfg cfgs/ssh_mobilenet_v1_025.yml")
    assert test.endswith(f"--images {tmp_path}/wider/WIDER_val/images "
                         "--out output/ssh_mobilenet_v1_025/pred_wider --flip")
    assert evaluate.split()[:5] == ["tools/evaluate.py", "wider", "--gt", f"{tmp_path}/wider/ground_truth", "--subset"]


@pytest.mark.parametrize("part", ["events", "crowd"])
def test_the_test_script_knows_the_parts_of_wider(part, tmp_path):
    images = tmp_path / f"wider_{part}/images"
    save(images / "0--Parade/x.jpg", picture(32, 32))
    (tmp_path / "wider_eval/ground_truth").mkdir(parents=True)
    _, test, evaluate = script("test_ssh", "-1", part, DATA=str(tmp_path)).stdout.splitlines()
    assert test.endswith(f"--images {images} --out output/ssh_mobilenet_v1_025/pred_{part}")
    assert evaluate.split()[1:5] == ["wider", "--gt", f"{tmp_path}/wider_eval/ground_truth", "--subset"]


@pytest.mark.parametrize("name, arguments, message", [
    ("train_ssh", ("x",), "GPU_ID is 'x'"), ("train_ssh", ("0", "coco"), "DATASET is 'coco'"),
    ("test_ssh", ("0", "wider", "res18"), "NET is 'res18'"),
    ("demo_ssd", ("0", "", "vgg16"), "NET is 'vgg16'"), ("train_ssd", ("x",), "GPU_ID is 'x'"),
    ("test_ssd", ("0", "crowd"), "no such folder"), ("demo_ssh", ("0", "", "vgg"), "NET is 'vgg'"),
    ("test_ssh", ("0", "crowd"), "no such folder"), ("export_ssh", ("0", "", "", "torch"), "FORMAT is 'torch'"),
    ("export_ssd", ("0", "", "", "openvino_int8"), "no such folder")])
def test_scripts_say_what_is_wrong(name, arguments, message):
    done = script(name, *arguments, DATA="/nonexistent")
    assert done.returncode == 2 and done.stderr.startswith("error: ") and message in done.stderr
    assert script(name, "--help").stdout.split("\n")[2].startswith("Usage: experiments/scripts/")


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "experiments/scripts").glob("*.sh")
                                        if path.stem != "start"))
def test_every_script_has_help_that_names_it(name):
    done = script(name, "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert f"Usage: experiments/scripts/{name}.sh" in done.stdout and "#" not in done.stdout.split("\n")[0]


def test_a_script_outside_the_environment_says_what_to_run(tmp_path):
    for name in ("experiments/scripts", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name)
    python = tmp_path / "python"  # -S: no installed packages
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for words in (["train_ssh.sh", "cpu"], ["test_ssh.sh", "cpu", "toy"], ["train_toy.sh"]):
        (tmp_path / "data/toy/test/WIDER_toy/images").mkdir(parents=True, exist_ok=True)
        done = subprocess.run([tmp_path / "experiments/scripts" / words[0], *words[1:]], capture_output=True, text=True,
                              env={**environment, "PYTHON": str(python)})
        assert done.returncode == 2
        assert f" has no module manyfaces: run make -B -C {tmp_path}, then {tmp_path}/.venv/bin/python " in done.stderr
    environment = {"PATH": str(tmp_path / "empty"), "PYTHON": str(python)}
    (tmp_path / "empty").mkdir()
    for name in ("bash", "dirname"):
        (tmp_path / "empty" / name).symlink_to(shutil.which(name))
    done = subprocess.run([tmp_path / "experiments/scripts/train_ssh.sh", "cpu"], capture_output=True, text=True,
                          env=environment)
    assert done.returncode == 2 and done.stderr.startswith("error: found neither .venv/bin/python nor python3: ")


def test_ctrl_c_waits_for_the_tool_that_saves_its_work(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\ntrap 'sleep 0.5; touch saved; exit 130' INT\n"
                      "touch started; while :; do sleep 0.05; done\n".replace("saved", str(tmp_path / "saved"))
                      .replace("started", str(tmp_path / "started")))
    python.chmod(0o755)
    script = subprocess.Popen([ROOT / "experiments/scripts/train_mtcnn.sh", "cpu"], stdout=subprocess.DEVNULL,
                              env={**os.environ, "PYTHON": str(python), "OUTPUT": str(tmp_path)},
                              preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), start_new_session=True)
    wait_for(lambda: (tmp_path / "started").exists(), script)
    os.killpg(script.pid, signal.SIGINT)  # as a terminal sends it, to the tool as well
    assert script.wait(PATIENCE) == 130 and (tmp_path / "saved").exists()


def make(*arguments):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", "-C", ROOT, *arguments], capture_output=True, text=True, env=environment)


def test_make_says_which_python_it_needs_and_lists_its_targets(tmp_path):
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = make(f"VENV={tmp_path}/venv", f"PYTHON={old}")
    assert done.returncode == 2 and not (tmp_path / "venv").exists()
    assert f"error: Python 3.11, 3.12 or 3.13 is needed; found none of these: {old}" in done.stderr
    targets = [line.split()[1] for line in make("--no-print-directory", "help").stdout.splitlines()]
    lines = (ROOT / "Makefile").read_text().replace("\\\n", " ").splitlines()
    phony = next(line.split()[1:] for line in lines if line.startswith(".PHONY:"))
    assert sorted(targets) == sorted(phony) and targets[:2] == ["setup", "demo"]
