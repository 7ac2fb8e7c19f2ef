"""Each Keras layer that the exporter knows, in ONNX Runtime against Keras; an unknown one through tf2onnx."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from keras import layers, ops  # noqa: E402

from manyfaces.export.onnx import LAYERS, UnknownLayer, _by_table, to_onnx  # noqa: E402
from manyfaces.nets.layers import PadToMultiple, upsample_bilinear  # noqa: E402

RNG = np.random.default_rng(11)


def net(build, height=None, width=None):
    """A keras.Model of uint8-like images with random weights and moments of batch normalisation."""
    images = keras.Input((height, width, 3), name="images")
    model = keras.Model(images, {"out": build(images)}, name="tested")
    for variable in model.variables:
        low, high = (0.5, 2.0) if "variance" in variable.path else (-0.7, 0.7)
        variable.assign(RNG.uniform(low, high, variable.shape))
    return model


def check(model, sizes=((37, 29), (64, 48)), by_table=True):
    import onnxruntime

    if by_table:
        _by_table(model)  # raises UnknownLayer
    exported = to_onnx(model)
    session = onnxruntime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    kind = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}[session.get_inputs()[0].type]
    for height, width in sizes:
        images = RNG.integers(0, 256, (2, height, width, 3)).astype(kind)
        expected = np.asarray(model(images.astype(np.float32), training=False)["out"])
        found = session.run(["out"], {"images": images})[0]
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5 * max(1, np.abs(expected).max()))
    return exported


def small(x):
    """0..255 brought to a range in which no activation saturates."""
    return layers.Rescaling([1 / 60, 1 / 50, 1 / 70], [-2.0, -1.5, -1.9])(x)


CASES = {
    "conv": lambda x: layers.Conv2D(5, 3, padding="same", dilation_rate=2)(small(x)),
    "conv_stride": lambda x: layers.Conv2D(5, 3, 2, padding="same", activation="relu")(small(x)),
    "conv_groups": lambda x: layers.Conv2D(6, 3, groups=3, padding="same")(small(x)),
    "conv_padded": lambda x: layers.Conv2D(5, 3, 2, use_bias=False)(layers.ZeroPadding2D(((1, 2), (0, 1)))(small(x))),
    "conv_padded_same": lambda x: layers.Conv2D(5, 3, 2, padding="same")(layers.ZeroPadding2D(1)(small(x))),
    "depthwise": lambda x: layers.DepthwiseConv2D(3, 2, padding="same", depth_multiplier=2)(small(x)),
    "bn_folded": lambda x: layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(5, 3)(small(x)))),
    "bn_depthwise": lambda x: layers.LeakyReLU(0.1)(layers.BatchNormalization()(layers.DepthwiseConv2D(3)(small(x)))),
    "bn_first": lambda x: layers.Conv2D(2, 1)(layers.BatchNormalization(scale=False)(small(x))),
    "prelu": lambda x: layers.PReLU(shared_axes=[1, 2])(layers.Conv2D(5, 3)(small(x))),
    "relu6": lambda x: layers.ReLU(6.0)(layers.Conv2D(5, 3)(small(x))),
    "max_pool": lambda x: layers.MaxPooling2D(3, 2, padding="same")(layers.Conv2D(5, 3)(small(x))),
    "max_pool_padded": lambda x: layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(
        layers.Conv2D(5, 3, activation="relu")(small(x)))),
    "average_pool": lambda x: layers.AveragePooling2D(2, padding="same")(small(x)),
    "nearest": lambda x: layers.UpSampling2D(2)(layers.Conv2D(5, 3, 2)(small(x))),
    "bilinear": lambda x: upsample_bilinear(layers.Conv2D(5, 3)(small(x)), "up"),
    "resized": lambda x: layers.UpSampling2D(2, interpolation="bilinear")(layers.Conv2D(5, 3)(small(x))),
    "pad_first": lambda x: layers.Conv2D(5, 3, 2, padding="same")(small(PadToMultiple(32)(x))),
    "pad_later": lambda x: PadToMultiple(8)(layers.Conv2D(5, 3)(small(x))),
    "sigmoid": lambda x: layers.Activation("sigmoid")(layers.Conv2D(5, 3)(small(x))),
    "softmax": lambda x: layers.Activation("softmax")(layers.Conv2D(2, 3, activation="tanh")(small(x))),
    "raw": lambda x: layers.Conv2D(2, 3)(x),
}


@pytest.mark.parametrize("name", CASES)
def test_layer(name):
    check(net(CASES[name]))


def test_layers_that_merge_maps():
    def build(x):
        x = small(x)
        first, second, third = (layers.Conv2D(4, 3, padding="same")(x) for _ in range(3))
        summed = layers.Add()([first, second, third])
        return layers.Concatenate()([summed, layers.Dropout(0.5)(x)])

    check(net(build))


def test_a_flat_net_of_one_size():
    def build(x):
        x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(small(x)))
        x = layers.PReLU()(layers.BatchNormalization()(layers.Dense(9)(x)))
        return layers.Concatenate()([layers.Dense(2, activation="softmax")(x), layers.Dense(4, use_bias=False)(x),
                                     layers.Dense(3, activation="relu6")(x)])

    exported = check(net(build, 12, 12), [(12, 12)])
    assert [side.dim_value for side in exported.graph.input[0].type.tensor_type.shape.dim] == [0, 12, 12, 3]


def test_batch_normalisation_after_a_map_that_others_use_stays_outside():
    def build(x):
        shared = layers.Conv2D(4, 3, padding="same")(small(x))
        return layers.Add()([layers.BatchNormalization()(shared), shared])

    check(net(build))


def test_normalisation_padding_and_batch_normalisation_go_into_the_convolution():
    x = net(lambda x: layers.BatchNormalization()(layers.Conv2D(4, 3, 2)(layers.ZeroPadding2D(1)(small(x)))))
    kinds = [node.op_type for node in check(x).graph.node]
    assert kinds == ["Transpose", "Cast", "Sub", "Conv", "Transpose"]


def test_one_mean_for_all_channels_is_subtracted_while_they_are_last():
    x = net(lambda x: layers.PReLU(shared_axes=[1, 2])(layers.Conv2D(4, 3)(layers.Rescaling(1 / 60, -2.0)(x))))
    kinds = [node.op_type for node in check(x).graph.node]
    assert kinds[:4] == ["Cast", "Sub", "Transpose", "Conv"] and "PRelu" not in kinds


def test_two_outputs_of_one_layer():
    images = keras.Input((None, None, 3))
    x = layers.Conv2D(3, 1, name="out")(small(images))
    model = keras.Model(images, {"out": x, "more": layers.ReLU(name="more")(x)})
    check(model)


class Squared(layers.Layer):
    """A layer that the table does not know."""

    def call(self, x):
        return ops.square(x)


def test_a_layer_that_is_not_in_the_table_goes_through_tf2onnx():
    model = net(lambda x: Squared(name="square")(layers.Conv2D(3, 3, 2, padding="same")(small(x))))
    with pytest.raises(UnknownLayer, match="layer square is a Squared"):
        _by_table(model)
    check(model, by_table=False)


def test_common_layers_outside_the_table_go_through_tf2onnx():
    def build(x):
        x = layers.Conv2DTranspose(4, 4, 2, padding="same")(layers.Cropping2D(((1, 0), (2, 3)))(small(x)))
        return layers.Softmax()(layers.Multiply()([x, layers.GlobalAveragePooling2D(keepdims=True)(x)]))

    check(net(build), by_table=False)


def test_an_operation_that_is_no_layer_goes_through_tf2onnx():
    model = net(lambda x: ops.abs(layers.Conv2D(3, 3, 2, padding="same")(small(x))))
    with pytest.raises(UnknownLayer):
        _by_table(model)
    check(model, by_table=False)


def test_every_layer_of_the_table_is_tested():
    used = set()
    for build in CASES.values():
        used |= {type(layer).__name__ for layer in net(build).layers}
    elsewhere = {"Add", "Concatenate", "Dropout", "Flatten", "Dense"}
    assert set(LAYERS) - used - elsewhere == set()
