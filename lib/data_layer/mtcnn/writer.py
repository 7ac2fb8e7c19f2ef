"""From data sets to a folder of MTCNN samples: image by image, shard by shard.

Only a few images and their crops are in memory at a time, however many there are. What an image gives depends on
(seed, data set, number of the image) and, where a cascade mines, on its weights.
"""

import contextlib
import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ...boxes import overlaps
from ...cascade import resample
from ...config import flat_items, keys_with
from ...datasets.images import ImageError, read_image
from ...datasets.roidb import scaled
from .landmarks import landmark_samples
from .samples import learnt, quotas, squares_of_image
from .tfrecords import KINDS, SampleWriter

SHARDS, SHARD_IMAGES = 64, 64  # at most so many shards of a part; at least so many images a shard while there are fewer
SCALING = 1  # stands behind an image's number where the generator of its scale is seeded
GROUP_IMAGES, GROUP_PIXELS = 8, 8_000_000  # that are looked at together


@dataclass
class Sources:
    """Records of one part: `records` give boxes and background, `points` only landmarks."""

    records: list
    points: list

    @property
    def tasks(self):
        """List of (0 for boxes, 1 for landmarks; number; record)."""
        return [(role, number, record) for role, records in enumerate((self.records, self.points))
                for number, record in enumerate(records)]

    @property
    def shards(self):
        """How many shards there are."""
        return min(SHARDS, -(-len(self.tasks) // SHARD_IMAGES))


class SampleMaker:
    """Makes the samples of a stage: `run(folder)`.

    cfg: the whole config. side: px of the crops. parts: part -> Sources. propose: None, or function list of images ->
    list of (N, 4) squares that the cascade so far takes for faces; weights: text that changes with its weights.
    """

    def __init__(self, cfg, side, parts, propose=None, weights=""):
        self.cfg, self.side, self.parts, self.propose, self.weights = cfg, side, parts, propose, weights
        # The selection has as many samples a face as the training.
        self.quota = quotas(parts["train"].records, parts["train"].points, cfg.MTCNN)

    def settings(self):
        """Dict of all that decides the samples."""
        mtcnn, values = self.cfg.MTCNN, dict(flat_items(self.cfg))
        keys = keys_with("samples") + (keys_with("mining") if self.propose else ())
        result = {"stage": mtcnn.STAGE, "side": self.side, "SEED": self.cfg.SEED,
                  "CASCADE.RESAMPLE": self.cfg.CASCADE.RESAMPLE,
                  **{key: values[key] for key in keys},
                  "shards": {part: sources.shards for part, sources in self.parts.items()},
                  **{f"images of {part}": _mark(sources) for part, sources in self.parts.items()}}
        return result | ({"weights": self.weights, "CASCADE": dict(self.cfg.CASCADE)} if self.propose else {})

    def run(self, folder, progress):
        """Make the shards that the SampleFolder does not have yet. progress: Progress over all images."""
        with ThreadPoolExecutor(max(1, self.cfg.LOADER.WORKERS), thread_name_prefix="samples") as pool:
            for number, (part, sources) in enumerate(self.parts.items()):
                tasks = sources.tasks
                for shard, places in enumerate(np.array_split(np.arange(len(tasks)), sources.shards or 1)):
                    if shard < sources.shards and shard not in folder.shards[part]:
                        self._shard(folder, part, number, shard, [tasks[place] for place in places], pool, progress)

    def _shard(self, folder, part, number, shard, tasks, pool, progress):
        unreadable, faces = [], np.zeros(2, np.int64)
        with contextlib.ExitStack() as stack:
            writers = {kind: stack.enter_context(SampleWriter(folder.file(part, kind, shard), kind, self.side))
                       for kind in KINDS}
            for group in _groups(tasks):
                images = list(pool.map(_read, [record for _, _, record in group]))
                group, images = self._scaled(group, images, number)
                found = pool.map(self._samples, group, images, self._proposed(group, images), [number] * len(group))
                for image, (samples, seen) in zip(images, found, strict=True):
                    if isinstance(image, ImageError):
                        unreadable.append(str(image))
                        print(f"warning: {image}; left out", file=sys.stderr, flush=True)
                    faces += seen
                    for kind, arrays in samples.items():
                        writers[kind].write(*arrays)
                progress.advance(len(group))
        folder.add(part, shard, images=len(tasks), unreadable=unreadable, faces=int(faces[0]), found=int(faces[1]),
                   records={kind: writer.count for kind, writer in writers.items()})

    def _scaled(self, group, images, part):
        """The tasks and images as they are looked at: those for faces and background scaled by MTCNN.SCALES."""
        low, high = self.cfg.MTCNN.SCALES
        if low == high == 1:
            return group, images
        pairs = []
        for task, image in zip(group, images, strict=True):
            role, number, record = task
            if role == 0 and not isinstance(image, ImageError):
                rng = np.random.default_rng([self.cfg.SEED, part, role, number, SCALING])
                record, image = scaled(record, image, np.exp(rng.uniform(np.log(low), np.log(high))))
            pairs.append(((role, number, record), image))
        return [task for task, _ in pairs], [image for _, image in pairs]

    def _proposed(self, group, images):
        """For each image the squares that the cascade takes for faces; None where it is not asked."""
        asked = [n for n, (role, _, _) in enumerate(group) if role == 0 and not isinstance(images[n], ImageError)]
        squares = [None] * len(group)
        if self.propose and asked:
            for n, found in zip(asked, self.propose([images[n] for n in asked]), strict=True):
                squares[n] = found
        return squares

    def _samples(self, task, image, squares, part):
        """(dict kind -> (images, boxes, landmarks), (faces learnt, those that the cascade has found)) of one image."""
        role, number, record = task
        if isinstance(image, ImageError):
            return {}, (0, 0)
        rng = np.random.default_rng([self.cfg.SEED, part, role, number])
        mtcnn, side = self.cfg.MTCNN, self.side
        if role:
            crops, points = landmark_samples(image, record, self.quota.landmark, rng, side, mtcnn, self._cut)
            return {"landmark": (crops, np.zeros((len(crops), 4)), points)}, (0, 0)
        found = squares_of_image(record, self.quota, rng, mtcnn, squares)
        samples = {kind: (self._cut(image, places, side), boxes, np.zeros((len(places), 10)))
                   for kind, (places, boxes) in found.items()}
        faces = record.boxes[learnt(record, mtcnn)]
        if squares is None or not len(squares):
            return samples, (len(faces), 0)
        return samples, (len(faces), int((overlaps(squares, faces) >= mtcnn.PART).any(axis=0).sum()))

    def _cut(self, image, squares, side):
        """(N, side, side, 3) uint8: squares (N, 4) of whole pixels as the cascade cuts and resizes them."""
        return resample(image, squares.astype(np.int64), (side, side), self.cfg.CASCADE.RESAMPLE)


def _read(record):
    try:
        return read_image(record.path)
    except ImageError as error:
        return error


def _groups(tasks):
    """Lists of tasks that are looked at together."""
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
    """Number of images and 12 digits of a hash over their names, boxes, flags and landmarks."""
    digest = hashlib.sha256()
    for role, _, record in sources.tasks:
        digest.update(json.dumps([role, record.image, record.width, record.height]).encode())
        for array in (record.boxes, record.ignore, record.landmarks):
            digest.update(np.ascontiguousarray(array).tobytes())
    return f"{len(sources.tasks)} {digest.hexdigest()[:12]}"
