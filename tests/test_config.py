"""Config: strict merging, bases, saved and loaded; errors name file, key, what was found and what was expected."""

import subprocess
import sys

import pytest
import yaml
from conftest import ROOT

from manyfaces.config import DEFAULTS, default_config, flat_items, load_config, names, save_config
from manyfaces.errors import InputError


@pytest.fixture
def write(tmp_path):
    def make(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return make


def test_defaults_are_a_fresh_copy():
    cfg = default_config()
    cfg.ANCHORS.SIZES[0].append(99)
    cfg.TRAIN.STEPS = 1
    assert default_config().ANCHORS.SIZES[0] == [16, 32] and default_config().TRAIN.STEPS == 300000


def test_yaml_then_overrides(write):
    path = write("ssh_small.yml", "NET: {ALPHA: 0.25, WEIGHTS: }\nTRAIN:\n  RATE: 1e-2\n  CLIP_NORM: 3\n")
    cfg = load_config(path, ["TRAIN.STEPS", "12", "TEST.SCALES", "[0.5, 1, 500]", "TARGETS.BEST", "0.2",
                             "TRAIN", "{BATCH: 7, RATE: 0.5}", "NET.LANDMARKS", "true", "TRAIN.MODE", "group"])
    assert (cfg.NET.ALPHA, cfg.NET.WEIGHTS, cfg.TRAIN.STEPS, cfg.TRAIN.BATCH) == (0.25, "", 12, 7)
    assert cfg.TRAIN.RATE == 0.5, "what comes later counts"
    assert cfg.TRAIN.CLIP_NORM == 3.0 and isinstance(cfg.TRAIN.CLIP_NORM, float)
    assert cfg.TEST.SCALES == [0.5, 1, 500] and cfg.TARGETS.BEST == 0.2 and cfg.NET.LANDMARKS is True
    assert cfg.TRAIN.MODE == "group"
    assert cfg.NAME == "ssh_small" and cfg.ANCHORS == default_config().ANCHORS
    assert load_config(write("b.yml", "TRAIN: {RATE: 1e-2}")).TRAIN.RATE == 0.01, "YAML takes 1e-2 for text"
    assert load_config(overrides=["TARGETS.BEST", "null"]).TARGETS.BEST is None


def test_name_is_the_files_stem_unless_it_is_set(write):
    path = write("ssh_a.yml", "SEED: 4\n")
    assert load_config(path).NAME == "ssh_a"
    assert load_config(path, ["NAME", "other"]).NAME == "other"
    assert load_config(write("c.yml", "NAME: mine\n")).NAME == "mine"
    assert load_config(write("empty.yml", "")).SEED == default_config().SEED


def test_a_base_comes_first_and_is_relative_to_its_file(write):
    write("base/one.yml", "TRAIN: {STEPS: 10, BATCH: 2}\nSEED: 9\n")
    write("base/two.yml", "BASE: one.yml\nTRAIN: {STEPS: 20}\n")
    cfg = load_config(write("three.yml", "BASE: base/two.yml\nTRAIN: {RATE: 0.5}\n"))
    assert (cfg.TRAIN.STEPS, cfg.TRAIN.BATCH, cfg.TRAIN.RATE, cfg.SEED, cfg.NAME) == (20, 2, 0.5, 9, "three")


def test_a_base_that_leads_back_to_itself(write):
    write("one.yml", "BASE: two.yml\n")
    with pytest.raises(InputError, match=r"two\.yml: BASE leads back to this file"):
        load_config(write("two.yml", "BASE: one.yml\n"))
    with pytest.raises(InputError, match=r"self\.yml: BASE leads back"):
        load_config(write("self.yml", "BASE: self.yml\n"))


def test_the_configs_of_the_package_are_found_by_name_from_any_folder(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stems = {path.stem for path in (ROOT / "cfgs").glob("*.yml")}
    assert set(names()) == stems and load_config("ssh_vgg16") == load_config(ROOT / "cfgs" / "ssh_vgg16.yml")
    (tmp_path / "ssh_vgg16").mkdir()  # a folder is no config
    assert load_config("ssh_vgg16").NET.BACKBONE == "vgg16"
    mine = load_config(write("mine.yml", "BASE: ssh_vgg16\nSEED: 9\n"))
    assert (mine.NAME, mine.SEED, mine.NET.BACKBONE) == ("mine", 9, "vgg16")
    (tmp_path / "tiny_vgg16").write_text("SEED: 7\n")  # a file of that name wins
    assert load_config("tiny_vgg16").SEED == load_config(write("other.yml", "BASE: tiny_vgg16\n")).SEED == 7


@pytest.mark.parametrize("name, message", [
    ("ssh_vgg", r"^ssh_vgg: no file, and no config of that name; did you mean ssh_vgg16"),
    ("RETINAFACE", "did you mean retinaface_mobilenet_v1_025"), ("zzz", "there are grid_mobilenet_v2_075, "),
    ("x" * 3000, "^x{300}.*, toy_ssh$"), ("cfgs/ssh_vgg16", "cfgs/ssh_vgg16: cannot be read as a config"),
    ("cfgs/ssh_vgg16.yml", r"No such file or directory\); the package has one of the name ssh_vgg16$"),
    ("cfgs/mine.yml", r"No such file or directory\)$"), ("", r"^\.: cannot be read"),
    ("a\0b", "cannot be the path of")])
def test_a_config_that_is_not_there_names_those_that_are(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        load_config(name)


def test_an_installed_package_has_the_configs_inside(tmp_path, monkeypatch):
    """setup.py puts cfgs/*.yml to manyfaces/cfgs; here the package is in tmp_path."""
    monkeypatch.setattr(sys.modules[names.__module__], "__file__", str(tmp_path / "manyfaces" / "config" / "names.py"))
    (tmp_path / "manyfaces" / "cfgs").mkdir(parents=True)
    (tmp_path / "manyfaces" / "cfgs" / "inside.yml").write_text("SEED: 3\n")
    assert names() == ["inside"] and load_config("inside").SEED == 3
    setup = (ROOT / "setup.py").read_text()
    assert '"manyfaces.cfgs": "cfgs"' in setup and '"manyfaces.cfgs": ["*.yml"]' in setup


def test_an_error_in_a_base_names_the_base(write):
    write("base.yml", "TRAIN: {STEP: 1}\n")
    with pytest.raises(InputError, match=r"base\.yml: unknown key TRAIN\.STEP; did you mean TRAIN\.STEPS\?"):
        load_config(write("child.yml", "BASE: base.yml\n"))
    with pytest.raises(InputError, match=r"absent\.yml: cannot be read as a config"):
        load_config(write("orphan.yml", "BASE: absent.yml\n"))
    loop = write("loop.yml", "")
    loop.unlink()
    loop.symlink_to("loop.yml")
    for name in ("loop.yml", '"a\\0b"'):
        with pytest.raises(InputError, match="cannot be the path of a config"):
            load_config(write("names.yml", f"BASE: {name}\n"))
    with pytest.raises(InputError, match=r"odd\.yml: BASE is 3, expected the path of another YAML"):
        load_config(write("odd.yml", "BASE: 3\n"))


@pytest.mark.parametrize("key, nearest", [
    ("TRAIN.STEP", "TRAIN.STEPS"), ("TRIAN.STEPS", "TRAIN.STEPS"), ("STEPS", "TRAIN.STEPS"), ("NET.ALPAH", "NET.ALPHA"),
    ("net.alpha", "NET.ALPHA"), ("AUGMENT.FACE_SIZE", "AUGMENT.FACE_SIZES"), ("SED", "SEED"),
    ("TEST.NMS_METHODS", "TEST.NMS_METHOD"),
])
def test_unknown_keys_are_errors_with_the_nearest_one(key, nearest):
    with pytest.raises(InputError) as error:
        load_config(overrides=[key, "1"])
    assert str(error.value) == f"--set: unknown key {key}; did you mean {nearest}?"


def test_a_key_unlike_all_others_has_no_suggestion():
    with pytest.raises(InputError) as error:
        load_config(overrides=["QQQQQ.ZZZZZ", "1"])
    assert "did you mean" not in str(error.value)


@pytest.mark.parametrize("key, value, expected", [
    ("TRAIN.STEPS", "many", "'many', expected whole number, more than 0, such as 300000"),
    ("TRAIN.STEPS", "1.5", "1.5, expected whole number"),
    ("TRAIN.STEPS", "true", "True, expected whole number"),
    ("TRAIN.RATE", "fast", "'fast', expected number, more than 0"),
    ("TRAIN.RATE", "true", "True, expected number"),
    ("TRAIN.RATE", ".nan", "nan, expected a finite number"),
    ("TRAIN.RATE", ".inf", "inf, expected a finite number"),
    ("TRAIN.RATE", "0", "0.0, expected more than 0"),
    ("TRAIN.BATCH", "0", "0, expected more than 0"),
    ("TRAIN.LOG_EVERY", "-1", "-1, expected more than 0"),
    ("NET.LANDMARKS", "1", "1, expected true or false"),
    ("NET.LANDMARKS", "'yes'", "'yes', expected true or false"),
    ("TEST.SCALES", "1.0", "1.0, expected numbers, each more than 0"),
    ("TEST.SCALES", "[1, big]", "holds 'big', expected numbers, each more than 0, at least one, such as [1.0]"),
    ("TEST.SCALES", "[true]", "holds True, expected numbers, each more than 0, at least one, such as [1.0]"),
    ("AUGMENT.FACE_SIZES", "[a, b]", "holds 'a'"),
    ("AUGMENT.SCALES", "[0.5]", "[0.5], expected 2 numbers, each more than 0, lowest first, such as [0.3, 2.0]"),
    ("ANCHORS.SIZES", "[16, 32, 64]", "holds 16, expected lists of numbers, each more than 0, at least one, such as"),
    ("TRAIN.DATASETS", "3", "3, expected text"),
    ("TRAIN.MODE", "both", "'both', expected one of joint, random, group"),
    ("TARGETS.BEST", "x", "'x', expected number"),
    ("TRAIN", "3", "is a group of keys, found 3; expected e.g. TRAIN.DATASETS"),
    ("SEED", "null", "null, expected whole number"),
])
def test_wrong_values_are_errors_that_say_what_was_expected(key, value, expected, write):
    for where, load in (("--set", lambda: load_config(overrides=[key, value])),
                        ("file.yml", lambda: load_config(write("file.yml", as_yaml(key, value))))):
        with pytest.raises(InputError) as error:
            load()
        message = str(error.value)
        assert where in message and key in message and expected in message, message


@pytest.mark.parametrize("text, line, key", [("TEST: {SCORE: 0.1}\nNAME: a\nTEST: {NMS: 0.4}\n", 3, "TEST"),
                                             ("TEST:\n  SCORE: 0.1\n  SCORE: 0.2\n", 3, "SCORE")])
def test_a_key_that_stands_twice_is_an_error(text, line, key, write):
    with pytest.raises(InputError, match=rf"twice\.yml line {line}: the key {key} was there before; join the two"):
        load_config(write("twice.yml", text))


def as_yaml(key, value):
    group, _, name = key.partition(".")
    return f"{group}:\n  {name}: {value}\n" if name else f"{group}: {value}\n"


def test_text_that_is_no_yaml_and_files_that_are_no_config(write, tmp_path):
    with pytest.raises(InputError, match=r"bad\.yml line 3: not YAML"):
        load_config(write("bad.yml", "SEED: 3\nTRAIN: {STEPS: 1,\n  BATCH: [2}\n"))
    with pytest.raises(InputError, match=r"list\.yml: found a list, expected keys such as"):
        load_config(write("list.yml", "- 1\n"))
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"binary\.yml: not a text file: it begins with the mark of UTF-16-LE"):
        load_config(tmp_path / "binary.yml")
    with pytest.raises(InputError, match="cannot be read as a config"):
        load_config(tmp_path)
    with pytest.raises(InputError, match=r"--set SEED: '\[1' is not a YAML value"):
        load_config(overrides=["SEED", "[1"])
    with pytest.raises(InputError, match="--set takes pairs KEY VALUE: found 3 words, the last is 'NAME'"):
        load_config(overrides=["SEED", "1", "NAME"])
    with pytest.raises(InputError, match="could not|not YAML"):
        load_config(write("code.yml", "SEED: !!python/object/apply:os.system ['true']\n"))


def test_saved_and_loaded_is_the_same(tmp_path):
    changed = load_config(overrides=["NAME", "x", "TARGETS.BEST", "0.2", "TRAIN.RATE", "1e-5", "NET.WEIGHTS", "null",
                                     "TEST.SCALES", "[0.5, 800]", "ANCHORS.SIZES", "[[10, 16, 24], [36], [99.5]]",
                                     "AUGMENT.FACE_SIZES", "[10, 220]", "TRAIN.DATASETS", "'1e3'"])
    for cfg in (changed, load_config(overrides=["NAME", "y"])):
        path = tmp_path / "deep" / "config.yml"
        save_config(cfg, path)
        again = load_config(path)
        assert again == cfg
        assert [type(value) for _, value in flat_items(again)] == [type(value) for _, value in flat_items(cfg)]
        assert sorted(entry.name for entry in path.parent.iterdir()) == ["config.yml"], "nothing is left beside it"
        # A reader without manyfaces finds plain YAML with all keys.
        assert yaml.safe_load(path.read_text())["TRAIN"].keys() == DEFAULTS["TRAIN"].keys()


@pytest.mark.parametrize("path", sorted((ROOT / "cfgs").glob("*.yml")), ids=lambda path: path.stem)
def test_the_projects_configs_load(path):
    cfg = load_config(path)
    assert cfg.NAME == path.stem
    values = yaml.safe_load(path.read_text())
    assert values, "a config holds what differs from the default"
    body = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    assert len(body) <= 20


def test_import_is_quick_and_without_keras():
    code = ("import sys, time; t = time.process_time(); import manyfaces, manyfaces.config; "
            "print(time.process_time() - t, 'keras' in sys.modules, 'tensorflow' in sys.modules)")
    seconds, *loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                                      check=True).stdout.split()
    assert float(seconds) < 0.3 and loaded == ["False", "False"]


@pytest.mark.parametrize("text", ['"a\\0b"', r'"\uD800"'])
def test_text_that_no_file_name_can_be_is_refused(text):
    for key in ("NAME", "OUTPUT_DIR", "TRAIN.DATASETS"):
        with pytest.raises(InputError, match=f"{key} is .*, expected text without characters that no file name"):
            load_config(overrides=[key, text])
    assert load_config(overrides=["NAME", r'"caf\uDCE9"']).NAME == "caf\udce9"  # a byte that is not UTF-8
