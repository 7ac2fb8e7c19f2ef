"""Selection during training: AP and losses on a held-out part of train, which alone decides the best checkpoint."""

from pathlib import Path

import numpy as np
from easydict import EasyDict

from ..data_layer.loader import Loader
from ..datasets.images import read_image
from ..datasets.roidb import load_sources
from ..evaluation.wider import average_precision

LOSS_BATCHES = 4


class Selection:
    """`evaluate()` gives AP over all selection sets, AP of each, and the losses of a few batches cut from them."""

    def __init__(self, cfg, family, detector):
        self.sets, self.loader = {}, None
        for name in filter(None, cfg.TRAIN.SELECT.split("+")):
            records, _ = load_sources(name, [], Path(cfg.DATA_DIR) / "pickles")
            count = cfg.TRAIN.SELECT_IMAGES
            # Evenly spread rather than the first ones, which would all be of one event.
            chosen = np.linspace(0, len(records) - 1, count).round().astype(int) if count else range(len(records))
            self.sets[name] = [records[i] for i in sorted(set(chosen))]
        if not self.sets:
            return
        self.family, self.detector = family, detector
        records = [record for part in self.sets.values() for record in part]
        other = EasyDict({**cfg, "SEED": cfg.SEED + 1})  # the same augmentation, another stream of chance
        self.loader = Loader(records, np.ones(len(records)), family.encode, other)

    def evaluate(self):
        """Dict of AP (the mean over the sets), AP_<set>, and the losses by name."""
        result = {}
        for name, records in self.sets.items():
            found = [self.detector.detect(read_image(record.path), [1.0], False) for record in records]
            result[f"AP_{name}"] = float(average_precision(found, records))
        losses = [self._losses(step) for step in range(LOSS_BATCHES)]
        means = {name: float(np.mean([part[name] for part in losses])) for name in losses[0]}
        return {"AP": float(np.mean(list(result.values()))), **result, "loss": sum(means.values()), **means}

    def _losses(self, step):
        batch = self.loader.batch(step)
        batch.pop("names")
        outputs = self.detector.run(batch.pop("images"))
        return {name: float(np.mean(np.asarray(value))) for name, value in self.family.losses(batch, outputs).items()}
