"""SSH: its published size, shapes for any image, targets and their decoding, losses image by image."""

import functools

import cv2
import keras
import numpy as np
import pytest
from keras import ops

from manyfaces.boxes import anchor_grid, overlaps
from manyfaces.config import load_config
from manyfaces.constants import FILL
from manyfaces.errors import InputError
from manyfaces.inference.detector import Detector
from manyfaces.nets import family
from manyfaces.nets.layers import PadToMultiple, upsample_bilinear

SMALL = ["NET.ALPHA", "0.25", "NET.WIDTHS", "[16, 16, 16]", "NET.TOP_DOWN_WIDTH", "16"]
DENSE = ["ANCHORS.SIZES", "[[10, 16, 24], [36, 56, 88], [136, 210, 330]]", "ANCHORS.BORDERS", "[-1, -1, -1]",
         "TARGETS.POSITIVE", "0.35", "TARGETS.BEST", "0.2", "NET.LANDMARKS", "True"]
FACES = np.float32([[10, 12, 22, 27], [60.5, 30.25, 85, 60], [130, 20, 190, 95], [20, 90, 118, 201.5],
                    [200, 100, 330, 280]])


def ssh(*overrides):
    return family(load_config(overrides=overrides))


@functools.cache
def small_net(*overrides):
    keras.utils.set_random_seed(0)
    return ssh(*SMALL, *overrides).build()


def sample(boxes=FACES, size=(352, 320), ignore=None, landmarks=None):
    count = len(boxes)
    return {"image": np.zeros((size[1], size[0], 3), np.uint8), "boxes": np.float32(boxes).reshape(count, 4),
            "ignore": np.zeros(count, bool) if ignore is None else np.array(ignore, bool),
            "landmarks": np.full((count, 5, 2), np.nan, np.float32) if landmarks is None else landmarks}


def points_in(boxes, rng):
    """Five points at random places of each box."""
    return (boxes[:, None, :2] + rng.uniform(0, 1, (len(boxes), 5, 2)) * (boxes[:, None, 2:] - boxes[:, None, :2])
            ).astype(np.float32)


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


def perfect_outputs(net, targets, width, height):
    """The outputs of a net that gives exactly these targets."""
    outputs = {}
    for module in net.modules:
        rows, columns, *_ = module.level(width, height)
        labels = targets[f"{module.name}_labels"]
        outputs[f"{module.name}_scores"] = np.where(labels == 1, 8, -8).astype(np.float32).reshape(rows, columns, -1)
        for kind in ("boxes", "landmarks"):
            outputs[f"{module.name}_{kind}"] = targets[f"{module.name}_{kind}"].reshape(rows, columns, -1)
    return outputs


def test_encoded_targets_decode_to_the_faces():
    net, landmarks = ssh(*DENSE), points_in(FACES, np.random.default_rng(1))
    targets = net.encode(sample(landmarks=landmarks))
    outputs = {name: value[None] for name, value in perfect_outputs(net, targets, 352, 320).items()}
    detections = Detector(net, lambda images: outputs, net.cfg).detect(np.zeros((320, 352, 3), np.uint8))
    assert len(detections) == len(FACES)
    order = overlaps(FACES, detections.boxes).argmax(axis=1)
    np.testing.assert_allclose(detections.boxes[order], FACES, atol=1e-3)
    np.testing.assert_allclose(detections.landmarks[order], landmarks, atol=1e-3)


def random_outputs(net, width, height, seed):
    rng, outputs = np.random.default_rng(seed), {}
    for module in net.modules:
        rows, columns, *_ = module.level(width, height)
        for kind, channels, spread in (("scores", 1, 3), ("boxes", 4, 2), ("landmarks", 10, 2)):
            outputs[f"{module.name}_{kind}"] = rng.normal(0, spread, (rows, columns, channels * module.anchors)
                                                          ).astype(np.float32)
    outputs["m1_boxes"][0, 0, 2] = 1e6  # an extreme output gives a large box, not an infinite one
    return outputs


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


# ------------------------------------------------------------------- losses

LOSSES = [("LOSS.CLASS", "ohem", "LOSS.BOX", "smooth_l1"), ("LOSS.CLASS", "focal", "LOSS.BOX", "diou"),
          ("LOSS.CLASS", "quality", "LOSS.BOX", "diou"),
          ("LOSS.CLASS", "ohem", "LOSS.OHEM_BATCH", "16", "LOSS.BOX", "diou")]


def batch_of(net, samples):
    encoded = [net.encode(s) for s in samples]
    return {name: np.stack([arrays[name] for arrays in encoded]) for name in encoded[0]}


def three_samples():
    landmarks = points_in(FACES, np.random.default_rng(1))
    return [sample(landmarks=landmarks), sample(np.zeros((0, 4))), sample(FACES[2:3], ignore=[True])]


@pytest.mark.parametrize("overrides", LOSSES, ids=lambda overrides: " ".join(overrides[1::2]))
def test_losses_of_a_batch_equal_those_of_its_images(overrides):
    net = ssh(*DENSE, *overrides)
    targets = batch_of(net, three_samples())
    outputs = [random_outputs(net, 352, 320, seed) for seed in range(3)]
    outputs = {name: np.stack([arrays[name] for arrays in outputs]) for name in outputs[0]}
    outputs["m1_boxes"][:, 0, 0, 2] = 0
    together = {name: ops.convert_to_numpy(value) for name, value in net.losses(targets, outputs).items()}
    assert set(together) == {f"m{i}_{kind}" for i in (1, 2, 3) for kind in ("class", "box", "landmark")}
    for i in range(3):
        alone = net.losses({name: value[i : i + 1] for name, value in targets.items()},
                           {name: value[i : i + 1] for name, value in outputs.items()})
        for name, value in alone.items():
            assert value.shape == (1,) and together[name].shape == (3,)
            np.testing.assert_allclose(ops.convert_to_numpy(value)[0], together[name][i], rtol=1e-5, atol=1e-7)
    for name, values in together.items():
        assert np.isfinite(values).all() and (values >= 0).all()
        if "class" not in name:  # no faces, no boxes to learn
            assert (values[1:] == 0).all()
    assert (together["m1_class"] > 0).all(), "background teaches in every image"


@pytest.mark.parametrize("overrides", LOSSES[:3], ids=["ohem", "focal", "quality"])
def test_a_perfect_output_has_no_loss(overrides):
    net = ssh(*DENSE, *overrides)
    targets = batch_of(net, three_samples()[:1])
    outputs = perfect_outputs(net, {name: value[0] for name, value in targets.items()}, 352, 320)
    losses = net.losses(targets, {name: value[None] for name, value in outputs.items()})
    for name, value in losses.items():
        assert float(ops.convert_to_numpy(value)[0]) < (1e-3 if "class" in name else 1e-5), name


def test_ohem_losses_by_hand():
    """Class loss: mean over a module's mined anchors. Box loss: sum over its mined faces, divided by that number."""
    net = ssh("ANCHORS.BORDERS", "[-1, -1, -1]", "LOSS.OHEM_BATCH", "32")
    targets = batch_of(net, [sample()])
    rng = np.random.default_rng(0)
    outputs = {name: rng.normal(0, 2, (1, *value.shape[1:])).astype(np.float32)
               for name, value in random_maps(net, 352, 320).items()}
    actual = net.losses(targets, outputs)
    for module in net.modules:
        labels = targets[f"{module.name}_labels"][0]
        logits = outputs[f"{module.name}_scores"].reshape(-1).astype(np.float64)
        faces = sorted(np.flatnonzero(labels == 1), key=lambda i: logits[i])[:16]
        ground = sorted(np.flatnonzero(labels == 0), key=lambda i: -logits[i])[: 32 - len(faces)]
        entropy = [np.log1p(np.exp(-logits[i])) for i in faces] + [np.log1p(np.exp(logits[i])) for i in ground]
        np.testing.assert_allclose(float(actual[f"{module.name}_class"][0]), np.mean(entropy), rtol=1e-5)
        distance = np.abs(outputs[f"{module.name}_boxes"].reshape(-1, 4) - targets[f"{module.name}_boxes"][0])[faces]
        smooth = np.where(distance < 1 / 9, 4.5 * distance**2, distance - 1 / 18).sum()
        np.testing.assert_allclose(float(actual[f"{module.name}_box"][0]), smooth / len(faces + ground), rtol=1e-5)


def random_maps(net, width, height):
    maps = {}
    for module in net.modules:
        rows, columns, *_ = module.level(width, height)
        maps |= {f"{module.name}_scores": np.zeros((1, rows, columns, module.anchors)),
                 f"{module.name}_boxes": np.zeros((1, rows, columns, 4 * module.anchors))}
    return maps


@pytest.mark.parametrize("overrides", LOSSES[:3], ids=["ohem", "focal", "quality"])
def test_gradients_are_finite_without_faces(overrides):
    tf = pytest.importorskip("tensorflow", reason="gradients are taken with TensorFlow here")
    net, model = ssh(*SMALL, *DENSE, *overrides), small_net(*DENSE)
    targets = batch_of(net, [sample(np.zeros((0, 4)), (64, 64))] * 2)
    with tf.GradientTape() as tape:
        outputs = model(np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.float32), training=True)
        total = sum(tf.reduce_sum(value) for value in net.losses(targets, outputs).values())
    gradients = tape.gradient(total, [v.value for v in model.trainable_variables],
                              unconnected_gradients=tf.UnconnectedGradients.ZERO)
    assert all(np.isfinite(array.numpy()).all() for array in gradients)
    assert any(array.numpy().any() for array in gradients)


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


def test_balance_lets_a_small_face_count_as_much_as_a_large_one():
    sizes = np.array([12, 40, 200])
    corners = np.array([[30, 30], [100, 200], [110, 60]])
    given = sample(np.concatenate([corners, corners + sizes[:, None]], axis=1))
    plain, half, whole = (ssh(*SMALL, *DENSE, "TARGETS.BALANCE", str(balance)).encode(given)
                          for balance in (0, 0.5, 1))
    assert not any(name.endswith("weights") for name in plain)
    labels = {name: value for name, value in whole.items() if name.endswith("labels")}
    assert all((plain[name] == value).all() and (half[name] == value).all() for name, value in labels.items())
    weights = [np.concatenate([targets[name.replace("labels", "weights")] for name in labels])
               for targets in (half, whole)]
    faces = np.concatenate(list(labels.values())) == 1
    assert (weights[1][~faces] == 1).all() and weights[1].dtype == np.float32
    values, counts = np.unique(weights[1][faces], return_counts=True)
    assert len(values) == 3  # each face has 8 / n on its n anchors: 8 in all
    np.testing.assert_allclose(values * counts, 8, rtol=1e-6)
    np.testing.assert_allclose(weights[0] ** 2, weights[1], rtol=1e-6)


@pytest.mark.parametrize("kind", ["focal", "quality", "ohem", "mined"])
def test_a_weight_multiplies_the_loss_of_its_anchor(kind):
    net = ssh(*SMALL, *DENSE, "LOSS.CLASS", kind, "LOSS.MIN_POSITIVES", "1000", "TARGETS.BALANCE", "0.5")
    given = net.encode(sample(FACES[:1]))
    rng = np.random.default_rng(1)
    outputs = {}
    for module in net.modules:
        rows, columns, *_ = module.level(352, 320)
        outputs |= {f"{module.name}_{name}": rng.normal(size=(1, rows, columns, n * module.anchors)).astype(np.float32)
                    for name, n in (("scores", 1), ("boxes", 4), ("landmarks", 10))}

    def losses(factor):
        targets = {name: value[None] * (factor if name.endswith("weights") else 1) for name, value in given.items()}
        return {name: float(ops.convert_to_numpy(loss)[0]) for name, loss in net.losses(targets, outputs).items()}

    once, twice = losses(np.float32(1)), losses(np.float32(2))
    assert once["m1_box"] > 0
    for name, loss in once.items():
        assert twice[name] == pytest.approx(2 * loss, rel=1e-5), name
