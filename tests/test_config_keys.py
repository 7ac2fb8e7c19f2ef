"""The table of config keys: a rule, a role and a comment per key; which keys each role covers; docs/config.md."""

from types import SimpleNamespace

import pytest
import yaml
from conftest import ROOT

from manyfaces.config import DEFAULTS, flat_items, keys_with, load_config, roles_of
from manyfaces.config.keys import KEYS, ROLES, RULES
from manyfaces.config.page import meanings, page
from manyfaces.config.rules import Group, NotAllowedError
from manyfaces.data_layer.mtcnn.writer import SampleMaker
from manyfaces.engine.train import FREE
from manyfaces.errors import InputError
from manyfaces.inference.demo.journal import detector_mark
from manyfaces.inference.loading import _fixed
from manyfaces.inference.models import settings_of
from manyfaces.runtimes.sidecar import _decides
from manyfaces.weights.files import net_of

NET = {"FAMILY", "NET.BACKBONE", "NET.VARIANT", "NET.ALPHA", "NET.LAST_STRIDE", "NET.TAPS", "NET.TOP_DOWN",
       "NET.WIDTHS", "NET.TOP_DOWN_WIDTH", "NET.LANDMARKS", "NET.BN", "NET.NORMALISE", "NET.SLOPE", "NET.SEPARABLE",
       "ANCHORS.STRIDES", "ANCHORS.SIZES", "ANCHORS.RATIOS", "ANCHORS.WIDTHS", "ANCHORS.HEIGHTS", "GRID.INPUT",
       "GRID.SIZE", "GRID.WIDTH", "MTCNN.STAGE", "MTCNN.FC", "TARGETS.VARIANCES"}
CASCADE = {"CASCADE.MIN_FACE", "CASCADE.FACTOR", "CASCADE.THRESHOLDS", "CASCADE.NMS", "CASCADE.RESAMPLE",
           "CASCADE.ROUND", "CASCADE.BOXES"}
TEST = {"TEST.SIZE", "TEST.SCALES", "TEST.MAX_SIDE", "TEST.MAX_PIXELS", "TEST.MAX_FILE_PIXELS",
        "TEST.LARGE", "TEST.TILE_OVERLAP",
        "TEST.TEMPLATES", "TEST.FLIP", "TEST.SCORE", "TEST.NMS", "TEST.NMS_METHOD", "TEST.TOP", "TEST.KEEP",
        "TEST.BATCH", "TEST.DEMO_SCORE", "TEST.HIDE_SCORE"}
NO_NEW_WEIGHTS = TEST | {"OUTPUT_DIR", "DATA_DIR", "LOADER.WORKERS", "LOADER.PREFETCH", "LOADER.CACHE_MB",
                         "TRAIN.SAVE_EVERY", "TRAIN.LOG_EVERY", "TRAIN.IMAGES_EVERY", "TRAIN.TRACKERS"}
PLACE = {"DATA_DIR", "OUTPUT_DIR", "TRAIN.INIT", "MTCNN.SAMPLES", "MTCNN.PNET", "MTCNN.RNET"}
SAMPLES = ["MTCNN.COUNTS", "MTCNN.POSITIVE", "MTCNN.PART", "MTCNN.NEGATIVE", "MTCNN.NARROW", "MTCNN.MIN_FACE",
           "MTCNN.LANDMARK_FACE", "MTCNN.ROTATION", "MTCNN.SCALES"]
MINING = ["MTCNN.MINE_THRESHOLDS", "MTCNN.MINE_MIN_FACE", "MTCNN.EASY"]


def test_every_key_has_a_rule_a_role_and_a_comment():
    comments = meanings()
    assert list(RULES) == list(comments) == [key for key, _ in flat_items(DEFAULTS)]
    for key, rule in RULES.items():
        assert rule.check(rule.default) == rule.default, key
        assert rule.example is None or rule.check(rule.example) == rule.example, key
        assert rule.role and set(rule.role.split()) <= set(ROLES), key
        assert comments[key].strip(), key
        if type(rule.default) in (int, float) or isinstance(rule.default, list):
            assert str(rule.range), f"{key} is a number without a range"
    assert all(keys_with(role) for role in ROLES)
    assert all(entry.role for entry in KEYS.values())


def test_the_page_of_keys_is_up_to_date():
    assert (ROOT / "docs" / "config.md").read_text(encoding="utf-8") == page(), (
        "python -m manyfaces.config.page > docs/config.md")


# ------------------------------------------------- what each key matters for


def test_weights_belong_to_the_keys_of_the_net():
    assert set(net_of(load_config())) == NET


def test_an_exported_model_runs_by_the_net_and_the_keys_of_testing():
    # MTCNN.FC is a key of the net as well, but an exported cascade does not look at it.
    assert {key for key in RULES if _decides(key)} == NET - {"MTCNN.FC"} | CASCADE | TEST
    groups = [name for name, entry in KEYS.items() if isinstance(entry, Group)]
    assert {name for name in groups if _decides(name)} == {"NET", "ANCHORS", "GRID", "MTCNN", "CASCADE", "TARGETS",
                                                           "TEST"}
    assert {name for name in groups if _decides(f"{name}.NEW")} == {"NET", "ANCHORS", "GRID", "CASCADE", "TEST"}
    below = ["NET.WEIGHTS.new", "MTCNN.STAGE.new", "TARGETS.VARIANCES.new", "TEST.SCORE.new"]
    assert all(_decides(key) for key in below)
    assert not any(_decides(key) for key in ("MTCNN.COUNTS.new", "TARGETS.POSITIVE.new", "NEW", "NEW.KEY"))


def test_an_exported_model_lets_the_keys_of_testing_be_changed():
    assert set(RULES) - set(_fixed([word for key in RULES for word in (key, 0)])) == TEST | CASCADE
    assert _fixed(["TEST.NEW", 0, "CASCADE.NEW", 0, "TEST.SCORE.new", 0]) == []
    assert _fixed(["NET.NEW", 0, "NEW", 0, "TEST", 0, "CASCADE", 0]) == ["NET.NEW", "NEW", "TEST", "CASCADE"]


@pytest.mark.parametrize("family, extra", [("ssh", set()), ("mtcnn", CASCADE)])
def test_predictions_are_decided_by_keys_of_testing(tmp_path, family, extra):
    for name in ("w", "pnet", "rnet", "onet"):
        (tmp_path / f"{name}.weights.h5").write_bytes(b"w")
    weights = tmp_path if family == "mtcnn" else tmp_path / "w.weights.h5"
    found = settings_of(load_config(overrides=["FAMILY", family]), weights)
    names = {key.lower().replace("test.", "").replace("cascade.", "cascade_")
             for key in TEST - {"TEST.BATCH", "TEST.DEMO_SCORE", "TEST.HIDE_SCORE", "TEST.MAX_FILE_PIXELS"} | extra}
    assert set(found) == names | {"name", "weights", "sha256"}


def test_a_demonstration_is_continued_unless_a_key_changes_what_it_draws():
    def mark(key=None, family="mtcnn"):
        cfg = load_config(overrides=["FAMILY", family, "NAME", "x"])
        if key:
            group, _, name = key.partition(".")
            cfg[group][name] = "changed"
        return detector_mark(SimpleNamespace(cfg=cfg, source=None))

    drawn = TEST - {"TEST.BATCH", "TEST.DEMO_SCORE", "TEST.HIDE_SCORE", "TEST.SCORE", "TEST.MAX_FILE_PIXELS"}
    assert {key for key in TEST | CASCADE if mark(key, "ssh") != mark(None, "ssh")} == drawn
    # CASCADE.NMS takes the place of TEST.NMS, which has the same last name.
    assert {key for key in TEST | CASCADE if mark(key) != mark()} == (drawn | CASCADE) - {"TEST.NMS"}


def test_a_training_is_resumed_unless_a_key_changes_its_weights():
    assert {key for key in RULES if not roles_of(key) - FREE} == NO_NEW_WEIGHTS


def test_what_ships_does_not_hold_the_places_of_its_training():
    assert set(keys_with("place")) == PLACE


def test_samples_are_decided_by_their_keys():
    parts = {"train": SimpleNamespace(shards=0, tasks=[], records=[], points=[])}
    for propose, expected in ((None, SAMPLES), (lambda images: images, SAMPLES + MINING)):
        settings = SampleMaker(load_config(), 12, parts, propose).settings()
        assert [key for key in settings if key.startswith("MTCNN.")] == expected


# ------------------------------------------------------------- out of range


@pytest.mark.parametrize("key, value, expected", [
    ("TEST.SCORE", "50", "is 50.0, expected at least 0 and less than 1, such as 0.02"),
    ("TEST.SCORE", "1", "is 1.0, expected at least 0 and less than 1"),
    ("TEST.SCALES", "[0]", "holds 0, expected numbers, each more than 0, at least one, such as [1.0]"),
    ("TEST.SCALES", "[]", "is [], expected numbers, each more than 0, at least one, such as [1.0]"),
    ("TEST.SCALES", "[.nan]", "holds nan, expected numbers"),
    ("TEST.NMS", "1.5", "is 1.5, expected from 0 to 1, such as 0.3"),
    ("TEST.NMS", "-0.1", "is -0.1, expected from 0 to 1"),
    ("TEST.SIZE", "[300]", "is [300], expected 2 whole numbers, each more than 0, or an empty list, such as"),
    ("TEST.SIZE", "[300.5, 300]", "holds 300.5, expected 2 whole numbers"),
    ("TEST.MAX_PIXELS", "-1", "is -1, expected at least 0"),
    ("TEST.TEMPLATES", "[[]]", "holds [], expected lists of numbers"),
    ("SEED", "-1", "is -1, expected from 0 to 4294967295"),
    ("NET.FROZEN_STAGES", "-1", "is -1, expected at least 0"),
    ("NET.WIDTHS", "[]", "is [], expected whole numbers, each more than 0, at least one"),
    ("NET.WIDTHS", "[8.0, 8, 8]", "holds 8.0, expected whole numbers"),
    ("NET.BN_MOMENTUM", "1", "is 1.0, expected at least 0 and less than 1"),
    ("ANCHORS.SIZES", "[[16], []]", "holds [], expected lists of numbers, each more than 0, at least one"),
    ("ANCHORS.SIZES", "[[16, -1]]", "holds -1, expected lists of numbers"),
    ("ANCHORS.BORDERS", "[-2]", "holds -2, expected numbers, each at least -1"),
    ("MTCNN.COUNTS", "[1, 2, 3]", "is [1, 2, 3], expected 4 whole numbers, each at least 0"),
    ("MTCNN.OHEM", "0", "is 0.0, expected more than 0 and at most 1"),
    ("CASCADE.THRESHOLDS", "[0.6, 0.7, 1]", "holds 1, expected 3 numbers, each more than 0 and less than 1"),
    ("TARGETS.BEST", "2", "is 2.0, expected from 0 to 1, such as 0.2"),
    ("TARGETS.BEST", "high", "is 'high', expected number, from 0 to 1, or null, such as 0.2"),
    ("LOSS.FOCAL_GAMMA", "-1", "is -1.0, expected at least 0"),
    ("TRAIN.EMA", "1", "is 1.0, expected at least 0 and less than 1"),
    ("TRAIN.WARMUP", "-5", "is -5, expected at least 0"),
    ("AUGMENT.SCALES", "[2, 1]", "is [2, 1], expected 2 numbers, each more than 0, lowest first, such as [0.3, 2.0]"),
    ("AUGMENT.SCALES", "[]", "is [], expected 2 numbers"),
    ("AUGMENT.FACE_SIZES", "[10]", "expected 2 numbers, each more than 0, lowest first, or an empty list"),
    ("AUGMENT.FLIP", "50", "is 50.0, expected from 0 to 1"),
    ("LOADER.WORKERS", "-1", "is -1, expected at least 0"),
])
def test_values_out_of_range_are_errors(key, value, expected):
    with pytest.raises(InputError) as error:
        load_config(overrides=[key, value])
    assert str(error.value).startswith(f"--set: {key} ") and expected in str(error.value)


@pytest.mark.parametrize("key", [key for key, rule in RULES.items() if rule.kind in (int, float)])
def test_no_number_may_be_far_out_of_range(key):
    with pytest.raises(NotAllowedError):
        RULES[key].check(-100)
    with pytest.raises(NotAllowedError):
        RULES[key].check(10**400 if RULES[key].kind is float else "1")


@pytest.mark.parametrize("key, value", [
    ("TEST.SCORE", "0"), ("TEST.NMS", "1"), ("TEST.SIZE", "[]"), ("TARGETS.BEST", "0"), ("AUGMENT.FACE_SIZES", "[]"),
    ("TRAIN.DECAY_AT", "[]"), ("ANCHORS.BORDERS", "[-1, 0, 512]"), ("AUGMENT.STRETCH", "[1, 1]"),
    ("LOADER.WORKERS", "0"),
])
def test_the_ends_of_a_range_are_allowed(key, value):
    group, _, name = key.partition(".")
    assert load_config(overrides=[key, value])[group][name] == yaml.safe_load(value)


@pytest.mark.parametrize("path", sorted((ROOT / "lib" / "pretrained").glob("*.yml")), ids=lambda path: path.stem)
def test_the_shipped_configs_load(path):
    assert load_config(path).NAME == path.stem
