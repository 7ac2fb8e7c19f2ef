"""JSON and YAML within bounds: no text can grow, nest or count beyond what a file of its kind needs."""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from typing import Any

import yaml

DEEPEST = 64  # lists and dicts within one another
MOST_JSON = 1 << 22  # bytes of a sidecar or of settings, which have a few thousand
MOST_YAML = 1 << 17  # characters of a YAML text: PyYAML takes up to 0.6 s for as many
MOST_EXPANDED = 1 << 20  # characters of a YAML text whose aliases are written out
LONGEST_NUMBER = 40  # characters of a whole number


class ParseError(ValueError):
    """A text is not what it should be, or beyond the bounds of this module."""


def parse_json(text: str | bytes | bytearray) -> Any:
    """Read JSON.

    Raises:
        ValueError: it is not JSON, is nested too deep, has a whole number of more than 40 digits, or has an object
            with the same key twice.
    """
    try:
        value = json.loads(text, parse_int=_whole, object_pairs_hook=_object)
    except RecursionError:
        raise ParseError(f"lists or objects are nested more than {DEEPEST} deep") from None
    level = [value]
    for _ in range(DEEPEST):
        level = [item for group in level if isinstance(group, (list, dict))
                 for item in (group.values() if isinstance(group, dict) else group) if isinstance(item, (list, dict))]
        if not level:
            return value
    raise ParseError(f"lists or objects are nested more than {DEEPEST} deep")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ParseError(f"an object has the key {twice[:200]!r} twice")
    return value


def parse_json_file(path: str | os.PathLike) -> Any:
    """Read a small JSON file, such as a sidecar or settings, as `parse_json` does.

    Raises:
        OSError: the file cannot be read.
        ValueError: as parse_json, or the file has more than MOST_JSON bytes.
    """
    with open(path, "rb") as file:
        text = file.read(MOST_JSON + 1)
    if len(text) > MOST_JSON:
        raise ParseError(f"has more than {MOST_JSON:,} bytes")
    return parse_json(text)


def _whole(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ParseError(f"found a whole number of {len(text)} digits")
    return int(text)


def parse_yaml(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """Read YAML as yaml.load does.

    Raises:
        yaml.YAMLError: it is not YAML.
        ParseError: it is too long, nested too deep, has aliases that grow or contain themselves, or a value such as a
            date that is none.
    """
    if len(text) > MOST_YAML:
        raise ParseError(f"has {len(text):,} characters, expected at most {MOST_YAML:,}")
    reader = loader(text)
    try:
        node = reader.get_single_node()
        if node is None:
            return None
        _expanded(node, {}, set())
        return reader.construct_document(node)
    except RecursionError:
        raise ParseError("lists or groups are nested too deep") from None
    except (ValueError, OverflowError, TypeError, AttributeError, LookupError) as error:
        # PyYAML's own for a value that its tag does not fit, such as 2001-99-99.
        raise error if isinstance(error, ParseError) else ParseError(f"holds a wrong value ({error})") from None
    finally:
        reader.dispose()


def _expanded(node: yaml.Node, known: dict[int, int], above: set[int]) -> int:
    """Number of characters of a node with its aliases written out."""
    key = id(node)
    if key in known:
        return known[key]
    if key in above:
        raise ParseError("has an alias that contains itself")
    if len(above) > DEEPEST:
        raise ParseError(f"lists or groups are nested more than {DEEPEST} deep")
    if isinstance(node, yaml.ScalarNode):
        size = 1 + len(node.value)
        if node.tag == "tag:yaml.org,2002:int" and size > LONGEST_NUMBER:
            raise ParseError(f"has a whole number of {size - 1} characters")
    else:
        above.add(key)
        size = 1
        pairs = node.value if isinstance(node, yaml.MappingNode) else [node.value]
        for child in itertools.chain.from_iterable(pairs):
            size += _expanded(child, known, above)
            if size > MOST_EXPANDED:
                raise ParseError(f"has aliases that grow to more than {MOST_EXPANDED:,} characters")
        above.remove(key)
    known[key] = size
    return size
