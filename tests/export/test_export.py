"""Export of the shipped weights: every format gives Keras' maps and faces, and its sidecar describes it."""

import json

import numpy as np
import pytest
from exported import ENDINGS, NAME, exported, loaded, picture_folder

from manyfaces import pretrained
from manyfaces.boxes import overlaps
from manyfaces.config import load_config
from manyfaces.datasets.toy.data_set import portrait_collage
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.detections import Detections
from manyfaces.errors import InputError
from manyfaces.export import check as export_check
from manyfaces.export import export as exporting
from manyfaces.export import onnx as export_onnx
from manyfaces.export.export import LIMIT, export
from manyfaces.export.files import open_saved_model
from manyfaces.inference.detector import Detector
from manyfaces.runtimes.models import open_model
from manyfaces.runtimes.sidecar import read_sidecar

pytestmark = pytest.mark.slow

FLOAT = ["onnx", "openvino", "litert"]


@pytest.fixture(scope="module")
def keras():
    """The Detector through Keras."""
    family, _, run = loaded()
    return Detector(family, run, family.cfg)


@pytest.fixture(scope="module")
def crowd():
    return portrait_collage(640, 416, seed=0)


def same_faces(found, expected, score=0.0):
    """Each face from `score` on is in both, once; the order of faces of nearly equal score is free."""
    expected, found = expected.above(score), found.above(score)
    assert len(found) == len(expected) > 0
    meet = overlaps(expected.boxes, found.boxes)
    mate = meet.argmax(axis=1)
    assert len(set(mate)) == len(mate)
    np.testing.assert_allclose(found.scores[mate], expected.scores, atol=1e-4)
    np.testing.assert_allclose(found.boxes[mate], expected.boxes, atol=0.05)
    np.testing.assert_allclose(found.landmarks[mate], expected.landmarks, atol=0.05)


@pytest.mark.parametrize("kind", [*FLOAT, "saved_model"])
def test_float_maps_are_those_of_keras(kind):
    _, facts = exported(kind)
    for found in facts["checks"].values():
        assert found["difference"] <= LIMIT and found["faces"] == 2 and found["recall"] == 1
        assert len(found["differences"]) == 9


@pytest.mark.parametrize("kind", FLOAT)
def test_any_height_width_and_batch_go_in(kind, keras):
    path, _ = exported(kind)
    _, run, _ = open_model(path, threads=1)
    images = np.random.default_rng(5).integers(0, 256, (3, 101, 70, 3), dtype=np.uint8)
    expected, found = keras.run(images), run(images)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].shape == values.shape
        np.testing.assert_allclose(found[name], values, atol=2e-4)
    np.testing.assert_array_equal(run(images.astype(np.float64))["m1_scores"], found["m1_scores"])


@pytest.mark.parametrize("kind", [*FLOAT, "faces"])
def test_a_detector_of_the_file_finds_the_faces_that_keras_finds(kind, keras, crowd):
    path, _ = exported(kind)
    detector = Detector(*open_model(path, threads=1), path)
    for image in (crowd, portraits()[0].image):
        same_faces(detector.detect(image, threshold=0), keras.detect(image, threshold=0))


def test_faces_from_the_graph_keep_their_image_scale_and_mirror(keras, crowd):
    import onnxruntime

    path, _ = exported("faces")
    detector = Detector(*open_model(path, runtime="onnxruntime", threads=1), path)
    expected, found = (each.detect(crowd, scales=[0.5, 1.0], flip=True, threshold=0) for each in (keras, detector))
    # A few may differ: a box that NMS within a scale drops cannot come back when the better box is dropped too.
    assert (overlaps(expected.above(0.5).boxes, found.boxes).max(axis=1) > 0.9).mean() > 0.97
    batch = np.stack([crowd, crowd[::-1], crowd[:, ::-1]])
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    raw = dict(zip([each.name for each in session.get_outputs()], session.run(None, {"images": batch}), strict=True))
    assert raw["landmarks"].shape == (len(raw["boxes"]), 5, 2) and raw["image"].shape == raw["scores"].shape
    for number in range(len(batch)):
        mine = raw["image"] == number
        same_faces(Detections(*(raw[name][mine] for name in ("boxes", "scores", "landmarks"))),
                   keras.detect(batch[number], threshold=0))


def test_the_graph_keeps_top_and_threshold_of_the_config(tmp_path, keras, crowd):
    cfg = load_config(pretrained.config_file(NAME), ["TEST.TOP", 6, "TEST.KEEP", 9, "TEST.SCORE", 0.4, "TEST.NMS", 0.5])
    export(cfg, None, tmp_path / "few.onnx", nms=True, images=picture_folder(), threads=1)
    detector = Detector(*open_model(tmp_path / "few.onnx", threads=1))
    keras = Detector(type(keras.family)(cfg), keras.run, cfg)
    expected, found = keras.detect(crowd, threshold=0), detector.detect(crowd, threshold=0)
    assert len(expected) <= 9 and expected.scores.min() >= 0.4
    same_faces(found, expected)


@pytest.mark.parametrize("kind", ["int8", "int8_openvino", "int8_litert"])
def test_eight_bit_models_find_the_faces(kind, keras, crowd):
    path, facts = exported(kind)
    assert facts["precision"] == read_sidecar(path)["precision"] == "int8"
    assert path.with_suffix(".bin").exists() == (path.suffix == ".xml")
    whole, _ = exported({"int8": "onnx", "int8_openvino": "openvino", "int8_litert": "litert"}[kind])
    data = ".bin" if path.suffix == ".xml" else path.suffix
    assert path.with_suffix(data).stat().st_size < 0.6 * whole.with_suffix(data).stat().st_size
    detector = Detector(*open_model(path, threads=1), path)
    expected = keras.detect(crowd).above(0.7)
    found = detector.detect(crowd).above(0.35)
    assert (overlaps(expected.boxes, found.boxes).max(axis=1) >= 0.5).mean() >= 0.9


def test_the_sidecar_says_what_the_file_is():
    path, facts = exported("onnx")
    sidecar, cfg = read_sidecar(path), load_config(pretrained.config_file(NAME))
    assert facts["sidecar"] == str(path.with_suffix(".json"))
    assert (sidecar["family"], sidecar["name"], sidecar["content"]) == ("ssh", NAME, "maps")
    assert sidecar["input"] == {"name": "images", "type": "uint8", "layout": "NHWC", "colour": "RGB",
                                "range": [0, 255], "height": None, "width": None, "squeeze": None,
                                "multiple": 1}
    assert {output["name"]: output["stride"] for output in sidecar["outputs"]} == {
        f"m{i + 1}_{kind}": 8 << i for i in range(3) for kind in ("scores", "boxes", "landmarks")}
    assert sidecar["outputs"][0]["shape"][:3] == [None, None, None]
    assert [level["sides"] for level in sidecar["anchors"]] == [
        [[s, s] for s in sizes] for sizes in cfg.ANCHORS.SIZES]
    assert "research" in sidecar["licence"] and sidecar["thresholds"]["nms"] == cfg.TEST.NMS
    assert sidecar["config"] == json.loads(json.dumps(cfg))
    assert read_sidecar(exported("litert")[0])["input"]["multiple"] == 32


def test_a_file_that_differs_from_keras_is_not_left_behind(tmp_path, monkeypatch):
    (tmp_path / "kept.onnx").write_bytes(b"what was there before")
    monkeypatch.setattr(exporting, "LIMIT", 1e-9)
    keras = loaded()
    monkeypatch.setattr("manyfaces.inference.models.load_model", lambda *_: keras)
    with pytest.raises(InputError, match=r"kept.onnx: with \w+ m\d_\w+ differs from Keras by .* over 1e-09; not wri"):
        export(load_config(pretrained.config_file(NAME)), None, tmp_path / "kept.onnx", images=picture_folder())
    assert [path.name for path in tmp_path.iterdir()] == ["kept.onnx"]
    assert (tmp_path / "kept.onnx").read_bytes() == b"what was there before"


@pytest.mark.parametrize("name, options, message", [
    ("m.pb", {}, "ends in .pb, expected .onnx, .xml, .tflite, or no ending"),
    ("m.onnx", {"format": "torch"}, "format 'torch': expected one of onnx, openvino"),
    ("m.onnx", {"format": "litert"}, "m.onnx: litert goes to a name that ends in .tflite"),
    ("m.xml", {"nms": True}, "--nms is for onnx, not for openvino"),
    ("m", {"int8": True, "calibrate": "x"}, "--int8 is for onnx, openvino and litert, not for saved_model"),
    ("m.onnx", {"int8": True}, "--int8 needs --calibrate DIR"),
    ("m.onnx", {"calibrate": "x"}, "--calibrate is for --int8"),
    ("m.onnx", {"int8": True, "nms": True, "calibrate": "x"}, "do not go together"),
    ("m.onnx", {"images": "no/such/folder"}, "no/such/folder: no such folder of images"),
])
def test_wrong_options_are_named_before_keras_loads(name, options, message, tmp_path, monkeypatch):
    monkeypatch.setattr("manyfaces.inference.models.load_model", lambda *_: pytest.fail("Keras was loaded"))
    with pytest.raises(InputError, match=message):
        export(load_config(pretrained.config_file(NAME)), None, tmp_path / name, **options)


def test_a_missing_converter_names_the_extra(monkeypatch):
    with pytest.raises(InputError, match=r"needs the package no_such.* pip install 'manyfaces\[export\]'"):
        export_onnx.require("no_such", "export")


def test_two_models_of_one_stem_do_not_share_a_sidecar(tmp_path):
    path, _ = exported("onnx")
    (tmp_path / "m.onnx").write_bytes(path.read_bytes())
    (tmp_path / "m.json").write_text(path.with_suffix(".json").read_text().replace(path.name, "m.onnx"))
    with pytest.raises(InputError, match=r"m.json: describes m.onnx; choose another name or folder than .*m.xml"):
        export(load_config(pretrained.config_file(NAME)), None, tmp_path / "m.xml")


def test_the_saved_model_takes_bytes_and_gives_named_maps(keras):
    path, _ = exported("saved_model")
    image = portraits()[1].image[None, :90, :75]
    found = open_saved_model(path)(image)
    np.testing.assert_allclose(found["m2_boxes"], keras.run(image)["m2_boxes"], atol=1e-4)


def test_agreement_counts_each_face_once():
    class Fixed:
        def __init__(self, boxes, scores):
            self.cfg, self.found = load_config(pretrained.config_file(NAME)), Detections(boxes, scores)

        def detect(self, _, threshold):
            return self.found

    keras = Fixed([[0, 0, 10, 10], [0, 0, 10, 12], [50, 50, 60, 60], [80, 80, 90, 90]], [0.9, 0.9, 0.9, 0.1])
    other = Fixed([[0, 0, 10, 10], [50, 50, 60, 61]], [0.9, 0.2])
    assert export_check.agreement(keras, other, [None]) == {"faces": 3, "recall": pytest.approx(1 / 3)}


def test_every_kind_has_been_listed():
    assert set(FLOAT) | {"faces", "saved_model", "int8", "int8_openvino", "int8_litert"} == set(ENDINGS)
