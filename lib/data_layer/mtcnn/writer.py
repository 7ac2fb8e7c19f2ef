"""Makes the folder of MTCNN's samples from data sets, image by image and shard by shard.

Only a few images and their crops are in memory at a time. The samples of an image depend on (seed, data set, number of
the image) and, when a cascade mines, on its weights.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from easydict import EasyDict

from ...boxes import overlaps
from ...cascade import resample
from ...config import flat_items, keys_with
from ...datasets.images import ImageError, read_image
from ...datasets.roidb import Record, scaled
from .landmarks import landmark_samples
from .samples import learnt, quotas, squares_of_image
from .tfrecords import KINDS, SampleWriter

if TYPE_CHECKING:
    from ...progress import Progress
    from .folder import SampleFolder

SHARDS, SHARD_IMAGES = 64, 64  # at most SHARDS shards per split; up to that number, SHARD_IMAGES images per shard
SCALING = 1  # added to the seed of an image, for the generator of its scale
GROUP_IMAGES, GROUP_PIXELS = 8, 8_000_000  # most images and px in memory at a time


@dataclass
class Sources:
    """The images of one split.

    Attributes:
        records: images for boxes and background.
        points: images for landmarks only.
    """

    records: list[Record]
    points: list[Record]

    @property
    def tasks(self) -> list[tuple[int, int, Record]]:
        """(role, number, record) of each image; the role is 0 for boxes and 1 for landmarks."""
        return [(role, number, record) for role, records in enumerate((self.records, self.points))
                for number, record in enumerate(records)]

    @property
    def shards(self) -> int:
        """Number of shards."""
        return min(SHARDS, -(-len(self.tasks) // SHARD_IMAGES))


class SampleMaker:
    """Makes the samples of a stage.

    Args:
        cfg: the whole config.
        side: px of the crops.
        parts: the images of the splits "train" and "select".
        propose: runs the earlier stages on a list of images, (H, W, 3) uint8 RGB; returns for each the squares (N, 4)
            px that they detect as faces. None: no mining.
        weights: text that changes with the weights of the earlier stages.
    """

    def __init__(self, cfg: EasyDict, side: int, parts: Mapping[str, Sources],
                 propose: Callable[[list[np.ndarray]], list[np.ndarray]] | None = None, weights: str = ""):
        self.cfg, self.side, self.parts, self.propose, self.weights = cfg, side, parts, propose, weights
        # The selection has as many samples per face as the training.
        self.quota = quotas(parts["train"].records, parts["train"].points, cfg.MTCNN)

    def settings(self) -> dict:
        """Everything that decides the samples, for SampleFolder.begin."""
        mtcnn, values = self.cfg.MTCNN, dict(flat_items(self.cfg))
        keys = keys_with("samples") + (keys_with("mining") if self.propose else ())
        result = {"stage": mtcnn.STAGE, "side": self.side, "SEED": self.cfg.SEED,
                  "CASCADE.RESAMPLE": self.cfg.CASCADE.RESAMPLE,
                  **{key: values[key] for key in keys},
                  "shards": {split: sources.shards for split, sources in self.parts.items()},
                  **{f"images of {split}": _mark(sources) for split, sources in self.parts.items()}}
        return result | ({"weights": self.weights, "CASCADE": dict(self.cfg.CASCADE)} if self.propose else {})

    def run(self, folder: SampleFolder, progress: Progress) -> None:
        """Make the shards that the folder does not have yet.

        Args:
            folder: after `begin` with the settings.
            progress: advances by the number of images.
        """
        with ThreadPoolExecutor(max(1, self.cfg.LOADER.WORKERS), thread_name_prefix="samples") as pool:
            for number, (split, sources) in enumerate(self.parts.items()):
                tasks = sources.tasks
                for shard, places in enumerate(np.array_split(np.arange(len(tasks)), sources.shards or 1)):
                    if shard < sources.shards and shard not in folder.shards[split]:
                        self._shard(folder, split, number, shard, [tasks[place] for place in places], pool, progress)

    def _shard(self, folder, split, number, shard, tasks, pool, progress):
        """Make one shard of a split. `number` is that of the split, for seeds."""
        unreadable, faces = [], np.zeros(2, np.int64)
        with contextlib.ExitStack() as stack:
            writers = {kind: stack.enter_context(SampleWriter(folder.file(split, kind, shard), kind, self.side))
                       for kind in KINDS}
            for group in _groups(tasks):
                images = list(pool.map(self._read, [record for _, _, record in group]))
                group, images = self._scaled(group, images, number)
                made = pool.map(self._samples, group, images, self._proposed(group, images), [number] * len(group))
                for image, (samples, counts) in zip(images, made, strict=True):
                    if isinstance(image, ImageError):
                        unreadable.append(str(image))
                        print(f"warning: {image}; left out", file=sys.stderr, flush=True)
                    faces += counts
                    for kind, arrays in samples.items():
                        writers[kind].write(*arrays)
                progress.advance(len(group))
        folder.add(split, shard, images=len(tasks), unreadable=unreadable, faces=int(faces[0]), found=int(faces[1]),
                   records={kind: writer.count for kind, writer in writers.items()})

    def _scaled(self, group, images, split):
        """The tasks and images, those for boxes scaled by MTCNN.SCALES."""
        low, high = self.cfg.MTCNN.SCALES
        if low == high == 1:
            return group, images
        pairs = []
        for task, image in zip(group, images, strict=True):
            role, number, record = task
            if role == 0 and not isinstance(image, ImageError):
                rng = np.random.default_rng([self.cfg.SEED, split, role, number, SCALING])
                record, image = scaled(record, image, np.exp(rng.uniform(np.log(low), np.log(high))))
            pairs.append(((role, number, record), image))
        return [task for task, _ in pairs], [image for _, image in pairs]

    def _proposed(self, group, images):
        """For each image the squares that the cascade detects as faces; None where it does not mine."""
        asked = [n for n, (role, _, _) in enumerate(group) if role == 0 and not isinstance(images[n], ImageError)]
        squares: list[np.ndarray | None] = [None] * len(group)
        if self.propose and asked:
            for n, detected in zip(asked, self.propose([images[n] for n in asked]), strict=True):
                squares[n] = detected
        return squares

    def _samples(self, task, image, squares, split):
        """(dict kind -> (images, boxes, landmarks), (faces learnt, those that the cascade detects)) of one image."""
        role, number, record = task
        if isinstance(image, ImageError):
            return {}, (0, 0)
        rng = np.random.default_rng([self.cfg.SEED, split, role, number])
        mtcnn, side = self.cfg.MTCNN, self.side
        if role:
            crops, points = landmark_samples(image, record, self.quota.landmark, rng, side, mtcnn, self._cut)
            return {"landmark": (crops, np.zeros((len(crops), 4)), points)}, (0, 0)
        chosen = squares_of_image(record, self.quota, rng, mtcnn, squares)
        samples = {kind: (self._cut(image, places, side), boxes, np.zeros((len(places), 10)))
                   for kind, (places, boxes) in chosen.items()}
        faces = record.boxes[learnt(record, mtcnn)]
        if squares is None or not len(squares):
            return samples, (len(faces), 0)
        return samples, (len(faces), int((overlaps(squares, faces) >= mtcnn.PART).any(axis=0).sum()))

    def _cut(self, image, squares, side):
        """(N, side, side, 3) uint8: squares (N, 4) of whole pixels, cut and resized as in the cascade."""
        return resample(image, squares.astype(np.int64), (side, side), self.cfg.CASCADE.RESAMPLE)

    def _read(self, record):
        try:
            return read_image(record.path, limit=self.cfg.TEST.MAX_FILE_PIXELS)
        except ImageError as error:
            return error


def _groups(tasks):
    """Yield lists of tasks that are in memory together."""
    group, pixels = [], 0
    for task in tasks:
        area = task[2].width * task[2].height
        if group and (len(group) == GROUP_IMAGES or pixels + area > GROUP_PIXELS):
            yield group
            group, pixels = [], 0
        group.append(task)
        pixels += area
    if group:
        yield group


def _mark(sources):
    """Number of images, and 12 digits of a hash of their names, boxes, flags and landmarks."""
    digest = hashlib.sha256()
    for role, _, record in sources.tasks:
        digest.update(json.dumps([role, record.image, record.width, record.height]).encode())
        for array in (record.boxes, record.ignore, record.landmarks):
            digest.update(np.ascontiguousarray(array).tobytes())
    return f"{len(sources.tasks)} {digest.hexdigest()[:12]}"
