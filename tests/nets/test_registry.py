"""Families and backbones that are registered, and docs/own_family.md: its code trains, is exported and runs."""

import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

import manyfaces
from manyfaces.boxes import overlaps
from manyfaces.config import load_config
from manyfaces.errors import InputError
from manyfaces.nets import FAMILIES, family
from manyfaces.nets.backbones import BACKBONES, backbone_module
from manyfaces.nets.family import Family

PAGE = (ROOT / "docs" / "own_family.md").read_text(encoding="utf-8")
CLASS, OWN, RUN, BACKBONE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(CONFIG,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(autouse=True)
def names_of_the_package():
    """What a test registers is gone after it."""
    kept = [(registry, dict(registry.entries)) for registry in (FAMILIES, BACKBONES)]
    yield
    for registry, entries in kept:
        registry.entries = entries


@pytest.fixture
def folder(tmp_path, monkeypatch, toy):
    """The current folder: centres.py and centres.yml of the page, and the toy data set as roidb toy_train."""
    from manyfaces.datasets.readers import READERS
    from manyfaces.datasets.roidb import save_roidb

    (tmp_path / "centres.py").write_text(CLASS)
    (tmp_path / "centres.yml").write_text(CONFIG)
    (tmp_path / "own.py").write_text(OWN)
    for name in ("toy_train", "toy_select"):
        save_roidb(READERS["wider"](toy["labels"], toy["images"]), tmp_path / "data/pickles" / f"{name}.pkl")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("centres", None)


class Whole(Family):
    """A family with every required part."""

    def build(self):
        return None

    def encode(self, sample):
        return {}

    def losses(self, targets, outputs):
        return {}

    def decode(self, outputs, size):
        return None


def test_the_family_of_the_page_trains_is_exported_and_runs(folder):
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    from manyfaces.commands.models.export import main as export
    from manyfaces.commands.train import main as train

    with pytest.raises(InputError, match="FAMILY: found 'centres', expected one of grid, mtcnn, ssd, ssh, tiny"):
        train(["--cfg", "centres.yml"])
    import centres  # the file of the page: it registers the family

    words = ["TRAIN.STEPS", "120", "AUGMENT.SIZE", "160", "TRAIN.SELECT_EVERY", "120", "TRAIN.SAVE_EVERY", "120"]
    train(["--cfg", "centres.yml", "--set", *words])
    log = (folder / "output/centres/train.csv").read_text().splitlines()
    loss = [float(line.split(",")[1]) for line in log[1:]]
    assert log[0].startswith("step,loss,centre_class,centre_box") and loss[-1] < 0.8 * loss[0]
    export(["--cfg", "centres.yml", "--weights", "output/centres/last.weights.h5", "--out", "output/centres.onnx"])

    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    detectors = [manyfaces.Detector.load("output/centres.onnx", overrides=["TEST.SCORE", "0.001"]),
                 manyfaces.Detector.load("centres.yml", "output/centres/last.weights.h5", ["TEST.SCORE", "0.001"])]
    assert all(isinstance(detector.family, centres.Centres) for detector in detectors)
    exported, keras = (detector.detect(image, threshold=0) for detector in detectors)
    assert len(exported) == len(keras) > 0 and overlaps(exported.boxes, keras.boxes).max(axis=1).min() > 0.99
    np.testing.assert_allclose(exported.scores, keras.scores, atol=1e-4)

    import cv2

    cv2.imwrite("photo.jpg", image)
    done = subprocess.run([sys.executable, "-c", f"{RUN}\nimport sys\nassert 'keras' not in sys.modules"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_commands_of_the_page_know_the_family_and_show_no_traceback(folder):
    words = ["own.py", "train", "--cfg", "centres.yml", "--set", "TRAIN.DATASETS", "none"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: data/pickles/none.pkl: no such file")
    done = subprocess.run([sys.executable, "own.py", "export", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--licence" in done.stdout, done.stderr


def test_the_backbone_of_the_page_serves_every_family():
    exec(BACKBONE, {})
    model = family(load_config(overrides=["FAMILY", "ssh", "NET.BACKBONE", "plain", "NET.WIDTHS", "[8, 8, 8]"])).build()
    maps = model(np.zeros((1, 64, 96, 3), np.float32))
    assert maps["m1_scores"].shape[1:3] == (8, 12) and maps["m3_scores"].shape[1:3] == (2, 3)
    assert [tap[0] for tap in backbone_module("plain").TAPS] == ["stride8", "stride16", "stride32"]


def test_a_name_stands_for_one_thing():
    manyfaces.register_family("mine", Whole)
    manyfaces.register_family("mine", Whole)  # the module is imported twice
    assert isinstance(family(load_config(overrides=["FAMILY", "mine"])), Whole)
    with pytest.raises(InputError, match="FAMILY: 'mine' is registered for .*Whole.* already; choose another name"):
        manyfaces.register_family("mine", type("Other", (Whole,), {}))
    with pytest.raises(InputError, match="FAMILY: 'ssh' is registered for .*SSH"):
        manyfaces.register_family("ssh", Whole)
    with pytest.raises(InputError, match="NET.BACKBONE: 'vgg16' is registered for"):
        manyfaces.register_backbone("vgg16", backbone_module("resnet50"))
    manyfaces.register_backbone("vgg16", backbone_module("vgg16"))
    for name in ("", 3):
        with pytest.raises(InputError, match="the name to register is"):
            manyfaces.register_family(name, Whole)


def test_what_is_missing_is_named_at_once():
    half = type("Half", (Family,), {"build": Whole.build, "decode": Whole.decode})
    with pytest.raises(InputError, match="FAMILY 'half': Half does not define encode, losses; see"):
        manyfaces.register_family("half", half)
    for other in (object, Whole(load_config())):
        with pytest.raises(InputError, match="expected a class derived from manyfaces.nets.family.Family"):
            manyfaces.register_family("other", other)
    with pytest.raises(InputError, match="NET.BACKBONE 'none': .* has no build, TAPS, STAGES; see docs/backbones.md"):
        manyfaces.register_backbone("none", object())
    with pytest.raises(InputError, match=r"Half has no encode\(\): this family cannot be trained"):
        half(load_config()).encode({})


def test_registering_loads_no_keras():
    code = ("import sys, manyfaces\nfrom manyfaces.nets.family import Family\n"
            "manyfaces.register_family, manyfaces.register_backbone\n"
            "assert not {'keras', 'tensorflow'} & set(sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
