"""MobileNetV2 against keras.applications, and the light variant by its widths and the position of its cells."""

import keras
import numpy as np
import pytest

from manyfaces.errors import InputError
from manyfaces.nets.backbones import mobilenet_v2
from manyfaces.weights.backbones import backbone_model, copy_keras_weights

# The layers of keras.applications that equal our taps.
ENDS = {"stride4": "block_2_add", "layer5": "block_3_project_BN", "stride8": "block_5_add",
        "stride16": "block_12_add", "stride32": "block_16_project_BN"}


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def model_of(variant="keras", alpha=0.75, **changes):
    return backbone_model("mobilenet_v2", {"VARIANT": variant, "ALPHA": alpha, **changes})


def randomise(model, rng):
    """Weights unlike any default that keep maps from vanishing, so that one copied to the wrong place is detected."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):  # gamma, beta, mean, variance
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
        elif layer.weights:
            (kernel,) = layer.weights
            fan_in = np.prod(kernel.shape[:2 if isinstance(layer, keras.layers.DepthwiseConv2D) else -1])
            layer.set_weights([rng.normal(0, fan_in**-0.5, kernel.shape)])


@pytest.mark.parametrize("size", [(96, 128), (97, 131)], ids=["even", "odd"])
@pytest.mark.parametrize("alpha", [1.0, 0.75])
def test_it_equals_keras(alpha, size, rng):
    source = keras.applications.MobileNetV2(alpha=alpha, include_top=False, weights=None, input_shape=(*size, 3))
    randomise(source, rng)
    model = model_of(alpha=alpha)
    report = copy_keras_weights(model, source, mobilenet_v2)
    assert report.missing == [] and len(report.loaded) == 102  # 51 convolutions, 51 batch normalisations
    images = rng.uniform(0, 255, (2, *size, 3)).astype(np.float32)
    probe = keras.Model(source.input, {tap: source.get_layer(name).output for tap, name in ENDS.items()})
    expected = probe(keras.applications.mobilenet_v2.preprocess_input(images.copy()))
    actual = model(images)
    assert actual.keys() == expected.keys()
    for tap, values in expected.items():
        scale = np.abs(values).max()
        assert np.asarray(values).std() > 0.01 * scale > 0  # not all zero, so that equality is meaningful
        np.testing.assert_allclose(actual[tap] / scale, values / scale, atol=1e-5, err_msg=tap)


@pytest.mark.parametrize("alpha", [0.35, 1.4])
def test_it_has_the_parameters_of_keras(alpha):
    source = keras.applications.MobileNetV2(alpha=alpha, include_top=False, weights=None, input_shape=(224, 224, 3))
    own_end = sum(layer.count_params() for layer in source.layers if layer.name in ("Conv_1", "Conv_1_bn"))
    assert own_end > 0
    assert model_of(alpha=alpha).count_params() == source.count_params() - own_end


def test_the_light_variant_by_hand():
    """Widths x0.75 rounded down; the last block expands 120 channels to 480 and ends with 360."""
    model = model_of("ssd", LAST_STRIDE=False)
    shapes = {name: tuple(model.get_layer(name).kernel.shape) for name in (
        "conv1", "block0_project", "block1_expand", "block3_project", "block6_project", "block10_project",
        "block13_project", "block16_expand", "block16_depthwise", "block16_project")}
    assert shapes == {
        "conv1": (3, 3, 3, 24), "block0_project": (1, 1, 24, 12), "block1_expand": (1, 1, 12, 72),
        "block3_project": (1, 1, 108, 24), "block6_project": (1, 1, 144, 48), "block10_project": (1, 1, 288, 72),
        "block13_project": (1, 1, 432, 120), "block16_expand": (1, 1, 120, 480), "block16_depthwise": (3, 3, 480, 1),
        "block16_project": (1, 1, 480, 360)}
    assert all(layer.max_value is None for layer in model.layers if isinstance(layer, keras.layers.ReLU))
    assert sum(isinstance(layer, keras.layers.Add) for layer in model.layers) == 10


@pytest.mark.parametrize("variant, deepest", [("keras", 240), ("ssd", 360)])
def test_taps_at_odd_sizes_and_any_batch(variant, deepest):
    images = keras.KerasTensor((3, 97, 131, 3))
    widths = {"stride4": 24 if variant == "keras" else 18, "layer5": 24, "stride8": 24, "stride16": 72}
    outputs = model_of(variant).compute_output_spec(images)
    assert {name: output.shape for name, output in outputs.items()} == {
        name: (3, -(-97 // stride), -(-131 // stride), {**widths, "stride32": deepest}[name])
        for name, stride, _ in mobilenet_v2.TAPS}
    outputs = model_of(variant, LAST_STRIDE=False).compute_output_spec(images)
    assert set(outputs) == {"stride4", "layer5", "stride8", "stride16"}
    assert outputs["stride16"].shape == (3, 7, 9, deepest)


@pytest.mark.parametrize("height, width", [(192, 192), (191, 187), (180, 186)])
def test_cells_of_the_light_variant_are_at_multiples_of_the_stride(height, width, rng):
    """Pixel 16 * (i, j) has the most weight in cell (i, j), whatever the size of the image."""
    model = model_of("ssd", 0.25, LAST_STRIDE=False)
    for layer in model.layers:
        if layer.weights and not isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([np.ones(layer.kernel.shape) / np.prod(layer.kernel.shape[:3])])
    dark = np.full((1, height, width, 3), 127.5, np.float32)
    bright = dark.copy()
    bright[0, 96, 80] = 255
    answer = np.asarray(model(bright)["stride16"] - model(dark)["stride16"])[0].sum(axis=-1)
    assert np.unravel_index(answer.argmax(), answer.shape) == (6, 5)
    np.testing.assert_allclose(answer[6, 3:8], answer[6, 3:8][::-1], rtol=1e-3)  # symmetric
    np.testing.assert_allclose(answer[4:9, 5], answer[4:9, 5][::-1], rtol=1e-3)


@pytest.mark.parametrize("stages, first_trained", [(0, "conv1"), (4, "block13_expand"), (5, None)])
def test_frozen_stages(stages, first_trained):
    model = model_of(FROZEN_STAGES=stages)
    with_weights = [layer.name for layer in model.layers if layer.weights]
    trained = [layer.name for layer in model.layers if layer.trainable_weights]
    assert trained == (with_weights[with_weights.index(first_trained):] if first_trained else [])


def test_frozen_batch_normalisation_is_not_trained():
    trained = [layer.name for layer in model_of(FROZEN_BN=True).layers if layer.trainable_weights]
    assert len(trained) == 51 and not any(name.endswith("_bn") for name in trained)


def test_errors():
    with pytest.raises(InputError, match="NET.VARIANT: found 'torch', expected keras or ssd for mobilenet_v2"):
        model_of("torch")
    with pytest.raises(InputError, match="Keras has no weights for 'ssd', expected keras"):
        mobilenet_v2.keras_source({"VARIANT": "ssd"})
