"""Batches of MTCNN's samples: the kinds mixed as MTCNN.RATIO says, in an order that can be recomputed.

The kinds take turns, sample by sample, so every part of a batch is mixed like the whole. Each kind goes round in
permutations of its own, so a kind with fewer records comes by more often. A batch is a function of the config, the
folder of samples and the step alone.
"""

from pathlib import Path

import cv2
import numpy as np

from ..detector import FLIPPED_LANDMARKS
from ..errors import InputError
from .loader import Loader
from .mtcnn_sample_folder import SampleFolder
from .tfrecords import KINDS, VALUES

LIGHT = 2**32 - 2  # stands in place of a kind where the generator of a batch's augmentation is seeded
CONTRAST, BRIGHTNESS = 0.35, 32  # factor 1 +- and grey levels +- at most


def samples_folder(cfg):
    """The folder of the samples of a config."""
    return Path(cfg.MTCNN.SAMPLES or Path(cfg.OUTPUT_DIR) / "samples" / cfg.MTCNN.STAGE)


def turns_of_kinds(ratio, present):
    """List of kinds that a run of samples goes through; kinds without records are left out.

    >>> turns_of_kinds([1, 1, 1, 3], ["positive", "part", "landmark", "negative"])
    ['negative', 'positive', 'part', 'landmark', 'negative', 'negative']
    """
    shares = {kind: share for kind, share in zip(KINDS, ratio, strict=True) if kind in present and share}
    places = [((n + 0.5) / share, order, kind) for order, (kind, share) in enumerate(shares.items())
              for n in range(share)]
    return [kind for _, _, kind in sorted(places)]


class SampleLoader(Loader):
    """Minibatches for a stage of MTCNN, in place of those of whole images: `run(start, stop)` as Loader's.

    batch: dict of images (B, side, side, 3) uint8, `label` (B,) int32, `box` (B, 4) and `landmarks` (B, 10) float32 in
    sides of the crop, and `names`. Raises InputError where the samples are missing or of another stage.
    """

    def __init__(self, cfg, side):
        folder = SampleFolder(samples_folder(cfg))
        self.cfg, self.side = cfg, side
        self.shards = folder.open("train")
        if folder.settings["stage"] != cfg.MTCNN.STAGE:
            raise InputError(f"{folder.path}: the samples there are for {folder.settings['stage']}, MTCNN.STAGE is "
                             f"{cfg.MTCNN.STAGE}; make those with tools/mtcnn_samples.py --stage {cfg.MTCNN.STAGE}")
        self.ends = {kind: np.cumsum([len(shard) for shard in shards]) for kind, shards in self.shards.items()}
        if len(cfg.MTCNN.RATIO) != len(KINDS) or not all(isinstance(n, int) and n >= 0 for n in cfg.MTCNN.RATIO):
            raise InputError(f"MTCNN.RATIO is {cfg.MTCNN.RATIO}, expected a whole number for each of "
                             f"{', '.join(KINDS)}")
        self.kinds = turns_of_kinds(cfg.MTCNN.RATIO, [kind for kind, shards in self.shards.items() if shards])
        if not {"positive", "negative"} <= set(self.kinds):
            raise InputError(f"{folder.path}: has {folder.counts('train')}, with MTCNN.RATIO {cfg.MTCNN.RATIO} nothing "
                             f"is left to tell faces from background by")
        self.records = range(sum(int(self.ends[kind][-1]) for kind in set(self.kinds)))  # all that are shown
        self.size = len(self.records)  # of an epoch
        self.waited = 0.0
        self._orders = {}

    def plan(self, step):
        """(number of the first sample, number of samples, their side in px) of a step."""
        return step * self.cfg.TRAIN.BATCH, self.cfg.TRAIN.BATCH, self.side

    def places(self, step):
        """List of (kind, shard, number in the shard) of a step's samples."""
        first, count, _ = self.plan(step)
        found = []
        for number in range(first, first + count):
            turn, at = divmod(number, len(self.kinds))
            kind = self.kinds[at]
            place = turn * self.kinds.count(kind) + self.kinds[:at].count(kind)
            record = self._order(kind, place // self.ends[kind][-1])[place % self.ends[kind][-1]]
            shard = int(np.searchsorted(self.ends[kind], record, side="right"))
            found.append((kind, shard, int(record - (self.ends[kind][shard - 1] if shard else 0))))
        return found

    def _order(self, kind, turn):
        """The permutation of a kind's records in which they are shown for the `turn`-th time."""
        key = kind, turn
        orders = self._orders
        if key not in orders:
            rng = np.random.default_rng([self.cfg.SEED, turn, list(KINDS).index(kind)])
            # Made anew rather than changed, for the loader's threads read it; around an end two are wanted.
            orders = {k: order for k, order in orders.items() if k[0] != kind or abs(k[1] - turn) == 1}
            orders[key] = rng.permutation(self.ends[kind][-1])
            self._orders = orders
        return orders[key]

    def batch(self, step):
        """The minibatch of a step."""
        places = self.places(step)
        rows = [self.shards[kind][shard][row] for kind, shard, row in places]
        images, box, landmarks = (np.stack([row[name] for row in rows]) for name in VALUES)
        label = np.int32([KINDS[kind] for kind, _, _ in places])
        rng = np.random.default_rng([self.cfg.SEED, step, LIGHT])
        names = [f"{kind}-{shard:05d}.tfrecord record {row}" for kind, shard, row in places]
        return {**augmented(images, label, box, landmarks, rng, self.cfg.AUGMENT), "names": names}

    def _submit(self, pool, step):
        future = pool.submit(self.batch, step)
        return _Coming(future), [future]


class _Coming:
    """A batch that a thread makes, as Loader.run takes it."""

    def __init__(self, future):
        self.arrays = future.result


def augmented(images, label, box, landmarks, rng, cfg):
    """Crops mirrored (AUGMENT.FLIP), in another light (COLOUR) and without colour (GREY), each by chance; dict.

    images: (B, side, side, 3) uint8; label: (B,); box: (B, 4), landmarks: (B, 10), in sides of the crop. The left eye
    of a mirrored face becomes the right one, and the mouth's corners change too.
    """
    count = len(images)
    mirrored, light, grey = (rng.random((count, 3)) < [cfg.FLIP, cfg.COLOUR, cfg.GREY]).T
    contrast = 1 + CONTRAST * rng.uniform(-1, 1, count)
    brightness = BRIGHTNESS * rng.uniform(-1, 1, count)
    box = np.where(mirrored[:, None], -box[:, [2, 1, 0, 3]] * np.float32([1, -1, 1, -1]), box)
    points = landmarks.reshape(-1, 5, 2)
    turned = points[:, FLIPPED_LANDMARKS] * np.float32([-1, 1]) + np.float32([1, 0])
    points = np.where((mirrored & (label == KINDS["landmark"]))[:, None, None], turned, points)
    levels = np.arange(256)
    for n in range(count):
        image = images[n]
        if mirrored[n]:
            image = cv2.flip(image, 1)
        if grey[n]:
            image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        if light[n]:
            curve = (levels - 114) * contrast[n] + 114 + brightness[n]
            image = cv2.LUT(image, np.clip(curve + 0.5, 0, 255).astype(np.uint8))
        images[n] = image
    return {"images": images, "label": label, "box": box.astype(np.float32),
            "landmarks": points.reshape(-1, 10).astype(np.float32)}
