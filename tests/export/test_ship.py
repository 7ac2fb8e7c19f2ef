"""What ships: four files of a training (of MTCNN eight of three) that load by their name; all files or none."""

import copy
import shutil
import subprocess
import sys

import h5py
import numpy as np
import onnx
import pytest
from conftest import ROOT
from exported import small
from onnx import TensorProto, helper, numpy_helper
from tiny_training import three_convolutions

from manyfaces import pretrained
from manyfaces.config import load_config, override, save_config
from manyfaces.engine.mining import miner
from manyfaces.errors import InputError
from manyfaces.export import export as exporting
from manyfaces.export import ship as shipping
from manyfaces.export.half import halve_graph, halve_weights
from manyfaces.inference.detector import Detector
from manyfaces.inference.models import load_detector
from manyfaces.nets.backbones import BACKBONES
from manyfaces.nets.mtcnn import STAGES
from manyfaces.weights.files import load_weights, save_weights
from manyfaces.weights.matching import load_matching_weights


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
    there = Detector.load(run / "config.yml", run / "last.weights.h5", overrides=["TEST.NMS", 0.25])
    there = there.detect(image, threshold=0)
    here = Detector.load(tmp_path / "mine.onnx").detect(image, threshold=0)
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


# ------------------------------------------------------------------- MTCNN


# Exports are compared on this alone: random nets see a face in nearly every window of an image.
NOISE = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)


@pytest.fixture(scope="module")
def trainings(tmp_path_factory):
    """A folder with trainings of MTCNN's three stages; R-Net's had no selection, so it has no best weights."""
    import keras

    folder = tmp_path_factory.mktemp("trainings")
    keras.utils.set_random_seed(2)
    for stage, net in STAGES.items():
        words = ["MTCNN.PNET", "/home/me/pnet.weights.h5", "OUTPUT_DIR", str(folder), "TRAIN.DATASETS",
                 f"wider_{stage}", "MTCNN.LANDMARKS", "landmarks_train+mine" if stage == "onet" else ""]
        cfg = load_config(ROOT / f"cfgs/mtcnn_{stage}.yml", words)
        model, run = net(cfg).build(), folder / f"mtcnn_{stage}"
        model.get_layer("scores").bias.assign([-1.0, 1.0])  # a face nearly everywhere: 2 of log odds
        save_config(cfg, run / "config.yml")
        save_weights(model, run / f"{'last' if stage == 'rnet' else 'best'}.weights.h5", cfg)
    return folder


@pytest.fixture(scope="module")
def cascade(trainings, tmp_path_factory):
    """(the folder of what ships, sizes, facts)."""
    folder = tmp_path_factory.mktemp("shipped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "check_images", lambda _: [NOISE])
        return folder, *shipping.ship(trainings, folder, overrides=["CASCADE.THRESHOLDS", [0.5, 0.6, 0.6]])


@pytest.mark.slow
def test_three_trainings_ship_as_one_detector(cascade, trainings, monkeypatch):
    folder, sizes, facts = cascade
    assert set(sizes) == {"mtcnn.yml", "mtcnn/cascade.json", *(f"mtcnn/{stage}{ending}" for stage in STAGES
                                                               for ending in (".weights.h5", ".onnx"))}
    assert {path.relative_to(folder).as_posix(): path.stat().st_size
            for path in folder.rglob("*") if path.is_file()} == sizes
    assert facts["licence"].startswith("WIDER FACE: ") and facts["licence"].count("WIDER FACE") == 1
    assert "HELEN and AFW: images for research" in facts["licence"] and "mine: not known" in facts["licence"]
    for name in ("mtcnn.yml", "mtcnn/cascade.json"):
        text = (folder / name).read_text()
        assert str(trainings) not in text and "/home/me" not in text
    cfg = load_config(folder / "mtcnn.yml")
    assert (cfg.NAME, cfg.MTCNN.STAGE, cfg.CASCADE.THRESHOLDS) == ("mtcnn", "cascade", [0.5, 0.6, 0.6])

    monkeypatch.setattr(pretrained, "FOLDER", folder)
    assert pretrained.names() == ["mtcnn"] and pretrained.has_weights("mtcnn")
    words = ["CASCADE.THRESHOLDS", "[0.5, 0.6, 0.6]"]
    found = Detector.load("mtcnn").detect(NOISE, threshold=0)
    by_config = Detector.load(ROOT / "cfgs/mtcnn.yml", overrides=words).detect(NOISE, threshold=0)
    trained = load_detector(load_config(ROOT / "cfgs/mtcnn.yml", words), trainings).detect(NOISE, threshold=0)
    assert len(found) > 0 and found.landmarks.shape == (len(found), 5, 2)
    np.testing.assert_array_equal(by_config.boxes, trained.boxes)
    np.testing.assert_allclose(found.boxes, trained.boxes, atol=0.01)


@pytest.mark.slow
def test_detector_load_of_the_three_needs_no_keras(cascade):
    folder, _, _ = cascade
    code = (f"import sys, numpy as np; from pathlib import Path; from manyfaces import Detector, pretrained; "
            f"pretrained.FOLDER = Path({str(folder)!r}); d = Detector.load('mtcnn'); "
            f"d.detect(np.full((90, 120, 3), 99, np.uint8)); assert not {{'keras', 'tensorflow'}} & set(sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_shipped_weights_begin_a_training_and_mine_for_the_next(cascade, trainings):
    folder, _, _ = cascade
    for stage, net in STAGES.items():
        cfg = load_config(ROOT / f"cfgs/mtcnn_{stage}.yml")
        model = net(cfg).build()
        report = load_matching_weights(model, folder / "mtcnn", cfg)
        assert report.source.endswith(f"mtcnn/{stage}.weights.h5") and not report.left and not report.differ
        assert model.get_layer("scores").bias.numpy().tolist() == [-1.0, 1.0]
    mine = load_config(ROOT / "cfgs/mtcnn_onet.yml", ["MTCNN.PNET", str(folder / "mtcnn/pnet.weights.h5"),
                                                      "OUTPUT_DIR", str(trainings)])
    propose, marks = miner(mine)  # R-Net's from its training, the last ones
    assert len(propose([np.full((80, 90, 3), 99, np.uint8)])[0]) > 0
    assert [part.split()[0] for part in marks.split(", ")] == ["pnet", "rnet"]


def test_what_is_missing_of_the_three_is_named(trainings, cascade, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"mtcnn_pnet: holds one of MTCNN's nets; --run takes the folder that holds"):
        shipping.ship(trainings / "mtcnn_pnet", tmp_path / "out")
    with pytest.raises(InputError, match="best.weights.h5: is a file; the weights of a cascade are a folder"):
        shipping.ship(trainings, tmp_path / "out", weights=trainings / "mtcnn_pnet/best.weights.h5")
    with pytest.raises(InputError, match="a cascade is exported as float32 .* and --half"):
        shipping.ship(trainings, tmp_path / "out", half=True)
    for stage in ("pnet", "rnet"):
        shutil.copytree(trainings / f"mtcnn_{stage}", tmp_path / f"mtcnn_{stage}")
    with pytest.raises(InputError, match=r"mtcnn_onet/config.yml: no such file; MTCNN ships when all three"):
        shipping.ship(tmp_path, tmp_path / "out")
    shutil.copytree(trainings / "mtcnn_onet", tmp_path / "mtcnn_onet")
    (tmp_path / "mtcnn_rnet/last.weights.h5").unlink()
    with pytest.raises(InputError, match=r"mtcnn_rnet/best.weights.h5: no such weights file"):
        shipping.ship(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    for stage in STAGES:  # weights of elsewhere, under another name
        shutil.copy(cascade[0] / f"mtcnn/{stage}.weights.h5", tmp_path / f"{stage}.weights.h5")
    monkeypatch.setattr(exporting, "export", lambda *_, **__: {})
    sizes, _ = shipping.ship(tmp_path, tmp_path / "out", name="own", weights=tmp_path)
    assert set(sizes) == {"own.yml", "own/pnet.weights.h5", "own/rnet.weights.h5", "own/onet.weights.h5"}
