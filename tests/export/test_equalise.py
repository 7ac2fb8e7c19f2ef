"""Equalised channels: the net gives the same, the channels of its maps have one range, its weights are restored."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from keras import layers, ops  # noqa: E402

from manyfaces.export.equalise import STEEPEST, equalised  # noqa: E402

RNG = np.random.default_rng(8)


def net(build):
    images = keras.Input((None, None, 3), name="images")
    model = keras.Model(images, build(layers.Conv2D(6, 3, name="first")(images)))
    for variable in model.variables:
        spread = 10.0 ** RNG.uniform(-1.5, 1.5, variable.shape[-1])  # of channels: up to a thousand to one
        variable.assign(RNG.uniform(0.5, 2, variable.shape) if "variance" in variable.path
                        else RNG.normal(0, 1, variable.shape) * (spread if "/gamma" in variable.path else 1))
    return model


def normalised(x, name="bn"):
    return layers.BatchNormalization(name=name)(x)


def after(model, change, name):
    """The output of a layer without and within `change`, and the outputs of the net."""
    images = RNG.uniform(-1, 1, (2, 12, 14, 3)).astype(np.float32)
    inner = keras.Model(model.input, {"inner": model.get_layer(name).output, **model.output})
    without = {key: ops.convert_to_numpy(value) for key, value in inner(images).items()}
    with change(model):
        within = {key: ops.convert_to_numpy(value) for key, value in inner(images).items()}
    return without, within


@pytest.mark.parametrize("activation", [layers.ReLU, lambda: layers.LeakyReLU(negative_slope=0.1),
                                        lambda: layers.Activation("relu")])
@pytest.mark.parametrize("follows", [lambda: layers.DepthwiseConv2D(3), lambda: layers.Conv2D(4, 3, padding="same")])
def test_the_net_gives_the_same_with_channels_of_similar_range(activation, follows):
    model = net(lambda x: {"out": follows()(layers.ZeroPadding2D()(activation()(normalised(x))))})
    weights = [np.asarray(weight).copy() for weight in model.weights]
    without, within = after(model, equalised, "bn")
    np.testing.assert_allclose(within["out"], without["out"], rtol=1e-4, atol=1e-4 * np.abs(without["out"]).max())
    assert np.ptp(np.log(np.abs(within["inner"]).max(axis=(0, 1, 2)))) < 0.8 * np.ptp(
        np.log(np.abs(without["inner"]).max(axis=(0, 1, 2))))
    for weight, kept in zip(model.weights, weights, strict=True):
        np.testing.assert_array_equal(np.asarray(weight), kept)


def _spread(layer):
    return np.abs(np.asarray(layer.beta)) + 3 * np.abs(np.asarray(layer.gamma))


def test_depthwise_takes_the_whole_factor():
    model = net(lambda x: {"out": layers.DepthwiseConv2D(3)(layers.ReLU()(normalised(x)))})
    with equalised(model):
        layer = model.get_layer("bn")
        spread = _spread(layer)
    factors = _spread(layer) / spread
    inside = (factors > 1 / STEEPEST * 1.01) & (factors < STEEPEST * 0.99)
    assert inside.sum() >= 3
    np.testing.assert_allclose(spread[inside], spread[inside][0], rtol=1e-4)


@pytest.mark.parametrize("build", [
    lambda x: {"out": layers.Conv2D(4, 3)(layers.ReLU(max_value=6)(normalised(x)))},  # does not take a factor
    lambda x: {"out": layers.Conv2D(4, 3)(layers.Activation("sigmoid")(normalised(x)))},
    lambda x: {"out": (lambda y: layers.Add()([y, layers.Conv2D(6, 3, padding="same")(y)]))(normalised(x))},
    lambda x: (lambda y: {"out": layers.Conv2D(4, 3)(y), "more": y})(normalised(x)),
    lambda x: {"out": layers.Conv2D(4, 3, groups=2)(normalised(x))},
    lambda x: {"out": layers.GlobalAveragePooling2D()(normalised(x))},
])
def test_a_map_that_others_use_or_that_cannot_be_scaled_stays(build):
    model = net(build)
    before = [np.asarray(weight).copy() for weight in model.weights]
    with equalised(model):
        for weight, kept in zip(model.weights, before, strict=True):
            np.testing.assert_array_equal(np.asarray(weight), kept)


def test_weights_come_back_after_an_error():
    model = net(lambda x: {"out": layers.Conv2D(4, 3)(normalised(x))})
    before = [np.asarray(weight).copy() for weight in model.weights]
    with pytest.raises(RuntimeError), equalised(model):
        assert any((np.asarray(weight) != kept).any() for weight, kept in zip(model.weights, before, strict=True))
        raise RuntimeError
    for weight, kept in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(np.asarray(weight), kept)
