"""What YOLO's data.yaml or classes.txt says about the labels beside it: names of the classes, shape of the points."""

import os

import yaml

from ...errors import InputError
from ...parsing import MOST_YAML
from ...texts import read_text
from ..text import read_list

_YAMLS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_LISTS = ("classes.txt", "obj.names", "_darknet.labels")


def read_names(labels: str | os.PathLike, images: str | os.PathLike) -> tuple[dict[int, str], tuple[int, int] | None]:
    """Look for the names in the folders of the labels and of the images and in the two folders above each.

    A file that cannot be read or has another form is passed over: names are a help, not a need.

    Returns:
        Number of a class -> name, empty where no file says it; and data.yaml's kpt_shape, the number of points per
        face and of numbers per point.

    Raises:
        InputError: names the data.yaml that gives two names to a class, or has the same key twice.
    """
    folders = dict.fromkeys(os.path.normpath(os.path.join(os.path.abspath(folder), up))
                            for up in (".", "..", "../..") for folder in (labels, images))
    names, points = {}, None
    for path in (os.path.join(folder, name) for folder in folders for name in _YAMLS):
        if not names and not points and _is_small(path):
            names, points = _of_yaml(path)
    for path in (os.path.join(folder, name) for folder in folders for name in _LISTS):
        if not names and _is_small(path):
            names = _of_list(path)
    return names, points


def _is_small(path):
    return os.path.isfile(path) and os.path.getsize(path) <= MOST_YAML


def _of_list(path):
    try:
        return dict(enumerate(read_list(path)))
    except InputError:
        return {}


def _of_yaml(path):
    """Names and kpt_shape of a data.yaml. Nodes are not made into objects: what the file refers to cannot grow."""
    try:
        top = yaml.compose(read_text(path), yaml.SafeLoader)
    except (InputError, yaml.YAMLError, RecursionError, ValueError):
        return {}, None
    values = {}
    for key, value in top.value if isinstance(top, yaml.MappingNode) else ():
        if key.value in ("names", "kpt_shape") and values.setdefault(key.value, value) is not value:
            raise InputError(f"{path}: has the key {key.value!r} twice; remove one of them")
    names, shape = values.get("names"), values.get("kpt_shape")
    if isinstance(names, yaml.SequenceNode):
        pairs = [(str(number), item.value) for number, item in enumerate(names.value)]
    elif isinstance(names, yaml.MappingNode):
        pairs = [(key.value, item.value) for key, item in names.value]
    else:
        pairs = []
    found = {}
    for key, name in pairs:
        if isinstance(name, str) and isinstance(key, str) and key.isdecimal() and len(key) < 10 and (
                found.setdefault(int(key), name) != name):
            raise InputError(f"{path}: 'names' has class {int(key)} twice, as {found[int(key)][:60]!r} and "
                             f"{name[:60]!r}; remove one of them")
    sides = [item.value for item in shape.value] if isinstance(shape, yaml.SequenceNode) else []
    points = tuple(int(side) for side in sides if isinstance(side, str) and side.isdecimal() and len(side) < 4)
    return found, (points[0], points[1]) if len(points) == 2 else None
