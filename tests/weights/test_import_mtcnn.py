"""MTCNN weights of other projects: imported from made-up files of both kinds, the net computes what its source does."""

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.mtcnn_peers import facenet_folder
from manyfaces.config import load_config
from manyfaces.errors import InputError
from manyfaces.inference.models import load_cascade
from manyfaces.weights import mtcnn as import_mtcnn

TF1 = Path(__file__).resolve().parents[2] / ".." / "shared" / "weights" / "mtcnn_tf1"
SIDES = {"pnet": 12, "rnet": 24, "onet": 48}
WIDTHS = {"pnet": (10, 16, 32), "rnet": (28, 48, 64), "onet": (32, 64, 64, 128)}
KERNELS = {"pnet": (3, 3, 3), "rnet": (3, 3, 2), "onet": (3, 3, 3, 2)}
FLAT = {"rnet": (576, 128), "onet": (1152, 256)}


def torch_state(stage, rng):
    """A state dict with the names and shapes of facenet-pytorch's."""
    state, before = {}, 3
    for n, (width, size) in enumerate(zip(WIDTHS[stage], KERNELS[stage], strict=True), start=1):
        state[f"conv{n}.weight"] = rng.normal(size=(width, before, size, size)) / (size * before**0.5)
        state[f"conv{n}.bias"], state[f"prelu{n}.weight"] = rng.normal(size=width), rng.random(width)
        before = width
    heads = {"pnet": ("conv4_1", "conv4_2"), "rnet": ("dense5_1", "dense5_2"),
             "onet": ("dense6_1", "dense6_2", "dense6_3")}[stage]
    if stage != "pnet":
        n, (flat, before) = len(WIDTHS[stage]) + 1, FLAT[stage]
        state[f"dense{n}.weight"] = rng.normal(size=(before, flat)) / 24
        state[f"dense{n}.bias"], state[f"prelu{n}.weight"] = rng.normal(size=before), rng.random(before)
    for head, count in zip(heads, (2, 4, 10), strict=False):
        shape = (count, before, 1, 1) if stage == "pnet" else (count, before)
        state[f"{head}.weight"], state[f"{head}.bias"] = rng.normal(size=shape) / before**0.5, rng.normal(size=count)
    return {name: value.astype(np.float32) for name, value in state.items()}


def pool(x, size, ceil):
    """(C, H, W), maximum with stride 2; ceil: windows that begin inside count, as in Caffe."""
    rows, columns = (-(-(side - size) // 2) + 1 if ceil else (side - size) // 2 + 1 for side in x.shape[1:])
    return np.stack([[x[:, 2 * i : 2 * i + size, 2 * j : 2 * j + size].max(axis=(1, 2)) for j in range(columns)]
                     for i in range(rows)]).transpose(2, 0, 1)


def prelu(x, slope):
    return np.where(x > 0, x, x * slope.reshape(-1, *(1,) * (x.ndim - 1)))


def torch_forward(state, stage, image):
    """facenet-pytorch's net as plain loops: scores and boxes (and landmarks) of an image (side, side, 3)."""
    x = (image.astype(np.float64).transpose(2, 0, 1) - 127.5) / 128
    pools = {"pnet": (2,), "rnet": (3, 3), "onet": (3, 3, 2)}[stage]
    for n, size in enumerate(KERNELS[stage], start=1):
        patches = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
        x = np.einsum("chwij,ocij->ohw", patches, state[f"conv{n}.weight"]) + state[f"conv{n}.bias"][:, None, None]
        x = prelu(x, state[f"prelu{n}.weight"])
        if n <= len(pools):
            x = pool(x, pools[n - 1], True)
    if stage != "pnet":
        n = len(WIDTHS[stage]) + 1
        x = prelu(state[f"dense{n}.weight"] @ x.transpose(2, 1, 0).ravel() + state[f"dense{n}.bias"],
                  state[f"prelu{n}.weight"])
    heads = sorted(name[:-7] for name in state if "_" in name and name.endswith(".weight"))
    return [state[f"{head}.weight"].reshape(len(state[f"{head}.bias"]), -1) @ x.ravel() + state[f"{head}.bias"]
            for head in heads]


@pytest.fixture(scope="module")
def torch_files(tmp_path_factory):
    """(folder that holds pnet.pt ..., dict stage -> state), skips the test if PyTorch is missing."""
    torch = pytest.importorskip("torch", reason="PyTorch, which writes .pt files, is not installed")
    folder, rng, states = tmp_path_factory.mktemp("torch"), np.random.default_rng(0), {}
    for stage in SIDES:
        states[stage] = torch_state(stage, rng)
        torch.save({name: torch.from_numpy(value) for name, value in states[stage].items()}, folder / f"{stage}.pt")
    return folder, states


def test_facenet_pytorch_beside_plain_loops(torch_files, tmp_path):
    folder, states = torch_files
    cfg, weights = import_mtcnn.import_mtcnn(folder, tmp_path)
    assert (cfg.NET.LANDMARKS, cfg.MTCNN.FC) == (False, "prelu")
    assert (cfg.CASCADE.BOXES, cfg.CASCADE.RESAMPLE, cfg.CASCADE.ROUND) == ("inclusive", "mean", False)
    assert load_config(tmp_path / "mtcnn.yml") == cfg
    models, nets = load_cascade(cfg, weights)
    for stage, side in SIDES.items():
        image = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
        found = {name: values.ravel() for name, values in nets[stage](image[None]).items()}
        expected = torch_forward(states[stage], stage, image)
        np.testing.assert_allclose(found["scores"], expected[0], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found["boxes"], expected[1], rtol=1e-4, atol=1e-4)
        if stage == "onet":
            np.testing.assert_allclose(found["landmarks"].reshape(5, 2), expected[2].reshape(2, 5).T, 1e-4, 1e-4)


def test_a_file_of_another_net(torch_files, tmp_path):
    folder, _ = torch_files
    for stage, other in (("pnet", "rnet"), ("rnet", "onet"), ("onet", "pnet")):
        (tmp_path / f"{stage}.pt").write_bytes((folder / f"{other}.pt").read_bytes())
    with pytest.raises(InputError, match="found shapes|has no tensor"):
        import_mtcnn.import_mtcnn(tmp_path, tmp_path / "out")


def test_a_folder_of_neither_kind(tmp_path):
    with pytest.raises(InputError, match="expected pnet.pt"):
        import_mtcnn.read_source(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        import_mtcnn.read_source(tmp_path / "nowhere")


def test_checkpoint_turns_the_colours_round(tmp_path):
    """A checkpoint as slim writes it, with random values: kernels stay as they are, but the first one is BGR."""
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    rng, stored = np.random.default_rng(0), {}
    for stage in SIDES:
        values, before = {}, 3
        for n, (width, size) in enumerate(zip(WIDTHS[stage], KERNELS[stage], strict=True), start=1):
            values |= {f"conv{n}/weights": (size, size, before, width), f"conv{n}/biases": (width,),
                       f"conv{n}/alphas": (width,)}
            before = width
        if stage == "pnet":
            values |= {f"conv4_{k}/weights": (1, 1, 32, count) for k, count in ((1, 2), (2, 4), (3, 10))}
            values |= {f"conv4_{k}/biases": (count,) for k, count in ((1, 2), (2, 4), (3, 10))}
        else:
            values |= {"fc1/weights": FLAT[stage], "fc1/biases": FLAT[stage][1:]}
            for head, count in (("cls_fc", 2), ("bbox_fc", 4), ("landmark_fc", 10)):
                values |= {f"{head}/weights": (FLAT[stage][1], count), f"{head}/biases": (count,)}
        stored[stage] = {name: rng.normal(size=shape).astype(np.float32) for name, shape in values.items()}
        tf.raw_ops.SaveV2(prefix=str(tmp_path / f"{stage[0].upper()}Net-7"), tensor_names=list(values),
                          shape_and_slices=[""] * len(values), tensors=list(stored[stage].values()))
    cfg, weights = import_mtcnn.import_mtcnn(tmp_path, tmp_path / "out")
    assert cfg.MTCNN.FC == "relu" and cfg.NET.LANDMARKS
    models, _ = load_cascade(cfg, weights)
    for stage, model in models.items():
        first = model.get_layer("conv1").get_weights()[0]
        np.testing.assert_array_equal(first, stored[stage]["conv1/weights"][:, :, ::-1])
        slopes = model.get_layer("conv2_prelu").get_weights()[0].ravel()
        np.testing.assert_array_equal(slopes, stored[stage]["conv2/alphas"])
        head = "conv4_3" if stage == "pnet" else "landmark_fc"
        np.testing.assert_array_equal(model.get_layer("landmarks").get_weights()[0], stored[stage][f"{head}/weights"])
        assert (stage != "pnet") == any(layer.name == "fc1_relu" for layer in model.layers)


@pytest.mark.skipif(not TF1.is_dir(), reason="no ../shared here")
def test_the_real_checkpoints():
    source = import_mtcnn.read_source(TF1)
    shapes = {stage: {name: values[0].shape for name, values in source.layers(stage).items()} for stage in SIDES}
    assert shapes["pnet"]["landmarks"] == (1, 1, 32, 10)
    assert {stage: shapes[stage]["fc1"] for stage in FLAT} == FLAT


@pytest.mark.skipif(facenet_folder() is None, reason="facenet-pytorch is not installed")
def test_published_weights_are_read_without_pytorch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    source = import_mtcnn.read_source(facenet_folder())
    assert {name: layer[0].shape for name, layer in source.layers("onet").items()}["landmarks"] == (256, 10)
