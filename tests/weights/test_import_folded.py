"""MobileNetV2 with folded batch normalisation: equal to a plain NumPy forward of the file, with and without moments."""


import cv2
import keras
import numpy as np
import pytest

from manyfaces.commands.command_line import run
from manyfaces.commands.models import import_weights as command
from manyfaces.errors import InputError
from manyfaces.weights import backbones as import_weights
from manyfaces.weights import folded as import_folded

BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Table 2 of arXiv 1801.04381: expansion, channels, repetitions, stride of the first."""


# --- the independent forward --------------------------------------------------------------------------------------


def convolve(x, kernel, bias, stride, depthwise):
    """x (H, W, C); kernel (out, in, kh, kw) as in the file; SAME padding as in TensorFlow: the odd pixel at the end."""
    k = kernel.shape[2]
    sides = [-(-side // stride) for side in x.shape[:2]]
    pads = [max(0, (new - 1) * stride + k - old) for new, old in zip(sides, x.shape[:2], strict=True)]
    x = np.pad(x, [(pad // 2, pad - pad // 2) for pad in pads] + [(0, 0)])
    total = np.zeros((*sides, len(kernel)))
    for i in range(k):
        for j in range(k):
            window = x[i : i + sides[0] * stride : stride, j : j + sides[1] * stride : stride][: sides[0], : sides[1]]
            total += window * kernel[:, 0, i, j] if depthwise else window @ kernel[:, :, i, j].T
    return total + bias


def folded_forward(file, image):
    """Maps at the ends of all blocks, of an image (H, W, 3) RGB 0..255, in float64."""
    keys = iter(sorted(key for key in file if key.endswith("_w")))

    def layer(x, relu=True):
        key = next(keys)
        stride = int(key.split("_s")[1][0])
        y = convolve(x, file[key].astype(float), file[key[:-1] + "b"].astype(float), stride, "_dw_" in key)
        return np.clip(y, 0, 6) if relu else y

    x, ends = layer(image / 127.5 - 1.0), []
    for expansion, channels, repetitions, stride in BLOCKS:
        for n in range(repetitions):
            y = layer(x) if expansion > 1 else x
            y = layer(layer(y), relu=False)
            x = x + y if (stride == 1 or n > 0) and x.shape[-1] == channels else y
            ends.append(x)
    return ends


def made_up(path, seed=3):
    """A file of random folded weights with the shapes of the real one, without the classifier."""
    rng, arrays, inputs = np.random.default_rng(seed), {}, 3

    def add(kind, outputs, inputs, size, stride):
        scale = np.sqrt(2 / (inputs * size**2))
        number = len(arrays) // 2
        kernel = scale * rng.normal(size=(outputs, inputs, size, size))
        arrays[f"{number:02}_{kind}_s{stride}_w"] = kernel.astype("f2")
        arrays[f"{number:02}_{kind}_s{stride}_b"] = rng.normal(size=outputs).astype("f2")

    add("conv", 32, 3, 3, 2)
    inputs = 32
    for expansion, channels, repetitions, stride in BLOCKS:
        for n in range(repetitions):
            if expansion > 1:
                add("conv", expansion * inputs, inputs, 1, 1)
            add("dw", expansion * inputs, 1, 3, stride if n == 0 else 1)
            add("conv", channels, expansion * inputs, 1, 1)
            inputs = channels
    np.savez(path, **arrays)
    return arrays


def check_same(model, file, image):
    """The largest difference of a tap from the plain forward, as a fraction of the map's largest value."""
    expected, outputs = folded_forward(file, image.astype(float)), model(image[None].astype(np.float32), training=False)
    worst = 0.0
    for tap, block in (("stride4", 2), ("stride8", 5), ("stride16", 12), ("stride32", 16)):
        found = keras.ops.convert_to_numpy(outputs[tap])[0]
        assert found.shape == expected[block].shape
        worst = max(worst, np.abs(found - expected[block]).max() / np.abs(expected[block]).max())
    return worst


@pytest.fixture
def pictures(tmp_path):
    """A folder of three blurred noise images."""
    rng = np.random.default_rng(8)
    (tmp_path / "pictures").mkdir()
    for n in range(3):
        noise = cv2.GaussianBlur(rng.integers(0, 256, (90, 120, 3), np.uint8), (0, 0), 3) * (0.5 + 0.4 * n)
        assert cv2.imwrite(str(tmp_path / "pictures" / f"{n}.png"), noise.clip(0, 255).astype(np.uint8))
    return tmp_path / "pictures"


# --- tests --------------------------------------------------------------------------------------------------------


def test_the_net_equals_the_folded_one_whatever_its_moments(tmp_path, pictures):
    """65 px is odd, so padding on the wrong side would show at every stride."""
    file = made_up(tmp_path / "folded.npz")
    image = np.random.default_rng(1).integers(0, 256, (65, 96, 3), np.uint8)
    plain = import_folded.mobilenet_v2_from_folded(tmp_path / "folded.npz")
    assert check_same(plain, file, image) < 1e-4
    moments = import_folded.mobilenet_v2_from_folded(tmp_path / "folded.npz", pictures)
    assert check_same(moments, file, image) < 1e-4
    gamma = [model.get_layer("block5_expand_bn").get_weights()[0] for model in (plain, moments)]
    assert np.allclose(gamma[0], 1) and np.abs(gamma[1] - 1).max() > 0.1

    # The moments are those of these images, so normalising by a batch of them changes nothing.
    files = sorted(pictures.iterdir())
    batch = np.stack([cv2.resize(cv2.imread(str(path))[..., ::-1], (224, 224), interpolation=cv2.INTER_AREA)
                      for path in files]).astype(np.float32)
    moving = moments(batch, training=False)["stride8"]
    own = moments(batch, training=True)["stride8"]
    difference = np.abs(keras.ops.convert_to_numpy(moving) - keras.ops.convert_to_numpy(own)).max()
    assert difference < 0.01 * np.abs(keras.ops.convert_to_numpy(moving)).max()


def test_the_real_weights(shared_dir, tmp_path):
    source = shared_dir / "weights/mobilenet_v2_100/imagenet_folded_f16.npz"
    out = tmp_path / "net.weights.h5"
    assert run(command.main, ["mobilenet_v2_100", "--source", str(source), "--out", str(out)]) == 0
    config = {"BACKBONE": "mobilenet_v2", "VARIANT": "keras", "ALPHA": 1.0}
    model = import_weights.backbone_model("mobilenet_v2", config)
    report = import_weights.load_backbone_weights(model, out)
    assert report.missing == [] and len(report.loaded) == 102  # 51 convolutions with batch normalisation
    with np.load(source) as file:
        arrays = dict(file)
    image = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (96, 96, 3), np.uint8), (0, 0), 2)
    assert check_same(model, arrays, image) < 1e-4


@pytest.mark.parametrize(("change", "message"), [
    (lambda arrays: arrays.pop("04_dw_s2_b"), "04_dw_s2_w of shape .* is out of order or has no bias 04_dw_s2_b"),
    (lambda arrays: arrays.update({"03_conv_s1_w": arrays["03_conv_s1_w"][:, :8]}),
     r"layer block1_expand: found shapes \[\(1, 1, 8, 96\)\], expected \[\(1, 1, 16, 96\)\]"),
    (lambda arrays: [arrays.pop(key) for key in list(arrays) if key > "30"], "holds 30 layers, expected at least 51"),
    (lambda arrays: arrays.update({"01_dw_s2_w": arrays.pop("01_dw_s1_w"), "01_dw_s2_b": arrays.pop("01_dw_s1_b")}),
     "layer block0_depthwise: found dw of stride 2, expected dw of stride 1; another net"),
    (lambda arrays: [arrays.pop(key) for key in list(arrays) if key > "0"], "expected names such as 00_conv_s2_w"),
])  # fmt: skip
def test_a_file_of_another_net_is_named(change, message, tmp_path):
    arrays = made_up(tmp_path / "folded.npz")
    change(arrays)
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(InputError, match=f"other.npz: .*{message}"):
        import_folded.mobilenet_v2_from_folded(tmp_path / "other.npz")


def test_bad_files_and_options_are_one_line(tmp_path, capsys):
    out = ["--out", str(tmp_path / "x.weights.h5")]
    (tmp_path / "broken.npz").write_bytes(b"no zip")
    for words, message in (
        (["mobilenet_v2_100", "--source", str(tmp_path / "absent.npz")], "absent.npz: cannot be read"),
        (["mobilenet_v2_100", "--source", str(tmp_path / "broken.npz")], "broken.npz: cannot be read"),
        (["mobilenet_v2_100", "--source", "x", "--reference", "y"], "--reference is for mobilenet_v1_025"),
        (["mobilenet_v1_025", "--source", "x", "--images", "y"], "--images is for mobilenet_v2_100"),
    ):
        assert run(command.main, [*words, *out]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
