"""What a training reads and what it is chosen by: minibatches of whole images, or MTCNN's samples."""

from ..data_layer.loader import Loader
from .records import config_records
from .select import Selection


def training_loader(cfg, family):
    """The loader of a config: `run(start, stop)` gives (step, batch); `records`, `size` of an epoch, `plan`."""
    if family.crop_side is not None:
        from ..data_layer.mtcnn.batches import SampleLoader

        return SampleLoader(cfg, family.crop_side)
    records, weights = config_records(cfg, cfg.TRAIN.DATASETS, cfg.TRAIN.DATASET_WEIGHTS)
    return Loader(records, weights, family.encode, cfg)


def training_selection(cfg, family, detector):
    """The selection of a config: `evaluate()` gives a dict of measures, TRAIN.SELECT_BY among them."""
    if family.crop_side is not None:
        from .stage_selection import StageSelection

        return StageSelection(cfg, family, detector.run)
    return Selection(cfg, family, detector)
