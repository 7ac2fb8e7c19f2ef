"""Selection during training: AP, a family's own measures and losses on a held-out part of train.

It alone decides the best checkpoint.
"""

import cv2
import numpy as np
from easydict import EasyDict

from ..data_layer.loader import Loader
from ..datasets.images import read_image
from ..errors import InputError
from ..evaluation.wider import average_precision
from .records import config_records

LOSS_BATCHES = 4


class Selection:
    """`evaluate()` gives AP over all selection sets, AP of each, and the losses of a few batches cut from them.

    A family may bring measures of its own: `validation(outputs, targets)`, from its maps and targets of whole images,
    stacked, to a dict; its `measures` names those that TRAIN.SELECT_BY may take in place of AP (higher is better).
    """

    def __init__(self, cfg, family, detector):
        self.sets, self.loader = {}, None
        known = ("AP", *family.measures)
        if cfg.TRAIN.SELECT_BY not in known:
            raise InputError(f"TRAIN.SELECT_BY is {cfg.TRAIN.SELECT_BY!r}, expected {' or '.join(known)} for "
                             f"{cfg.FAMILY}")
        for name in filter(None, cfg.TRAIN.SELECT.split("+")):
            records, _ = config_records(cfg, name)
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
        """Dict of AP (the mean over the sets), AP_<set>, the family's own measures, and the losses by name."""
        result = {}
        for name, records in self.sets.items():
            found = [self.detector.detect(read_image(record.path), [1.0], False) for record in records]
            result[f"AP_{name}"] = float(average_precision(found, records))
        losses = [self._losses(step) for step in range(LOSS_BATCHES)]
        means = {name: float(np.mean([part[name] for part in losses])) for name in losses[0]}
        result = {"AP": float(np.mean(list(result.values()))), **result}
        if self.family.measures:
            result |= self._validation()
        return {**result, "loss": sum(means.values()), **means}

    def _validation(self):
        """The family's measures over the whole images of all sets."""
        outputs, targets = [], []
        for record in (record for records in self.sets.values() for record in records):
            sample = whole_sample(record, self.detector.cfg.TEST.SIZE)
            outputs.append(self.detector.run(sample["image"][None]))
            targets.append(self.family.encode(sample))
        return self.family.validation({key: np.concatenate([part[key] for part in outputs]) for key in outputs[0]},
                                      {key: np.stack([part[key] for part in targets]) for key in targets[0]})

    def _losses(self, step):
        batch = self.loader.batch(step)
        batch.pop("names")
        outputs = self.detector.run(batch.pop("images"))
        return {name: float(np.mean(np.asarray(value))) for name, value in self.family.losses(batch, outputs).items()}


def whole_sample(record, size):
    """A record's whole image as `encode` takes a sample, squeezed to `size` (width, height) px as at test; [] keeps it.

    Returns dict of image (H, W, 3) uint8, boxes (N, 4), ignore (N,), landmarks (N, 5, 2).
    """
    image = read_image(record.path)
    scale = np.float32([1, 1])
    if size:
        scale = np.float32(size) / np.float32(image.shape[1::-1])
        image = cv2.resize(image, tuple(size), interpolation=cv2.INTER_AREA)
    return {"image": image, "boxes": record.boxes * np.tile(scale, 2), "ignore": record.ignore,
            "landmarks": record.landmarks * scale}
