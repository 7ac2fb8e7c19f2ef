"""Configs: all keys with their defaults and rules (keys.py), and how one is loaded, checked and saved (loading.py).

A config is an EasyDict that is passed as an argument; there is no global one. An unknown key is an error that names the
nearest known key, and a value that the key's rule does not allow is an error too. A YAML file may name another one as
`BASE: file.yml` (relative to itself) and then holds only the differences. The configs of cfgs/ are found by name
(names.py).
"""

from .keys import keys_with, roles_of
from .loading import (
    DEFAULTS,
    check_group,
    check_value,
    default_config,
    flat_items,
    load_config,
    override,
    reset,
    save_config,
)
from .names import names

__all__ = ["DEFAULTS", "check_group", "check_value", "default_config", "flat_items", "keys_with", "load_config",
           "names", "override", "reset", "roles_of", "save_config"]
