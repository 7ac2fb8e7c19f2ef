"""The shipped weights load by their name, are within their size limit, and find the faces of the two portraits."""

import importlib

import numpy as np
import pytest
from conftest import ROOT

from manyfaces import pretrained
from manyfaces.boxes import overlaps
from manyfaces.config import load_config
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.errors import InputError
from manyfaces.inference.detector import Detector
from manyfaces.runtimes.files import CascadeFiles

NAMES = pretrained.names()


def test_the_default_of_the_demo_ships():
    assert "ssh_mobilenet_v1_025" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_config_describes_the_net_of_the_experiment(name):
    weights = pretrained.weights_file(name)
    for file in CascadeFiles.weights(weights).files if weights.is_dir() else [weights]:
        assert file.stat().st_size <= 5_000_000
    assert (pretrained.FOLDER / f"{name}.md").is_file()
    shipped, experiment = load_config(pretrained.config_file(name)), load_config(ROOT / "cfgs" / f"{name}.yml")
    assert shipped.NAME == name
    for section in ("NET", "ANCHORS"):
        assert shipped[section] == experiment[section]


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_weights_find_both_portraits(name):
    detector = Detector.load(name)
    for portrait in portraits():
        found = detector.detect(portrait.image, threshold=0)
        assert found.scores[0] > 0.8
        assert overlaps(found.boxes[:1], np.float32(portrait.box)[None])[0, 0] > 0.6
        if found.landmarks is not None:
            side = portrait.box[2] - portrait.box[0]
            assert np.abs(found.landmarks[0] - portrait.landmarks).max() < 0.15 * side


STAGES = ("pnet", "rnet", "onet")


@pytest.fixture
def wheels(monkeypatch, tmp_path):
    """What the two wheels install; the second, which holds big and the weights of all, is not yet on the path."""
    first, second = tmp_path / "pretrained", tmp_path / "site" / "manyfaces_weights"
    for folder, files in {first: ["small.yml", "small.onnx", "small.json", "big.yml", "mtcnn.yml", "mtcnn/cascade.json",
                                  *(f"mtcnn/{stage}.onnx" for stage in STAGES)],
                          second: ["__init__.py", "small.weights.h5", "big.weights.h5", "big.onnx", "big.json",
                                   *(f"mtcnn/{stage}.weights.h5" for stage in STAGES)]}.items():
        (folder / "mtcnn").mkdir(parents=True)
        for file in files:
            (folder / file).touch()
    monkeypatch.setattr(pretrained, "FOLDER", first)
    return first, second


def test_without_the_second_wheel_its_files_are_named_with_what_brings_them(wheels):
    first, _ = wheels
    assert pretrained.names() == ["mtcnn", "small"] and pretrained.folders() == [first]
    assert pretrained.model_file("small") == first / "small.onnx"
    assert pretrained.model_file("mtcnn") == first / "mtcnn"
    for name in ("small", "mtcnn"):
        assert not pretrained.has_weights(name)
        with pytest.raises(InputError, match=f"^{name}: its weights for Keras are in .*pip install manyfaces-weights"):
            pretrained.weights_file(name)
    assert pretrained.config_file("big") == first / "big.yml"  # for weights of the user
    for find in (pretrained.model_file, pretrained.weights_file, Detector.load):
        with pytest.raises(InputError, match="^big: its files are in .*not installed: pip install manyfaces-weights"):
            find("big")
    with pytest.raises(InputError, match=r"^no weights ship for bigger \(there are: mtcnn, small\)"):
        pretrained.model_file("bigger")
    assert pretrained.is_known("big") and not pretrained.is_known(str(first / "big"))  # a path of the user is no name


def test_with_the_second_wheel_every_file_is_found_in_its_place(wheels, monkeypatch):
    first, second = wheels
    monkeypatch.syspath_prepend(second.parent)
    importlib.invalidate_caches()
    assert pretrained.names() == ["big", "mtcnn", "small"]
    assert pretrained.model_file("big") == second / "big.onnx"
    assert pretrained.model_file("small") == first / "small.onnx"
    assert pretrained.model_file("mtcnn") == first / "mtcnn" and pretrained.weights_file("mtcnn") == second / "mtcnn"
    for name in ("big", "small"):
        assert pretrained.weights_file(name) == second / f"{name}.weights.h5"
        assert pretrained.config_file(name) == first / f"{name}.yml"
    with pytest.raises(InputError, match=r"^no weights ship for bigger \(there are: big, mtcnn, small\)"):
        pretrained.weights_file("bigger")
