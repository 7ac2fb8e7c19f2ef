"""Grid: net, targets and measures by hand, losses against a plain loop, decoding as the inverse of encoding."""

import functools
import math
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from manyfaces.config import load_config
from manyfaces.errors import InputError
from manyfaces.inference.detector import Detector
from manyfaces.nets import family

CFG = Path(__file__).resolve().parents[2] / "cfgs" / "grid_mobilenet_v2_100.yml"
SMALL = ("GRID.INPUT", 96, "AUGMENT.SIZE", 96, "TEST.SIZE", [96, 96], "NET.ALPHA", 0.35, "GRID.WIDTH", 16)
THREE = SMALL[:6]  # 3 x 3 cells of 32 px


def grid(*overrides):
    return family(load_config(CFG, overrides))


@functools.cache
def built(*overrides):
    keras.utils.set_random_seed(0)
    return grid(*SMALL, *overrides).build()


def sample(boxes, ignore=None, side=96):
    count = len(boxes)
    return {"image": np.zeros((side, side, 3), np.uint8), "boxes": np.float32(boxes).reshape(count, 4),
            "ignore": np.zeros(count, bool) if ignore is None else np.array(ignore, bool),
            "landmarks": np.full((count, 5, 2), np.nan, np.float32)}


def logit(p):
    return np.log(p / (1 - p))


# ---------------------------------------------------------------------- net


def test_parameters_by_hand():
    """Head: 3x3x320x240 + 240, 4 x 240 of batch normalisation, 240 x 5 + 5; the rest is Keras' net without Conv_1."""
    model = grid().build()
    source = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(224, 224, 3))
    whole = source.count_params() - 320 * 1280 - 4 * 1280
    assert model.count_params() == whole + 9 * 320 * 240 + 240 + 4 * 240 + 240 * 5 + 5


@pytest.mark.parametrize(("size", "shape"), [((96, 96), (3, 3)), ((97, 130), (4, 5)), ((1, 1), (1, 1))])
def test_maps_of_any_size(size, shape):
    assert built().compute_output_spec(keras.KerasTensor((2, *size, 3)))["grid_cells"].shape == (2, *shape, 5)


def test_finer_cells_keep_the_last_stride():
    finer = grid(*SMALL, "GRID.SIZE", 6)
    assert finer.modules[0].stride == 16
    assert finer.build().compute_output_spec(keras.KerasTensor((1, 96, 96, 3)))["grid_cells"].shape == (1, 6, 6, 5)
    assert finer.encode(sample([[0, 0, 20, 20]]))["grid_labels"].shape == (6, 6)


def test_normalisation_is_inside_and_the_first_scores_are_low():
    """The reference does not use its preprocessed image: here the net takes bytes and normalises them to -1..1."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 96, 96, 3)).astype(np.float32)
    model = built()
    outputs = ops.convert_to_numpy(model(images, training=False)["grid_cells"])
    inner = keras.Model(model.input, model.get_layer("normalise").output)
    np.testing.assert_allclose(ops.convert_to_numpy(inner(images)), images / 127.5 - 1, atol=1e-6)
    assert (1 / (1 + np.exp(-outputs[..., 4])) < 0.1).all() and np.isfinite(outputs).all()
    np.testing.assert_allclose(model.get_layer("grid_cells").get_weights()[1], [0, 0, 0, 0, logit(0.03)], rtol=1e-5)


@pytest.mark.parametrize(("words", "trainable"), [
    (("NET.FROZEN_STAGES", 5), {"grid_conv", "grid_bn", "grid_cells"}),
    (("NET.FROZEN_STAGES", 0, "NET.FROZEN_BN", True), None),
])
def test_the_backbone_can_be_frozen(words, trainable):
    model = grid(*SMALL, *words).build()
    actual = {layer.name for layer in model.layers if layer.trainable_weights}
    if trainable:
        assert actual == trainable
    else:
        assert "conv1" in actual and "grid_bn" in actual
        assert not any(name.endswith("_bn") for name in actual - {"grid_bn"})


@pytest.mark.parametrize(("words", "message"), [
    (("GRID.SIZE", 8), r"GRID.SIZE is 8 and GRID.INPUT 224: cells of 28 px; expected GRID.SIZE 7 \(a cell of 32 px\) "
                       r"or 14 \(a cell of 16 px\), or GRID.INPUT 256"),
    (("GRID.INPUT", 250), "cells of 35.7"),
    (("TEST.SIZE", []), r"TEST.SIZE is \[\], expected \[224, 224\]"),
    (("AUGMENT.SIZE", 320), "AUGMENT.SIZE is 320, expected 224"),
    (("NET.LANDMARKS", True), "NET.LANDMARKS is True, expected False"),
])
def test_configs_that_do_not_fit(words, message):
    with pytest.raises(InputError, match=message):
        grid(*words)


# ------------------------------------------------------------------ targets


def test_targets_by_hand():
    """96 px, 3 x 3 cells of 32 px. Centres (16, 40) and (80, 88); the ignored face's is (48, 48)."""
    targets = grid(*THREE).encode(sample([[4, 16, 28, 64], [64, 80, 96, 96], [40, 40, 56, 56]], [False, False, True]))
    assert targets["grid_labels"].tolist() == [[0, 0, 0], [1, -1, 0], [0, 0, 1]]
    assert targets["grid_labels"].dtype == np.int8 and targets["grid_boxes"].dtype == np.float32
    np.testing.assert_allclose(targets["grid_boxes"][1, 0], [48 / 96, 24 / 96, 8 / 32, 16 / 32])
    np.testing.assert_allclose(targets["grid_boxes"][2, 2], [16 / 96, 32 / 96, 24 / 32, 16 / 32], rtol=1e-6)
    assert np.count_nonzero(targets["grid_boxes"].any(axis=-1)) == 2


def test_faces_that_share_a_cell_or_leave_the_image():
    encode = grid(*THREE).encode
    shared = encode(sample([[2, 2, 8, 8], [0, 0, 30, 30], [4, 4, 12, 12]], [False, False, True]))
    assert shared["grid_labels"][0, 0] == 1
    np.testing.assert_allclose(shared["grid_boxes"][0, 0], [30 / 96, 30 / 96, 15 / 32, 15 / 32], rtol=1e-6)
    border = encode(sample([[96, 96, 96, 96], [90, -20, 130, 20]]))  # clipped to the image: 6 x 20 px, centre (93, 10)
    assert border["grid_labels"].tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 1]]
    np.testing.assert_allclose(border["grid_boxes"][0, 2], [20 / 96, 6 / 96, 10 / 32, 29 / 32], rtol=1e-5)
    empty = encode(sample(np.zeros((0, 4))))
    assert not empty["grid_labels"].any() and not empty["grid_boxes"].any()
    with pytest.raises(InputError, match="the sample has 64 x 64 px, grid expects GRID.INPUT, 96 x 96"):
        encode(sample([], side=64))


# ------------------------------------------------------------------- losses


def plain_losses(kind, targets, outputs):
    """The rules of docs/grid.md cell by cell, in Python's floats."""
    labels, boxes, maps = targets["grid_labels"], targets["grid_boxes"], outputs["grid_cells"]
    result = {"grid_object": [], "grid_box": []}
    size = labels.shape[1]
    places = [(row, column) for row in range(size) for column in range(size)]

    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    def box(row, column, values):
        return row + values[2], column + values[3], size * values[0], size * values[1]  # in cells: y x h w

    def diou(a, b):
        shared, hull, apart = 1.0, 0.0, 0.0
        for i in (0, 1):
            low, high = max(a[i] - a[i + 2] / 2, b[i] - b[i + 2] / 2), min(a[i] + a[i + 2] / 2, b[i] + b[i + 2] / 2)
            shared *= max(high - low, 0.0)
            hull += (max(a[i] + a[i + 2] / 2, b[i] + b[i + 2] / 2) - min(a[i] - a[i + 2] / 2, b[i] - b[i + 2] / 2)) ** 2
            apart += (a[i] - b[i]) ** 2
        return 1 - shared / (a[2] * a[3] + b[2] * b[3] - shared) + apart / hull

    for n in range(len(labels)):
        cross, faces, surest = 0.0, [], None
        for place in places:
            p, label = sigmoid(maps[n][place][4]), labels[n][place]
            if label >= 0:
                cross -= math.log(p if label else 1 - p)
            if label == 1:
                faces.append(place)
            if surest is None or maps[n][place][4] > maps[n][surest][4]:
                surest = place
        predicted = {place: box(*place, [sigmoid(v) for v in maps[n][place][:4]]) for place in places}
        true = {place: box(*place, boxes[n][place]) for place in faces}
        if not faces:
            value = 0.0
        elif kind == "best_cell":
            value = sum((a - b) ** 2 for a, b in zip(predicted[surest], true[faces[0]], strict=True))
        elif kind == "squared":
            value = sum((a - b) ** 2 for place in faces
                        for a, b in zip(predicted[place], true[place], strict=True)) / len(faces)
        else:
            value = sum(diou(predicted[place], true[place]) for place in faces) / len(faces)
        result["grid_object"].append(cross)
        result["grid_box"].append(0.5 * value)
    return result


def random_batch(encode, rng):
    """Targets and maps of four images: two faces and an ignored one, one face, none, and four faces."""
    encoded = []
    for count, ignored in ((3, 1), (1, 0), (0, 0), (4, 0)):
        low = rng.uniform(0, 60, (count, 2))
        boxes = np.concatenate([low, low + rng.uniform(4, 36, (count, 2))], axis=1)
        encoded.append(encode(sample(boxes, np.arange(count) < ignored)))
    targets = {key: np.stack([arrays[key] for arrays in encoded]) for key in encoded[0]}
    return targets, {"grid_cells": rng.normal(0, 2, (4, 3, 3, 5)).astype(np.float32)}


@pytest.mark.parametrize("kind", ["best_cell", "squared", "diou"])
def test_losses_equal_a_plain_loop(kind):
    net = grid(*THREE, "GRID.BOX_LOSS", kind, "LOSS.BOX_WEIGHT", 0.5)
    rng = np.random.default_rng(4)
    for _ in range(5):
        targets, outputs = random_batch(net.encode, rng)
        actual, expected = net.losses(targets, outputs), plain_losses(kind, targets, outputs)
        assert actual.keys() == expected.keys()
        for name, values in expected.items():
            assert actual[name].shape == (4,)
            np.testing.assert_allclose(ops.convert_to_numpy(actual[name]), values, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("kind", ["best_cell", "squared", "diou"])
def test_a_few_steps_learn_one_image(kind):
    """Gradients reach every output: from random logits, descent moves the box of the highest score onto the face."""
    import tensorflow as tf

    net = grid(*THREE, "GRID.BOX_LOSS", kind)
    targets = net.encode(sample([[4, 16, 28, 64]]))
    batch = {key: value[None] for key, value in targets.items()}
    maps = tf.Variable(np.random.default_rng(1).normal(0, 1, (1, 3, 3, 5)).astype(np.float32))
    optimizer = keras.optimizers.Adam(0.1)
    variable = keras.Variable(maps.numpy())
    for _ in range(150):
        with tf.GradientTape() as tape:
            total = sum(ops.sum(loss) for loss in net.losses(batch, {"grid_cells": variable.value}).values())
        optimizer.apply(tape.gradient(total, [variable.value]), [variable])
    detections = net.decode({"grid_cells": variable.numpy()[0]}, (96, 96)).above(0.5)
    assert len(detections) == 1
    np.testing.assert_allclose(detections.boxes[0], [4, 16, 28, 64], atol=1.5)
    assert np.isfinite(variable.numpy()).all()


# ------------------------------------------------------------------- decode


def maps_of(targets):
    """Logits that decode to exactly the targets."""
    faces = targets["grid_labels"] == 1
    maps = np.full((*faces.shape, 5), -20, np.float32)
    maps[..., 4] = np.where(faces, 3, -20)
    maps[faces, :4] = logit(targets["grid_boxes"][faces])
    return maps


def test_decode_is_the_inverse_of_encode():
    net = grid(*THREE)
    boxes = np.float32([[40, 3, 60, 21], [4, 16, 28, 64], [65, 81, 95, 95]])  # in the order of their cells
    detections = net.decode({"grid_cells": maps_of(net.encode(sample(boxes)))}, (96, 96))
    np.testing.assert_allclose(detections.boxes, boxes, atol=1e-3)
    np.testing.assert_allclose(detections.scores, 1 / (1 + math.exp(-3)), rtol=1e-6)
    assert detections.boxes.dtype == np.float32 and detections.landmarks is None


def test_decode_by_hand():
    """Height .5 and width .25 of 200 x 100 px, centre a quarter into row 1 and at the middle of column 2 of 3."""
    net, maps = grid(*THREE, "TEST.SCORE", 0.3), np.full((3, 3, 5), -9, np.float32)
    maps[1, 2] = logit(np.float64([0.5, 0.25, 0.25, 0.5, 0.8]))
    maps[0, 0] = logit(np.float64([0.9, 0.9, 0.5, 0.5, 0.3001]))  # leaves the image: clipped
    maps[2, 2] = logit(np.float64([0.5, 0.5, 0.5, 0.5, 0.2999]))
    detections = net.decode({"grid_cells": maps}, (200, 100))
    x, y = 200 * 2.5 / 3, 100 * 1.25 / 3
    np.testing.assert_allclose(detections.boxes, [[0, 0, 200 * (1 / 6 + 0.45), 100 * (1 / 6 + 0.45)],
                                             [x - 25, y - 25, x + 25, y + 25]], atol=1e-3)
    np.testing.assert_allclose(detections.scores, [0.3001, 0.8], rtol=1e-5)


def test_a_detector_scales_boxes_back_and_suppresses_duplicates():
    """Two cells that detect one face give one box, in px of the original image; the reference does neither."""
    net = grid(*THREE)
    maps = np.full((1, 3, 3, 5), -9, np.float32)
    maps[0, 1, 0] = logit(np.float64([0.5, 0.25, 0.25, 0.98, 0.9]))  # centres 0.02 and 0.02 of a cell from the border
    maps[0, 1, 1] = logit(np.float64([0.5, 0.25, 0.25, 0.02, 0.8]))
    seen = []

    def run(images):
        seen.append(images.shape)
        return {"grid_cells": maps}

    image = np.zeros((300, 400, 3), np.uint8)
    assert len(net.decode({"grid_cells": maps[0]}, (96, 96))) == 2
    detections = Detector(net, run, net.cfg).detect(image, threshold=0)
    assert seen == [(1, 96, 96, 3)] and len(detections) == 1
    x, y = 400 * 0.98 / 3, 300 * 1.25 / 3
    np.testing.assert_allclose(detections.boxes[0], [x - 50, y - 75, x + 50, y + 75], atol=0.01)


# --------------------------------------------------------------- validation


def test_validation_by_hand():
    """Boxes as fractions of the image's sides. First image: predicted 1/3 x 1/3, true 1/3 x 2/3 around it: 1/9 of 2/9.
    Second: two faces of equal size; the prediction equals the second one (1/9) and does not meet the first. Third: no
    face, not counted."""
    net = grid(*THREE)
    cases = [([[32, 16, 64, 80]], [32, 32, 64, 64]), ([[0, 0, 32, 32], [64, 64, 96, 96]], [64, 64, 96, 96]),
             (np.zeros((0, 4)), [0, 0, 32, 32])]
    targets = [net.encode(sample(boxes)) for boxes, _ in cases]
    maps = [maps_of(net.encode(sample([predicted]))) for _, predicted in cases]
    outputs = {"grid_cells": np.stack(maps)}
    result = net.validation(outputs, {key: np.stack([arrays[key] for arrays in targets]) for key in targets[0]})
    assert result["iou"] == pytest.approx((1 / 9 + 0) / (2 / 9 + 2 / 9), rel=1e-4)
    assert result["iou_nearest"] == pytest.approx((1 / 9 + 1 / 9) / (2 / 9 + 1 / 9), rel=1e-4)
    # Height off by 1/3 in the first; the centre off by 2/3 in y and x in the second.
    assert result["mse"] == pytest.approx(((1 / 3) ** 2 + 2 * (2 / 3) ** 2) / 8, rel=1e-4)
    assert set(net.measures) < set(result)


def test_validation_without_faces():
    net = grid(*THREE)
    targets = {key: value[None] for key, value in net.encode(sample([])).items()}
    outputs = {"grid_cells": np.zeros((1, 3, 3, 5), np.float32)}
    assert net.validation(outputs, targets) == {"iou": 0.0, "iou_nearest": 0.0, "mse": 0.0}
