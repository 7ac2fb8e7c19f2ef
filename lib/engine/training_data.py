"""The loader and the selection of a training: from whole images, or from the samples of MTCNN."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from easydict import EasyDict

from ..data_layer.loader import Loader
from .records import config_records
from .select import Selection

if TYPE_CHECKING:
    from ..data_layer.mtcnn.batches import SampleLoader
    from ..inference.detector import Detector
    from ..nets.family import Family
    from ..nets.mtcnn import StageNet
    from .stage_selection import StageSelection


def training_loader(cfg: EasyDict, family: Family) -> Loader | SampleLoader:
    """Return the loader of a config; its `run(start, stop)` yields (step, batch)."""
    if family.crop_side is not None:
        from ..data_layer.mtcnn.batches import SampleLoader

        return SampleLoader(cfg, family.crop_side)
    records, weights = config_records(cfg, cfg.TRAIN.DATASETS, cfg.TRAIN.DATASET_WEIGHTS)
    return Loader(records, weights, family.encode, cfg)


def training_selection(cfg: EasyDict, family: Family, detector: Detector) -> Selection | StageSelection:
    """Return the selection of a config; its `evaluate()` gives measures by name, TRAIN.SELECT_BY among them."""
    if family.crop_side is not None:
        from .stage_selection import StageSelection

        return StageSelection(cfg, cast("StageNet", family), detector.run)  # only the stages learn from crops
    return Selection(cfg, family, detector)
