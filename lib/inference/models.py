"""A config with its weights: as a Keras model, as a detector, and as the settings that decide its predictions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import pretrained
from ..cascade.stages import STAGES, is_cascade
from ..config import roles_of
from ..errors import InputError
from ..nets import FAMILIES
from ..runtimes.files import CascadeFiles, absolute, check_stamp, digest, stamp
from ..runtimes.foreign import FORMATS
from .base import BaseDetector
from .cascade_detector import CascadeDetector, Nets
from .detector import Detector, Run

if TYPE_CHECKING:
    import keras
    from easydict import EasyDict

    from ..nets.family import Family


def load_detector(cfg: EasyDict, weights: str | os.PathLike | None = None) -> BaseDetector:
    """The detector of a config, run by Keras.

    Args:
        weights: a .weights.h5, or the folder of a cascade; None: those that ship under cfg.NAME.

    Raises:
        InputError: there are none, or they are of another net.
    """
    source = weights_of(cfg, weights)  # before the seconds that loading Keras takes
    if is_cascade(cfg):
        nets = load_cascade(cfg, source)[1]
        return CascadeDetector({stage: LoadedNet(run, cfg, source, stage) for stage, run in nets.items()}, cfg, source)
    family, _, run = load_model(cfg, source)
    return Detector(family, LoadedNet(run, cfg, source), cfg, source)


class LoadedNet:
    """The net of a config with its weights, run by Keras. A copy, or one in another process, is loaded from them again.

    Args:
        run: the net: images (B, H, W, 3) -> maps by name.
        cfg, source: what it was loaded from.
        stage: of a cascade.
    """

    def __init__(self, run: Run, cfg: EasyDict, source: os.PathLike, stage: str | None = None) -> None:
        self.run, self.cfg, self.source, self.stage = run, cfg, absolute(source), stage
        self.stamp = stamp(self.source)

    def __call__(self, images: np.ndarray) -> Mapping[str, np.ndarray]:
        return self.run(images)

    def __reduce__(self) -> tuple:
        return _load_again, (self.cfg, self.source, self.stage, self.stamp)


def _load_again(cfg, source, stage, before):
    check_stamp(before, source)
    run = _load_stage(cfg, source, stage)[1] if stage else load_model(cfg, source)[2]
    return LoadedNet(run, cfg, source, stage)


def load_model(cfg: EasyDict, weights: str | os.PathLike | None = None) -> tuple[Family, keras.Model, Run]:
    """(family, model with its weights, run) of a config of one net; weights and errors as in load_detector."""
    weights = weights_of(cfg, weights)
    from ..nets import backend
    from ..nets import family as family_of
    from ..weights.files import load_weights

    backend.prepare()
    family = family_of(cfg)
    model = family.build()
    load_weights(model, weights, cfg)
    return family, model, backend.runner(model)


def load_cascade(cfg: EasyDict, weights: str | os.PathLike | None = None) -> tuple[dict[str, keras.Model], Nets]:
    """(stage -> model with its weights, stage -> run) of a config of a cascade; as in load_detector."""
    files = CascadeFiles.weights(weights or pretrained.weights_file(cfg.NAME))
    loaded = {stage: _load_stage(cfg, files, stage) for stage in STAGES}
    return {stage: model for stage, (model, _) in loaded.items()}, {stage: run for stage, (_, run) in loaded.items()}


def _load_stage(cfg, files, stage):
    """(model, run) of one stage of a cascade."""
    from ..nets import backend
    from ..nets.mtcnn import STAGES as NETS
    from ..nets.mtcnn import stage_config
    from ..weights.files import load_weights

    backend.prepare()
    own = stage_config(cfg, stage)
    model = NETS[stage](own).build()
    load_weights(model, files[stage], own)
    return model, backend.runner(model)


def weights_of(cfg: EasyDict, weights: str | os.PathLike | None = None) -> Path | CascadeFiles:
    """The weights of a config, which exist; None: those that ship under cfg.NAME.

    Raises:
        InputError: there are none, or the family is unknown.
    """
    FAMILIES.check(cfg.FAMILY)
    weights = weights or pretrained.weights_file(cfg.NAME)
    if is_cascade(cfg):
        return CascadeFiles.weights(weights)
    if Path(weights).is_dir():
        raise InputError(f"{os.fspath(weights)}: is a folder; expected a .weights.h5 of {cfg.FAMILY}, as only the "
                         f"weights of a cascade are a folder")
    if not Path(weights).is_file():
        raise InputError(f"{os.fspath(weights)}: no such weights file")
    return Path(weights)


def settings_of(cfg: EasyDict, source: str | os.PathLike | None = None, scales: Sequence[float] | None = None,
                flip: bool | None = None) -> dict[str, Any]:
    """What decides the predictions of a detector.

    Args:
        source: that of the detector, or its weights; None: those that ship under cfg.NAME.
        scales, flip: those that replace TEST.SCALES and TEST.FLIP; None: these.

    Returns:
        Name and sha256 of the weights, and the TEST section with scales and flip; of a cascade also CASCADE.
    """
    if source is not None and cfg.FAMILY in FORMATS:
        source = Path(source)
    elif not isinstance(source, CascadeFiles):
        source = weights_of(cfg, source)
    test = {key.lower(): value for key, value in cfg.TEST.items()
            if not roles_of(f"TEST.{key}") & {"drawing", "running"}}
    if is_cascade(cfg):
        test |= {f"cascade_{key.lower()}": value for key, value in cfg.CASCADE.items()}
    test |= {"scales": list(scales or cfg.TEST.SCALES), "flip": bool(cfg.TEST.FLIP if flip is None else flip)}
    return {"name": cfg.NAME, "weights": source.name, "sha256": digest(source), **test}
