"""The trackers of a training by name: those that each training has, and those that TRAIN.TRACKERS names."""

from __future__ import annotations

from easydict import EasyDict

from .logs import CsvLogs, TensorBoard
from .run_page import RunPage
from .tracker import Tracker


def named_trackers(cfg: EasyDict) -> list[Tracker]:
    """The trackers of a config.

    Args:
        cfg: the whole config.
    """
    return [CsvLogs(), TensorBoard(), RunPage()]
