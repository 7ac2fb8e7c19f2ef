"""The scripts of Tiny Faces: what they call for each net, and random weights tested on toy scenes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from manyfaces.config import load_config
from manyfaces.evaluation import read_predictions
from manyfaces.nets import backend, family
from manyfaces.weights.files import save_weights

SCRIPTS = ROOT / "experiments" / "scripts"
NETS = {"res101": "resnet101", "res50": "resnet50", "res152": "resnet152", "vgg16": "vgg16",
        "mobile": "mobilenet_v1_100", "mobile_v2": "mobilenet_v2_100", "mobile_025": "mobilenet_v1_025"}


def script(name, *arguments, root=ROOT, **environment):
    environment = {**os.environ, "PYTHON": "echo", "CUDA_VISIBLE_DEVICES": "", **environment}
    done = subprocess.run([root / "experiments/scripts" / f"{name}.sh", *arguments], capture_output=True, text=True,
                          env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def repository(tmp_path):
    """A separate root with copies of the scripts, tools and configs, so that data and output are separate too."""
    root = tmp_path / "root"
    (root / "experiments").mkdir(parents=True)
    for name in ("tools", "cfgs"):
        (root / name).symlink_to(ROOT / name)
    (root / "experiments/scripts").mkdir()
    (root / "data/wider_eval/ground_truth").mkdir(parents=True)
    for path in SCRIPTS.glob("*.*"):  # copies: a script finds its root from its own path
        (root / "experiments/scripts" / path.name).write_bytes(path.read_bytes())
        (root / "experiments/scripts" / path.name).chmod(0o755)
    return root


@pytest.mark.parametrize("short, net", NETS.items())
def test_every_net_trains_is_tested_and_shown(short, net, repository):
    config = f"cfgs/tiny_{net}.yml"
    assert (ROOT / config).is_file()
    train = script("train_tiny", "1,2", "wider+facemask", short, "--set", "NAME", "mine").split()
    suffix = "" if short == "mobile_025" else "_wider+facemask"
    assert train == ["tools/train.py", "--cfg", config, "--set", "NAME", f"tiny_{net}{suffix}", "TRAIN.DATASETS",
                     "wider_train+facemask_train", "TRAIN.SELECT", "wider_select+facemask_select", "--devices", "2",
                     "--set", "NAME", "mine"]  # the user's options come last, so they count

    best = repository / f"output/tiny_{net}/best.weights.h5"
    best.parent.mkdir(parents=True)
    best.touch()
    (repository / "data/wider/WIDER_val/images").mkdir(parents=True)
    _, test, evaluate = script("test_tiny", "cpu", "wider", short, "--flip", root=repository).splitlines()
    assert test.split() == ["tools/test.py", "--cfg", config, "--weights", str(best), "--images",
                            "data/wider/WIDER_val/images", "--out", f"output/tiny_{net}/pred_wider", "--flip"]
    assert evaluate.split()[-2:] == ["--pred", f"output/tiny_{net}/pred_wider"]
    show = script("demo_tiny", "cpu", "", short, "a.jpg", root=repository).split()
    assert show == [f"{repository}/tools/demo.py", "--cfg", f"{repository}/{config}", "--weights", str(best), "a.jpg"]


@pytest.mark.parametrize("name", ["train_tiny", "tiny_resnet101_wider_train"])
def test_resnet101_on_wider_is_the_default(name):
    assert script(name).split() == (
        "tools/train.py --cfg cfgs/tiny_resnet101.yml --set NAME tiny_resnet101 TRAIN.DATASETS wider_train "
        "TRAIN.SELECT wider_select").split()


@pytest.mark.parametrize("name, other", [("test_tiny", "tiny_resnet101_eval"), ("demo_tiny", "demo_tiny_resnet101")])
def test_the_names_with_resnet101_do_the_same(name, other, repository):
    (repository / "data/wider/WIDER_val/images").mkdir(parents=True)
    words = ["cpu", "wider", "vgg16", "--flip"]
    assert script(name, *words, root=repository) == script(other, *words, root=repository) != ""


@pytest.mark.slow
def test_random_weights_are_tested_and_evaluated_on_toy_scenes(toy, repository):
    (repository / "data/toy/test").mkdir(parents=True)
    (repository / "data/toy/test/WIDER_toy").symlink_to(Path(toy["images"]).parent)
    (repository / "data/toy/test/ground_truth").symlink_to(toy["ground_truth"])
    cfg = load_config(ROOT / "cfgs/tiny_mobilenet_v1_025.yml", ["NET.WEIGHTS", ""])
    backend.prepare()
    save_weights(family(cfg).build(), repository / "output/tiny_mobilenet_v1_025_toy/best.weights.h5", cfg)
    out = script("test_tiny", "cpu", "toy", "mobile_025", "--scales", "0.5", "--set", "TEST.SCORE", "0",
                 root=repository, PYTHON=sys.executable)
    found = read_predictions(repository / "output/tiny_mobilenet_v1_025/pred_toy")
    assert sum(len(files) for files in found.values()) == 12 and "tiny_mobilenet_v1_025_toy/best.weights.h5" in out
    assert any(line.startswith("pred_toy") and line.split()[5] == "12" for line in out.splitlines()), "images"


def test_the_overfit_is_of_four_images_and_ends_with_its_ap(repository):
    images = repository / "data/wider/WIDER_train/images"
    images.mkdir(parents=True)
    stand_in, run = repository / "python", repository / "output/overfit_tiny_vgg16"
    for ap, code in ((1.0, 0), (0.99, 1)):
        # Records its arguments, and writes the AP that the script reads.
        stand_in.write_text(f'#!/bin/sh\necho "$@" >> {repository}/calls\n'
                            f'echo \'[{{"ap50": {ap}}}]\' > {run}/result.json\n')
        stand_in.chmod(0o755)
        done = subprocess.run([repository / "experiments/scripts/tiny_overfit.sh", "cpu", "vgg16", "TRAIN.STEPS", "7"],
                              capture_output=True, text=True, env={**os.environ, "PYTHON": str(stand_in)})
        assert done.returncode == code, done.stderr
        assert done.stdout.splitlines()[-1] == f"AP at IoU 0.5 on the four images: {ap:.4f}; expected 1"
        assert len((run / "images.txt").read_text().split()) == 4
        run.rename(repository / f"done{code}")
    calls = (repository / "calls").read_text().splitlines()
    assert [line.split()[0] for line in calls] == ["tools/build_roidb.py", "tools/train.py", "tools/test.py",
                                                  "tools/evaluate.py"] * 2
    assert "NET.WEIGHTS  NET.FROZEN_BN False" in calls[1] and calls[1].endswith("TRAIN.STEPS 7")
    assert "output/overfit_tiny_vgg16/last.weights.h5" in calls[2]
