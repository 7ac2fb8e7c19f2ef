"""Seconds per step on this machine, measured with the training itself, which then begins as if nothing had happened."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..engine.train import Trainer

TIMED = 5
"""Steps of each image size that are timed."""


def seconds_per_step(trainer: Trainer, timed: int = TIMED) -> float:
    """Take a few steps, time them, and restore every variable.

    The first step of each image size compiles and is not timed. Reading and augmenting images counts.

    Args:
        trainer: at its first step.
        timed: steps per image size.
    """
    variables = [*trainer.model.variables, *trainer.optimizer.variables, *trainer.precision.variables]
    variables += trainer.average.variables if trainer.average else []
    before = [variable.numpy() for variable in variables]
    sizes, weights = len(trainer.loader.turns), np.ones(len(trainer.family.modules), np.float32)
    began = time.perf_counter()
    for step, _, images, targets in trainer.batches.run(0, sizes * (1 + timed)):
        trainer.train_step(images, targets, weights, 0.0)
        if step == sizes - 1:
            began = time.perf_counter()
    spent = time.perf_counter() - began
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    trainer.batches.waited = 0.0
    return spent / (sizes * timed)
