"""Batch normalisation against Keras' own layer."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from manyfaces.nets.layers import BatchNormalization  # noqa: E402


def trained_once(layer, x, weights):
    """(output, gradients of gamma, beta and x, moving mean and variance) after one training call of `layer`."""
    tf = pytest.importorskip("tensorflow")
    layer.build(x.shape)
    layer.gamma.assign(weights[0])
    layer.beta.assign(weights[1])
    with tf.GradientTape() as tape:
        inputs = tf.constant(x)
        tape.watch(inputs)
        output = layer(inputs, training=True)
        loss = tf.reduce_sum(output * np.cos(np.arange(output.shape[-1]), dtype="float32") + output**3)
    gradients = tape.gradient(loss, [layer.gamma.value, layer.beta.value, inputs])
    return [np.asarray(value) for value in (output, *gradients, layer.moving_mean, layer.moving_variance)]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the fused operation is TensorFlow's")
@pytest.mark.parametrize("shape", [(4, 5, 6, 3), (2, 1, 1, 8)])
def test_training_step_is_that_of_keras(shape):
    rng = np.random.default_rng(5)
    x = rng.normal(3, 2, shape).astype("float32")
    weights = rng.normal(1, 0.3, (2, shape[-1])).astype("float32")
    options = {"epsilon": 1e-3, "momentum": 0.9}
    ours = trained_once(BatchNormalization(**options), x, weights)
    theirs = trained_once(keras.layers.BatchNormalization(**options), x, weights)
    for name, a, b in zip(("output", "gamma", "beta", "input", "mean", "variance"), ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4 * np.abs(b).max(), err_msg=name)


def test_frozen_layer_uses_its_stored_moments():
    layer = BatchNormalization(trainable=False, epsilon=0.0)
    layer.build((None, None, None, 2))
    layer.moving_mean.assign([1.0, 2.0])
    layer.moving_variance.assign([4.0, 16.0])
    output = np.asarray(layer(np.full((1, 2, 2, 2), 5, "float32"), training=True))
    np.testing.assert_allclose(output[0, 0, 0], [2.0, 0.75])
    np.testing.assert_allclose(np.asarray(layer.moving_mean), [1.0, 2.0])
