"""Costs of layers by hand, of nested models and fixed sizes, and of whole nets against their published figures."""

import re

import keras
import numpy as np
import pytest
from conftest import ROOT
from keras import layers

from manyfaces.commands.command_line import run
from manyfaces.config import load_config
from manyfaces.errors import InputError
from manyfaces.nets import family
from manyfaces.nets.flops import layer_costs, totals


def costs_of(layer, shape, size=(10, 6)):
    """Cost of a layer on images (6, 10, 4), in a model that takes any size unless `shape` fixes it."""
    images = keras.Input(shape)
    (cost,) = layer_costs(keras.Model(images, layer(images)), size)
    return cost


@pytest.mark.parametrize("layer, shape, parameters, macs", [
    (layers.Conv2D(7, 3, padding="same"), (6, 10, 7), 3 * 3 * 4 * 7 + 7, 6 * 10 * 3 * 3 * 4 * 7),
    (layers.Conv2D(7, (1, 5), use_bias=False), (6, 6, 7), 5 * 4 * 7, 6 * 6 * 5 * 4 * 7),
    (layers.Conv2D(8, 3, strides=2, padding="same"), (3, 5, 8), 3 * 3 * 4 * 8 + 8, 3 * 5 * 3 * 3 * 4 * 8),
    (layers.Conv2D(8, 3, groups=2), (4, 8, 8), 3 * 3 * 2 * 8 + 8, 4 * 8 * 3 * 3 * 2 * 8),
    (layers.DepthwiseConv2D(3, padding="same"), (6, 10, 4), 3 * 3 * 4 + 4, 6 * 10 * 3 * 3 * 4),
    (layers.DepthwiseConv2D(3, depth_multiplier=2, strides=2, padding="same"), (3, 5, 8), 3 * 3 * 8 + 8,
     3 * 5 * 3 * 3 * 8),
    (layers.SeparableConv2D(5, 3, padding="same"), (6, 10, 5), 3 * 3 * 4 + 4 * 5 + 5, 6 * 10 * (3 * 3 * 4 + 4 * 5)),
    # Each input pixel gives 4 x 4 x 3 products with each of its 4 channels.
    (layers.Conv2DTranspose(3, 4, strides=2, padding="same"), (12, 20, 3), 4 * 4 * 3 * 4 + 3, 6 * 10 * 4 * 4 * 3 * 4),
    (layers.Dense(9), (6, 10, 9), 4 * 9 + 9, 6 * 10 * 4 * 9),
    (layers.BatchNormalization(), (6, 10, 4), 2 * 4, 0),  # and the same number of stored moments
    (layers.PReLU(shared_axes=[1, 2]), (6, 10, 4), 4, 0),
    (layers.MaxPooling2D(2), (3, 5, 4), 0, 0),
], ids=lambda value: type(value).__name__ if isinstance(value, layers.Layer) else "")
def test_layers_by_hand(layer, shape, parameters, macs):
    cost = costs_of(layer, (None, None, 4))
    assert (cost.shape, cost.parameters, cost.macs) == (shape, parameters, macs)
    assert cost.kind == type(layer).__name__


def test_a_dense_layer_after_flattening():
    images = keras.Input((6, 10, 4))
    costs = layer_costs(keras.Model(images, layers.Dense(5)(layers.Flatten()(images))))
    assert [(cost.shape, cost.macs) for cost in costs] == [((240,), 0), ((5,), 240 * 5)]


def test_nested_and_shared_layers_count_where_they_are_used():
    """A model in a model, and one layer used twice: its products count twice, its parameters once."""
    inner_images = keras.Input((None, None, 4))
    inner = keras.Model(inner_images, layers.Conv2D(4, 1, name="inside")(inner_images), name="inner")
    chain = keras.Sequential([layers.Conv2D(4, 1, name="chained"), layers.ReLU(name="relu")])
    images = keras.Input((None, None, 4))
    model = keras.Model(images, chain(inner(inner(images))))
    costs = layer_costs(model, (10, 6))
    assert [cost.name for cost in costs] == ["inside", "inside", "chained", "relu"]
    assert [cost.macs for cost in costs] == [6 * 10 * 16] * 3 + [0]
    assert [cost.parameters for cost in costs] == [20, 0, 20, 0]
    assert totals(costs, model)["parameters"] == sum(cost.parameters for cost in costs) == model.count_params()


def test_counting_does_not_change_the_model():
    images = keras.Input((None, None, 3))
    model = keras.Model(images, layers.Conv2D(2, 3, name="conv")(images))
    picture = np.ones((1, 8, 8, 3), np.float32)
    before = np.asarray(model(picture))
    assert layer_costs(model, (8, 8)) == layer_costs(model, (8, 8))
    assert "call" not in vars(model.get_layer("conv"))
    np.testing.assert_array_equal(model(picture), before)


def test_sizes():
    """A model with a fixed size is counted at that size only; the others at any size."""
    fixed, free = (keras.Model(x, layers.Conv2D(1, 1, use_bias=False)(x))
                   for x in (keras.Input((24, 32, 3)), keras.Input((None, None, 3))))
    assert layer_costs(fixed)[0].macs == layer_costs(fixed, (32, 24))[0].macs == 24 * 32 * 3
    assert layer_costs(free)[0].macs == 640 * 480 * 3
    with pytest.raises(InputError, match=r"--size 24x24: .* takes images of 32 x 24 px only"):
        layer_costs(fixed, (24, 24))


def test_an_unknown_kernel_is_an_error_and_not_a_small_sum():
    layer = layers.EinsumDense("abcd,de->abce", output_shape=(None, None, 5))
    with pytest.raises(InputError, match="a EinsumDense has a kernel that"):
        costs_of(layer, (6, 10, 4))


def net_totals(name, size):
    model = family(load_config(ROOT / "cfgs" / f"{name}.yml")).build()
    return totals(layer_costs(model, size), model)


@pytest.mark.parametrize("name, size, parameters, gmacs", [
    ("ssd_mobilenet_v2_075", (300, 300), 1_032_942, 0.48),
    ("ssh_vgg16", (640, 480), 19.8e6, 100),
])
def test_published_figures(name, size, parameters, gmacs):
    actual = net_totals(name, size)
    assert actual["parameters"] == pytest.approx(parameters, rel=0.05)
    assert actual["macs"] / 1e9 == pytest.approx(gmacs, rel=0.05)


def test_the_light_ssd_has_the_published_compute():
    """Published as 0.51 GMAC and as 0.98 GFLOP: only the first counts batch normalisation and activations."""
    actual = net_totals("ssd_mobilenet_v2_075", (300, 300))
    assert (actual["macs"] + actual["others"]) / 1e9 == pytest.approx(0.51, rel=0.01)
    assert 2 * actual["macs"] / 1e9 == pytest.approx(0.98, rel=0.03)


def test_elementwise_operations_are_counted_separately():
    for layer, each in ((layers.BatchNormalization(), 2), (layers.ReLU(), 1), (layers.Conv2D(4, 3, padding="same"), 0),
                        (layers.UpSampling2D(1), 0)):
        assert costs_of(layer, (None, None, 4)).others == each * 6 * 10 * 4


def one_config_a_family():
    """Dict of family -> name of its first config of a single net: mtcnn.yml has three nets."""
    paths = sorted((ROOT / "cfgs").glob("*.yml"), reverse=True)
    return {load_config(path).FAMILY: path.stem for path in paths if path.stem != "mtcnn"}


@pytest.mark.parametrize("name", one_config_a_family().values())
def test_every_family_is_counted(name):
    cfg = load_config(ROOT / "cfgs" / f"{name}.yml")
    net = family(cfg)
    model, side = net.build(), getattr(net, "side", None)  # MTCNN's nets take squares
    costs = layer_costs(model, tuple(cfg.TEST.SIZE) or ((side, side) if side else (96, 64)))
    assert sum(cost.parameters for cost in costs) == totals(costs, model)["parameters"]
    assert {cost.name for cost in costs if cost.macs} >= {
        layer.name for layer in model.layers if isinstance(layer, layers.Conv2D)}


def test_keras_applications_own_figure():
    """MobileNetV1 x1.0 at 224 px: 4.2 million parameters, 569 million products (arXiv 1704.04861, table 4)."""
    model = keras.applications.MobileNet(weights=None)
    actual = totals(layer_costs(model), model)
    assert actual["parameters"] == pytest.approx(4.2e6, rel=0.02) and actual["macs"] == pytest.approx(569e6, rel=0.01)
    assert actual["parameters"] + actual["moments"] == model.count_params()


def test_the_tool_prints_layers_and_sum(tool, capsys):
    cfg = str(ROOT / "cfgs" / "ssh_mobilenet_v1_025.yml")
    assert run(tool("flops").main, ["--cfg", cfg, "--size", "320x256"]) == 0
    first, *rows, last = capsys.readouterr().out.splitlines()
    assert first.split() == ["layer", "kind", "output", "parameters", "MACs", "others"]
    conv1 = next(row.split() for row in rows if row.startswith("conv1 "))
    assert conv1 == ["conv1", "Conv2D", "128", "x", "160", "x", "8", "216", f"{128 * 160 * 216:,}", "0"]
    assert re.match(r"ssh_mobilenet_v1_025 at 320 x 256 px: 37\d,\d{3} parameters .* 0\.\d{4} GMAC; ", last)
    rows = [row.replace(",", "").split() for row in rows]
    gmacs = float(re.search(r"([\d.]+) GMAC", last)[1])
    assert sum(int(row[-2]) for row in rows) == pytest.approx(1e9 * gmacs, rel=1e-3)
    assert f" {sum(int(row[-3]) for row in rows):,} parameters" in last
    for size in ("320", "0x100", "00x5", "ax4", "65536x4", "99999999x99999999"):
        assert run(tool("flops").main, ["--cfg", cfg, "--size", size]) == 2
        assert f"error: --size '{size}': expected width and height" in capsys.readouterr().err
