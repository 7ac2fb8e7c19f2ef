"""Backbones against keras.applications, and what build_backbone guarantees."""


import keras
import numpy as np
import pytest
from conftest import ROOT

from manyfaces.errors import InputError
from manyfaces.nets.backbones import BACKBONES, build_backbone, mobilenet_v1, vgg16
from manyfaces.nets.backbones.blocks import NORMALISATIONS
from manyfaces.weights.backbones import (
    backbone_model,
    copy_keras_weights,
    load_backbone_weights,
    save_backbone_weights,
)

CONFIGS = {
    "mobilenet_v1": {"BACKBONE": "mobilenet_v1", "VARIANT": "keras", "ALPHA": 0.25},
    "mobilenet_v1_torch": {"BACKBONE": "mobilenet_v1", "VARIANT": "torch", "ALPHA": 0.25},
    "vgg16": {"BACKBONE": "vgg16"},
}


def test_the_table_of_taps_in_the_docs():
    """docs/backbones.md has every tap of every backbone, with its stride and channels."""
    page = (ROOT / "docs" / "backbones.md").read_text()
    taps = page.split("## Taps")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:5]] for line in taps.splitlines() if line.startswith("|")]
    rows = [row for row in rows if len(row) == 4 and row[2].isdigit()]
    actual = {(net, tap, int(stride), int(channels))
              for nets, tap, stride, channels in rows for net in nets.split(", ")}
    assert actual == {(net, *tap) for net, module in BACKBONES.items() for tap in module.TAPS}


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture(params=CONFIGS)
def net_config(request):
    return CONFIGS[request.param]


def model_of(config, **changes):
    return backbone_model(config["BACKBONE"], {**config, **changes})


def randomise(model, rng):
    """Weights unlike any default, so that the test fails for one that is not copied, or copied to the wrong place."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):  # gamma, beta, mean, variance
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
        else:  # kernels that keep the variance, so that deep maps and gradients do not vanish
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            fan_ins = [np.prod(weight.shape[: 2 if depthwise else -1]) for weight in layer.weights]
            pairs = zip(layer.weights, fan_ins, strict=True)
            layer.set_weights([rng.normal(0, fan_in**-0.5, weight.shape) for weight, fan_in in pairs])


@pytest.mark.parametrize("alpha", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("variant", ["keras", "torch"])
def test_mobilenet_v1_has_the_parameters_of_keras(alpha, variant):
    source = keras.applications.MobileNet(alpha=alpha, include_top=False, weights=None, input_shape=(None, None, 3))
    model = backbone_model("mobilenet_v1", {"ALPHA": alpha, "VARIANT": variant})
    assert model.count_params() == source.count_params()


def test_published_parameter_counts():
    assert backbone_model("vgg16", {}).count_params() == 14_714_688
    assert backbone_model("mobilenet_v1", {}).count_params() == 3_228_864


def test_mobilenet_v1_equals_keras(rng):
    source = keras.applications.MobileNet(alpha=0.25, include_top=False, weights=None, input_shape=(None, None, 3))
    randomise(source, rng)
    model = model_of(CONFIGS["mobilenet_v1"])
    report = copy_keras_weights(model, source, mobilenet_v1)
    assert report.missing == [] and len(report.loaded) == 54  # 27 convolutions, 27 batch normalisations
    images = rng.uniform(0, 255, (2, 96, 128, 3)).astype(np.float32)
    ends = {"stride4": "conv_pw_3_relu", "stride8": "conv_pw_5_relu", "stride16": "conv_pw_11_relu"}
    probe = keras.Model(source.input, {tap: source.get_layer(name).output for tap, name in ends.items()})
    prepared = keras.applications.mobilenet.preprocess_input(images.copy())
    expected = {**probe(prepared), "stride32": source(prepared)}
    actual = model(images)
    assert actual.keys() == expected.keys()
    for tap, values in expected.items():
        assert np.asarray(values).std() > 0.01  # not all zero, so that equality is meaningful
        np.testing.assert_allclose(actual[tap], values, atol=1e-5, err_msg=tap)


def test_vgg16_equals_keras(rng):
    source = keras.applications.VGG16(include_top=False, weights=None, input_shape=(None, None, 3))
    randomise(source, rng)
    model = model_of(CONFIGS["vgg16"])
    report = copy_keras_weights(model, source, vgg16)
    assert report.missing == [] and len(report.loaded) == 13
    images = rng.uniform(0, 255, (1, 64, 48, 3)).astype(np.float32)
    ends = {"stride4": "block3_conv3", "stride8": "block4_conv3", "stride16": "block5_conv3"}
    probe = keras.Model(source.input, {tap: source.get_layer(name).output for tap, name in ends.items()})
    expected = probe(keras.applications.vgg16.preprocess_input(images.copy()))  # converts RGB to BGR
    actual = model(images)
    for tap, values in expected.items():
        scale = np.abs(values).max()
        assert scale > 0.1
        np.testing.assert_allclose(actual[tap] / scale, values / scale, atol=1e-5, err_msg=tap)


def test_taps_are_as_listed_at_odd_sizes_and_any_batch(net_config):
    model = model_of(net_config)
    outputs = model(np.zeros((3, 97, 131, 3), np.float32))
    alpha = net_config.get("ALPHA", 1.0)
    expected = {
        name: (3, -(-97 // stride), -(-131 // stride), int(channels * alpha))
        for name, stride, channels in BACKBONES[net_config["BACKBONE"]].TAPS
    }
    assert {name: tuple(output.shape) for name, output in outputs.items()} == expected


def test_without_the_last_stride_the_deepest_map_has_stride_16():
    config = CONFIGS["mobilenet_v1_torch"]
    model = model_of(config, LAST_STRIDE=False)
    assert model.count_params() == model_of(config).count_params()
    outputs = model(np.zeros((1, 64, 96, 3), np.float32))
    assert set(outputs) == {"stride4", "stride8", "stride16"}
    assert outputs["stride16"].shape == (1, 4, 6, 256)


def test_an_image_does_not_depend_on_its_batch(net_config, rng):
    model = model_of(net_config)
    images = rng.uniform(0, 255, (3, 65, 49, 3)).astype(np.float32)
    together = model(images, training=False)
    alone = model(images[1:2], training=False)
    for tap in alone:
        np.testing.assert_allclose(together[tap][1:2], alone[tap], rtol=1e-4, atol=1e-4)


def test_integers_and_floats_give_the_same_maps(net_config, rng):
    images = rng.integers(0, 256, (1, 32, 32, 3))
    model = model_of(net_config)
    for tap, values in model(images.astype(np.float32)).items():
        np.testing.assert_array_equal(model(images.astype(np.uint8))[tap], values)


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_normalisation(name, rng):
    images = rng.uniform(0, 255, (1, 4, 4, 3)).astype(np.float32)
    expected = {
        "none": lambda x: x,
        "zero_to_one": lambda x: x / 255,
        "minus_one_to_one": lambda x: keras.applications.imagenet_utils.preprocess_input(x.copy(), mode="tf"),
        "imagenet_torch": lambda x: keras.applications.imagenet_utils.preprocess_input(x.copy(), mode="torch"),
        "caffe_mean": lambda x: keras.applications.imagenet_utils.preprocess_input(x.copy(), mode="caffe")[..., ::-1],
        "imagenet_std": lambda x: x / 255 / np.float32([0.229, 0.224, 0.225]),
        "whole_mean": lambda x: x - np.float32([123, 117, 104]),
    }[name](images)
    model = backbone_model("mobilenet_v1", {"ALPHA": 0.25}, preprocess=name)
    np.testing.assert_allclose(model.get_layer("normalise")(images), expected, rtol=1e-4, atol=1e-4)


def train_one_step(model, rng):
    """One step of SGD on random images; returns the names of the layers whose weights it changed."""
    randomise(model, rng)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    images = rng.uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    targets = {tap: np.ones(output.shape, np.float32) for tap, output in model(images, training=False).items()}
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss=dict.fromkeys(targets, "mse"))
    model.train_on_batch(images, targets)
    return {
        layer.name
        for layer in model.layers
        if any(not np.array_equal(old, new) for old, new in zip(before[layer.name], layer.get_weights(), strict=True))
    }


def test_training_changes_every_layer_unless_frozen(rng):
    changed = train_one_step(model_of(CONFIGS["mobilenet_v1"]), rng)
    assert len(changed) == 54


def test_frozen_batch_normalisation_is_neither_trained_nor_moved(rng):
    model = model_of(CONFIGS["mobilenet_v1_torch"], FROZEN_BN=True)  # LeakyReLU passes every gradient
    changed = train_one_step(model, rng)
    assert len(changed) == 27 and not any(name.endswith("_bn") for name in changed)
    moments = model.get_layer("conv1_bn").get_weights()[2:]
    model(rng.uniform(0, 255, (2, 64, 64, 3)), training=True)
    for old, new in zip(moments, model.get_layer("conv1_bn").get_weights()[2:], strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("config", "stages", "first_trained"),
    [("mobilenet_v1", 2, "block4_depthwise"), ("mobilenet_v1", 5, None), ("vgg16", 2, "block3_conv1")],
)
def test_frozen_stages(config, stages, first_trained):
    model = model_of(CONFIGS[config], FROZEN_STAGES=stages)
    trained = [layer.name for layer in model.layers if layer.trainable_weights]
    with_weights = [layer.name for layer in model.layers if layer.weights]
    expected = with_weights[with_weights.index(first_trained) :] if first_trained else []
    assert trained == expected


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("resnet7", {}, "NET.BACKBONE: found 'resnet7', expected one of mobilenet_v1, mobilenet_v2, resnet101, "),
        ("mobilenet_v1", {"VARIANT": "caffe"}, "NET.VARIANT: found 'caffe', expected keras or torch or torch_relu"),
        ("vgg16", {"FROZEN_STAGES": 6}, "NET.FROZEN_STAGES: found 6, expected 0 to 5"),
    ],
)
def test_unknown_settings_are_named(name, config, message):
    with pytest.raises(InputError, match=message):
        build_backbone(name, keras.Input((None, None, 3)), config)


def test_a_config_may_set_another_normalisation():
    image = np.random.default_rng(4).integers(0, 256, (1, 32, 32, 3)).astype(np.float32)
    inputs = keras.Input((None, None, 3))

    def normalised(**cfg):
        taps = build_backbone("mobilenet_v1", inputs, {"ALPHA": 0.25, **cfg})
        model = keras.Model(inputs, taps)
        return np.asarray(keras.Model(inputs, model.get_layer("normalise").output)(image))

    np.testing.assert_array_equal(normalised(NORMALISE="whole_mean"), image - np.float32([123, 117, 104]))
    np.testing.assert_array_equal(normalised(NORMALISE=""), normalised())
    with pytest.raises(InputError, match=r"NET\.NORMALISE: found 'mean', expected one of none, .*whole_mean"):
        normalised(NORMALISE="mean")


def test_the_plain_relu_starts_from_the_weights_of_the_leaky_one(tmp_path):
    leaky = model_of(CONFIGS["mobilenet_v1_torch"])
    plain = model_of(CONFIGS["mobilenet_v1_torch"] | {"VARIANT": "torch_relu"})
    save_backbone_weights(leaky, tmp_path / "leaky.weights.h5")
    assert not load_backbone_weights(plain, tmp_path / "leaky.weights.h5").missing
    for mine, theirs in zip(plain.get_weights(), leaky.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    kinds = [type(layer).__name__ for layer in plain.layers]
    assert kinds.count("ReLU") == 27 and "LeakyReLU" not in kinds
