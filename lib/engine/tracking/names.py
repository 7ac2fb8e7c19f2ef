"""The trackers of a training by name: those that each training has, and those that TRAIN.TRACKERS names."""

from __future__ import annotations

import importlib.util

from easydict import EasyDict

from ...errors import InputError
from ...progress import print_line
from .background import Background
from .logs import CsvLogs, TensorBoard
from .run_page import RunPage
from .tracker import Tracker


def _mlflow():
    from .mlflow_tracker import MlflowTracker

    return MlflowTracker()


def _wandb():
    from .wandb_tracker import WandbTracker

    return WandbTracker()


NAMED = {"mlflow": _mlflow, "wandb": _wandb}
"""Name, which is also that of its package and of the extra -> what makes the tracker."""


def named_trackers(cfg: EasyDict) -> list[Tracker]:
    """The trackers of a config.

    A package that is missing is reported in a line, and the training goes without it.

    Args:
        cfg: the whole config.

    Raises:
        InputError: TRAIN.TRACKERS names something else.
    """
    names = [name for name in dict.fromkeys(cfg.TRAIN.TRACKERS.split("+")) if name]
    for name in names:
        if name not in NAMED:
            raise InputError(f"TRAIN.TRACKERS: {name!r}: expected some of {', '.join(NAMED)}, joined by +")
    there = []
    for name in names:
        if importlib.util.find_spec(name) is None:
            print_line(f"warning: TRAIN.TRACKERS {name}: the package is not installed (pip install "
                       f"'manyfaces[{name}]'); the training continues without this tracker")
        else:
            there.append(Background(name, NAMED[name]))
    return [CsvLogs(), TensorBoard(), RunPage(), *there]
