"""Losses of SSH: image by image, by hand, and weighted by the anchors of a face."""

import numpy as np
import pytest
from keras import ops
from small_ssh import DENSE, FACES, SMALL, perfect_outputs, points_in, random_outputs, sample, small_net, ssh

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
