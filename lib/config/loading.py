"""Configs: the defaults, merged strictly with a YAML file and with KEY VALUE overrides, checked, and saved."""

import copy
import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from easydict import EasyDict

from ..errors import InputError, shown
from ..files import write_whole
from ..parsing import ParseError, parse_yaml
from ..texts import decoded
from .keys import RULES, defaults, keys_with
from .names import config_file, names
from .rules import NotAllowedError

DEFAULTS = defaults()


class _KeyTwiceError(yaml.MarkedYAMLError):
    """A group of a YAML file holds a key twice."""


class _Loader(yaml.SafeLoader):
    """Reads YAML as safe_load does, but a group with the same key twice is an error; safe_load takes the last one."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise _KeyTwiceError(problem=f"the key {key.value} was there before; join the two",
                                     problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def default_config() -> EasyDict:
    """Return a fresh copy of the defaults."""
    return EasyDict(copy.deepcopy(DEFAULTS))


def load_config(path: str | os.PathLike | None = None, overrides: Iterable = ()) -> EasyDict:
    """Return the defaults, changed by a YAML file and then by overrides.

    Args:
        path: YAML file, or the name of a config of the package (a file of that name wins). Its BASE, if it has one, is
            read before it. None: none.
        overrides: KEY, VALUE, KEY, VALUE, ... A value that is text is read as YAML, so `"[0.5, 1]"` is a list.

    Raises:
        InputError: names the file, the key, what was found and what was expected.

    Examples:
        >>> cfg = load_config(overrides=["TRAIN.BATCH", "8"])
        >>> cfg.TRAIN.BATCH
        8
    """
    cfg = default_config()
    if path is not None:
        path = config_file(path)
        for file, values in _yaml_chain(path):
            _merge(cfg, values, str(file), "")
        cfg.NAME = cfg.NAME or Path(path).stem
    override(cfg, overrides)
    return cfg


def override(cfg: EasyDict, overrides: Iterable) -> None:
    """Change keys of a config in place, with the checks of `load_config`.

    Args:
        cfg: the config that is changed.
        overrides: KEY, VALUE, KEY, VALUE, ... as for `load_config`.

    Raises:
        InputError: names the key, what was found and what was expected.
    """
    overrides = list(overrides)
    if len(overrides) % 2:
        raise InputError(f"--set takes pairs KEY VALUE: found {len(overrides)} words, the last is {overrides[-1]!r}")
    for key, text in zip(overrides[::2], overrides[1::2], strict=True):
        try:
            value = parse_yaml(text) if isinstance(text, str) else text
        except (yaml.YAMLError, ParseError):
            raise InputError(f"--set {key}: {shown(text)} is not a YAML value") from None
        for name in reversed(key.split(".")):
            value = {name: value}
        _merge(cfg, value, "--set", "")


def reset(cfg: EasyDict, role: str) -> None:
    """Give the keys with a role, such as "place", their defaults."""
    override(cfg, [word for key in keys_with(role) for word in (key, RULES[key].default)])


def check_value(key: str, value: Any, name: str | None = None) -> Any:
    """Check a value by the rule of a key, wherever it comes from: an argument, an option, a changed config.

    Args:
        key: such as TEST.SCALES.
        value: a tuple or an array counts as a list.
        name: what the message calls it; None: the key.

    Returns:
        The value in the type of the key.

    Raises:
        InputError: names it, what was found and what was expected.

    Examples:
        >>> check_value("TEST.SCALES", (0.5, 1), "scales")
        [0.5, 1]
    """
    try:
        return RULES[key].check(_native(value))
    except NotAllowedError as error:
        raise InputError(f"{name or key} {error}") from None


def check_group(cfg: EasyDict, group: str) -> None:
    """Check all keys of a group, such as TEST: a program may have changed them after the config was loaded.

    A value of another type that a YAML file may have too, such as a tuple or the text 0.5, is replaced.
    """
    for name, value in list(cfg[group].items()):
        if (key := f"{group}.{name}") in RULES:
            checked = check_value(key, value)
            if type(checked) is not type(value):
                cfg[group][name] = checked


def _native(value):
    """A number or a list of Python for one of NumPy, and a list for a tuple."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return [_native(item) for item in value] if isinstance(value, list | tuple) else value


def save_config(cfg: Mapping, path: str | os.PathLike) -> None:
    """Write all keys of a config as YAML, atomically; `load_config` of the file gives the same config."""
    write_whole(path, yaml.safe_dump(_plain(cfg), sort_keys=False, default_flow_style=None))


def _yaml_chain(path, seen=()):
    """[(file, values)], the file's BASE before it."""
    path = Path(path)
    try:
        place = path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, a zero byte
        raise InputError(f"{path}: cannot be the path of a config ({error})") from None
    if place in seen:
        raise InputError(f"{path}: BASE leads back to this file; a config may not be its own base")
    try:
        values = parse_yaml(decoded(path.read_bytes(), path), _Loader)
    except OSError as error:
        known = isinstance(error, FileNotFoundError) and path.stem in names()
        raise InputError(f"{path}: cannot be read as a config ({error.strerror})"
                         + (f"; the package has one of the name {path.stem}" if known else "")) from None
    except ParseError as error:
        raise InputError(f"{path}: not YAML that a config can be: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        text = problem if isinstance(error, _KeyTwiceError) else f"not YAML ({problem})"
        raise InputError(f"{path}{line}: {text}") from None
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise InputError(f"{path}: found a {type(values).__name__}, expected keys such as `FAMILY: ssh`")
    base = values.pop("BASE", None)
    if base is not None and not isinstance(base, str):
        raise InputError(f"{path}: BASE is {shown(base)}, expected the path of another YAML, relative to this one, "
                         f"or the name of a config of the package")
    chain = _yaml_chain(config_file(base, path.parent), (*seen, place)) if base else []
    return [*chain, (path, values)]


def _merge(cfg, values, where, prefix):
    for key, value in values.items():
        name = f"{prefix}{key}"
        if key not in cfg:
            while isinstance(value, dict) and value:
                key, value = next(iter(value.items()))
                name += f".{key}"
            near = _nearest(name)
            raise InputError(f"{where}: unknown key {name}" + (f"; did you mean {near}?" if near else ""))
        if isinstance(cfg[key], dict):
            if not isinstance(value, dict):
                raise InputError(f"{where}: {name} is a group of keys, found {shown(value)}; expected e.g. "
                                 f"{name}.{next(iter(cfg[key]))}")
            _merge(cfg[key], value, where, name + ".")
        else:
            try:
                cfg[key] = RULES[name].check(value)
            except NotAllowedError as error:
                raise InputError(f"{where}: {name} {error}") from None


def _nearest(name):
    """The known key that was probably meant, or None: one with the same last word, else one with a similar name."""
    wanted, known = name.upper(), [*RULES, *DEFAULTS]
    same = [key for key in known if key.rpartition(".")[2] == wanted.rpartition(".")[2]]
    return next(iter(difflib.get_close_matches(wanted, same, 1, 0.0) or difflib.get_close_matches(wanted, known, 1)),
                None)


def flat_items(tree: Mapping, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (key such as TRAIN.STEPS, value) for every value of a config."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat_items(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _plain(value):
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
