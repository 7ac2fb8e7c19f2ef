"""SSH on every backbone that its configs name: its maps, one training step, an export with the same results."""

import os
import subprocess

import numpy as np
import pytest
from conftest import ROOT

keras = pytest.importorskip("keras")

from manyfaces.config import load_config  # noqa: E402
from manyfaces.errors import InputError  # noqa: E402
from manyfaces.export.onnx import to_onnx  # noqa: E402
from manyfaces.nets import family  # noqa: E402
from manyfaces.nets.backbones import BACKBONES, vgg16  # noqa: E402
from manyfaces.nets.backbones.resnet import ResNet  # noqa: E402

CONFIGS = [path.stem for path in sorted((ROOT / "cfgs").glob("ssh_*.yml"))]
NARROW = ["NET.WIDTHS", [8, 8, 8], "NET.TOP_DOWN_WIDTH", 8, "NET.WEIGHTS", ""]
SIZE = 96


@pytest.fixture(autouse=True)
def small_nets(monkeypatch):
    """VGG16 and ResNet with their structure but few channels."""
    monkeypatch.setattr(vgg16, "BLOCKS", ((4, 2), (6, 2), (8, 3), (8, 3), (8, 3)))
    for depth in (50, 101, 152):
        monkeypatch.setitem(BACKBONES, f"resnet{depth}", ResNet((1, 2, 2, 1), (4, 6, 8, 10)))


def config(name, *overrides):
    cfg = load_config(ROOT / "cfgs" / f"{name}.yml", [*NARROW, *overrides])
    if cfg.NET.BACKBONE.startswith("mobilenet"):
        cfg.NET.ALPHA = 0.25
    return cfg


def batch():
    """Two images with a face for each module in the first."""
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (2, SIZE, SIZE, 3)).astype(np.float32)
    boxes = np.float32([[5, 4, 22, 20], [10, 8, 72, 74], [-80, -76, 170, 176]])
    return [{"image": image, "boxes": boxes[:count], "ignore": np.zeros(count, bool),
             "landmarks": np.full((count, 5, 2), np.nan, np.float32)}
            for image, count in zip(images, (3, 0), strict=True)]


def test_every_backbone_of_the_reproduction_has_its_config():
    assert {name.removeprefix("ssh_") for name in CONFIGS} >= {
        "vgg16", "resnet50", "resnet101", "resnet152", "mobilenet_v1_100", "mobilenet_v2_100", "mobilenet_v1_025"}
    assert load_config(ROOT / "cfgs" / "ssh_mobilenet_v2_100.yml").NET.TAPS == "layer5+stride16+stride32"
    for depth in (50, 101, 152):
        net = load_config(ROOT / "cfgs" / f"ssh_resnet{depth}.yml").NET
        assert net.BACKBONE == f"resnet{depth}" and net.TAPS == "stride8+stride16" and net.FROZEN_BN


def test_the_scripts_short_names_lead_to_the_configs():
    nets = {"vgg16": "vgg16", "res50": "resnet50", "res101": "resnet101", "res152": "resnet152",
            "mobile": "mobilenet_v1_100", "mobile_v2": "mobilenet_v2_100", "mobile_025": "mobilenet_v1_025"}
    for short, net in nets.items():
        words = subprocess.run([ROOT / "experiments" / "scripts" / "train_ssh.sh", "cpu", "", short], text=True,
                               capture_output=True, env={**os.environ, "PYTHON": "echo"}).stdout.split()
        assert words == ["tools/train.py", "--cfg", f"cfgs/ssh_{net}.yml"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ssh_vgg16", "ssh_resnet50", "ssh_mobilenet_v1_100", "ssh_mobilenet_v2_100"])
def test_it_trains_a_step_and_exports(name):
    onnxruntime = pytest.importorskip("onnxruntime")
    tf = pytest.importorskip("tensorflow", reason="gradients are taken with TensorFlow here")
    cfg = config(name)
    net = family(cfg)
    keras.utils.set_random_seed(1)
    model, samples = net.build(), batch()
    encoded = [net.encode(sample) for sample in samples]
    targets = {key: np.stack([array[key] for array in encoded]) for key in encoded[0]}
    images = np.stack([sample["image"] for sample in samples])
    before = {layer.name: layer.get_weights() for layer in model.layers}
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(sum(net.losses(targets, model(images, training=True)).values()))
    variables = model.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    keras.optimizers.SGD(1e-3).apply(gradients, variables)
    changed = {layer.name for layer in model.layers
               if any((old != new).any() for old, new in zip(before[layer.name], layer.get_weights(), strict=True))}
    trained = {layer.name for layer in model.layers if layer.trainable_weights}
    assert changed <= trained  # frozen layers do not change, nor do their batch normalisation's moments
    assert {layer for layer in trained if layer.startswith("m")} <= changed  # the modules
    reached = {variable.path.split("/")[-2] for variable, array in zip(variables, gradients, strict=True)
               if np.isfinite(array).all() and np.any(array)}
    assert len(trained - reached) <= 2  # a unit whose ReLU gives zero everywhere
    session = onnxruntime.InferenceSession(to_onnx(model).SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(3).integers(0, 256, (1, 70, 101, 3), np.uint8)
    expected = {key: np.asarray(value) for key, value in model(image.astype(np.float32), training=False).items()}
    actual = session.run(list(expected), {"images": image})
    assert expected["m1_scores"].shape == (1, 12, 16, 2) and expected["m3_scores"].shape == (1, 3, 4, 2)
    for values, (key, wanted) in zip(actual, expected.items(), strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max(), err_msg=key)


@pytest.mark.parametrize("name, m2, m3", [("ssh_resnet101", "conv4_block2_out", "m3_pool"),
                                          ("ssh_mobilenet_v2_100", "block12_add", "block16_project_bn")])
def test_the_modules_use_the_taps_that_the_config_names(name, m2, m3):
    model = family(config(name)).build()

    def source(layer):
        return model.get_layer(layer).input._keras_history.operation.name

    assert source("m2_conv") == m2 and source("m3_conv") == m3
    assert not any(layer.name.startswith("conv5_") for layer in model.layers)  # unused layers are left out
    if name == "ssh_mobilenet_v2_100":
        assert source("m1_lateral") == "block3_project_bn"  # layer 5 of TF-Slim


def test_taps_of_other_strides_are_refused():
    for taps in ("stride4+stride8", "stride8", "stride8+res4"):
        with pytest.raises(InputError, match=r"NET\.TAPS is stride.*expected maps of strides 8, 16 and 32.*resnet50 "
                                             r"has stride4 \(stride 4\), stride8 \(stride 8\), "):
            family(config("ssh_resnet50", "NET.TAPS", taps)).build()
