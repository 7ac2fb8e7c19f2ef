"""TF-Slim's checkpoints imported into backbones, against the nets of plain TensorFlow operations that wrote them.

The nets here follow slim's own: strides at the end of a ResNet's block, in the 3x3 convolution of its last unit, with
fixed padding and a shortcut that takes every second pixel. Their variables have slim's names and shapes.
"""


import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from manyfaces.commands.command_line import run  # noqa: E402
from manyfaces.commands.models import import_weights  # noqa: E402
from manyfaces.errors import InputError  # noqa: E402
from manyfaces.nets.backbones import BACKBONES, vgg16  # noqa: E402
from manyfaces.nets.backbones.resnet import ResNet  # noqa: E402
from manyfaces.weights.backbones import backbone_model, load_backbone_weights  # noqa: E402
from manyfaces.weights.slim import SlimCheckpoint, backbone_from_slim  # noqa: E402

SIZES = [(64, 96), (61, 83)]  # SAME and fixed padding differ at even sides, rounding at odd ones
RESNET_UNITS, RESNET_WIDTHS = (2, 3, 2, 2), (6, 8, 10, 12)
VGG_BLOCKS = ((6, 2), (8, 2), (10, 3), (12, 3), (12, 3))


class Variables(dict):
    """Random values by name, made when they are first needed; kernels keep the variance of their input."""

    rng = np.random.default_rng(3)

    def __call__(self, name, *shape):
        if name not in self:
            if name.endswith("weights"):
                fan_in = np.prod(shape[:2] if "depthwise" in name else shape[:3])
                self[name] = self.rng.normal(0, (2 / fan_in) ** 0.5, shape).astype(np.float32)
            else:
                low, high = (-0.3, 0.3) if name.endswith(("biases", "beta", "moving_mean")) else (0.6, 1.4)
                self[name] = self.rng.uniform(low, high, shape).astype(np.float32)
        assert self[name].shape == shape, name
        return self[name]


def batch_norm(v, x, scope, epsilon):
    mean, variance, beta, gamma = (v(f"{scope}/BatchNorm/{part}", x.shape[-1])
                                   for part in ("moving_mean", "moving_variance", "beta", "gamma"))
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)


def vgg_16(v, images):
    x, taps = images - np.float32([123.68, 116.78, 103.94]), {}  # RGB, slim's own figures
    for block, (channels, count) in enumerate(VGG_BLOCKS, start=1):
        if block > 1:
            x = tf.nn.max_pool2d(x, 2, 2, "SAME")
        for number in range(1, count + 1):
            scope = f"vgg_16/conv{block}/conv{block}_{number}"
            x = tf.nn.conv2d(x, v(f"{scope}/weights", 3, 3, x.shape[-1], channels), 1, "SAME")
            x = tf.nn.relu(x + v(f"{scope}/biases", channels))
        taps[f"stride{2 ** (block - 1)}"] = x
    return {tap: taps[tap] for tap in ("stride4", "stride8", "stride16")}


def resnet_v1_50(v, images):
    """What slim calls block1 to block4, and the ends of the first three without their stride."""
    def conv(x, scope, channels, size=1, stride=1, relu=True):
        kernel = v(f"resnet_v1_50/{scope}/weights", size, size, x.shape[-1], channels)
        if stride == 1:
            x = tf.nn.conv2d(x, kernel, 1, "SAME")
        else:
            pad = (size - 1) // 2, size - 1 - (size - 1) // 2
            x = tf.nn.conv2d(tf.pad(x, [[0, 0], pad, pad, [0, 0]]), kernel, stride, "VALID")
        x = batch_norm(v, x, f"resnet_v1_50/{scope}", 1e-5)
        return tf.nn.relu(x) if relu else x

    def unit(x, scope, width, stride):
        shortcut = tf.nn.max_pool2d(x, 1, stride, "SAME") if x.shape[-1] == 4 * width else conv(
            x, f"{scope}/shortcut", 4 * width, stride=stride, relu=False)
        residual = conv(x, f"{scope}/conv1", width)
        residual = conv(residual, f"{scope}/conv2", width, 3, stride)
        return tf.nn.relu(shortcut + conv(residual, f"{scope}/conv3", 4 * width, relu=False))

    x = conv(images - np.float32([123.68, 116.78, 103.94]), "conv1", 64, 7, 2)
    x, ends = tf.nn.max_pool2d(x, 3, 2, "SAME"), {}
    for block, (units, width) in enumerate(zip(RESNET_UNITS, RESNET_WIDTHS, strict=True), start=1):
        for number in range(1, units + 1):
            scope = f"block{block}/unit_{number}/bottleneck_v1"
            stride = 2 if number == units and block < 4 else 1
            full, x = unit(x, scope, width, 1), unit(x, scope, width, stride)
        ends[f"block{block}"], ends[f"stride{2 ** (block + 1)}"] = x, full
    return ends


def mobilenet_v1(v, images, multiplier=0.25):
    def conv_bn(x, scope, kernel, stride, depthwise=False):
        if depthwise:
            x = tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME")
        else:
            x = tf.nn.conv2d(x, kernel, stride, "SAME")
        return tf.nn.relu6(batch_norm(v, x, scope, 1e-3))

    def depth(channels):
        return max(int(channels * multiplier), 8)

    layers = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    x, ends = 2 * (images / 255 - 0.5), {}
    x = conv_bn(x, "MobilenetV1/Conv2d_0", v("MobilenetV1/Conv2d_0/weights", 3, 3, 3, depth(32)), 2)
    for number, (channels, stride) in enumerate(layers, start=1):
        scope = f"MobilenetV1/Conv2d_{number}_depthwise"
        x = conv_bn(x, scope, v(f"{scope}/depthwise_weights", 3, 3, x.shape[-1], 1), stride, depthwise=True)
        scope = f"MobilenetV1/Conv2d_{number}_pointwise"
        x = conv_bn(x, scope, v(f"{scope}/weights", 1, 1, x.shape[-1], depth(channels)), 1)
        ends[number] = x
    return {"stride4": ends[3], "stride8": ends[5], "stride16": ends[11], "stride32": ends[13]}


def mobilenet_v2(v, images, multiplier=0.35):
    def divisible(value):
        rounded = max(8, int(value + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * value else rounded

    def conv_bn(x, scope, channels, size=1, stride=1):
        x = tf.nn.conv2d(x, v(f"{scope}/weights", size, size, x.shape[-1], channels), stride, "SAME")
        return batch_norm(v, x, scope, 1e-3)

    layers = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    x = tf.nn.relu6(conv_bn(images / 127.5 - 1, "MobilenetV2/Conv", divisible(32 * multiplier), 3, 2))
    ends, number = {}, 0
    for expansion, channels, count, stride in layers:
        for repeat in range(count):
            scope = "MobilenetV2/expanded_conv" + (f"_{number}" if number else "")
            step, entry = stride if repeat == 0 else 1, x
            if expansion > 1:
                x = tf.nn.relu6(conv_bn(x, f"{scope}/expand", expansion * x.shape[-1]))
            kernel = v(f"{scope}/depthwise/depthwise_weights", 3, 3, x.shape[-1], 1)
            x = tf.nn.depthwise_conv2d(x, kernel, [1, step, step, 1], "SAME")
            x = tf.nn.relu6(batch_norm(v, x, f"{scope}/depthwise", 1e-3))
            x = conv_bn(x, f"{scope}/project", divisible(channels * multiplier))
            x = entry + x if entry.shape == x.shape else x
            number += 1
            ends[f"layer_{number + 1}"] = x  # slim counts the first convolution as layer 1
    return {"stride4": ends["layer_4"], "layer5": ends["layer_5"], "stride8": ends["layer_7"],
            "stride16": ends["layer_14"], "stride32": ends["layer_18"]}


NETS = {"vgg_16": (vgg_16, 1.0), "resnet_v1_50": (resnet_v1_50, 1.0), "mobilenet_v1": (mobilenet_v1, 0.25),
        "mobilenet_v2": (mobilenet_v2, 0.35)}


@pytest.fixture(autouse=True)
def small_nets(monkeypatch):
    """VGG16 and ResNet with slim's structure and few channels: the test of so many blocks needs no full width."""
    monkeypatch.setattr(vgg16, "BLOCKS", VGG_BLOCKS)
    monkeypatch.setitem(BACKBONES, "resnet50", ResNet(RESNET_UNITS, RESNET_WIDTHS))


def images_of(size):
    return np.random.default_rng(1).uniform(0, 255, (2, *size, 3)).astype(np.float32)


def write(path, variables, first_format=False):
    """A TensorFlow checkpoint; first_format: the single file of TensorFlow before 0.12."""
    names, values = list(variables), [tf.constant(value) for value in variables.values()]
    if first_format:
        tf.raw_ops.Save(filename=str(path), tensor_names=names, data=values)
    else:
        tf.raw_ops.SaveV2(prefix=str(path), tensor_names=names, shape_and_slices=[""] * len(names), tensors=values)
    return path


def checkpoint(net, path, **more):
    """Write a checkpoint of a net; returns its variables."""
    variables = Variables()
    NETS[net][0](variables, images_of((32, 32)))
    write(path, {**variables, **more})
    return variables


def assert_same(found, expected, tap):
    scale = np.abs(expected).max()
    assert np.std(expected) > 0.01 * scale > 0  # not constant, so that equality means something
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-4, err_msg=tap)


@pytest.mark.parametrize("net", NETS)
def test_the_imported_net_gives_the_maps_of_slims(net, tmp_path):
    build, alpha = NETS[net]
    variables = checkpoint(net, tmp_path / "model.ckpt")
    model, report = backbone_from_slim(net, tmp_path / "model.ckpt", alpha)
    assert (report.taken, report.averages, report.unused, report.slots) == (len(variables), 0, [], 0)
    for size in SIZES:
        found, expected = model(images_of(size), training=False), build(variables, images_of(size))
        for tap, values in found.items():
            assert_same(np.asarray(values), np.asarray(expected.pop(tap)), f"{tap} at {size}")
        for block, values in expected.items():  # a block's end is every second pixel of the tap; the last has no stride
            stage = int(block.removeprefix("block")) + 1
            tap = np.asarray(found[f"stride{2**stage}"])
            assert_same(tap[:, ::2, ::2] if stage < 5 else tap, np.asarray(values), f"{block} at {size}")


def run_tool(*arguments):
    return run(import_weights.main, ["slim", *map(str, arguments)])


def test_the_tool_reads_the_first_format_and_reports_what_it_left_out(tmp_path, capsys):
    """slim evaluates with the moving averages; the values of the optimizer and the classifier are left out."""
    variables = checkpoint("mobilenet_v1", tmp_path / "unused.ckpt")
    kernel = "MobilenetV1/Conv2d_0/weights"
    more = {kernel: np.zeros_like(variables[kernel]), f"{kernel}/ExponentialMovingAverage": variables[kernel],
            f"{kernel}/RMSProp": variables[kernel], "global_step": np.int64(7),
            "MobilenetV1/Logits/Conv2d_1c_1x1/biases": np.zeros(1001, np.float32)}
    source = write(tmp_path / "mobilenet_v1_0.25_224.ckpt", {**variables, **more}, first_format=True)
    out = tmp_path / "imagenet" / "slim.weights.h5"
    assert run_tool("--net", "mobilenet_v1", "--alpha", "0.25", "--source", source, "--out", out) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["135 variables taken, 1 of them moving averages",  # 27 kernels, 27 x 4 of batch normalisation
                         "not used: MobilenetV1/Logits/Conv2d_1c_1x1/biases, global_step",
                         "not used: 2 values of an optimizer, or of which there is a moving average"]
    assert lines[3].startswith(f"{out}: ")
    model = backbone_model("mobilenet_v1", {"ALPHA": 0.25})
    assert load_backbone_weights(model, out).missing == []
    expected = mobilenet_v1(variables, images_of((64, 64)))["stride16"]
    assert_same(np.asarray(model(images_of((64, 64)), training=False)["stride16"]), np.asarray(expected), "stride16")


def test_any_file_of_a_checkpoint_or_its_folder_names_it(tmp_path):
    variables = checkpoint("mobilenet_v1", tmp_path / "model.ckpt-100")
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-100"\n')
    for name in ("model.ckpt-100.index", "model.ckpt-100.data-00000-of-00001", ""):
        found = SlimCheckpoint(tmp_path / name)
        assert set(found.shapes) == set(variables)
        assert all(np.array_equal(found.value(key), variables[key]) for key in variables)


def test_what_does_not_fit_is_named(tmp_path, capsys):
    variables = checkpoint("mobilenet_v1", tmp_path / "model.ckpt")
    out = tmp_path / "out.weights.h5"

    def error(source, *arguments):
        assert run_tool("--source", tmp_path / source, "--out", out, *arguments) == 2
        assert not out.exists()
        return capsys.readouterr().err

    message = error("model.ckpt", "--net", "mobilenet_v1", "--alpha", "0.5")
    assert "model.ckpt (MobilenetV1/Conv2d_0/weights): layer conv1: found shapes [(3, 3, 3, 8)], expected" in message
    assert "has no variable resnet_v1_50/conv1/weights nor " in (found := error("model.ckpt", "--net", "resnet_v1_50"))
    assert "it holds 135 variables of MobilenetV1, expected TF-Slim's resnet_v1_50; another --net?" in found
    name = "MobilenetV1/Conv2d_9_pointwise/BatchNorm/gamma"
    write(tmp_path / "part.ckpt", {key: value for key, value in variables.items() if key != name})
    assert f"has no variable {name}; it holds 134" in error("part.ckpt", "--net", "mobilenet_v1", "--alpha", "0.25")
    (tmp_path / "text.ckpt").write_text("no checkpoint " * 100)
    assert "text.ckpt: cannot be read as one (" in error("text.ckpt", "--net", "vgg_16")
    assert "absent.ckpt: no such file (" in error("absent.ckpt", "--net", "vgg_16")
    assert "error: --alpha 0.5: vgg_16 has one width only" in error("text.ckpt", "--net", "vgg_16", "--alpha", "0.5")
    assert "error: --alpha is -1.0, expected a number" in error("text.ckpt", "--net", "mobilenet_v2", "--alpha", "-1")
    assert "error: slim needs --net, one of vgg_16, resnet_v1_50" in error("model.ckpt")


def test_damaged_data_is_an_error(tmp_path):
    checkpoint("mobilenet_v1", tmp_path / "model.ckpt")
    data = tmp_path / "model.ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"model.ckpt: MobilenetV1/\S* cannot be read \(.*copy the checkpoint"):
        backbone_from_slim("mobilenet_v1", tmp_path / "model.ckpt", 0.25)


def test_the_tools_nets_are_those_of_the_importer():
    from manyfaces.weights.slim import NETS as known

    assert set(import_weights.SLIM_NETS) == set(known)
