"""The three stages of MTCNN by name, and which of them a config means. No other module asks for FAMILY mtcnn."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easydict import EasyDict

STAGES = ("pnet", "rnet", "onet")
CASCADE = "cascade"  # MTCNN.STAGE of a config for all three


def stage_of(cfg: EasyDict) -> str | None:
    """What a config means: `cascade` (all three nets), one of STAGES, or None for a config of another family."""
    return cfg.MTCNN.STAGE if cfg.FAMILY == "mtcnn" else None


def is_cascade(cfg: EasyDict) -> bool:
    """Whether a config is of all three nets, which are built, loaded and exported as one detector."""
    return stage_of(cfg) == CASCADE
