"""Batches of MTCNN's samples: the kinds mixed as MTCNN.RATIO says, in an order that can be recomputed.

The kinds take turns, sample by sample, so every part of a batch is mixed like the whole. Each kind goes round in
permutations of its own, so a kind with fewer records comes by more often. A batch is a function of the config, the
folder of samples and the step alone.
"""

from pathlib import Path

import cv2
import numpy as np

from ...constants import FLIPPED_LANDMARKS
from ...errors import InputError
from ..augment import lose_resolution
from ..loader import Loader
from .folder import SampleFolder
from .tfrecords import KINDS, VALUES

LIGHT = 2**32 - 2  # stands in place of a kind where the generator of a batch's augmentation is seeded
CONTRAST, BRIGHTNESS = 0.35, 32  # factor 1 +- and grey levels +- at most
ERASED = 0.2, 0.5  # sides of a rectangle that is hidden, in sides of the crop


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
    """Crops as a batch shows them; dict of images, label, box and landmarks.

    images: (B, side, side, 3) uint8; label: (B,); box: (B, 4), landmarks: (B, 10), in sides of the crop. By chance a
    part of the crop, at least 1 - AUGMENT.ZOOM_IN of its sides, fills it; it is mirrored (FLIP: the left eye becomes
    the right one, the mouth's corners change too), without colour (GREY), in another light (COLOUR), with fewer details
    (BLUR), and a rectangle is hidden (ERASE), whatever the kind, or it would tell which crops are faces.
    """
    count, side = len(images), images.shape[1]
    mirrored, light, grey, blurred, erased = (
        rng.random((count, 5)) < [cfg.FLIP, cfg.COLOUR, cfg.GREY, cfg.BLUR, cfg.ERASE]).T
    contrast = 1 + CONTRAST * rng.uniform(-1, 1, count)
    brightness = BRIGHTNESS * rng.uniform(-1, 1, count)
    part = 1 - rng.uniform(0, cfg.ZOOM_IN, count)
    corner = rng.random((count, 2)) * (1 - part)[:, None]
    is_face, has_points = (label == KINDS["positive"]) | (label == KINDS["part"]), label == KINDS["landmark"]
    box, points = _zoomed(box, landmarks.reshape(-1, 5, 2), part, corner, is_face, has_points)
    box = np.where(mirrored[:, None], -box[:, [2, 1, 0, 3]] * np.float32([1, -1, 1, -1]), box)
    turned = points[:, FLIPPED_LANDMARKS] * np.float32([-1, 1]) + np.float32([1, 0])
    points = np.where((mirrored & has_points)[:, None, None], turned, points)
    levels = np.arange(256)
    for n in range(count):
        image = images[n]
        if part[n] < 1:
            image = _part_of(image, part[n], corner[n])
        if mirrored[n]:
            image = cv2.flip(image, 1)
        if grey[n]:
            image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        if light[n]:
            curve = (levels - 114) * contrast[n] + 114 + brightness[n]
            image = cv2.LUT(image, np.clip(curve + 0.5, 0, 255).astype(np.uint8))
        if blurred[n]:
            image = lose_resolution(image, rng, cfg.BLUR_FACTORS)
        images[n] = image
        if erased[n]:
            width, height = (rng.uniform(*ERASED, 2) * side).astype(int)
            x, y = rng.integers(0, [side - width + 1, side - height + 1])
            images[n, y : y + height, x : x + width] = rng.integers(0, 256, 3)
    return {"images": images, "label": label, "box": box.astype(np.float32),
            "landmarks": points.reshape(-1, 10).astype(np.float32)}


def _zoomed(box, points, part, corner, is_face, has_points):
    """(box, points) when the `part` (B,) of the crop from `corner` (B, 2) on, both in sides of it, fills the crop.

    Offsets of a box are from the crop's own corners: 0 0 above and left, 1 1 below and right.
    """
    own = np.float32([0, 0, 1, 1])
    moved = ((box + own) - np.tile(corner, 2)) / part[:, None] - own
    shifted = (points - corner[:, None]) / part[:, None, None]
    return np.where(is_face[:, None], moved, box), np.where(has_points[:, None, None], shifted, points)


def _part_of(image, part, corner):
    """The square of `part` of the sides at `corner` (x, y), both in sides of the image, as large as the image."""
    side = image.shape[0]
    # The centre of pixel i is i + 0.5 in px of the image, and i in those of OpenCV.
    x, y = corner * side + part * 0.5 - 0.5
    return cv2.warpAffine(image, np.float64([[part, 0, x], [0, part, y]]), (side, side),
                          flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE)
