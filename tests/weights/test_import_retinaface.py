"""RetinaFace's PyTorch weights: the net computes what its source does, for the real file and a made-up one."""

from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from torch_files import FakeTensor, torch_names, write_zip

keras = pytest.importorskip("keras")

from manyfaces.commands.command_line import run  # noqa: E402
from manyfaces.commands.models import import_weights as command  # noqa: E402
from manyfaces.config import load_config  # noqa: E402
from manyfaces.datasets.readers import READERS  # noqa: E402
from manyfaces.datasets.roidb import save_roidb  # noqa: E402
from manyfaces.datasets.toy.portraits import portraits  # noqa: E402
from manyfaces.engine.train import Trainer  # noqa: E402
from manyfaces.errors import InputError  # noqa: E402
from manyfaces.export.export import export  # noqa: E402
from manyfaces.export.onnx import to_onnx  # noqa: E402
from manyfaces.inference.detector import Detector  # noqa: E402
from manyfaces.nets import family  # noqa: E402
from manyfaces.weights import retinaface  # noqa: E402
from manyfaces.weights.files import load_weights, net_of  # noqa: E402

CFG = ROOT / "cfgs" / "retinaface_mobilenet_v1_025.yml"
SOURCE = Path(__file__).resolve().parents[3] / "shared" / "weights" / "retinaface_mnet025"
STAGES = [(1, [(8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]),  # input and output channels, stride
          (2, [(64, 128, 2)] + 5 * [(128, 128, 1)]), (3, [(128, 256, 2), (256, 256, 1)])]
SSH = {"conv3X3": (64, 32), "conv5X5_1": (64, 16), "conv5X5_2": (16, 16), "conv7X7_2": (16, 16), "conv7x7_3": (16, 16)}
HEADS = {"ClassHead": 2, "BboxHead": 4, "LandmarkHead": 10}


def made_up_state():
    """A state dict with the names and shapes of the source, and random numbers."""
    rng, state = np.random.default_rng(8), {}

    def conv_bn(prefix, index, outputs, inputs, size):
        state[f"{prefix}.{index}.weight"] = rng.normal(size=(outputs, inputs, size, size)) / (inputs * size**2) ** 0.5
        bn = f"{prefix}.{index + 1}"
        for kind, low, high in (("weight", 1.1, 1.7), ("bias", -0.3, 0.3), ("running_mean", -0.3, 0.3),
                                ("running_var", 0.7, 1.3)):  # so that neither the maps nor their differences vanish
            state[f"{bn}.{kind}"] = rng.uniform(low, high, outputs)
        state[f"{bn}.num_batches_tracked"] = np.int64(5)

    conv_bn("body.stage1.0", 0, 8, 3, 3)
    state["body.stage1.0.0.weight"] /= 64
    for stage, blocks in STAGES:
        for entry, (inputs, outputs, _) in enumerate(blocks, start=int(stage == 1)):
            conv_bn(f"body.stage{stage}.{entry}", 0, inputs, 1, 3)
            conv_bn(f"body.stage{stage}.{entry}", 3, outputs, inputs, 1)
    for i, inputs in enumerate((64, 128, 256), start=1):
        conv_bn(f"fpn.output{i}", 0, 64, inputs, 1)
        if i < 3:
            conv_bn(f"fpn.merge{i}", 0, 64, 64, 3)
        for name, (channels, outputs) in SSH.items():
            conv_bn(f"ssh{i}.{name}", 0, outputs, channels, 3)
        for name, columns in HEADS.items():
            state[f"{name}.{i - 1}.conv1x1.weight"] = rng.normal(size=(2 * columns, 64, 1, 1)) / 64
            state[f"{name}.{i - 1}.conv1x1.bias"] = rng.normal(size=2 * columns)
    return {key: np.asarray(value, "<i8" if np.ndim(value) == 0 else "<f4") for key, value in state.items()}


def write(path, state):
    storages = {str(number): np.atleast_1d(value).ravel() for number, value in enumerate(state.values())}
    tensors = OrderedDict()
    for (key, value), (number, values) in zip(state.items(), storages.items(), strict=True):
        strides = tuple(step // value.itemsize for step in np.ascontiguousarray(value).strides[: value.ndim])
        tensors[f"module.{key}"] = FakeTensor(number, values, value.shape, strides)
    with pytest.MonkeyPatch.context() as patch:
        torch_names(patch)
        write_zip(path, tensors, storages)
    return path


def source_net(state, image):
    """Outputs of the source: plain operations in its own order, on one image (H, W, 3) RGB. Takes each tensor once."""
    ops, left = keras.ops, dict(state)

    def conv(x, key, stride=1, bias=None):
        kernel = left.pop(f"{key}.weight").transpose(2, 3, 1, 0)
        pad = kernel.shape[0] // 2
        x = ops.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        if kernel.shape[2] == 1 and x.shape[-1] > 1:
            return ops.depthwise_conv(x, kernel.transpose(0, 1, 3, 2), stride)
        x = ops.conv(x, kernel, stride)
        return x + left.pop(f"{key}.bias") if bias else x

    def conv_bn(x, prefix, index=0, stride=1, slope=0.1):
        x, bn = conv(x, f"{prefix}.{index}", stride), f"{prefix}.{index + 1}"
        weight, bias, mean, variance = (left.pop(f"{bn}.{kind}")
                                        for kind in ("weight", "bias", "running_mean", "running_var"))
        del left[f"{bn}.num_batches_tracked"]
        x = (x - mean) / np.sqrt(variance + 1e-5) * weight + bias
        return ops.where(x > 0, x, slope * x)

    def twice(x):
        return ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2)

    x, maps = (image[None, :, :, ::-1] - np.float32([104, 117, 123])).astype(np.float32), []
    x = conv_bn(x, "body.stage1.0", stride=2)
    for stage, blocks in STAGES:
        for entry, (_, _, stride) in enumerate(blocks, start=int(stage == 1)):
            x = conv_bn(conv_bn(x, f"body.stage{stage}.{entry}", stride=stride), f"body.stage{stage}.{entry}", 3)
        maps.append(x)
    first, second, third = (conv_bn(x, f"fpn.output{i}") for i, x in enumerate(maps, start=1))
    second = conv_bn(second + twice(third), "fpn.merge2")
    first = conv_bn(first + twice(second), "fpn.merge1")
    outputs = {"scores": [], "boxes": [], "landmarks": []}
    for i, x in enumerate((first, second, third)):
        ssh = f"ssh{i + 1}"
        near, shared = conv_bn(x, f"{ssh}.conv3X3", slope=1), conv_bn(x, f"{ssh}.conv5X5_1")
        wider = conv_bn(conv_bn(shared, f"{ssh}.conv7X7_2"), f"{ssh}.conv7x7_3", slope=1)
        x = ops.relu(ops.concatenate([near, conv_bn(shared, f"{ssh}.conv5X5_2", slope=1), wider], axis=-1))
        for kind, (name, columns) in zip(outputs, HEADS.items(), strict=True):
            outputs[kind].append(np.asarray(conv(x, f"{name}.{i}.conv1x1", bias=True)).reshape(-1, columns))
    assert not left
    return {kind: np.concatenate(values) for kind, values in outputs.items()}


def source_faces(outputs, width, height, score):
    """Boxes, landmarks and scores as the source decodes them, of the anchors from `score` on."""
    priors = np.array([((column + 0.5) * stride, (row + 0.5) * stride, side, side)
                       for stride, sides in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
                       for row in range(height // stride) for column in range(width // stride) for side in sides])
    exponents = np.exp(outputs["scores"].astype(np.float64))
    scores = exponents[:, 1] / exponents.sum(axis=1)
    centres = priors[:, :2] + outputs["boxes"][:, :2] * 0.1 * priors[:, 2:]
    sides = priors[:, 2:] * np.exp(outputs["boxes"][:, 2:] * 0.2)
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
    points = priors[:, None, :2] + outputs["landmarks"].reshape(-1, 5, 2) * 0.1 * priors[:, None, 2:]
    kept = scores >= score
    return boxes[kept], points[kept], scores[kept]


def run_tool(source, out, *more):
    return run(command.main, ["retinaface", "--source", str(source), "--out", str(out), *map(str, more)])


@pytest.fixture
def made_up(tmp_path):
    """A made-up state dict, its file, and a file with an image and the source's outputs."""
    state = made_up_state()
    image = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    np.savez(tmp_path / "reference.npz", image_rgb=image, **source_net(state, image))
    return state, write(tmp_path / "net.pth", state), tmp_path / "reference.npz"


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The weights imported from the public file, compared with its outputs."""
    if not SOURCE.is_dir():
        pytest.skip("the source weights are not on this machine: ../shared/weights/retinaface_mnet025")
    out = tmp_path_factory.mktemp("real") / "retinaface_mobilenet_v1_025.weights.h5"
    assert run_tool(SOURCE / "mobilenet0.25_Final.pth", out, "--reference", SOURCE / "reference.npz") == 0
    return out


# -------------------------------------------------------------- made-up file


def test_the_net_computes_what_its_source_does(made_up, tmp_path, capsys):
    _, source, reference = made_up
    out = tmp_path / "new" / "net.weights.h5"
    assert run_tool(source, out, "--reference", reference) == 0
    text = capsys.readouterr().out
    assert "landmarks: largest difference" in text and f"{out}: 432,906 parameters" in text
    model, cfg = retinaface.import_retinaface(source)
    model.set_weights([np.zeros(weight.shape, np.float32) for weight in model.get_weights()])
    load_weights(model, out, load_config(CFG))  # what was written, not what was converted
    rows = retinaface.compare_with_reference(model, reference)
    assert [name for name, _ in rows] == ["scores", "boxes", "landmarks"]
    assert max(difference for _, difference in rows) < 1e-4
    assert net_of(cfg) == net_of(load_config(CFG))


def test_faces_are_decoded_as_by_the_source(made_up):
    state, source, reference = made_up
    model, cfg = retinaface.import_retinaface(source)
    image = np.load(reference)["image_rgb"]
    maps = {name: np.asarray(values)[0] for name, values in model(image[None].astype(np.float32)).items()}
    found = family(cfg).decode(maps, (96, 64))
    boxes, points, scores = source_faces(source_net(state, image), 96, 64, cfg.TEST.SCORE)
    assert len(found) == len(boxes) > 100
    np.testing.assert_allclose(found.boxes, np.clip(boxes, 0, [96, 64, 96, 64]), atol=1e-3)
    np.testing.assert_allclose(found.landmarks, points, atol=1e-3)
    np.testing.assert_allclose(found.scores, scores, atol=1e-5)


def test_every_tensor_is_used_once():
    keys = Counter(source.key for _, sources in retinaface._layers() for source in sources)
    assert set(keys.values()) == {1}
    assert set(keys) == {key for key in made_up_state() if not key.endswith("num_batches_tracked")}


@pytest.mark.parametrize("key", ["body.stage1.0.0.weight", "body.stage3.1.4.running_var", "fpn.merge1.0.weight",
                                 "ssh3.conv7x7_3.1.bias", "ClassHead.2.conv1x1.bias"])
def test_a_tensor_that_is_missing_or_has_another_shape_is_named(key, tmp_path, capsys):
    state = made_up_state()
    expected, out = state[key].shape, tmp_path / "net.weights.h5"
    state[key] = np.concatenate([state[key], state[key][:1]])
    assert run_tool(write(tmp_path / "net.pth", state), out) == 2
    error = capsys.readouterr().err
    assert f"net.pth: {key} has shape {state[key].shape}, expected {expected}" in error
    del state[key]
    assert run_tool(write(tmp_path / "net.pth", state), out) == 2
    error = capsys.readouterr().err
    assert f"net.pth: has no tensor {key}, expected RetinaFace" in error and error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("key", ["body.fc.weight", "fpn.merge3.1.num_batches_tracked"])
def test_a_tensor_too_many_is_named(key, tmp_path):
    source = write(tmp_path / "net.pth", {**made_up_state(), key: np.ones(3, "<f4")})
    with pytest.raises(InputError, match=rf"net\.pth: has a tensor {key} \(of 1\) that RetinaFace .* does not have$"):
        retinaface.import_retinaface(source)


def test_the_counters_of_training_steps_may_be_missing(tmp_path):
    state = {key: value for key, value in made_up_state().items() if not key.endswith("num_batches_tracked")}
    retinaface.import_retinaface(write(tmp_path / "net.pth", state))


def test_a_net_that_differs_is_not_written(made_up, tmp_path, capsys):
    _, source, reference = made_up
    with np.load(reference) as arrays:
        changed = dict(arrays)
    out = tmp_path / "net.weights.h5"
    np.savez(reference, **{**changed, "boxes": changed["boxes"] + np.float32(2e-4)})
    assert run_tool(source, out, "--reference", reference) == 2
    assert "net.pth: boxes differs from" in capsys.readouterr().err and not out.exists()
    for name, shape in (("image_rgb", (64, 90, 3)), ("landmarks", (7, 10))):
        np.savez(reference, **{**changed, name: np.zeros(shape, np.float32)})
        assert run_tool(source, out, "--reference", reference) == 2
        assert f"reference.npz: {name} has shape {shape}, expected" in capsys.readouterr().err
    np.savez(reference, boxes=changed["boxes"])
    assert run_tool(source, out, "--reference", reference) == 2
    assert "reference.npz: cannot be read" in capsys.readouterr().err
    assert run_tool(source, tmp_path / "net.npz") == 2
    assert "net.npz: expected a name that ends in .weights.h5" in capsys.readouterr().err


def test_an_export_computes_the_same(made_up):
    onnxruntime = pytest.importorskip("onnxruntime")
    model, _ = retinaface.import_retinaface(made_up[1])
    session = onnxruntime.InferenceSession(to_onnx(model).SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(3).integers(0, 256, (1, 70, 101, 3), np.uint8)
    expected = {name: np.asarray(value) for name, value in model(image.astype(np.float32), training=False).items()}
    for name, values in zip(expected, session.run(list(expected), {"images": image}), strict=True):
        np.testing.assert_allclose(values, expected[name], atol=1e-4, err_msg=name)


@pytest.mark.slow
def test_a_training_starts_from_the_weights(made_up, toy, tmp_path):
    out = tmp_path / "net.weights.h5"
    assert run_tool(made_up[1], out) == 0
    save_roidb(READERS["retinaface"](toy["retinaface"], toy["images"]), tmp_path / "data" / "pickles" / "toy.pkl")
    cfg = load_config(CFG, ["DATA_DIR", str(tmp_path / "data"), "OUTPUT_DIR", str(tmp_path / "output"),
                            "TRAIN.INIT", str(out), "TRAIN.DATASETS", "toy", "TRAIN.SELECT", "", "TRAIN.STEPS", 3,
                            "TRAIN.BATCH", 2, "AUGMENT.SIZE", 160, "LOADER.CACHE_MB", 0])
    trainer = Trainer(cfg)
    source, _ = retinaface.import_retinaface(made_up[1])
    for own, other in zip(trainer.model.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(own, other)
    trainer.run()
    assert all(np.isfinite(weight).all() for weight in trainer.model.get_weights())
    assert any((own != other).any() for own, other in zip(trainer.model.get_weights(), source.get_weights(),
                                                          strict=True))


# ------------------------------------------------------------ the public file


def test_the_public_weights_give_the_outputs_of_their_source(real):
    model, _ = retinaface.import_retinaface(SOURCE / "mobilenet0.25_Final.pth")
    model.set_weights([np.zeros(weight.shape, np.float32) for weight in model.get_weights()])
    load_weights(model, real, load_config(CFG))
    rows = retinaface.compare_with_reference(model, SOURCE / "reference.npz")
    assert max(difference for _, difference in rows) < 1e-4


@pytest.mark.slow
def test_the_public_weights_find_faces_and_their_export_too(real, tmp_path):
    """Both portraits hold one face; the eyes, the nose and the corners of the mouth are in their order."""
    detector = Detector.load(CFG, weights=real)
    facts = export(detector.cfg, real, tmp_path / "retinaface.onnx", threads=1)
    assert all(check["recall"] == 1 and check["faces"] > 0 for check in facts["checks"].values())
    exported = Detector.load(tmp_path / "retinaface.onnx", threads=1)
    for portrait in portraits():
        faces, others = (each.detect(portrait.image).above(0.9) for each in (detector, exported))
        assert len(faces) == len(others) == 1
        np.testing.assert_allclose(others.boxes, faces.boxes, atol=0.05)
        side = np.ptp(faces.boxes[0][[1, 3]])
        np.testing.assert_allclose(faces.landmarks[0], portrait.landmarks, atol=0.1 * side)
