"""The sidecar: what is written is read back, and every error is named by file and key."""

import json

import pytest
from conftest import ROOT

from manyfaces.config import load_config
from manyfaces.errors import InputError
from manyfaces.runtimes.files import digest
from manyfaces.runtimes.sidecar import KEYS, config_of, licence_of, read_sidecar, sidecar_path, write_sidecar

CFG = load_config(ROOT / "cfgs" / "ssh_mobilenet_v1_025.yml", ["TEST.SCALES", [500, 1.5]])
CFG.NAME = "yes: 1e-3 # no"  # text that YAML would read as something else

INPUT = {"name": "images", "type": "uint8", "layout": "NHWC", "colour": "RGB", "range": [0, 255], "height": None,
         "width": None, "multiple": 1}


@pytest.fixture
def model(tmp_path):
    """A path with a correct sidecar."""
    path = tmp_path / "m.onnx"
    path.write_bytes(b"abc")
    write_sidecar(path, {
        "made_by": "manyfaces 0.1.0", "family": "ssh", "name": "m", "content": "maps", "precision": "float32",
        "input": INPUT, "outputs": [{"name": "m1_scores"}], "anchors": [], "thresholds": {}, "licence": "free",
        "config": json.loads(json.dumps(CFG))})
    return path


def change(path, **keys):
    beside = sidecar_path(path)
    facts = {**json.loads(beside.read_text()), "checksum": None, **keys}
    beside.write_text(json.dumps({key: value for key, value in facts.items() if value is not None}))


def test_what_is_written_is_read_back(model):
    facts = read_sidecar(model)
    assert facts["file"] == "m.onnx" and list(facts) == [*KEYS, "bytes"]
    assert facts["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    assert config_of(model, facts) == CFG


def test_names_of_sidecars(tmp_path):
    (tmp_path / "v1.2").mkdir()
    assert [sidecar_path(tmp_path / name).name for name in ("a.onnx", "a.b.xml", "saved", "v1.2")] == [
        "a.json", "a.b.json", "saved.json", "v1.2.json"]


@pytest.mark.parametrize("key", [key for key in KEYS if key != "format"])
def test_a_missing_key_is_named(model, key):
    change(model, **{key: None})
    with pytest.raises(InputError, match=rf"m\.json: the key {key} is missing"):
        read_sidecar(model)


@pytest.mark.parametrize("keys, message", [
    ({"format": 2}, r"format is 2, expected 1; it was made by manyfaces 0\.1\.0"),
    ({"format": None}, "format is None, expected 1"),
    ({"outputs": "m1"}, "outputs is 'm1', expected list"),
    ({"outputs": [{"stride": 8}]}, r"outputs\[0\] is .*, expected a dict with a name"),
    ({"content": "boxes"}, "content is 'boxes', expected maps or faces"),
    ({"input": {"name": "images"}}, r"the key input\.type is missing"),
    ({"input": {**INPUT, "multiple": 0}}, r"input\.multiple is 0, expected a whole number, from 1 to 65536"),
    ({"input": {**INPUT, "multiple": "8"}}, r"input\.multiple is '8', expected a whole number"),
    ({"input": {**INPUT, "multiple": 10**9}}, r"input\.multiple is 1000000000, expected"),
    ({"input": {**INPUT, "height": -5}}, r"input\.height is -5, expected"),
    ({"input": {**INPUT, "width": [2]}}, r"input\.width is \[2\], expected"),
    ({"input": {**INPUT, "type": "int7"}}, r"input\.type is 'int7', expected uint8 or float32"),
    ({"sha256": "0" * 64}, r"m\.onnx: is not the file that m\.json describes .*key sha256"),
])
def test_a_wrong_value_is_named(model, keys, message):
    change(model, **keys)
    with pytest.raises(InputError, match=message):
        read_sidecar(model)


def test_a_changed_model_is_noticed(model, tmp_path):
    model.write_bytes(b"abd")
    with pytest.raises(InputError, match="sha256 differs"):
        read_sidecar(model)
    (tmp_path / "o.xml").write_bytes(b"<net/>")
    (tmp_path / "o.bin").write_bytes(b"1")
    before = digest(tmp_path / "o.xml")
    (tmp_path / "o.bin").write_bytes(b"2")
    assert digest(tmp_path / "o.xml") != before
    (tmp_path / "o.bin").unlink()
    with pytest.raises(InputError, match=r"o\.bin: no such file; it belongs to o\.xml"):
        digest(tmp_path / "o.xml")


def test_missing_and_broken_files_are_named(model, tmp_path):
    with pytest.raises(InputError, match=r"n\.onnx: no such model file"):
        read_sidecar(tmp_path / "n.onnx")
    sidecar_path(model).write_text("{")
    with pytest.raises(InputError, match=r"m\.json: cannot be read as JSON"):
        read_sidecar(model)
    sidecar_path(model).write_text("[]")
    with pytest.raises(InputError, match=r"m\.json: found a list, expected the keys format"):
        read_sidecar(model)
    sidecar_path(model).unlink()
    with pytest.raises(InputError, match=r"m\.json: no such file; it says what m\.onnx is"):
        read_sidecar(model)


def with_config(model, changes):
    """The sidecar's facts with keys such as TEST.SCORES changed in its config."""
    config = json.loads(json.dumps(CFG))
    for key, value in changes.items():
        group, _, last = key.rpartition(".")
        (config[group] if group else config)[last] = value
    change(model, config=config)
    return read_sidecar(model)


@pytest.mark.parametrize("changes, message", [
    ({"TEST.SCORES": 0.1}, r"unknown key TEST\.SCORES; did you mean TEST\.SCORE\?"),
    ({"TEST.NMS": "soft"}, r"TEST\.NMS is 'soft', expected number, from 0 to 1"),
    ({"NET.LANDMARKS": 5}, r"NET\.LANDMARKS is 5, expected true or false"),
    ({"ANCHORS.SIZES": [16]}, r"ANCHORS\.SIZES holds 16"),
    ({"CASCADE.BOXES": "whole"}, r"CASCADE\.BOXES is 'whole', expected one of continuous, inclusive"),
    ({"TARGETS": 1}, r"TARGETS is a group of keys, found 1"),
])
def test_an_unknown_key_that_the_model_needs_is_named(model, changes, message):
    facts = with_config(model, changes)
    with pytest.raises(InputError, match=rf"m\.json: config: {message}.*; run the model with the version that made it "
                                         r"\(manyfaces 0\.1\.0\), or export its weights again with this one"):
        config_of(model, facts)


@pytest.mark.parametrize("changes", [
    {"TRAIN.FLOPS": 3, "TRAIN.BATCH": "all", "TRAIN.SCHEDULE": "hills", "AUGMENT": ["more"], "LOADER.WORKERS": None},
    {"MTCNN.COUNTS": {"negative": 9}, "MTCNN.OHEM": "hard", "LOSS": {}, "DISTIL": {"TEACHER": "x"}, "EXTRA": 1},
    {"NET.FROZEN_STAGES": [1, 2], "TARGETS.POSITIVE": "half", "DATA_DIR": 4, "SEED": "by the clock"},
])
def test_unknown_keys_of_training_do_not_prevent_a_model_from_running(model, changes):
    cfg, default = config_of(model, with_config(model, changes)), load_config()
    assert cfg.NET.ALPHA == CFG.NET.ALPHA == 0.25 and cfg.NAME == CFG.NAME
    for group in ("ANCHORS", "TEST", "CASCADE"):
        assert cfg[group] == CFG[group]
    assert cfg.TRAIN.keys() == default.TRAIN.keys() and cfg.AUGMENT.KIND == "crop" and "EXTRA" not in cfg
    for key in changes:
        group, _, last = key.rpartition(".")
        if group in default and last in default[group]:
            assert cfg[group][last] == default[group][last]


def test_the_licence_follows_the_data_sets():
    assert licence_of("wider_train+wider_more").count("WIDER FACE") == 1
    assert licence_of("facemask_train+mine") == ("face mask detection set: MIT; mine: not known here, ask who trained "
                                                 "it")
    assert licence_of("") == "not known"
