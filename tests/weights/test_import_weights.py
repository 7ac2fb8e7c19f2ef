"""Weights of PyTorch files, Keras' ImageNet nets and .weights.h5 files, loaded into backbones."""

from pathlib import Path

import keras
import numpy as np
import pytest

from manyfaces.commands.command_line import run
from manyfaces.commands.models import import_weights as command
from manyfaces.errors import InputError
from manyfaces.nets.backbones import build_backbone
from manyfaces.weights import backbones as import_weights

TORCH = {"BACKBONE": "mobilenet_v1", "VARIANT": "torch", "ALPHA": 0.25}


@pytest.fixture
def rng():
    return np.random.default_rng(5)


# --- MobileNetV1 x0.25 --------------------------------------------------------------------------------------------


@pytest.fixture
def source_files():
    folder = Path(__file__).resolve().parents[3] / "shared" / "weights" / "mobilenet_v1_025"
    if not folder.is_dir():
        pytest.skip("the source weights are not on this machine: ../shared/weights/mobilenet_v1_025")
    return folder / "mobilenetV1X0.25_pretrain.tar", folder / "reference_activations.npz"


def run_tool(*arguments):
    return run(command.main, ["mobilenet_v1_025", *map(str, arguments)])


def test_the_rebuilt_net_gives_the_reference_activations(source_files, tmp_path, capsys):
    source, reference = source_files
    out = tmp_path / "data" / "net.weights.h5"
    assert run_tool("--source", source, "--reference", reference, "--out", out) == 0
    assert "stride32: largest difference" in capsys.readouterr().out

    model = import_weights.backbone_model("mobilenet_v1", TORCH, preprocess="none")
    report = import_weights.load_backbone_weights(model, out)  # what was written, not what was converted
    assert report.missing == [] and len(report.loaded) == 54
    rows = import_weights.compare_with_reference(model, reference)
    assert [tap for tap, _, _ in rows] == ["stride8", "stride16", "stride32"]
    assert max(absolute for _, absolute, _ in rows) < 1e-3


def test_a_net_that_differs_is_not_written(source_files, tmp_path, capsys):
    source, reference = source_files
    with np.load(reference) as arrays:
        changed = {name: arrays[name] for name in arrays}
    changed["stage2_stride16"] = changed["stage2_stride16"] + np.float32(0.002)
    np.savez(tmp_path / "other.npz", **changed)
    out = tmp_path / "net.weights.h5"
    assert run_tool("--source", source, "--reference", tmp_path / "other.npz", "--out", out) == 2
    assert "stride16 differs" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("content", [None, b"", b"text", "other arrays"])
def test_a_wrong_reference_file_is_named(content, tmp_path):
    path = tmp_path / "reference.npz"
    if content == "other arrays":
        np.savez(path, image_chw=np.zeros((1, 3, 4, 4)))
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(
        InputError, match="reference.npz: cannot be read .*expected an .npz with image_chw"
    ):
        import_weights.compare_with_reference(None, path)


# --- .weights.h5 of a backbone into a detector --------------------------------------------------------------------


def backbone_file(path, config, rng):
    model = import_weights.backbone_model(config["BACKBONE"], config)
    for layer in model.layers:
        layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    import_weights.save_backbone_weights(model, path)
    return model


def detector(config):
    images = keras.Input((None, None, 3), name="image")
    taps = build_backbone(config["BACKBONE"], images, config)
    head = keras.layers.Conv2D(2, 1, name="head")(taps["stride8"])
    return keras.Model(images, {"scores": head, "deep": taps["stride16"]}, name="detector")


def test_a_backbone_loads_into_a_detector_by_name(tmp_path, rng):
    path = tmp_path / "net.weights.h5"
    source = backbone_file(path, TORCH, rng)
    model = detector({**TORCH, "FROZEN_BN": True, "WEIGHTS": str(path)})
    head = model.get_layer("head").get_weights()
    report = import_weights.initialise_backbone(model, {**TORCH, "WEIGHTS": str(path)})
    assert report.missing == ["head"] and "conv1_bn" in report.loaded
    np.testing.assert_array_equal(model.get_layer("head").get_weights()[0], head[0])
    assert len(report.loaded) == sum(1 for layer in model.layers if layer.weights) - 1
    for name in report.loaded:
        pairs = zip(model.get_layer(name).get_weights(), source.get_layer(name).get_weights(), strict=True)
        assert all(np.array_equal(new, old) for new, old in pairs), name
    assert [file.name for file in tmp_path.iterdir()] == ["net.weights.h5"]  # no half-written file left


def test_empty_weights_leave_the_net_alone():
    model = detector(TORCH)
    before = model.get_weights()
    assert import_weights.initialise_backbone(model, {**TORCH, "WEIGHTS": ""}) is None
    assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ALPHA": 0.5}, r"layer conv1: found shapes \[\(3, 3, 3, 8\)\], expected \[\(3, 3, 3, 16\)\]"),
        ({"VARIANT": "keras"}, "found a leakyrelu, expected a relu; another NET.VARIANT"),
        ({"BACKBONE": "vgg16"}, "net.weights.h5: has no layer of detector: .*expected block1_conv1"),
    ],
)
def test_weights_of_another_net_are_refused_and_nothing_is_set(changes, message, tmp_path, rng):
    path = tmp_path / "net.weights.h5"
    backbone_file(path, TORCH, rng)
    model = detector({**TORCH, **changes})
    before = model.get_weights()
    with pytest.raises(InputError, match=message):
        import_weights.load_backbone_weights(model, path)
    assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))


def test_damaged_and_missing_files_are_named(tmp_path, rng):
    path = tmp_path / "net.weights.h5"
    backbone_file(path, TORCH, rng)
    path.write_bytes(path.read_bytes()[:5000])
    model = detector(TORCH)
    with pytest.raises(InputError, match="net.weights.h5: not a complete weights file"):
        import_weights.load_backbone_weights(model, path)
    with pytest.raises(InputError, match="absent.weights.h5: no such weights file"):
        import_weights.load_backbone_weights(model, tmp_path / "absent.weights.h5")


# --- Keras' ImageNet weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [{"BACKBONE": "mobilenet_v1", "ALPHA": 0.25}, {"BACKBONE": "vgg16"}])
def test_without_internet_the_error_says_what_to_do(config, monkeypatch):
    asked = []

    def no_network(name, *args, **kwargs):
        asked.append(name)
        raise OSError("URL fetch failure:\nno route to host")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", no_network)
    with pytest.raises(InputError) as raised:
        import_weights.initialise_backbone(detector(config), {**config, "WEIGHTS": "imagenet"})
    message = str(raised.value)
    assert len(asked) == 1  # the download failed, nothing before it
    assert "\n" not in message and "no route to host" in message
    assert "--init FILE" in message and config["BACKBONE"] in message


def test_the_file_that_keras_offers_loads_from_disk(tmp_path, rng):
    """Keras' own .h5 (old layout, no top) may be downloaded on another machine."""
    source = keras.applications.MobileNet(alpha=0.25, include_top=False, weights=None, input_shape=(None, None, 3))
    for layer in source.layers:
        layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    path = tmp_path / "mobilenet_2_5_224_tf_no_top.h5"
    write_old_layout(source, path)
    config = {"BACKBONE": "mobilenet_v1", "ALPHA": 0.25, "WEIGHTS": str(path)}
    model = detector(config)
    report = import_weights.initialise_backbone(model, config)
    assert report.missing == ["head"]
    found = model.get_layer("block7_depthwise_bn").get_weights()
    expected = source.get_layer("conv_dw_7_bn").get_weights()
    assert all(np.array_equal(new, old) for new, old in zip(found, expected, strict=True))


def write_old_layout(model, path):
    """Keras 2's layout of a weights file: one group per layer, names of layers and weights as attributes."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.0.0"
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{index}:0" for index in range(len(layer.weights))]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, values in zip(names, layer.get_weights(), strict=True):
                group[name] = values


def test_keras_has_no_weights_for_the_torch_variant():
    with pytest.raises(InputError, match="NET.VARIANT: Keras has no weights for 'torch', expected keras"):
        import_weights.initialise_backbone(detector(TORCH), {**TORCH, "WEIGHTS": "imagenet"})


def test_a_missing_backbone_says_where_it_comes_from_and_what_to_do_without_it(tmp_path):
    path = tmp_path / "mobilenet_v1_025.weights.h5"
    with pytest.raises(InputError) as caught:
        import_weights.initialise_backbone(None, {**TORCH, "WEIGHTS": str(path)})
    text = str(caught.value)
    assert "`manyfaces data fetch mobilenet_v1_025`" in text and "3,827,150 bytes, sha256:75c37f8d" in text
    assert "`manyfaces import mobilenet_v1_025 --source " in text and "--init ssh_mobilenet_v1_025" in text
    with pytest.raises(InputError, match=r"other\.weights\.h5: no such file; `manyfaces import`.*--init FILE, or"):
        import_weights.initialise_backbone(None, {"BACKBONE": "vgg16", "WEIGHTS": str(tmp_path / "other.weights.h5")})
