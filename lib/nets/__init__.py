"""The families of detectors: one module each, one line here each."""

from ..errors import InputError


def family(cfg):
    """The family object that a config names: `build`, `encode`, `losses`, `decode` (docs/architecture.md)."""
    from .grid import Grid
    from .mtcnn import mtcnn
    from .ssd import SSD
    from .ssh import SSH
    from .tiny import Tiny

    families = {"grid": Grid, "mtcnn": mtcnn, "ssd": SSD, "ssh": SSH, "tiny": Tiny}
    if cfg.FAMILY not in families:
        raise InputError(f"FAMILY is {cfg.FAMILY!r}, expected one of {', '.join(families)}")
    return families[cfg.FAMILY](cfg)
