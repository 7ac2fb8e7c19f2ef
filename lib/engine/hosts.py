"""What a training on several hosts does that one process does not: agree on the start, on each step, and on its end."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from easydict import EasyDict

from ..config import flat_items, roles_of
from ..errors import InputError
from ..hosts.team import Alone
from ..progress import Progress

if TYPE_CHECKING:
    from ..data_layer.loader import Loader
    from .train import Trainer

OWN = {"TRAIN.INIT"}  # only the first process reads the weights to start from


class Unseen(Progress):
    """The progress of a process that reports nothing: the first one does."""

    def _bar(self):
        return None

    def advance(self, count=1, detail=None):
        """Nothing."""

    def note(self, text, file=None):
        """Nothing."""


def check_same(team: Alone, cfg: EasyDict, loader: Loader, free: set[str]) -> None:
    """Check that all processes have the same config, data and versions: their shares would not fit otherwise.

    Args:
        free: roles of keys that may differ between hosts, such as paths.

    Raises:
        InputError: names the first process that differs from the first one, and in what.
    """
    if team.world == 1:
        return
    import keras

    backend = keras.backend.backend()
    facts = {key: json.dumps(value) for key, value in flat_items(cfg) if roles_of(key) - free and key not in OWN}
    facts["the number of training images"] = f"{len(loader.records):,}"
    facts["the checksum of their annotations"] = loader.digest()
    facts["KERAS_BACKEND"] = backend
    facts |= {f"the version of {name}": import_module(name).__version__ for name in ("keras", backend, "numpy")}
    first, *others = (message.facts for message in team.gather("start", facts))
    for rank, own in enumerate(others, 1):
        for key in first:
            if own.get(key) != first[key]:
                raise InputError(f"--hosts: {key} is {own.get(key)} at rank {rank} and {first[key]} at rank 0; "
                                 f"expected the same on all hosts")


def share_state(trainer: Trainer) -> None:
    """Give all processes the progress and the variables of the first one, which has read or made them."""
    team, patience = trainer.team, trainer.patience
    if team.world == 1:
        return
    own = {"step": trainer.step, "best": trainer.best, "seconds": trainer.seconds, "patience": patience.state()}
    said = team.share("progress", own).facts
    trainer.step, trainer.best, trainer.seconds = said["step"], said["best"], said["seconds"]
    patience.restore(said["patience"])
    for name, variables in trainer._groups().items():
        for number, variable in enumerate(variables):
            value = team.share(f"{name} {number}", {}, variable.numpy() if team.rank == 0 else None).array
            if team.rank:
                variable.assign(value)


class Verdict:
    """What all processes know of a step, alike.

    Attributes:
        losses: of each image of the whole batch, by name.
        norm: of the gradient, as the first process has it.
        signal: number of the signal that one of them was sent, None without.
        stopped: whether one of them wants to end.
    """

    def __init__(self, losses: dict[str, np.ndarray], norm: float, signal: int | None, stopped: bool) -> None:
        self.losses, self.norm, self.signal, self.stopped = losses, norm, signal, stopped


def agree(team: Alone, step: int, losses: dict[str, np.ndarray], norm: float, signal: int | None,
          stopped: bool) -> Verdict:
    """Tell the others what this process knows of a step, and hear what they do.

    Args:
        losses: of the images of this process, by name.

    Raises:
        HostLost: one of them has ended.
    """
    if team.world == 1:
        return Verdict(losses, norm, signal, stopped)
    said = team.gather(f"step {step}", {"norm": norm, "signal": signal, "stopped": stopped},
                       np.stack(list(losses.values())))
    arrays = [message.array for message in said if message.array is not None]
    facts: list[dict[str, Any]] = [message.facts for message in said]
    signals = [each["signal"] for each in facts if each["signal"]]
    return Verdict(dict(zip(losses, np.concatenate(arrays, axis=1), strict=True)), facts[0]["norm"],
                   signals[0] if signals else None, any(each["stopped"] for each in facts))
