"""SSD: its published size, anchors and targets by hand and by IoU, decoding in px of any image, mined losses."""

import functools
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from manyfaces.boxes import anchor_grid, overlaps
from manyfaces.config import load_config
from manyfaces.errors import InputError
from manyfaces.inference.detector import Detector
from manyfaces.nets import family

CFG = Path(__file__).resolve().parents[2] / "cfgs" / "ssd_mobilenet_v2_075.yml"
WIDTHS = [9.4, 25.1, 14.7, 34.7, 143, 77.4, 128.8, 51.1, 75.6]
HEIGHTS = [15, 39.6, 25.5, 63.2, 227.5, 162.9, 124.5, 105.1, 72.6]
SIDES = list(zip(WIDTHS, HEIGHTS, strict=True))
FACES = np.float32([[10, 12, 21, 29], [60.5, 30.25, 85, 70], [130, 20, 190, 95], [20, 90, 118, 251.5],
                    [3, 280, 6, 283]])


def ssd(*overrides):
    return family(load_config(CFG, overrides))


@functools.cache
def built():
    keras.utils.set_random_seed(0)
    return ssd().build()


def sample(boxes=FACES, size=(300, 300), ignore=None):
    count = len(boxes)
    return {"image": np.zeros((size[1], size[0], 3), np.uint8), "boxes": np.float32(boxes).reshape(count, 4),
            "ignore": np.zeros(count, bool) if ignore is None else np.array(ignore, bool),
            "landmarks": np.full((count, 5, 2), np.nan, np.float32)}


def grid(size=(300, 300)):
    """(A, 4) anchors, from their description: nine around the centre of each 16 px cell."""
    return anchor_grid(-(-size[1] // 16), -(-size[0] // 16), 16, SIDES)


# ---------------------------------------------------------------------- net


def test_it_has_the_published_parameters():
    """1,032,942 with two softmax scores per anchor; one sigmoid score needs 9 x (360 + 1) fewer parameters."""
    trained = sum(int(np.prod(variable.shape)) for variable in built().trainable_variables)
    assert trained == 1_032_942 - 9 * (360 + 1)


@pytest.mark.parametrize("height, width", [(300, 300), (301, 300), (75, 100), (17, 160), (1, 1)])
def test_maps_fit_the_anchors_whatever_the_size(height, width):
    net = ssd()
    outputs = built().compute_output_spec(keras.KerasTensor((2, height, width, 3)))
    targets = net.encode(sample(np.zeros((0, 4)), (width, height)))
    rows, columns = -(-height // 16), -(-width // 16)
    assert {name: output.shape for name, output in outputs.items()} == {
        "head_scores": (2, rows, columns, 9), "head_boxes": (2, rows, columns, 36)}
    assert targets["head_labels"].shape == (rows * columns * 9,) == (len(grid((width, height))),)
    assert (targets["head_labels"] == 0).all(), "without faces everything is background, up to the border and beyond"


def test_an_image_does_not_depend_on_its_batch_and_starts_at_one_percent():
    images = np.random.default_rng(0).integers(0, 256, (2, 70, 90, 3)).astype(np.float32)
    together = built()(images, training=False)
    for name, value in built()(images[1:], training=False).items():
        np.testing.assert_allclose(ops.convert_to_numpy(value)[0], ops.convert_to_numpy(together[name])[1],
                                   rtol=1e-4, atol=1e-5)
    assert 0.003 < np.mean(1 / (1 + np.exp(-ops.convert_to_numpy(together["head_scores"])))) < 0.03


def test_configs_that_do_not_fit_are_errors():
    for key, value, message in (
            ("ANCHORS.STRIDES", "[8, 16]", r"\[8, 16\], expected one of \[8\], \[16\] and \[32\]: ssd has a single"),
            ("ANCHORS.WIDTHS", "[9.4]", "WIDTHS and ANCHORS.HEIGHTS hold 1 and 9 entries"),
            ("ANCHORS.WIDTHS", "[]", "hold 0 and 9 entries")):
        with pytest.raises(InputError, match=message):
            ssd(key, value)
    with pytest.raises(InputError, match=r"STRIDES is \[32\], but mobilenet_v2 with NET.LAST_STRIDE False has only"):
        ssd("ANCHORS.STRIDES", "[32]").build()


# ------------------------------------------------------- targets and decoding


def test_labels_follow_from_the_ious():
    """A face from IoU 0.4 on, background below, nothing between; each face has its best anchor, however small it is."""
    labels = ssd().encode(sample())["head_labels"]
    table = overlaps(grid(), FACES)
    expected = np.where(table.max(axis=1) >= 0.4, 1, 0)
    best = table.argmax(axis=0)
    assert table[best[-1], -1] < 0.4, "the last face is too small for any anchor"
    expected[best] = 1
    np.testing.assert_array_equal(labels, expected)
    assert all((table[:, face] >= 0.4).sum() > 1 for face in (1, 2, 3)), "the others lie well on several"


def perfect_outputs(targets, size):
    """The outputs of a net that gives exactly these targets."""
    rows, columns = -(-size[1] // 16), -(-size[0] // 16)
    return {"head_scores": np.where(targets["head_labels"] == 1, 8, -8).astype(np.float32).reshape(1, rows, columns, 9),
            "head_boxes": targets["head_boxes"].reshape(1, rows, columns, 36)}


def test_faces_of_a_resized_image_are_in_its_own_pixels():
    """The net receives 300 x 300 px whatever the image; here one of 900 x 450 px."""
    net, seen = ssd(), []
    outputs = perfect_outputs(net.encode(sample()), (300, 300))
    detections = Detector(net, lambda images: seen.append(images.shape) or outputs, net.cfg).detect(
        np.zeros((450, 900, 3), np.uint8), threshold=0)
    assert seen == [(1, 300, 300, 3)]
    expected = FACES * np.float32([3, 1.5, 3, 1.5])
    assert len(detections) == len(FACES)
    order = overlaps(expected, detections.boxes).argmax(axis=1)
    np.testing.assert_allclose(detections.boxes[order], expected, atol=2e-3)


def test_it_runs_at_other_sizes():
    net, size = ssd("TEST.SIZE", "[]"), (410, 333)
    outputs = perfect_outputs(net.encode(sample(size=size)), size)
    detections = Detector(net, lambda images: outputs, net.cfg).detect(np.zeros((333, 410, 3), np.uint8), threshold=0)
    np.testing.assert_allclose(detections.boxes[overlaps(FACES, detections.boxes).argmax(axis=1)], FACES, atol=1e-3)


def test_decoding_by_hand():
    """Cell (row 2, column 5), anchor 4 (143 x 227.5): centre at (88, 40), moved by 0.1 sides, 0.2 nats wider."""
    net = ssd("TEST.SCORE", "0.5")
    scores = np.full((19, 19, 9), -9, np.float32)
    boxes = np.zeros((19, 19, 9, 4), np.float32)
    scores[2, 5, 4], boxes[2, 5, 4] = np.log(0.75 / 0.25), [1, 0.5, 1, 0]
    detections = net.decode({"head_scores": scores, "head_boxes": boxes.reshape(19, 19, 36)}, (300, 300))
    np.testing.assert_allclose(detections.scores, [0.75], rtol=1e-6)
    wide = 143 * np.exp(0.2)
    x, y = 88 + 14.3, 40 + 0.05 * 227.5
    np.testing.assert_allclose(detections.boxes, [[x - wide / 2, max(0, y - 227.5 / 2), x + wide / 2, y + 227.5 / 2]],
                               rtol=1e-5)


# ------------------------------------------------------------------- losses


def batch_of(net, samples):
    encoded = [net.encode(s) for s in samples]
    return {name: np.stack([arrays[name] for arrays in encoded]) for name in encoded[0]}


def random_outputs(count, seed=0):
    rng = np.random.default_rng(seed)
    return {"head_scores": rng.normal(0, 2, (count, 19, 19, 9)).astype(np.float32),
            "head_boxes": rng.normal(0, 2, (count, 19, 19, 36)).astype(np.float32)}


@pytest.mark.parametrize("least", [1, 20, 1000])
def test_mined_losses_by_hand(least):
    """All faces and three times as many hardest backgrounds; sums over the number of faces, at least MIN_POSITIVES."""
    net = ssd("LOSS.MIN_POSITIVES", str(least))
    targets, outputs = batch_of(net, [sample(), sample(np.zeros((0, 4)))]), random_outputs(2)
    actual = {name: ops.convert_to_numpy(value) for name, value in net.losses(targets, outputs).items()}
    assert set(actual) == {"head_class", "head_box"}
    for i in range(2):
        labels, logits = targets["head_labels"][i], outputs["head_scores"][i].reshape(-1).astype(np.float64)
        faces = np.flatnonzero(labels == 1)
        number = max(len(faces), least)
        ground = sorted(np.flatnonzero(labels == 0), key=lambda k: -logits[k])[: 3 * number]
        entropy = np.log1p(np.exp(-logits[faces])).sum() + np.log1p(np.exp(logits[ground])).sum()
        np.testing.assert_allclose(actual["head_class"][i], entropy / number, rtol=1e-5)
        distance = np.abs(outputs["head_boxes"][i].reshape(-1, 4)[faces] - targets["head_boxes"][i][faces])
        smooth = np.where(distance < 1, distance**2 / 2, distance - 0.5).sum()
        np.testing.assert_allclose(actual["head_box"][i], smooth / number, rtol=1e-5)
    assert actual["head_class"][1] > 0 == actual["head_box"][1], "the worst backgrounds of an image without faces count"


@pytest.mark.parametrize("overrides", [(), ("LOSS.CLASS", "focal", "LOSS.BOX", "diou")], ids=["mined", "focal"])
def test_losses_of_a_batch_equal_those_of_its_images(overrides):
    net = ssd(*overrides)
    targets = batch_of(net, [sample(), sample(np.zeros((0, 4))), sample(FACES[2:3], ignore=[True])])
    outputs = random_outputs(3)
    together = net.losses(targets, outputs)
    for i in range(3):
        alone = net.losses({name: value[i : i + 1] for name, value in targets.items()},
                           {name: value[i : i + 1] for name, value in outputs.items()})
        for name, value in alone.items():
            assert value.shape == (1,) and np.isfinite(value).all()
            np.testing.assert_allclose(value[0], together[name][i], rtol=1e-5, atol=1e-7)


def test_a_perfect_output_has_almost_no_loss():
    net = ssd()
    targets = batch_of(net, [sample()])
    losses = net.losses(targets, perfect_outputs({name: value[0] for name, value in targets.items()}, (300, 300)))
    assert float(losses["head_box"][0]) < 1e-6 and float(losses["head_class"][0]) < 4 * np.log1p(np.exp(-8)) + 1e-6
