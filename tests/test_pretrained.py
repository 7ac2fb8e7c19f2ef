"""The shipped weights load by their name, are within their size limit, and find the faces of the two portraits."""

import numpy as np
import pytest
from conftest import ROOT

from manyfaces import pretrained
from manyfaces.boxes import overlaps
from manyfaces.config import load_config
from manyfaces.datasets.toy.portraits import portraits
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
        found = detector.detect(portrait.image)
        assert found.scores[0] > 0.8
        assert overlaps(found.boxes[:1], np.float32(portrait.box)[None])[0, 0] > 0.6
        if found.landmarks is not None:
            side = portrait.box[2] - portrait.box[0]
            assert np.abs(found.landmarks[0] - portrait.landmarks).max() < 0.15 * side
