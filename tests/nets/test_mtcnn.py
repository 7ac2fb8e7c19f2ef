"""MTCNN's nets: parameters of the paper, sizes of maps, losses against plain loops."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from manyfaces.config import load_config
from manyfaces.errors import InputError
from manyfaces.nets import family


def stage(name, *overrides):
    return family(load_config(None, ("FAMILY", "mtcnn", "MTCNN.STAGE", name, "NET.LANDMARKS", "true", *overrides)))


@functools.cache
def built(name, *overrides):
    keras.utils.set_random_seed(0)
    return stage(name, *overrides).build()


# ---------------------------------------------------------------------- net


@pytest.mark.parametrize(("name", "landmarks", "count"), [
    ("pnet", True, 6962), ("rnet", True, 101468), ("onet", True, 389040),
    ("pnet", False, 6632), ("rnet", False, 100178), ("onet", False, 389040)])
def test_parameters_as_published(name, landmarks, count):
    assert built(name, "NET.LANDMARKS", str(landmarks)).count_params() == count


def test_without_a_prelu_after_the_fully_connected_layer():
    for name, width in (("rnet", 128), ("onet", 256)):
        assert built(name).count_params() - built(name, "MTCNN.FC", "relu").count_params() == width


@pytest.mark.parametrize(("size", "cells"), [(12, 1), (13, 2), (14, 2), (15, 3), (16, 3), (100, 45), (101, 46)])
def test_p_net_has_a_cell_every_2_px(size, cells):
    """Sizes as in Caffe: a pooling window that begins inside counts, so an odd side has one more cell."""
    assert built("pnet").compute_output_spec(keras.KerasTensor((1, size, 20, 3)))["scores"].shape == (1, cells, 5, 2)


def test_a_cell_equals_the_output_of_its_window_alone():
    image = np.random.default_rng(0).integers(0, 256, (1, 40, 30, 3)).astype(np.float32)
    model = built("pnet")
    whole, window = model(image), model(image[:, 6:18, 10:22])
    for name in whole:
        np.testing.assert_allclose(whole[name][0, 3, 5], window[name][0, 0, 0], atol=1e-5)


@pytest.mark.parametrize("name", ["rnet", "onet"])
def test_crops_give_vectors(name):
    model = built(name)
    side = {"rnet": 24, "onet": 48}[name]
    shapes = {key: value.shape for key, value in model(np.zeros((3, side, side, 3), np.float32)).items()}
    assert shapes == {"scores": (3, 2), "boxes": (3, 4), "landmarks": (3, 10)}


def test_bytes_are_normalised_inside():
    model = built("onet")
    inner = keras.Model(model.input, model.get_layer("normalise").output)
    actual = inner(np.float32([0, 127.5, 255]).repeat(48 * 48).reshape(3, 48, 48, 1).repeat(3, axis=3))
    np.testing.assert_allclose(ops.convert_to_numpy(actual)[:, 0, 0, 0], [-127.5 / 128, 0, 127.5 / 128], atol=1e-6)


def test_the_cascade_is_not_a_net():
    with pytest.raises(InputError, match="MTCNN.STAGE is 'cascade'"):
        family(load_config(None, ("FAMILY", "mtcnn"))).build()


# ------------------------------------------------------------------- losses


def batch(count, seed=0):
    rng = np.random.default_rng(seed)
    outputs = {"scores": rng.normal(size=(count, 2)), "boxes": rng.normal(size=(count, 4)),
               "landmarks": rng.normal(size=(count, 10))}
    targets = {"label": rng.choice([1, 0, -1, -2], count), "box": rng.normal(size=(count, 4)),
               "landmarks": rng.normal(size=(count, 10))}
    return ({key: value.astype("int32" if key == "label" else "float32") for key, value in targets.items()},
            {key: value.astype("float32") for key, value in outputs.items()})


def plain(targets, outputs, fraction, weights=(1, 0.5, 0.5)):
    """The three scalars of a mined batch, crop by crop."""
    entropy, box, points = [], [], []
    for n, label in enumerate(targets["label"]):
        odds = np.exp(outputs["scores"][n].astype(np.float64))
        if label in (0, 1):
            entropy.append(-np.log(odds[label] / odds.sum()))
        if label in (1, -1):
            box.append(((outputs["boxes"][n] - targets["box"][n]) ** 2).sum())
        if label == -2:
            points.append(((outputs["landmarks"][n] - targets["landmarks"][n]) ** 2).sum())
    hardest = sorted(entropy, reverse=True)[: int(len(entropy) * fraction)]
    return [weight * np.mean(terms) for weight, terms in zip(weights, (hardest, box, points), strict=True)]


def means(losses):
    return [float(ops.mean(losses[f"rnet_{kind}"])) for kind in ("class", "box", "landmark")]


@pytest.mark.parametrize("fraction", [1.0, 0.7, 0.3])
def test_losses_equal_a_plain_loop(fraction):
    targets, outputs = batch(60)
    actual = stage("rnet", "MTCNN.OHEM", fraction).losses(targets, outputs)  # 60 crops are one group
    assert all(value.shape == (60,) for value in actual.values())
    np.testing.assert_allclose(means(actual), plain(targets, outputs, fraction), rtol=1e-5)


def test_p_nets_maps_of_one_cell_are_its_outputs():
    targets, outputs = batch(20)
    maps = {name: values[:, None, None] for name, values in outputs.items()}
    actual = stage("pnet").losses(targets, maps)
    np.testing.assert_allclose([float(ops.mean(actual[f"pnet_{kind}"])) for kind in ("class", "box", "landmark")],
                               plain(targets, outputs, 0.7), rtol=1e-5)


def test_the_update_does_not_depend_on_how_the_batch_is_cut():
    targets, outputs = batch(48)
    net = stage("rnet", "MTCNN.OHEM_GROUP", 12)
    whole = net.losses(targets, outputs)
    halves = [[{key: value[begin : begin + 24] for key, value in arrays.items()} for arrays in (targets, outputs)]
              for begin in (0, 24)]
    by_half = [net.losses(*half) for half in halves]
    for name, values in whole.items():
        np.testing.assert_allclose(values, np.concatenate([arrays[name] for arrays in by_half]), rtol=1e-6)
    one = stage("rnet", "MTCNN.OHEM_GROUP", 0).losses(targets, outputs)
    assert abs(means(one)[0] - means(whole)[0]) > 1e-6  # mined over all 48, other crops are chosen


def test_a_batch_without_a_kind_has_no_loss_of_it():
    targets, outputs = batch(10)
    for label, kinds in ((-2, ("landmark",)), (-1, ("box",)), (0, ("class",))):
        targets["label"][:] = label
        actual = stage("rnet").losses(targets, outputs)
        assert {name for name, value in actual.items() if float(ops.sum(value))} == {f"rnet_{kind}" for kind in kinds}


def test_weights_and_mined_boxes():
    targets, outputs = batch(40)
    actual = stage("rnet", "MTCNN.LOSS_WEIGHTS", "[2, 3, 4]").losses(targets, outputs)
    np.testing.assert_allclose(means(actual), plain(targets, outputs, 0.7, (2, 3, 4)), rtol=1e-5)
    mined = stage("rnet", "MTCNN.OHEM_BOX", "true").losses(targets, outputs)
    assert means(mined)[1] > means(stage("rnet").losses(targets, outputs))[1]


def test_absolute_errors_of_landmarks():
    targets, outputs = batch(2)
    targets["label"][:] = (-2, 0)
    targets["landmarks"][0] = 0.5
    outputs["landmarks"][0] = [0.5, 0.75, 0.25, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.5]  # off by .25, .25 and 1
    weights = ("MTCNN.LOSS_WEIGHTS", "[1, 1, 2]")
    absolute = stage("onet", "MTCNN.LANDMARK_LOSS", "absolute", *weights).losses(targets, outputs)
    squared = stage("onet", *weights).losses(targets, outputs)
    assert float(ops.mean(absolute["onet_landmark"])) == 2 * 1.5
    assert float(ops.mean(squared["onet_landmark"])) == 2 * 1.125


def test_encode():
    crop = {"image": np.zeros((24, 24, 3), np.uint8), "label": 1, "box": [0.1, 0, 0, -0.1],
            "landmarks": np.arange(10).reshape(5, 2)}
    targets = stage("rnet").encode(crop)
    assert targets["label"] == 1 and targets["box"].tolist() == np.float32([0.1, 0, 0, -0.1]).tolist()
    assert targets["landmarks"].tolist() == list(range(10))
    with pytest.raises(InputError, match="24 x 24 px, onet learns from 48 x 48"):
        stage("onet").encode(crop)
