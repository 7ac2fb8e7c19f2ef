"""Texts that are made to grow, nest or count without end are refused, quickly."""

import contextlib
import gc
import json
import time

import pytest
import yaml

from manyfaces.config import load_config
from manyfaces.config.loading import override
from manyfaces.datasets.coco_json import read_json
from manyfaces.detections import Detections
from manyfaces.errors import InputError, shown
from manyfaces.parsing import MOST_JSON, MOST_YAML, ParseError, parse_json, parse_json_file, parse_yaml


def aliases(levels, width=9, name="NAME", scalar='"x"'):
    """YAML whose last list has width ** levels entries."""
    lines = [f"{name}:", f"  - &a0 [{', '.join([scalar] * width)}]"]
    lines += [f"  - &a{level} [{', '.join([f'*a{level - 1}'] * width)}]" for level in range(1, levels)]
    return "\n".join(lines) + "\n"


YAML = {
    "aliases": (aliases(9), "aliases that grow to more than"), "many aliases": (aliases(60, 2), "aliases that grow"),
    "long scalar": (f"NAME: [&a {'x' * 10_000}, {', '.join(['*a'] * 200)}]", "aliases that grow"),
    "alias of itself": ("NAME: &a [*a]\n", "alias that contains itself"),
    "mapping of itself": ("&a {NAME: *a}\n", "alias that contains itself"),
    "lists": ("NAME: " + "[" * 100_000, "nested too deep"),
    "groups": ("NAME: " + "{a: " * 32_000, "nested too deep"),
    "blocks": ("- " * 50_000, "nested too deep"),
    "a few lists": ("NAME: " + "[" * 90 + "]" * 90, "nested more than 64"),
    "digits": ("SEED: " + "9" * 5000, "whole number of 5000 characters"),
    "hex": ("SEED: 0x" + "f" * 9999, "whole number"),
    "sixties": ("SEED: " + ":".join(["1"] * 99), "whole number"), "date": ("SEED: 2001-99-99", "wrong value"),
    "tag": ("SEED: !!int abc", "wrong value"), "float tag": ("SEED: !!float abc", "wrong value"),
    "set": ("SEED: !!timestamp x", "wrong value"), "long": ("NAME: " + "x" * MOST_YAML, "characters, expected at most"),
    "entries": ("-\n" * (MOST_YAML // 2), "found a list"),
    "keys": ("{" + "".join(f"k{number}: 1," for number in range(13_000)) + "}", "unknown key k0"),
    "code": ("NAME: !!python/object/apply:os.system [true]", "could not determine a constructor"),
}


@contextlib.contextmanager
def within_a_second():
    """The block takes less than a second of this thread. The objects of other tests do not count: the collector would
    go through millions of them again and again.
    """
    gc.freeze()
    start = time.thread_time()
    try:
        yield
    finally:
        took = time.thread_time() - start
        gc.unfreeze()
    assert took < 1


@pytest.mark.parametrize("name", YAML)
def test_a_yaml_bomb_is_one_line_within_a_second(name, tmp_path):
    text, message = YAML[name]
    path = tmp_path / "x.yml"
    path.write_text(text)
    with within_a_second(), pytest.raises(InputError, match=message) as error:
        load_config(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value) and len(str(error.value)) < 1000
    if name not in ("entries", "keys"):  # these are YAML, and only long
        with pytest.raises((ParseError, yaml.YAMLError)):
            parse_yaml(text)


def test_a_config_value_is_shown_in_part(tmp_path):
    for text in (aliases(4), aliases(4, name="SEED"), aliases(4, name="TRAIN"), aliases(4, name="BASE")):
        path = tmp_path / "x.yml"
        path.write_text(text)
        with pytest.raises(InputError) as error:
            load_config(path)
        assert len(str(error.value)) < 1000


def test_numbers_that_no_float_holds_are_out_of_range():
    for key in ("SEED", "TRAIN.RATE", "TEST.SCALES", "AUGMENT.SCALES"):
        for value in (10**400, -(10**400), [10**400], [10**400, 10**401]):
            with pytest.raises(InputError, match=key):
                override(load_config(), [key, value])


def test_aliases_and_merges_of_usual_size_are_read():
    text = "a: &a {x: 1, y: [1, 2]}\nb: {<<: *a, y: 3}\nc: [*a, *a]\n"
    assert parse_yaml(text) == yaml.safe_load(text) == {
        "a": {"x": 1, "y": [1, 2]}, "b": {"x": 1, "y": 3}, "c": [{"x": 1, "y": [1, 2]}] * 2}
    assert parse_yaml("") is None and parse_yaml("7") == 7


JSON = {"lists": "[" * 100_000, "closed lists": "[" * 70 + "]" * 70, "objects": '{"a":' * 100_000,
        "digits": "[" + "9" * 5000 + "]", "hundreds of digits": "1" + "0" * 400,
        "a key twice": '{"faces": [], "faces": [{"box": [1, 2, 3, 4], "score": 1}]}',
        "many keys twice": "{" + ",".join(f'"k{n}": 1' for n in [*range(100_000)] * 2) + "}"}


@pytest.mark.parametrize("name", JSON)
def test_a_json_bomb_is_one_line_within_a_second(name, tmp_path):
    with within_a_second():
        for text in (JSON[name], JSON[name].encode()):
            with pytest.raises(ValueError):
                parse_json(text)
        with pytest.raises(InputError, match="Detections.from_json: not JSON"):
            Detections.from_json(JSON[name])
        (tmp_path / "x.json").write_text(JSON[name])
        with pytest.raises(InputError, match=r"x\.json"):
            read_json(tmp_path / "x.json")


def test_json_is_read_as_by_the_standard_library():
    for value in (None, [], {}, {"a": [1, -2.5, "x", [True, None]], "b": {"c": 10**17}}, "text", 3):
        assert parse_json(json.dumps(value)) == value
    deep = json.loads("[" * 60 + "]" * 60)
    assert parse_json(json.dumps(deep)) == deep


def test_what_is_shown_has_an_end():
    assert shown([1, "a"]) == "[1, 'a']" and len(shown("x" * 10_000)) == 203
    assert shown(10**5000) == "a number of 16610 bits"


def test_a_small_file_that_is_large_is_not_read_whole(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text('{"a": 1}')
    assert parse_json_file(path) == {"a": 1}
    with open(path, "wb") as file:
        file.truncate(MOST_JSON + 1)
    with pytest.raises(ValueError, match="has more than 4,194,304 bytes"):
        parse_json_file(path)
