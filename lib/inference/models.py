"""A config with its weights as a Keras model, as a Detector, and as the settings that decide its predictions."""

from pathlib import Path

from .. import pretrained
from ..config import roles_of
from ..errors import InputError
from ..runtimes.files import STAGES, digest, is_cascade, stage_files
from .detector import Detector


def load_detector(cfg, weights=None):
    """Detector of a config with its weights: a .weights.h5, or None for those that ship under cfg.NAME.

    Raises InputError where there are none, or they are of another net.
    """
    family, _, run = load_model(cfg, weights)
    return Detector(family, run, cfg)


def load_model(cfg, weights=None):
    """(family, keras.Model with its weights, run) of a config, for those who need more than `load_detector`."""
    weights = _weights_file(cfg, weights)  # before the seconds that loading Keras takes
    if is_cascade(weights):
        return load_cascade(cfg, weights)
    from ..nets import backend
    from ..nets import family as family_of
    from ..weights.files import load_weights

    backend.prepare()
    family = family_of(cfg)
    model = family.build()
    load_weights(model, weights, cfg)
    return family, model, backend.runner(model)


def _weights_file(cfg, weights):
    weights = Path(weights or pretrained.weights_file(cfg.NAME))
    if not weights.is_file() and not is_cascade(weights):
        raise InputError(f"{weights}: no such weights file")
    return weights


def settings_of(cfg, weights=None, scales=None, flip=None):
    """Dict of what decides the predictions: the weights' name and hash, and the TEST section with scales and flip."""
    weights = _weights_file(cfg, weights)
    test = {key.lower(): value for key, value in cfg.TEST.items()
            if not roles_of(f"TEST.{key}") & {"drawing", "running"}}
    if cfg.FAMILY == "mtcnn":
        test |= {f"cascade_{key.lower()}": value for key, value in cfg.CASCADE.items()}
    test |= {"scales": list(scales or cfg.TEST.SCALES), "flip": bool(cfg.TEST.FLIP if flip is None else flip)}
    return {"name": cfg.NAME, "weights": weights.name, "sha256": digest(weights), **test}


def load_cascade(cfg, weights):
    """(family, dict stage -> keras.Model, dict stage -> run) of a config and a path as runtimes.stages has it."""
    from ..nets import backend, family
    from ..nets.mtcnn import stage_config
    from ..weights.files import load_weights

    backend.prepare()
    models = {}
    for stage, file in zip(STAGES, stage_files(weights), strict=True):
        own = stage_config(cfg, stage)
        models[stage] = family(own).build()
        load_weights(models[stage], file, own)
    return family(cfg), models, {stage: backend.runner(model) for stage, model in models.items()}


def is_cascade_config(cfg):
    """Whether a config is of all three nets, which are built, loaded and exported as one detector."""
    return cfg.FAMILY == "mtcnn" and cfg.MTCNN.STAGE == "cascade"
