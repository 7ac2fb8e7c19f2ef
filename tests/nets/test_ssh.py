"""SSH: its published size, shapes for any image, targets and their decoding."""

import cv2
import keras
import numpy as np
import pytest
from keras import ops
from small_ssh import DENSE, FACES, SMALL, perfect_outputs, points_in, random_outputs, sample, small_net, ssh

from manyfaces.boxes import anchor_grid, overlaps
from manyfaces.constants import FILL
from manyfaces.errors import InputError
from manyfaces.inference.detector import Detector
from manyfaces.nets.layers import PadToMultiple, upsample_bilinear

# ---------------------------------------------------------------------- net


def multiplications(model, height, width):
    """Products of all convolutions on one image."""
    convolutions = [layer for layer in model.layers if hasattr(layer, "kernel")]
    outputs = keras.Model(model.inputs, [layer.output for layer in convolutions]).compute_output_spec(
        keras.KerasTensor((1, height, width, 3)))
    return sum(np.prod(output.shape[1:3]) * np.prod(layer.kernel.shape)
               for layer, output in zip(convolutions, outputs, strict=True))


def test_the_papers_net_has_its_published_size():
    """SSH on VGG16: 19.8 million parameters, 100 billion products on 640 x 480 px."""
    model = ssh("NET.BACKBONE", "vgg16").build()
    assert model.count_params() == pytest.approx(19.8e6, rel=0.02)
    assert multiplications(model, 480, 640) == pytest.approx(100e9, rel=0.03)


@pytest.mark.parametrize("overrides", [
    (), ("NET.LAST_STRIDE", "False"), ("NET.TOP_DOWN", "True"), ("NET.TOP_DOWN", "True", "NET.LAST_STRIDE", "False"),
    ("NET.BACKBONE", "vgg16"), ("NET.BACKBONE", "vgg16", "NET.TOP_DOWN", "True"),
    ("NET.VARIANT", "torch", "NET.BN", "True"), ("NET.TOP_DOWN", "True", "NET.SEPARABLE", "m1+m3", "NET.BN", "True"),
    ("NET.SEPARABLE", "m1"), tuple(DENSE),
], ids=lambda overrides: " ".join(overrides[1::2]) or "default")
@pytest.mark.parametrize("height, width", [(64, 96), (50, 70), (1, 33)])
def test_maps_fit_the_anchors_whatever_the_size(overrides, height, width):
    net, model = ssh(*SMALL, *overrides), small_net(*overrides)
    outputs = model.compute_output_spec(keras.KerasTensor((2, height, width, 3)))
    kinds = {"scores": 1, "boxes": 4} | ({"landmarks": 10} if net.cfg.NET.LANDMARKS else {})
    assert set(outputs) == {f"m{i}_{kind}" for i in (1, 2, 3) for kind in kinds}
    targets = net.encode(sample(np.zeros((0, 4)), (width, height)))
    for module in net.modules:
        rows, columns, stride, *_ = module.level(width, height)
        assert (rows * stride) % 32 == 0 and rows * stride >= height and columns * stride >= width
        assert len(targets[f"{module.name}_labels"]) == rows * columns * module.anchors
        for kind, channels in kinds.items():
            assert outputs[f"{module.name}_{kind}"].shape == (2, rows, columns, channels * module.anchors)


@pytest.mark.parametrize("more", [(), ("NET.TOP_DOWN", "True")])
def test_separable_convolutions_save_what_their_formula_says(more):
    """A 3x3 convolution from C to D channels has 9 C D products per pixel; with a depthwise one it has 9 C + C D."""
    def products(*words):
        return multiplications(ssh(*SMALL, "NET.BACKBONE", "mobilenet_v1", *more, *words).build(), 64, 64)

    # M1 has 8 x 8 pixels: the fusion from 16 to 16 channels, and the module's two convolutions, from 16 to 16 and to 8.
    saved = 64 * sum(9 * 16 * wide - (9 * 16 + 16 * wide) for wide in (16, 16, 8))
    assert products() - products("NET.SEPARABLE", "m1") == saved
    with pytest.raises(InputError, match=r"NET.SEPARABLE: found 'm4', expected names of maps \(m1, m2, m3\)"):
        products("NET.SEPARABLE", "m1+m4")


def test_an_image_does_not_depend_on_its_batch():
    images = np.random.default_rng(0).integers(0, 256, (3, 70, 90, 3)).astype(np.float32)
    together = small_net()(images, training=False)
    for i in range(3):
        alone = small_net()(images[i : i + 1], training=False)
        for name, value in alone.items():
            np.testing.assert_allclose(ops.convert_to_numpy(value)[0], ops.convert_to_numpy(together[name])[i],
                                       rtol=1e-4, atol=1e-5)


def test_padding_is_grey_at_the_right_and_the_bottom():
    image = np.random.default_rng(0).integers(0, 256, (1, 33, 64, 3)).astype(np.float32)
    padded = ops.convert_to_numpy(PadToMultiple(32)(image))
    assert padded.shape == (1, 64, 64, 3)
    np.testing.assert_array_equal(padded[:, :33], image)
    assert (padded[:, 33:] == FILL).all()
    # So the output for an image equals the output for the image with that padding.
    for name, value in small_net()(image, training=False).items():
        np.testing.assert_array_equal(ops.convert_to_numpy(value),
                                      ops.convert_to_numpy(small_net()(padded, training=False)[name]))


def test_upsampling_is_bilinear():
    maps = np.random.default_rng(0).normal(size=(1, 7, 9, 5)).astype(np.float32)
    inputs = keras.Input((None, None, 5))
    actual = ops.convert_to_numpy(keras.Model(inputs, upsample_bilinear(inputs, "up"))(maps))
    expected = cv2.resize(maps[0], (18, 14), interpolation=cv2.INTER_LINEAR)
    assert actual.shape == (1, 14, 18, 5)
    np.testing.assert_allclose(actual[0, 1:-1, 1:-1], expected[1:-1, 1:-1], atol=1e-6)


def test_a_new_net_gives_faces_a_score_of_one_percent():
    scores = [ops.convert_to_numpy(value) for name, value in
              small_net()(np.full((1, 64, 64, 3), 114, np.float32), training=False).items() if "scores" in name]
    assert 0.003 < np.mean(1 / (1 + np.exp(-np.concatenate([s.ravel() for s in scores])))) < 0.03


def test_configs_that_do_not_fit_are_errors():
    for key, value, message in (("ANCHORS.SIZES", "[[16], [32]]", r"ANCHORS\.SIZES holds 2 entries, expected 3"),
                                ("NET.WIDTHS", "[64]", r"NET\.WIDTHS holds 1 entries, expected 3"),
                                ("ANCHORS.STRIDES", "[4, 8, 16]", r"\[4, 8, 16\], expected \[8, 16, 32\]")):
        with pytest.raises(InputError, match=message):
            ssh(key, value)
    with pytest.raises(InputError, match="FAMILY: found 'sssh', expected one of grid, mtcnn, ssd, ssh, tiny"):
        ssh("FAMILY", "sssh")


# ------------------------------------------------------------------ targets


def test_modules_learn_faces_of_their_size():
    targets = ssh(*DENSE).encode(sample())
    learned = {name: set(np.unique(targets[f"{name}_labels"])) for name in ("m1", "m2", "m3")}
    assert all(1 in labels for labels in learned.values())
    only_small = ssh(*DENSE).encode(sample(FACES[:1]))
    assert (only_small["m1_labels"] == 1).any() and (only_small["m3_labels"] == 0).all()


def test_labels_follow_from_the_ious():
    """Default thresholds, without a best anchor: face from IoU 0.5, background below 0.3."""
    net = ssh("ANCHORS.BORDERS", "[-1, -1, -1]")
    targets = net.encode(sample())
    for module in net.modules:
        rows, columns, stride, sizes, ratios, _ = module.level(352, 320)
        table = overlaps(anchor_grid(rows, columns, stride, sizes, ratios), FACES).max(axis=1)
        expected = np.where(table >= 0.5, 1, np.where(table < 0.3, 0, -1))
        np.testing.assert_array_equal(targets[f"{module.name}_labels"], expected)


def test_only_anchors_of_m3_may_leave_the_image():
    """By up to 512 px; those of M1 and M2 may not leave it."""
    net = ssh()
    targets = net.encode(sample(np.zeros((0, 4)), (160, 128)))
    for module, margin in zip(net.modules, (0, 0, 512), strict=True):
        rows, columns, stride, sizes, ratios, _ = module.level(160, 128)
        x1, y1, x2, y2 = anchor_grid(rows, columns, stride, sizes, ratios).T
        inside = (x1 >= -margin) & (y1 >= -margin) & (x2 <= 160 + margin) & (y2 <= 128 + margin)
        np.testing.assert_array_equal(targets[f"{module.name}_labels"] == 0, inside)
    assert (targets["m3_labels"] == 0).all() and not (targets["m1_labels"] == 0).all()


def test_ignored_faces_and_unlabelled_landmarks_are_not_learned():
    landmarks = points_in(FACES, np.random.default_rng(0))
    landmarks[1] = np.nan
    landmarks[2, 3] = np.nan  # one point is missing: no point of that face counts
    targets = ssh(*DENSE).encode(sample(ignore=[1, 0, 0, 0, 0], landmarks=landmarks))
    everything = ssh(*DENSE).encode(sample(landmarks=landmarks))
    assert (targets["m1_labels"] == 1).sum() < (everything["m1_labels"] == 1).sum()
    for name in ("m1", "m2", "m3"):
        faces, mask = targets[f"{name}_labels"] == 1, targets[f"{name}_landmark_mask"]
        assert set(np.unique(mask)) <= {0, 1} and not mask[~faces].any()
        assert np.isfinite(targets[f"{name}_landmarks"]).all() and not targets[f"{name}_landmarks"][mask == 0].any()
        assert not targets[f"{name}_boxes"][~faces].any()
    assert sum(targets[f"{name}_landmark_mask"].sum() for name in ("m2", "m3")) > 0


# ------------------------------------------------------------------- decode


def test_encoded_targets_decode_to_the_faces():
    net, landmarks = ssh(*DENSE), points_in(FACES, np.random.default_rng(1))
    targets = net.encode(sample(landmarks=landmarks))
    outputs = {name: value[None] for name, value in perfect_outputs(net, targets, 352, 320).items()}
    detections = Detector(net, lambda images: outputs, net.cfg).detect(np.zeros((320, 352, 3), np.uint8), threshold=0)
    assert len(detections) == len(FACES)
    order = overlaps(FACES, detections.boxes).argmax(axis=1)
    np.testing.assert_allclose(detections.boxes[order], FACES, atol=1e-3)
    np.testing.assert_allclose(detections.landmarks[order], landmarks, atol=1e-3)


def decode_one_by_one(net, outputs, size, least, top):
    """Every anchor of every module in turn, in float64: list of (score, box, landmarks)."""
    decoded = []
    for module in net.modules:
        candidates = []
        scores = outputs[f"{module.name}_scores"]
        for row, column, kind in np.ndindex(scores.shape):
            score = 1 / (1 + np.exp(-np.float64(scores[row, column, kind])))
            if score < least:
                continue
            centre = np.array([(column + 0.5) * module.stride, (row + 0.5) * module.stride])
            side = module.sizes[kind]
            dx, dy, dw, dh = np.float64(outputs[f"{module.name}_boxes"][row, column, 4 * kind : 4 * kind + 4])
            middle = centre + 0.1 * side * np.array([dx, dy])
            half = side / 2 * np.exp(np.minimum(0.2 * np.array([dw, dh]), np.log(1000 / 16)))
            box = np.clip(np.concatenate([middle - half, middle + half]), 0, [*size, *size])
            points = np.float64(outputs[f"{module.name}_landmarks"][row, column, 10 * kind : 10 * kind + 10])
            candidates.append((score, box, centre + 0.1 * side * points.reshape(5, 2)))
        decoded += [c for c in sorted(candidates, key=lambda c: -c[0])[:top] if (c[1][:2] < c[1][2:]).all()]
    return sorted(decoded, key=lambda c: -c[0])


@pytest.mark.parametrize("least, top", [(0.02, 1000), (0.5, 1000), (0.5, 40), (0.999999, 10)])
def test_decoding_equals_that_of_the_whole_grid(least, top):
    net = ssh(*DENSE, "TEST.SCORE", str(least), "TEST.TOP", str(top))
    size = (150, 110)
    outputs = random_outputs(net, *size, seed=2)
    detections, expected = net.decode(outputs, size), decode_one_by_one(net, outputs, size, least, top)
    assert len(detections) == len(expected)
    order = np.argsort(-detections.scores, kind="stable")
    if expected:
        scores, boxes, points = (np.array(values) for values in zip(*expected, strict=True))
        np.testing.assert_allclose(detections.scores[order], scores, rtol=1e-5)
        np.testing.assert_allclose(detections.boxes[order], boxes, atol=1e-2)
        np.testing.assert_allclose(detections.landmarks[order], points, atol=1e-2)
    assert detections.boxes.dtype == detections.scores.dtype == detections.landmarks.dtype == np.float32


def test_boxes_in_the_padding_are_left_out():
    """40 x 36 px are padded to 64: squares of 16 px around 36, 44, 60 px, some of them outside the image."""
    net = ssh("ANCHORS.SIZES", "[[16], [64], [256]]", "ANCHORS.BORDERS", "[-1, -1, -1]")
    outputs = {name: np.full_like(value, -9 if name.endswith("scores") else 0)
               for name, value in random_outputs(net, 40, 36, seed=0).items()}
    for row, column in ((0, 4), (0, 5), (0, 7), (4, 0), (5, 0), (7, 7)):
        outputs["m1_scores"][row, column] = 2
    detections = net.decode(outputs, (40, 36))
    assert detections.boxes.tolist() == [[28, 0, 40, 12], [36, 0, 40, 12], [0, 28, 12, 36]]  # row 5: from 36 px on


def test_scores_are_not_rounded():
    net = ssh(*DENSE)
    outputs = random_outputs(net, 64, 64, seed=0)
    scores = net.decode(outputs, (64, 64)).scores
    assert len(np.unique(scores)) == len(scores)


# ------------------------------------------------------------------- slope


@pytest.mark.parametrize("words", [("NET.TOP_DOWN", "True"), ("NET.TOP_DOWN", "False")])
def test_slope_is_that_of_every_relu_but_the_last(words):
    def relus(*more):
        layers = ssh(*SMALL, "NET.VARIANT", "torch", *words, *more).build().layers
        return {layer.name: getattr(layer, "negative_slope", None) for layer in layers if layer.name.endswith("_relu")}

    leaky = relus("NET.SLOPE", "0.1")
    assert set(leaky) == set(relus()) and set(relus().values()) == {0.0}
    last = {"m1_relu", "m2_relu", "m3_relu"}
    assert {name for name, slope in leaky.items() if slope == 0} == last
    assert {slope for name, slope in leaky.items() if name not in last} == {0.1}
