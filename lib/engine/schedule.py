"""Optimizer and learning rate of a config, and what a training does when it stops to improve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from easydict import EasyDict

from ..errors import InputError

if TYPE_CHECKING:
    import keras

NOT_DECAYED = ("bias", "gamma", "beta", "alpha")  # weight decay is for kernels only


def base_rate(train: EasyDict) -> float:
    """Return the learning rate that the schedule starts from.

    It is TRAIN.RATE, or TRAIN.RATE * BATCH / RATE_BATCH where RATE_BATCH is set: k times as many images per step use k
    times the rate. BATCH is that of all devices together, so their number changes nothing.

    Source: arXiv 1706.02677, section 2.1.
    """
    return train.RATE * train.BATCH / train.RATE_BATCH if train.RATE_BATCH else train.RATE


def rate_in_words(train: EasyDict) -> str:
    """Return `rate 0.002`, with the calculation if the rate was scaled."""
    how = f" (TRAIN.RATE {train.RATE:g} x BATCH {train.BATCH} / RATE_BATCH {train.RATE_BATCH})"
    return f"rate {base_rate(train):.4g}{how if train.RATE_BATCH else ''}"


def counted_in_steps(cfg: EasyDict, size: int) -> EasyDict:
    """Return the TRAIN section with STEPS, DECAY_AT, SELECT_EVERY and SAVE_EVERY in steps.

    With TRAIN.EPOCHS the config counts them in epochs. An epoch ends with the first step after which all samples were
    shown. WARMUP and LOG_EVERY are always in steps.

    Args:
        cfg: the whole config.
        size: samples per epoch.

    Raises:
        InputError: AUGMENT.CLEAN_STEPS is set, which needs the length in steps.

    Examples:
        >>> from manyfaces.config import load_config
        >>> words = ["TRAIN.EPOCHS", "30", "TRAIN.BATCH", "384", "TRAIN.DECAY_AT", "[6, 14]", "TRAIN.SAVE_EVERY", "1"]
        >>> train = counted_in_steps(load_config(overrides=words), 38400)
        >>> train.STEPS, train.DECAY_AT, train.SAVE_EVERY
        (3000, [600, 1400], 100)
    """
    train = cfg.TRAIN
    if not train.EPOCHS:
        return train
    if cfg.AUGMENT.CLEAN_STEPS:
        raise InputError(f"AUGMENT.CLEAN_STEPS {cfg.AUGMENT.CLEAN_STEPS} needs TRAIN.STEPS; TRAIN.EPOCHS is "
                         f"{train.EPOCHS}, set it to 0")

    def steps(epochs):
        return max(1, math.ceil(epochs * size / train.BATCH))

    return EasyDict({**train, "STEPS": steps(train.EPOCHS), "DECAY_AT": [steps(epoch) for epoch in train.DECAY_AT],
                     "SELECT_EVERY": steps(train.SELECT_EVERY), "SAVE_EVERY": steps(train.SAVE_EVERY)})


def rate_at(step: int, train: EasyDict, lowered: int = 0) -> float:
    """Return the learning rate of a step: a warm-up, then TRAIN.SCHEDULE.

    Args:
        step: number of the step, from 0.
        train: the TRAIN section in steps, see `counted_in_steps`.
        lowered: how often the schedule `plateau` has lowered the rate.

    Examples:
        >>> from manyfaces.config import load_config
        >>> train = load_config(overrides=["TRAIN.RATE", "0.1", "TRAIN.DECAY_AT", "[10]", "TRAIN.WARMUP", "4"]).TRAIN
        >>> [round(rate_at(step, train), 4) for step in (0, 3, 9, 10)]
        [0.025, 0.1, 0.1, 0.01]
    """
    rate = base_rate(train)
    if train.SCHEDULE == "cosine":
        done = min(1.0, max(0, step - train.WARMUP) / max(1, train.STEPS - train.WARMUP))
        rate *= train.FINAL_RATE + (1 - train.FINAL_RATE) * (1 + math.cos(math.pi * done)) / 2
    elif train.SCHEDULE == "cooldown":
        left = min(1.0, (train.STEPS - step) / (train.STEPS - cooldown_begins(train)))
        rate *= train.FINAL_RATE + (1 - train.FINAL_RATE) * left
    elif train.SCHEDULE == "plateau":
        rate *= train.DECAY**lowered
    else:
        rate *= train.DECAY ** sum(step >= at for at in train.DECAY_AT)
    return rate * min(1.0, (step + 1) / train.WARMUP) if train.WARMUP else rate


def cooldown_begins(train: EasyDict) -> int:
    """Return the last step that has the full rate in the schedule `cooldown` (arXiv 2405.18392, section 3).

    Examples:
        >>> from manyfaces.config import load_config
        >>> words = ["TRAIN.SCHEDULE", "cooldown", "TRAIN.STEPS", "100", "TRAIN.RATE", "1", "TRAIN.FINAL_RATE", "0"]
        >>> train = load_config(overrides=words).TRAIN
        >>> cooldown_begins(train), [round(rate_at(step, train), 4) for step in (0, 80, 90, 99)]
        (80, [1.0, 1.0, 0.5, 0.05])
    """
    return min(round(train.STEPS * (1 - train.COOLDOWN)), train.STEPS - 1)


class Patience:
    """How long a training waits for a better selection: TRAIN.SCHEDULE `plateau` and TRAIN.STOP_AFTER.

    Time is counted in epochs since the start, so it does not depend on how often a selection is made.

    Attributes:
        lowered: how often the learning rate was lowered.
        over: whether the training has ended.
        decides: whether selections change what follows.

    Raises:
        InputError: TRAIN.SELECT is empty, so there is no selection to wait for.

    Examples:
        >>> from manyfaces.config import load_config
        >>> words = ["TRAIN.SELECT", "mine", "TRAIN.SCHEDULE", "plateau", "TRAIN.PATIENCE", "5", "TRAIN.DECAY", "0.6",
        ...          "TRAIN.STOP_AFTER", "12"]
        >>> patience = Patience(load_config(overrides=words).TRAIN)
        >>> [patience.look(epoch, value) for epoch, value in ((1, 0.5), (4, 0.5), (6, 0.4))]
        ['', '', 'no better selection for 5 epochs: the rate is 0.6 of the first one']
        >>> patience.look(8, 0.6), patience.look(20, 0.6), patience.over
        ('', 'no better selection for 12 epochs: the training ends', True)
    """

    def __init__(self, train: EasyDict) -> None:
        if not train.SELECT and (train.SCHEDULE == "plateau" or train.STOP_AFTER):
            key = "TRAIN.SCHEDULE plateau" if train.SCHEDULE == "plateau" else f"TRAIN.STOP_AFTER {train.STOP_AFTER:g}"
            raise InputError(f"{key} needs a selection, but TRAIN.SELECT is empty; name a data set there")
        self.train = train
        self.decides = bool(train.SCHEDULE == "plateau" or train.STOP_AFTER)
        self.best: float | None = None
        self.best_epoch, self.waiting_since, self.lowered, self.over = 0.0, 0.0, 0, False

    def look(self, epoch: float, value: float) -> str:
        """Record the value of a selection at an epoch; return its consequence in words, or "" if there is none."""
        train = self.train
        if self.best is None or value > self.best:
            self.best, self.best_epoch, self.waiting_since = value, epoch, epoch
            return ""
        if train.STOP_AFTER and epoch - self.best_epoch >= train.STOP_AFTER:
            self.over = True
            return f"no better selection for {epoch - self.best_epoch:.4g} epochs: the training ends"
        if train.SCHEDULE == "plateau" and epoch - self.waiting_since >= train.PATIENCE:
            self.waiting_since, self.lowered = epoch, self.lowered + 1
            return (f"no better selection for {epoch - self.best_epoch:.4g} epochs: the rate is "
                    f"{train.DECAY**self.lowered:.3g} of the first one")
        return ""

    def state(self) -> dict[str, Any]:
        """Return the numbers that a resumed training needs, for a checkpoint."""
        return {key: value for key, value in vars(self).items() if key not in ("train", "decides")}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state()` of an earlier training; an empty dict changes nothing."""
        vars(self).update(state)


def build_optimizer(cfg: EasyDict, variables: Sequence[keras.Variable]) -> keras.Optimizer:
    """Return the optimizer for the variables. AdamW decays kernels itself; for SGD the decay is in the loss (`l2`)."""
    import keras

    if cfg.TRAIN.OPTIMIZER == "adamw":
        optimizer = keras.optimizers.AdamW(cfg.TRAIN.RATE, weight_decay=cfg.LOSS.WEIGHT_DECAY)
        optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    else:
        optimizer = keras.optimizers.SGD(cfg.TRAIN.RATE, momentum=0.9)
    optimizer.build(variables)
    return optimizer


def l2(variables: Sequence, paths: Sequence[str], decay: float) -> Any:
    """Return half the squared norm of the kernels times `decay`: the weight decay of Caffe and TensorFlow 1.

    Args:
        variables: values of the variables.
        paths: their names, such as conv1/kernel. Variables whose path ends in one of NOT_DECAYED are left out.
        decay: LOSS.WEIGHT_DECAY.
    """
    from keras import ops

    return sum(0.5 * decay * ops.sum(ops.square(v)) for v, path in zip(variables, paths, strict=True)
               if not path.endswith(NOT_DECAYED))
