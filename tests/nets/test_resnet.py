"""ResNet against keras.applications, by its size and compute (slim: tests/weights/test_import_slim.py)."""

import functools

import keras
import numpy as np
import pytest

from manyfaces.errors import InputError
from manyfaces.nets.backbones import BACKBONES, build_backbone
from manyfaces.nets.backbones.resnet import ResNet
from manyfaces.nets.flops import layer_costs
from manyfaces.weights.backbones import backbone_model, copy_keras_weights

ENDS = {"stride4": "conv2_block3_out", "stride8": "conv3_block4_out", "stride16": "conv4_block6_out",
        "stride32": "conv5_block3_out"}  # of keras.applications


@pytest.fixture(scope="module")
def source():
    """ResNet50 of keras.applications with weights unlike any default that keep maps from vanishing."""
    net = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(None, None, 3))
    rng = np.random.default_rng(5)
    for layer in net.layers:
        if isinstance(layer, keras.layers.BatchNormalization):  # gamma, beta, mean, variance
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
        elif layer.weights:
            kernel, bias = (weight.shape for weight in layer.weights)
            layer.set_weights([rng.normal(0, np.prod(kernel[:3]) ** -0.5, kernel), rng.normal(0, 0.1, bias)])
    return net


def tiny(cfg=(), units=(1, 2, 1, 1), widths=(4, 6, 8, 10)):
    """keras.Model of a ResNet of few layers."""
    images = keras.Input((None, None, 3))
    return keras.Model(images, ResNet(units, widths).build(images, dict(cfg)))


@functools.cache
def without_values(net, variant="keras"):
    """A model whose variables have shapes but no values: 58 million random numbers would take long."""
    with keras.StatelessScope(initialize_variables=False):
        return backbone_model(net, {"VARIANT": variant})


def test_resnet50_equals_keras(source):
    model = backbone_model("resnet50", {})
    assert model.count_params() == source.count_params() == 23_587_712
    report = copy_keras_weights(model, source, BACKBONES["resnet50"])
    assert report.missing == [] and len(report.loaded) == 106  # 53 convolutions, 53 batch normalisations
    probe = keras.Model(source.input, {tap: source.get_layer(name).output for tap, name in ENDS.items()})
    for size in ((64, 96), (61, 83)):
        images = np.random.default_rng(1).uniform(0, 255, (1, *size, 3)).astype(np.float32)
        expected = probe(keras.applications.resnet.preprocess_input(images.copy()), training=False)  # RGB to BGR
        actual = model(images, training=False)
        assert list(actual) == list(expected)
        for tap, values in expected.items():
            scale = np.abs(values).max()
            assert np.asarray(values).std() > 0.01 * scale > 0
            np.testing.assert_allclose(actual[tap] / scale, values / scale, atol=1e-5, err_msg=f"{tap} at {size}")


@pytest.mark.parametrize("net, count", [("resnet50", 23_587_712), ("resnet101", 42_658_176),
                                        ("resnet152", 58_370_944)])
def test_it_has_the_parameters_of_keras_applications(net, count):
    assert without_values(net).count_params() == count


def test_slims_parameters_are_those_without_the_biases():
    biases = [weight for weight in without_values("resnet50").weights if weight.name == "bias"]
    assert len(biases) == 53
    assert without_values("resnet50", "slim").count_params() == 23_587_712 - sum(bias.shape[0] for bias in biases)


def test_resnet101_to_res4_by_hand():
    """The layers of Tiny Faces, without res5: products at 640 x 480 px, layer by layer from the paper's table 1."""
    model = without_values("resnet101")
    taps = {tap: model.output[tap] for tap in ("stride8", "stride16")}
    costs = layer_costs(keras.Model(model.input, taps), (640, 480))
    expected, inner = 320 * 240 * 7 * 7 * 3 * 64, 64
    for width, units, pixels in ((64, 3, 160 * 120), (128, 4, 80 * 60), (256, 23, 40 * 30)):
        for unit in range(units):
            shortcut = inner * 4 * width if unit == 0 else 0
            expected += pixels * (inner * width + 9 * width * width + width * 4 * width + shortcut)
            inner = 4 * width
    assert sum(cost.macs for cost in costs) == expected
    assert expected / 1e9 == pytest.approx(41.85, abs=0.01)


def test_the_variants_by_hand():
    """Slim: no bias, its own epsilon, and a first pooling that pads an even side only at its end."""
    nets = {variant: tiny({"VARIANT": variant}) for variant in ("keras", "slim")}
    for variant, epsilon in (("keras", 1.001e-5), ("slim", 1e-5)):
        kinds = [layer for layer in nets[variant].layers if layer.weights]
        assert {layer.epsilon for layer in kinds if layer.name.endswith("_bn")} == {epsilon}
        assert {layer.use_bias for layer in kinds if not layer.name.endswith("_bn")} == {variant == "keras"}
    ramp = np.arange(8 * 8, dtype=np.float32).reshape(1, 8, 8, 1)
    pools = {variant: keras.Sequential([layer for layer in net.layers if layer.name.startswith("pool1")])(ramp)
             for variant, net in nets.items()}
    assert np.asarray(pools["keras"])[0, :, :, 0].tolist() == [[8 * r + c for c in (1, 3, 5, 7)] for r in (1, 3, 5, 7)]
    assert np.asarray(pools["slim"])[0, :, :, 0].tolist() == [[8 * r + c for c in (2, 4, 6, 7)] for r in (2, 4, 6, 7)]


@pytest.mark.parametrize("variant", ["keras", "slim"])
def test_taps_at_odd_sizes_and_without_the_last_stride(variant):
    def shapes(cfg):
        return {tap: output.shape for tap, output in
                tiny({"VARIANT": variant, **cfg}).compute_output_spec(keras.KerasTensor((3, 97, 131, 3))).items()}

    expected = {"stride4": (3, 25, 33, 16), "stride8": (3, 13, 17, 24), "stride16": (3, 7, 9, 32),
                "stride32": (3, 4, 5, 40)}
    assert shapes({}) == expected
    del expected["stride32"]
    assert shapes({"LAST_STRIDE": False}) == expected | {"stride16": (3, 7, 9, 40)}


def test_frozen_stages_and_batch_normalisation():
    for stages, first_trained in ((0, "conv1"), (1, "conv2_block1_0"), (2, "conv3_block1_0"), (5, None)):
        model = tiny({"FROZEN_STAGES": stages})
        with_weights = [layer.name for layer in model.layers if layer.weights]
        trained = {layer.name for layer in model.layers if layer.trainable_weights}
        stage = 6 if first_trained is None else int(first_trained.removeprefix("conv")[0])
        assert trained == {name for name in with_weights if int(name.removeprefix("conv")[0]) >= stage}
    trained = [layer.name for layer in tiny({"FROZEN_BN": True}).layers if layer.trainable_weights]
    assert len(trained) == 1 + 4 + 7 + 4 + 4 and not any(name.endswith("_bn") for name in trained)
    with pytest.raises(InputError, match="NET.FROZEN_STAGES: found 6, expected 0 to 5 for resnet101"):
        build_backbone("resnet101", keras.Input((None, None, 3)), {"FROZEN_STAGES": 6})
    with pytest.raises(InputError, match="NET.VARIANT: found 'torch', expected keras or slim for resnet"):
        tiny({"VARIANT": "torch"})


def test_offline_imagenet_says_what_to_do(monkeypatch):
    from manyfaces.weights.backbones import initialise_backbone

    def no_network(**options):
        assert options == {"include_top": False, "weights": "imagenet", "input_shape": (None, None, 3)}
        raise OSError("URL fetch failure: no route to host")

    monkeypatch.setattr(keras.applications, "ResNet152", no_network)
    cfg = {"BACKBONE": "resnet152", "WEIGHTS": "imagenet"}
    with pytest.raises(InputError, match="ImageNet weights of resnet152 cannot be loaded .*no route.*--init FILE"):
        initialise_backbone(None, cfg)
    with pytest.raises(InputError, match="NET.VARIANT: Keras has no weights for 'slim', expected keras"):
        initialise_backbone(None, {**cfg, "VARIANT": "slim"})
