"""MTCNN's cascade as files: three nets and one sidecar, loaded and run without Keras, with the errors of each part."""

import json
import subprocess
import sys

import numpy as np
import pytest

from manyfaces.boxes import overlaps
from manyfaces.config import load_config
from manyfaces.errors import InputError
from manyfaces.export.export import export
from manyfaces.inference.demo.journal import detector_mark
from manyfaces.inference.detector import Detector
from manyfaces.inference.models import load_cascade, load_detector, settings_of
from manyfaces.nets.mtcnn import STAGES, stage_config
from manyfaces.runtimes.cascade import read_cascade
from manyfaces.runtimes.files import WEIGHTS, CascadeFiles, has_any_cascade_weights, has_cascade_weights
from manyfaces.weights.files import save_weights

pytestmark = pytest.mark.slow

BASE = ("FAMILY", "mtcnn", "NAME", "mtcnn", "NET.LANDMARKS", "true", "TEST.NMS", "0.7")
# Random nets say 0.5 to everything: with these about half of the windows pass each.
WORDS = (*BASE, "CASCADE.THRESHOLDS", "[0.5, 0.5, 0.5]", "CASCADE.MIN_FACE", "40")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The folder of a cascade of three random nets."""
    import keras

    path, cfg = tmp_path_factory.mktemp("weights"), load_config(None, WORDS)
    keras.utils.set_random_seed(1)
    for stage, net in STAGES.items():
        own = stage_config(cfg, stage)
        save_weights(net(own).build(), CascadeFiles.named(path, WEIGHTS)[stage], own)
    return path


@pytest.fixture(scope="module")
def exported(weights, tmp_path_factory):
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    pictures = tmp_path_factory.mktemp("pictures")
    import cv2

    cv2.imwrite(str(pictures / "a.png"), picture())
    path = tmp_path_factory.mktemp("exported") / "mtcnn"
    facts = export(load_config(None, WORDS), weights, path, images=pictures, licence="made up")
    return path, facts


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (90, 120, 3), dtype=np.uint8)


def test_names_of_the_three(tmp_path):
    assert CascadeFiles.named("a/b", WEIGHTS)["rnet"].as_posix() == "a/b/rnet.weights.h5"
    assert not has_cascade_weights(tmp_path / "none") and not has_cascade_weights(tmp_path)
    (tmp_path / "part").mkdir()
    assert not has_any_cascade_weights(tmp_path / "part")
    (tmp_path / "part" / "pnet.weights.h5").touch()
    assert has_any_cascade_weights(tmp_path / "part") and not has_cascade_weights(tmp_path / "part")
    assert CascadeFiles.exported(tmp_path / "none") is None and CascadeFiles.exported(tmp_path) is None
    for stage in STAGES:
        (tmp_path / f"mtcnn_{stage}").mkdir()
        (tmp_path / f"mtcnn_{stage}" / "best.weights.h5").touch()
    assert CascadeFiles.weights(tmp_path)["onet"] == tmp_path / "mtcnn_onet" / "best.weights.h5"  # trainings
    for stage in STAGES:
        (tmp_path / f"{stage}.weights.h5").touch()
    assert CascadeFiles.weights(tmp_path)["onet"] == tmp_path / "onet.weights.h5"
    assert str(CascadeFiles.weights(tmp_path)) == str(tmp_path) and CascadeFiles.weights(tmp_path).ending == ".h5"


def test_weights_load_by_one_name(weights, tmp_path):
    cfg = load_config(None, WORDS)
    first = load_detector(cfg, weights)
    found = first.detect(picture(), threshold=0)
    for stage in STAGES:
        (tmp_path / f"mtcnn_{stage}").mkdir()
        (tmp_path / f"mtcnn_{stage}" / "best.weights.h5").write_bytes((weights / f"{stage}.weights.h5").read_bytes())
    second = load_detector(cfg, tmp_path).detect(picture(), threshold=0)
    np.testing.assert_array_equal(found.boxes, second.boxes)
    settings = settings_of(cfg, weights)
    assert settings["sha256"] == settings_of(cfg, tmp_path)["sha256"] and settings["cascade_min_face"] == 40
    (weights / "pnet.weights.h5").replace(weights / "hidden")
    with pytest.raises(InputError, match=r"pnet\.weights\.h5: no such weights file; expected a folder that holds pnet"):
        load_detector(cfg, weights)
    (weights / "hidden").replace(weights / "pnet.weights.h5")


def test_nets_of_one_config_are_not_those_of_another(weights):
    with pytest.raises(InputError, match="MTCNN.FC"):
        load_cascade(load_config(None, (*WORDS, "MTCNN.FC", "relu")), weights)


def test_three_files_and_one_sidecar(exported, weights):
    path, facts = exported
    assert sorted(file.name for file in path.iterdir()) == ["cascade.json", "onet.onnx", "pnet.onnx", "rnet.onnx"]
    assert list(path.parent.iterdir()) == [path]
    assert all(found["error"] < 1e-4 and found["recall"] > 0.99 for found in facts["checks"].values())
    sidecar = read_cascade(path)
    assert sidecar["licence"] == "made up" and sidecar["stages"]["rnet"]["input"]["height"] == 24
    low = ["CASCADE.THRESHOLDS", "[0.3, 0.3, 0.3]"]  # of which the weights here leave some faces
    keras = load_detector(load_config(None, [*WORDS, *low]), weights)
    for runtime in facts["checks"]:
        detector = Detector.load(path, runtime=runtime, overrides=low)
        for seed in range(2):
            first, second = keras.detect(picture(seed), threshold=0), detector.detect(picture(seed), threshold=0)
            assert abs(len(first) - len(second)) <= 1 + len(first) // 20 and len(first) > 0
            pairs = overlaps(first.boxes, second.boxes)
            assert (pairs.max(axis=1) > 0.95).mean() > 0.9
            near = pairs.max(axis=1) > 0.95
            np.testing.assert_allclose(first.scores[near], second.scores[pairs.argmax(axis=1)[near]], atol=1e-3)
    assert detector_mark(detector).startswith("mtcnn ")
    assert len(Detector.load(path, overrides=["CASCADE.MIN_FACE", "1000"]).detect(picture(), threshold=0)) == 0
    with pytest.raises(InputError, match="NET.LANDMARKS"):
        Detector.load(path, overrides=["NET.LANDMARKS", "false"])


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_threads_are_lanes_and_change_nothing(exported, runtime):
    pytest.importorskip(runtime, reason=f"{runtime} is not installed")
    found = {}
    for threads in (1, 3):
        detector = Detector.load(exported[0], runtime=runtime, threads=threads,
                                 overrides=["CASCADE.THRESHOLDS", "[0.3, 0.3, 0.3]"])
        assert {net.lanes for net in detector.run.values()} == {threads}
        seeds = (0, 1, 2, 0)  # often enough for a size of its own
        found[threads] = [detector.detect(picture(seed), threshold=0) for seed in seeds]
    for one, other in zip(*found.values(), strict=True):
        assert len(one) == len(other) > 0
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
    np.testing.assert_array_equal(found[1][0].boxes, found[1][3].boxes)


def test_runs_without_keras(exported, tmp_path):
    path, _ = exported
    code = (f"import sys, numpy as np; from manyfaces import Detector; d = Detector.load({str(path)!r}); "
            "d.detect(np.full((90, 120, 3), 99, np.uint8)); assert not {'keras', 'tensorflow'} & set(sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_wrong_is_named(exported, tmp_path):
    path, _ = exported
    for file in path.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    copy = tmp_path
    with open(tmp_path / "rnet.onnx", "ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match=r"rnet.onnx: is not the file .*stages.rnet.sha256"):
        read_cascade(copy)
    facts = json.loads((tmp_path / "cascade.json").read_text())
    assert facts.pop("checksum")  # earlier versions wrote none
    for change, words in (({"stages": {}}, "stages.pnet"), ({"format": 99}, "no sidecar of a cascade"),
                          ({"config": 3}, "config is 3")):
        (tmp_path / "cascade.json").write_text(json.dumps(facts | change))
        with pytest.raises(InputError, match=words):
            read_cascade(copy)
    (tmp_path / "cascade.json").unlink()
    with pytest.raises(InputError, match="no such file"):
        read_cascade(copy)


def test_options_that_a_cascade_has_not(weights, tmp_path):
    with pytest.raises(InputError, match=r"m\.onnx: a cascade goes to a folder, expected .* such as .*/m; --format"):
        export(load_config(None, WORDS), weights, tmp_path / "m.onnx")
    for options in ({"nms": True}, {"format": "litert"}):
        path = tmp_path / "m"
        with pytest.raises(InputError, match="a cascade is exported as|needs the package"):
            export(load_config(None, WORDS), weights, path, **options)


def test_one_folder_holds_nets_of_one_format(exported, weights, tmp_path):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    path, _ = exported
    with pytest.raises(InputError, match=r"cascade\.json: describes pnet\.onnx and so on; choose another folder"):
        export(load_config(None, WORDS), weights, path, format="openvino")
