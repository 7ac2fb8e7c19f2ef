"""Learning rates computed by hand, and which variables decay."""

import keras
import numpy as np
import pytest

from manyfaces.config import load_config
from manyfaces.engine.schedule import build_optimizer, l2, rate_at


def train(*overrides):
    return load_config(overrides=["TRAIN.STEPS", "100", "TRAIN.RATE", "0.1", *overrides]).TRAIN


def test_steps_with_warm_up():
    section = train("TRAIN.DECAY_AT", "[50, 80]", "TRAIN.DECAY", "0.5", "TRAIN.WARMUP", "4")
    rates = [rate_at(step, section) for step in (0, 1, 3, 4, 49, 50, 79, 80, 99)]
    np.testing.assert_allclose(rates, [0.025, 0.05, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025])


def test_cosine():
    section = train("TRAIN.SCHEDULE", "cosine", "TRAIN.FINAL_RATE", "0.1", "TRAIN.WARMUP", "20")
    rates = [rate_at(step, section) for step in range(101)]
    assert rates[19] == rates[20] == pytest.approx(0.1)
    assert rates[60] == pytest.approx(0.1 * (0.1 + 0.9 / 2)) and rates[100] == pytest.approx(0.01)
    assert all(a >= b for a, b in zip(rates[20:], rates[21:], strict=False))


def layers():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="one"),
                              keras.layers.BatchNormalization(name="two"), keras.layers.PReLU(name="three")])
    model.get_layer("one").bias.assign([1.0, 2.0, 3.0])
    return model


def test_l2_is_of_kernels_only():
    model = layers()
    paths = [v.path for v in model.trainable_variables]
    kernel = model.get_layer("one").kernel.numpy()
    found = l2(model.trainable_variables, paths, 0.01)
    assert float(found) == pytest.approx(0.005 * (kernel**2).sum(), rel=1e-6)


def test_adamw_decays_kernels_only():
    model = layers()
    cfg = load_config(overrides=["TRAIN.OPTIMIZER", "adamw", "LOSS.WEIGHT_DECAY", "0.5"])
    optimizer = build_optimizer(cfg, model.trainable_variables)
    optimizer.learning_rate.assign(0.1)
    before = {v.path: v.numpy() for v in model.trainable_variables}
    optimizer.apply([keras.ops.zeros(v.shape) for v in model.trainable_variables])
    for v in model.trainable_variables:
        factor = 1 - 0.1 * 0.5 if v.path.endswith("kernel") else 1
        np.testing.assert_allclose(v.numpy(), factor * before[v.path], rtol=1e-6)


def test_sgd_has_momentum():
    model = layers()
    optimizer = build_optimizer(load_config(), model.trainable_variables)
    optimizer.learning_rate.assign(0.1)
    start = model.get_layer("one").kernel.numpy()
    for _ in range(2):
        optimizer.apply([keras.ops.ones(v.shape) for v in model.trainable_variables])
    found = model.get_layer("one").kernel.numpy()
    np.testing.assert_allclose(found, start - 0.1 - (0.9 * 0.1 + 0.1), rtol=1e-5, atol=1e-6)
