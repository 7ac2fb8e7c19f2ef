"""What ships: four files of a training that load by their name, whole or not at all, in half precision or not."""

import copy

import h5py
import numpy as np
import onnx
import pytest
from engine.tiny_training import three_convolutions
from exported import small
from onnx import TensorProto, helper, numpy_helper

from manyfaces.config import load_config, override, save_config
from manyfaces.detector import Detector
from manyfaces.engine import ship as shipping
from manyfaces.engine.checkpoint import load_weights, save_weights
from manyfaces.engine.half import halve_graph, halve_weights
from manyfaces.errors import InputError
from manyfaces.nets.backbones import BACKBONES


@pytest.fixture(scope="module", autouse=True)
def backbone():
    """The backbone of three convolutions, for nets that are built from a config; other tests take it away again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "three", three_convolutions())
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a training: a small grid, with paths of the machine it ran on."""
    folder = tmp_path_factory.mktemp("small_grid")
    cfg, (_, model, _) = small("grid")
    cfg = copy.deepcopy(cfg)
    override(cfg, ["OUTPUT_DIR", str(folder.parent), "TRAIN.INIT", "elsewhere.weights.h5"])
    save_config(cfg, folder / "config.yml")
    save_weights(model, folder / "last.weights.h5", cfg)
    return folder


def test_what_ships_loads_by_its_file_and_finds_what_the_training_finds(run, tmp_path):
    sizes, facts = shipping.ship(run, tmp_path, name="mine", overrides=["TEST.NMS", 0.25], licence="my own")
    assert set(sizes) == {"mine.weights.h5", "mine.yml", "mine.onnx", "mine.json"}
    assert all((tmp_path / name).stat().st_size == size for name, size in sizes.items())
    cfg = load_config(tmp_path / "mine.yml")
    assert (cfg.NAME, cfg.TEST.NMS, cfg.TRAIN.INIT) == ("mine", 0.25, "")
    assert cfg.OUTPUT_DIR == load_config().OUTPUT_DIR
    assert facts["licence"] == "my own" and str(run) not in (tmp_path / "mine.json").read_text()
    image = np.random.default_rng(0).integers(0, 256, (120, 90, 3), np.uint8)
    there = Detector.load(run / "config.yml", run / "last.weights.h5", overrides=["TEST.NMS", 0.25]).detect(image)
    here = Detector.load(tmp_path / "mine.onnx").detect(image)
    assert len(here) == len(there) > 0
    np.testing.assert_allclose(here.boxes, there.boxes, atol=0.01)


def test_half_weights_are_the_float32_ones_rounded_to_float16(run, tmp_path):
    cfg, (_, model, _) = small("grid")
    whole = [v.numpy() for v in model.variables]
    half = tmp_path / "half.weights.h5"
    half.write_bytes(halve_weights(run / "last.weights.h5"))
    other = type(model).from_config(model.get_config())
    load_weights(other, half, cfg)
    for ours, theirs in zip(whole, other.variables, strict=True):
        np.testing.assert_array_equal(ours.astype(np.float16).astype(ours.dtype), theirs.numpy())
    with h5py.File(half) as file:
        assert file.attrs["manyfaces"]  # what the config says of the net is still compared


def test_half_ships_within_a_hundredth_and_its_onnx_holds_no_large_float32(run, tmp_path):
    sizes, facts = shipping.ship(run, tmp_path, name="half", half=True)
    whole, _ = shipping.ship(run, tmp_path, name="whole")
    assert sizes["half.onnx"] < whole["whole.onnx"]
    assert facts["checks"]["onnxruntime"]["error"] < 1e-2
    large = [t.name for t in onnx.load(tmp_path / "half.onnx").graph.initializer
             if t.data_type == TensorProto.FLOAT and np.prod(t.dims) >= 64]
    assert large == []


def test_halved_graph_computes_with_rounded_weights():
    weights = np.random.default_rng(1).normal(size=(8, 8)).astype(np.float32)
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"], name="y")], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
                              [numpy_helper.from_array(weights, "w")])
    model = halve_graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    onnx.checker.check_model(model)
    import onnxruntime

    x = np.ones((1, 8), np.float32)
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    np.testing.assert_allclose(found, x @ weights.astype(np.float16).astype(np.float32), rtol=1e-6)
    assert not np.allclose(found, x @ weights, rtol=1e-6)


def test_a_weight_beyond_float16_is_refused(tmp_path):
    path = tmp_path / "large.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers/a/vars/0"] = np.float32([1e5])
    with pytest.raises(InputError, match=r"large.weights.h5: layers/a/vars/0 holds 1e\+05, float16 ends at 65504"):
        halve_weights(path)


def test_too_large_a_file_leaves_nothing(run, tmp_path, monkeypatch):
    monkeypatch.setattr(shipping, "LIMIT", 3000)
    with pytest.raises(InputError, match="at most 3,000 ship; store the weights as float16: --half"):
        shipping.ship(run, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_training_is_refused(tmp_path):
    with pytest.raises(InputError, match="config.yml: no such file; --run takes the folder of a training"):
        shipping.ship(tmp_path)
