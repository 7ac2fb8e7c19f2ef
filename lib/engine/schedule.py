"""Optimizer and learning rate of a config."""

import math

NOT_DECAYED = ("bias", "gamma", "beta", "alpha")  # weight decay is for kernels only


def rate_at(step, train):
    """Learning rate of a step (from 0): warm-up, then TRAIN.SCHEDULE.

    >>> from manyfaces.config import load_config
    >>> train = load_config(overrides=["TRAIN.RATE", "0.1", "TRAIN.DECAY_AT", "[10]", "TRAIN.WARMUP", "4"]).TRAIN
    >>> [round(rate_at(step, train), 4) for step in (0, 3, 9, 10)]
    [0.025, 0.1, 0.1, 0.01]
    """
    rate = train.RATE
    if train.SCHEDULE == "cosine":
        done = min(1.0, max(0, step - train.WARMUP) / max(1, train.STEPS - train.WARMUP))
        rate *= train.FINAL_RATE + (1 - train.FINAL_RATE) * (1 + math.cos(math.pi * done)) / 2
    else:
        rate *= train.DECAY ** sum(step >= at for at in train.DECAY_AT)
    return rate * min(1.0, (step + 1) / train.WARMUP) if train.WARMUP else rate


def build_optimizer(cfg, variables):
    """Keras optimizer for the variables; AdamW decays kernels itself, SGD's decay is in the loss (`l2`)."""
    import keras

    if cfg.TRAIN.OPTIMIZER == "adamw":
        optimizer = keras.optimizers.AdamW(cfg.TRAIN.RATE, weight_decay=cfg.LOSS.WEIGHT_DECAY)
        optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    else:
        optimizer = keras.optimizers.SGD(cfg.TRAIN.RATE, momentum=0.9)
    optimizer.build(variables)
    return optimizer


def l2(variables, paths, decay):
    """Half the squared norm of the kernels times decay: the weight decay of Caffe and TensorFlow 1."""
    from keras import ops

    return sum(0.5 * decay * ops.sum(ops.square(v)) for v, path in zip(variables, paths, strict=True)
               if not path.endswith(NOT_DECAYED))
