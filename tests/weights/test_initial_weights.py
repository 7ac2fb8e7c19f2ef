"""--init loads what matches by name and shape and names the rest; a file that matches nowhere is an error."""

import keras
import numpy as np
import pytest
from tiny_training import numbers, scenes_folder, tiny_config

from manyfaces.config import load_config
from manyfaces.engine.train import Trainer
from manyfaces.errors import InputError
from manyfaces.nets import family
from manyfaces.weights.files import save_weights
from manyfaces.weights.matching import load_matching_weights

scenes = pytest.fixture(scope="module")(scenes_folder)


def net(channels=8, outputs=6, name="head", seed=0):
    """A small net: conv, batch normalisation, depthwise, head."""
    keras.utils.set_random_seed(seed)
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(channels, 3, name="conv1")(images)
    x = keras.layers.BatchNormalization(name="conv1_bn")(x)
    x = keras.layers.ReLU(name="act")(x)
    x = keras.layers.DepthwiseConv2D(3, name="deep")(x)
    return keras.Model(images, keras.layers.Conv2D(outputs, 1, name=name)(x))


def saved(tmp_path, model, cfg=None):
    path = tmp_path / "first.weights.h5"
    save_weights(model, path, cfg)
    return path


def test_the_same_net_is_loaded_completely(tmp_path):
    source, target = net(seed=1), net(seed=2)
    report = load_matching_weights(target, saved(tmp_path, source))
    for a, b in zip(source.get_weights(), target.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert str(report) == f"{tmp_path}/first.weights.h5: 4 of 4 layers with weights taken"


def test_a_head_of_another_shape_keeps_its_own_weights_and_is_named(tmp_path):
    source, target = net(seed=1), net(outputs=4, seed=2)
    own = target.get_layer("head").get_weights()
    report = load_matching_weights(target, saved(tmp_path, source))
    assert report.taken == ["conv1", "conv1_bn", "deep"]
    assert str(report).splitlines()[1] == ("  head keeps its initial weights: the file has conv2d (1,1,8,6) (6,), "
                                           "expected conv2d (1,1,8,4) (4,)")
    for name, expected in (("conv1", source), ("deep", source)):
        for a, b in zip(target.get_layer(name).get_weights(), expected.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(own, target.get_layer("head").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_layers_of_only_one_of_the_two_are_named(tmp_path):
    report = load_matching_weights(net(name="other"), saved(tmp_path, net(name="head")))
    assert report.left == {"other": "not in the file"} and report.unused == ["head"]
    assert "not in this net: head" in str(report)


def test_a_file_of_another_net_is_an_error_and_changes_nothing(tmp_path):
    target = net(channels=5, outputs=4, seed=3)
    before = target.get_weights()
    with pytest.raises(InputError, match=r"first\.weights\.h5: no layer matches this net by name and shape \(found "):
        load_matching_weights(target, saved(tmp_path, net()))
    for a, b in zip(before, target.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    (tmp_path / "broken.weights.h5").write_bytes(b"none")
    for name, message in (("broken.weights.h5", "not a complete weights"), ("missing.weights.h5", "no such weights")):
        with pytest.raises(InputError, match=message):
            load_matching_weights(target, tmp_path / name)


def test_a_layer_can_match_and_mean_something_else(tmp_path):
    then = load_config(overrides=["NET.VARIANT", "torch", "ANCHORS.SIZES", "[[10], [20], [30]]", "TRAIN.RATE", "1"])
    now = load_config(overrides=["ANCHORS.SIZES", "[[11], [20], [30]]", "TRAIN.RATE", "2"])
    report = load_matching_weights(net(), saved(tmp_path, net(), then), now)
    assert report.differ == {"NET.VARIANT": ("torch", "keras"),
                             "ANCHORS.SIZES": ([[10], [20], [30]], [[11], [20], [30]])}
    assert "trained with NET.VARIANT 'torch', here it is 'keras'" in str(report)


# ---------------------------------------------------------- a training of SSD


def ssd_config(scenes, name, **changes):
    """SSD on the backbone of three convolutions, 80 px samples augmented as in SSD."""
    return tiny_config(scenes, NAME=name, FAMILY="ssd", ANCHORS__STRIDES="[16]", ANCHORS__WIDTHS="[20, 40]",
                       ANCHORS__HEIGHTS="[20, 40]", NET__LANDMARKS=False, LOSS__CLASS="mined", LOSS__BOX_SIGMA=1,
                       TARGETS__POSITIVE=0.4, TARGETS__NEGATIVE=0.4, TARGETS__BEST=0.0, TRAIN__DETERMINISTIC=False,
                       AUGMENT__KIND="ssd", AUGMENT__SIZE=80, TEST__SIZE="[80, 80]", **changes)


@pytest.mark.slow
def test_ssd_trains_and_fine_tunes(scenes, capsys):
    """A few steps lower the loss of the scores; their weights start a training whose head has one more anchor."""
    first = Trainer(ssd_config(scenes, "ssd_first", TRAIN__STEPS=40, TRAIN__BATCH=8, TRAIN__RATE=1e-2))
    first.run()
    lines = [line.split(",") for line in (scenes / "output/ssd_first/train.csv").read_text().splitlines()]
    loss = [float(line[lines[0].index("head_class")]) for line in lines[1:]]
    assert np.mean(loss[-4:]) < 0.85 * np.mean(loss[:4])
    assert first.selection.sets == {} and first.detector.detect(np.zeros((50, 70, 3), np.uint8)).boxes.shape[1] == 4
    capsys.readouterr()

    cfg = ssd_config(scenes, "ssd_second", TRAIN__STEPS=2)
    cfg.ANCHORS.WIDTHS, cfg.ANCHORS.HEIGHTS = [20.0, 40.0, 60.0], [20.0, 40.0, 60.0]
    second = Trainer(cfg, init=scenes / "output/ssd_first/last.weights.h5")
    text = capsys.readouterr().out
    assert "7 of 9 layers with weights taken" in text and "head_scores keeps its initial weights" in text
    assert "trained with ANCHORS.WIDTHS [20, 40], here it is [20.0, 40.0, 60.0]" in text
    for a, b in zip(numbers(second.model.get_layer("conv2").weights),
                    numbers(first.tested.get_layer("conv2").weights), strict=True):
        np.testing.assert_array_equal(a, b)


def test_only_init_is_tolerant(scenes, tmp_path):
    """Testing with weights of another net stays an error."""
    from manyfaces.inference.models import load_detector

    cfg = ssd_config(scenes, "ssd_a")
    save_weights(family(cfg).build(), tmp_path / "a.weights.h5", cfg)
    assert load_detector(cfg, tmp_path / "a.weights.h5").detect(np.zeros((40, 40, 3), np.uint8), threshold=0).times
    cfg.ANCHORS.WIDTHS, cfg.ANCHORS.HEIGHTS = [20.0], [20.0]
    with pytest.raises(InputError, match="these weights were trained with ANCHORS.WIDTHS"):
        load_detector(cfg, tmp_path / "a.weights.h5")
