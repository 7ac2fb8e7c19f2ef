"""Selection during training: AP, the family's own measures and losses on images held out from the training data.

It alone decides which checkpoint is the best.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from easydict import EasyDict

from ..data_layer.loader import Loader
from ..datasets.images import ImageError, image_size, read_image
from ..datasets.roidb import Record
from ..errors import InputError
from ..evaluation.wider import average_precision
from ..progress import print_line
from .records import config_records
from .samples import sample_picture

if TYPE_CHECKING:
    from ..inference.detector import Detector
    from ..nets.family import Family

LOSS_BATCHES = 4
PICTURES = 6  # of all sets together


class Selection:
    """The selection sets of a config, and how a net performs on them.

    Args:
        cfg: the whole config.
        family: the family. If it has `measures`, its `validation` computes them on whole images.
        detector: runs the net that is trained.

    Attributes:
        pictures: some images with the detections of the last `evaluate`, (H, W, 3) uint8 RGB, by caption.

    Raises:
        InputError: TRAIN.SELECT_BY is not a measure of the family, or a selection set cannot be read.
    """

    def __init__(self, cfg: EasyDict, family: Family, detector: Detector) -> None:
        self.sets: dict[str, list[Record]] = {}
        self.loader: Loader | None = None
        self.pictures: dict[str, np.ndarray] = {}
        self.family, self.detector, self.heights = family, detector, cfg.TRAIN.SELECT_HEIGHTS
        known = ("AP", *family.measures)
        if cfg.TRAIN.SELECT_BY not in known:
            raise InputError(f"TRAIN.SELECT_BY is {cfg.TRAIN.SELECT_BY!r}, expected {' or '.join(known)} for "
                             f"{cfg.FAMILY}")
        for name in filter(None, cfg.TRAIN.SELECT.split("+")):
            records, _ = config_records(cfg, name)
            count = cfg.TRAIN.SELECT_IMAGES
            # Evenly spread: the first images are all of one event.
            chosen = np.linspace(0, len(records) - 1, count).round().astype(int) if count else range(len(records))
            self.sets[name] = _readable([records[i] for i in sorted(set(chosen))], name)
        if not self.sets:
            return
        scales = list(cfg.TEST.SCALES)
        # One factor is used as at test. A pyramid, or a side in px, takes several times as long.
        self.scales = scales if len(scales) == 1 and scales[0] <= 10 else [1.0]
        records = [record for chosen in self.sets.values() for record in chosen]
        other = EasyDict({**cfg, "SEED": cfg.SEED + 1})  # the same augmentation with other random numbers
        self.loader = Loader(records, np.ones(len(records)), family.encode, other)

    def evaluate(self) -> dict[str, float]:
        """Score the net.

        Returns:
            `AP` (the mean over the sets), `AP_<set>`, the family's own measures, `loss`, and the losses by name, over
            LOSS_BATCHES batches cut from the sets.
        """
        result = {}
        self.pictures = {}
        for name in self.sets:
            detections = self._detections(name)
            records = self.sets[name]
            result[f"AP_{name}"] = float(average_precision(detections, records, heights=self.heights))
        losses = [self._losses(step) for step in range(LOSS_BATCHES)]
        means = {name: float(np.mean([batch[name] for batch in losses])) for name in losses[0]}
        result = {"AP": float(np.mean(list(result.values()))), **result}
        if self.family.measures:
            result |= self._validation()
        return {**result, "loss": sum(means.values()), **means}

    def images(self, name: str) -> Iterator[tuple[Record, np.ndarray]]:
        """The records of a set with their images, (H, W, 3) uint8 RGB.

        An image that cannot be decoded is named and leaves the set.

        Raises:
            InputError: none can be decoded.
        """
        readable = []
        for record in self.sets[name]:
            try:
                image = read_image(record.path, limit=self.detector.cfg.TEST.MAX_FILE_PIXELS)
            except ImageError as error:
                _warn(error, name)
                continue
            readable.append(record)
            yield record, image
        if not readable:
            raise InputError(f"TRAIN.SELECT {name!r}: none of its images can be read")
        self.sets[name] = readable

    def _detections(self, name):
        """Detections of each image of a set."""
        detections, records = [], self.sets[name]
        count = max(1, PICTURES // len(self.sets))
        shown = {id(records[i]) for i in np.linspace(0, len(records) - 1, count).round().astype(int)}
        for record, image in self.images(name):
            detections.append(self.detector.detect(image, self.scales, False, threshold=0))
            if id(record) in shown:
                caption, picture = sample_picture(image, detections[-1], record, self.detector.cfg.TEST.DEMO_SCORE)
                self.pictures[f"{name} {caption}"] = picture
        return detections

    def _validation(self):
        """The family's measures over the whole images of all sets."""
        outputs, targets = [], []
        for record in (record for records in self.sets.values() for record in records):
            sample = whole_sample(record, self.detector.cfg.TEST.SIZE, self.detector.cfg.TEST.MAX_FILE_PIXELS)
            outputs.append(self.detector.run(sample["image"][None]))
            targets.append(self.family.encode(sample))
        return self.family.validation({key: np.concatenate([maps[key] for maps in outputs]) for key in outputs[0]},
                                      {key: np.stack([arrays[key] for arrays in targets]) for key in targets[0]})

    def _losses(self, step):
        assert self.loader is not None  # there are sets
        batch = self.loader.batch(step)
        batch.pop("names")
        outputs = self.detector.run(batch.pop("images"))
        return {name: float(np.mean(np.asarray(value))) for name, value in self.family.losses(batch, outputs).items()}


def _readable(records, name):
    """The records whose image is there; at the start of a training, and not when the first selection is due."""
    found = []
    for record in records:
        try:
            image_size(record.path)
            found.append(record)
        except ImageError as error:
            _warn(error, name)
    if not found:
        raise InputError(f"TRAIN.SELECT {name!r}: none of its {len(records):,} images can be read")
    return found


def _warn(error, name):
    print_line(f"warning: {error}; left out of TRAIN.SELECT {name!r}")


def whole_sample(record: Record, size: Sequence[int], limit: int = 0) -> dict[str, np.ndarray]:
    """Return the whole image of a record as a sample for `encode`.

    Args:
        record: the record.
        size: (width, height) px to squeeze the image to, as at test; empty: its own size.
        limit: px of a file, as in read_image.

    Returns:
        image (H, W, 3) uint8, boxes (N, 4) px, ignore (N,) and landmarks (N, 5, 2) px.
    """
    image = read_image(record.path, limit=limit)
    scale: np.ndarray = np.ones(2, np.float32)
    if size:
        scale = np.array(size, np.float32) / np.array(image.shape[1::-1], np.float32)
        image = cv2.resize(image, tuple(size), interpolation=cv2.INTER_AREA)
    return {"image": image, "boxes": record.boxes * np.tile(scale, 2), "ignore": record.ignore,
            "landmarks": record.landmarks * scale}
