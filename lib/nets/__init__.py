"""The families of detectors: one module per family, one line in FAMILIES; others are registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError
from .family import REQUIRED, Family
from .registry import Registry

if TYPE_CHECKING:
    from easydict import EasyDict

FAMILIES = Registry("FAMILY", __name__, {
    "grid": ".grid:Grid", "mtcnn": ".mtcnn:stage_net", "ssd": ".ssd:SSD", "ssh": ".ssh:SSH", "tiny": ".tiny:Tiny"})


def register_family(name: str, cls: type[Family]) -> None:
    """Make a family of your own known under a name that FAMILY of a config may then hold (docs/own_family.md).

    Args:
        cls: class derived from manyfaces.nets.family.Family.

    Raises:
        InputError: cls is no such class or has not all required methods, or the name is taken by another.
    """
    if not (isinstance(cls, type) and issubclass(cls, Family)):
        raise InputError(f"FAMILY {name!r}: found {cls!r}, expected a class derived from manyfaces.nets.family.Family")
    missing = [part for part in REQUIRED if getattr(cls, part) is getattr(Family, part)]
    if missing:
        raise InputError(f"FAMILY {name!r}: {cls.__name__} does not define {', '.join(missing)}; see "
                         f"manyfaces.nets.family.Family")
    FAMILIES.register(name, cls)


def family(cfg: EasyDict) -> Family:
    """Make the family that a config names.

    Raises:
        InputError: the name is not registered, or the config does not fit the family.
    """
    return FAMILIES.find(cfg.FAMILY)(cfg)
