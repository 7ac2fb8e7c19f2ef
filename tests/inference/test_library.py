"""The package as a library: what an import costs, Detector.load by name, file and config, its errors, its examples."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from conftest import ROOT
from stand_in import picture, save, square_detector

import manyfaces
from manyfaces import pretrained
from manyfaces.config import load_config
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.detections import Detections
from manyfaces.errors import InputError
from manyfaces.inference import loading
from manyfaces.inference.models import weights_of

CFG = str(ROOT / "cfgs" / "ssh_mobilenet_v1_025.yml")


def python(code, *arguments, **options):
    """Standard output of a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


# ------------------------------------------------------------------------ import


def test_import_takes_no_array_library_and_little_time():
    code = ("import sys, time\nbegan = time.process_time()\nimport manyfaces\ntook = time.process_time() - began\n"
            "print(took, *sorted({'numpy', 'cv2', 'keras', 'tensorflow', 'onnxruntime'} & set(sys.modules)))")
    took, *loaded = python(code).split()
    assert loaded == [] and float(took) < 0.3


def test_the_names_of_the_package_come_when_they_are_asked_for():
    code = ("import sys, manyfaces\nfrom manyfaces import Detector, Detections, Face\n"
            "assert {'Detector', 'Detections', 'Face', '__version__'} <= set(dir(manyfaces))\n"
            "print(Detector.__module__, Detections.__module__, 'keras' in sys.modules, 'tensorflow' in sys.modules)")
    assert python(code) == "manyfaces.inference.detector manyfaces.detections False False\n"
    with pytest.raises(AttributeError, match="module 'manyfaces' has no attribute 'Detecter'"):
        manyfaces.Detecter  # noqa: B018


def blocks(language):
    """The code blocks of docs/library.md in a language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / "library.md").read_text(), re.DOTALL)


def test_the_guide_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    save(tmp_path / "photo.jpg", portraits()[0].image)
    monkeypatch.chdir(tmp_path)
    (code, _), found = blocks("python"), {}
    exec(code, found)
    assert found["picture"].shape == (600, 512, 3) and found["upright"].shape == (1, 112, 112, 3)
    assert len(found["cut_out"]) == 1 and len(Detections.from_json(found["text"])) == 1
    assert len(re.findall(r"\d+\.\d+", capsys.readouterr().out)) == 4 + 1 + 10
    (example,) = blocks("json")
    faces = Detections.from_json(example)
    assert (len(faces), faces.threshold) == (1, 0.7) and np.isnan(faces.landmarks[0, 2]).all()


@pytest.mark.slow
def test_the_guide_to_several_processes_runs_as_it_stands(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        save(tmp_path / "photos" / name, portraits()[0].image)
    (tmp_path / "guide.py").write_text(blocks("python")[1])
    done = subprocess.run([sys.executable, "guide.py"], cwd=tmp_path, capture_output=True, text=True)
    assert sorted(done.stdout.splitlines()) == ["photos/a.jpg 1", "photos/b.jpg 1"], done.stderr


# -------------------------------------------------------------------------- load


class Recorder:
    """Stands for lib/runtimes and Keras: remembers how a detector was asked for."""

    def __init__(self, monkeypatch, here=("onnxruntime", "keras")):
        from manyfaces.inference import models as testing

        self.calls = []
        monkeypatch.setattr(loading, "installed", lambda: list(here))
        monkeypatch.setattr(loading, "open_model", self.open_model)
        monkeypatch.setattr(testing, "load_detector", self.load_detector)

    def open_model(self, path, runtime=None, threads=None, precision=None):
        self.calls.append(("open_model", str(path), runtime, threads, *filter(None, [precision])))
        detector, cfg = square_detector(), load_config()
        return detector.family, detector.run, cfg

    def load_detector(self, cfg, weights=None):
        self.calls.append(("keras", cfg.NAME, weights))
        return square_detector(weights or pretrained.weights_file(cfg.NAME))


@pytest.fixture
def shipped(monkeypatch, tmp_path):
    """lib/pretrained with x (both kinds), only_keras and only_onnx."""
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    for name in ("x.weights.h5", "x.onnx", "x.json", "only_keras.weights.h5", "only_onnx.onnx", "only_onnx.json"):
        (tmp_path / name).write_bytes(b"")
    for name in ("x", "only_keras"):
        (tmp_path / f"{name}.yml").write_text("FAMILY: ssh\n")
    return tmp_path


def test_a_name_takes_what_ships_and_what_is_installed(shipped, monkeypatch):
    assert pretrained.names() == ["only_keras", "only_onnx", "x"]
    recorder = Recorder(monkeypatch)
    detector = manyfaces.Detector.load("x", threads=2)
    assert detector.source == shipped / "x.onnx" and len(detector.detect(picture(64, 64, (8, 8, 20)), threshold=0)) == 1
    assert manyfaces.Detector.load("only_keras").source == shipped / "only_keras.weights.h5"
    manyfaces.Detector.load("x", runtime="keras")
    manyfaces.Detector.load("x", weights="mine.weights.h5", precision="float32")
    manyfaces.Detector.load("x", overrides=["NET.ALPHA", "0.5"])  # no exported net can do that
    model, keras = ("open_model", str(shipped / "x.onnx")), ("keras", "x")
    assert recorder.calls == [(*model, None, 2), ("keras", "only_keras", None), (*keras, None),
                              (*keras, "mine.weights.h5"), (*keras, None)]
    manyfaces.Detector.load("x", precision="bf16")
    assert recorder.calls[-1] == (*model, None, None, "bf16")
    recorder = Recorder(monkeypatch, here=("litert", "keras"))  # LiteRT reads no ONNX
    manyfaces.Detector.load("x")
    assert recorder.calls == [(*keras, None)]


def test_overrides_reach_the_config_that_the_family_decodes_by(shipped, monkeypatch):
    kept = []
    recorder = Recorder(monkeypatch)
    monkeypatch.setattr(loading, "open_model", lambda *a: kept.append(recorder.open_model(*a)) or kept[-1])
    detector = manyfaces.Detector.load("x", overrides=["TEST.SCORE", "0.25", "TEST.SCALES", "[0.5, 1]"])
    assert kept[0][2] is detector.cfg and (detector.cfg.TEST.SCORE, detector.cfg.TEST.SCALES) == (0.25, [0.5, 1])
    assert repr(detector) == f"Detector(ssh from {shipped / 'x.onnx'})"


@pytest.mark.parametrize("arguments, here, message", [
    (("yolo",), ("keras",), r"^yolo: expected a name \(only_keras, only_onnx, x\), a model \(.onnx, .xml or .tflite"),
    (("only_onx",), ("keras",), r"^only_onx: did you mean only_onnx\? Else expected a name"),
    (("ssh_vgg16",), ("keras",), r"^no weights ship for ssh_vgg16 .*; give weights of your own, such as output/"),
    (("./y",), ("keras",), r"./y: expected a name \(only_keras, only_onnx, x\), a model \(.onnx, .xml or .tflite\) or"),
    (("y.weights.h5",), ("keras",), "weights alone do not say of which net; give its config"),
    (("none.yml",), ("keras",), "none.yml: cannot be read as a config"),
    (("y" * 5000,), (), r"^y{300}.*: File name too long; expected a name \(only_keras, only_onnx, x\), a model"),
    (("y" * 250,), (), "^y{250}: expected a name"),
    ((CFG, "w" * 300), ("keras",), "w{300}.*: File name too long; expected a name"),
    (("x", None, (), "tensorrt"), ("litert",), "'tensorrt', expected one of onnxruntime, openvino, litert, keras; "
                                               "installed are litert"),
    (("x.onnx", "w.weights.h5"), (), "x.onnx: holds its own weights, found w.weights.h5 beside it"),
    ((CFG, "m.onnx"), ("keras",), "m.onnx: an exported model brings its own config; leave .*yml out"),
    ((CFG,), ("onnxruntime",), r"needs Keras and TensorFlow: pip install 'manyfaces\[train\]'; installed are onnxr"),
    ((CFG, None, (), "openvino"), ("keras",), "a config runs through Keras; for openvino export it first"),
    (("x.onnx", None, (), "keras"), ("keras",), "x.onnx: Keras does not read it, expected runtime onnxruntime or open"),
    (("x", None, (), None, None, "f32"), ("keras",), "precision is 'f32', expected one of float32, bf16, int8"),
    (("x", None, (), "keras", None, "bf16"), ("keras",), r"x.yml: precision 'bf16': Keras computes in float32; export"),
    (("x.onnx", None, ("NET.ALPHA", "1")), (), "NET.ALPHA: the net of x.onnx is fixed; .* only keys of TEST"),
    (("only_onnx", None, ("NET.ALPHA", "1")), ("keras",), "NET.ALPHA: the net of .*only_onnx.onnx is fixed"),
    (("only_onnx", None, (), "keras"), ("keras",), "no weights ship for only_onnx"),
    (("only_keras",), (), r"pip install 'manyfaces\[train\]'; installed are none of them"),
    (("x", None, ("TEST.SCOR", "1")), ("onnxruntime",), "unknown key TEST.SCOR; did you mean TEST.SCORE")])
def test_errors_say_what_there_is_and_what_to_do(arguments, here, message, shipped, monkeypatch):
    Recorder(monkeypatch, here)
    with pytest.raises(InputError, match=message):
        manyfaces.Detector.load(*arguments)


@pytest.mark.parametrize("keys, weights, message", [
    (["FAMILY", "shh"], None, "FAMILY: found 'shh', expected one of grid, mtcnn, ssd, ssh, tiny"),
    (["FAMILY", "ssh"], ROOT / "cfgs", "cfgs: is a folder; expected a .weights.h5 of ssh"),
    (["FAMILY", "mtcnn"], CFG, "ssh_mobilenet_v1_025.yml: is a file; the weights of a cascade are a folder that holds"),
])
def test_weights_are_a_file_or_the_folder_of_a_cascade(keys, weights, message):
    with pytest.raises(InputError, match=message):
        weights_of(load_config(overrides=keys), weights)


def test_a_tool_names_a_config_a_model_or_neither(shipped, monkeypatch):
    recorder = Recorder(monkeypatch)
    loading.detector_of(weights="m.onnx")
    loading.detector_of(cfg=shipped / "x.yml", weights="w.weights.h5")
    loading.detector_of(default="x")
    loading.detector_of(weights="w.weights.h5", default="x")
    assert recorder.calls == [("open_model", "m.onnx", None, None), ("keras", "x", "w.weights.h5"),
                              ("open_model", str(shipped / "x.onnx"), None, None), ("keras", "x", "w.weights.h5")]
    with pytest.raises(InputError, match="expected --cfg FILE, or --weights with an exported model"):
        loading.detector_of(weights="w.weights.h5")


# ------------------------------------------------------------ what ships, for real

SHIPPED_MODELS = [name for name in pretrained.names() if pretrained.model_file(name)]


@pytest.mark.slow
@pytest.mark.skipif(not SHIPPED_MODELS, reason="no .onnx ships yet")
def test_shipped_models_need_no_keras_and_start_fast(tmp_path):
    save(tmp_path / "face.png", portraits()[0].image)
    code = ("import sys, time, json\nbegan = time.process_time()\nfrom manyfaces import Detector\n"
            "faces = Detector.load(sys.argv[1]).detect(sys.argv[2])\ntook = time.process_time() - began\n"
            "heavy = {'keras', 'tensorflow', 'scipy', 'matplotlib', 'skimage'} & set(sys.modules)\n"
            "print(json.dumps([took, len(faces.above()), sorted(heavy)]))")
    took, faces, heavy = json.loads(python(code, SHIPPED_MODELS[0], tmp_path / "face.png"))
    assert heavy == [] and faces == 1 and took < 3  # of all cores; a quiet machine takes half a second


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED_MODELS)
def test_threads_find_what_one_after_the_other_finds(name):
    detector = manyfaces.Detector.load(name)
    images = [portrait.image[y:, y:] for portrait in portraits() for y in (0, 16, 40)] * 2
    expected = [detector.detect(image, threshold=0) for image in images]
    with ThreadPoolExecutor(6) as pool:
        for found, want in zip(pool.map(partial(detector.detect, threshold=0), images), expected, strict=True):
            np.testing.assert_array_equal(found.boxes, want.boxes)
            np.testing.assert_array_equal(found.scores, want.scores)
