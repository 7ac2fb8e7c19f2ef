"""Configs by name: the files of cfgs/ are data of the package, and `ssh_mobilenet_v1_025` means one of them."""

import difflib
import os
from pathlib import Path

from ..errors import InputError

ENDINGS = (".yml", ".yaml")


def folder() -> Path:
    """The folder of the package's configs: cfgs inside an installed package, beside lib/ in a working copy."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "cfgs"
    return installed if installed.is_dir() else package.parent / "cfgs"


def names() -> list[str]:
    """Names of the package's configs, sorted."""
    return sorted(path.stem for path in folder().glob("*.yml"))


def is_name(text: str | os.PathLike) -> bool:
    """Whether it can be a name: it has neither a folder in it nor the ending of a YAML."""
    text = os.fspath(text)
    return text not in ("", ".", "..") and not set(text) & {os.sep, "/", "\0"} and not text.lower().endswith(ENDINGS)


def similar(name: str, known: list[str]) -> list[str]:
    """At most three of the known names, the most similar first; those that contain it count as similar."""
    near = difflib.get_close_matches(name, known, 3)
    holding = [each for each in known if len(name) > 2 and name.lower() in each]
    return list(dict.fromkeys([*near, *holding]))[:3]


def config_file(path: str | os.PathLike, beside: str | os.PathLike = "") -> Path:
    """The YAML file that a path or the name of one of the package's configs means. The path may lead nowhere.

    Args:
        path: a file wins over a config of that name.
        beside: the folder that a relative path starts from; by default the working folder.

    Raises:
        InputError: there is no config of that name; it lists similar names.

    Examples:
        >>> config_file("ssh_vgg16").name, config_file("mine/ssh_vgg16.yml").as_posix()
        ('ssh_vgg16.yml', 'mine/ssh_vgg16.yml')
    """
    if not is_name(path) or os.path.isfile(Path(beside, path)):
        return Path(beside, path)
    name = os.fspath(path)
    if name not in names():
        near = similar(name, names())
        raise InputError(f"{name}: no file, and no config of that name; "
                         + (f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names())}"))
    return folder() / f"{name}.yml"
