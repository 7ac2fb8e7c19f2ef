"""Batches of MTCNN's samples: the kinds are mixed by MTCNN.RATIO, in an order that can be computed again.

The kinds take turns, sample by sample, so every section of a batch is mixed like the whole batch. Each kind repeats in
its own permutations, so a kind with fewer records repeats more often. A batch is a function of the config, the folder
of samples and the step only.
"""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from easydict import EasyDict

from ...constants import FILL, FLIPPED_LANDMARKS
from ...errors import InputError
from ..augment import lose_resolution
from ..loader import Loader
from .folder import SampleFolder
from .tfrecords import KINDS, VALUES

LIGHT = 2**32 - 2  # seeds the augmentation of a batch, where the seed of an order has a kind
CONTRAST, BRIGHTNESS = 0.35, 32  # at most: factor 1 +- CONTRAST, +- BRIGHTNESS grey levels
ERASED = 0.2, 0.5  # smallest and largest side of a hidden rectangle, as a fraction of the crop's side


def samples_folder(cfg: EasyDict) -> Path:
    """Find the folder of the samples of a config."""
    return Path(cfg.MTCNN.SAMPLES or Path(cfg.OUTPUT_DIR) / "samples" / cfg.MTCNN.STAGE)


def turns_of_kinds(ratio: Sequence[int], present: Sequence[str]) -> list[str]:
    """List the kinds in the order in which the samples repeat them.

    Args:
        ratio: number of samples of each of KINDS.
        present: kinds with records; the others are left out.

    Examples:
        >>> turns_of_kinds([1, 1, 1, 3], ["positive", "part", "landmark", "negative"])
        ['negative', 'positive', 'part', 'landmark', 'negative', 'negative']
    """
    shares = {kind: share for kind, share in zip(KINDS, ratio, strict=True) if kind in present and share}
    places = [((n + 0.5) / share, order, kind) for order, (kind, share) in enumerate(shares.items())
              for n in range(share)]
    return [kind for _, _, kind in sorted(places)]


class SampleLoader(Loader):
    """Minibatches for a stage of MTCNN, from its folder of samples. `run(start, stop)` is that of Loader.

    A batch is a dict: "images" (B, side, side, 3) uint8 RGB, "label" (B,) int32, "box" (B, 4) float32 and "landmarks"
    (B, 10) float32 as fractions of the crop's side, and "names".

    Args:
        cfg: the whole config.
        side: px of the crops.

    Raises:
        InputError: when the samples are missing, belong to another stage or do not fit MTCNN.RATIO.
    """

    def __init__(self, cfg: EasyDict, side: int):
        folder = SampleFolder(samples_folder(cfg))
        self.cfg, self.side = cfg, side
        self.shards = folder.open("train")
        assert folder.settings is not None  # open() has read them
        self.settings = folder.settings
        if folder.settings["stage"] != cfg.MTCNN.STAGE:
            raise InputError(f"{folder.path}: the samples there are for {folder.settings['stage']}, MTCNN.STAGE is "
                             f"{cfg.MTCNN.STAGE}; make those with `manyfaces data samples --stage {cfg.MTCNN.STAGE}`")
        self.ends = {kind: np.cumsum([len(shard) for shard in shards]) for kind, shards in self.shards.items()}
        self.kinds = turns_of_kinds(cfg.MTCNN.RATIO, [kind for kind, shards in self.shards.items() if shards])
        if not {"positive", "negative"} <= set(self.kinds):
            raise InputError(f"{folder.path}: has {folder.counts('train')}, of which MTCNN.RATIO {cfg.MTCNN.RATIO} "
                             f"leaves {sorted(set(self.kinds))}; expected positives and negatives")
        self.records: Sequence[Any] = range(sum(int(self.ends[kind][-1]) for kind in set(self.kinds)))  # the used ones
        self.size = len(self.records)  # of an epoch
        self.share = 0, 1
        self.waited = 0.0
        self._orders = {}

    def digest(self) -> str:
        """Checksum of what the samples were made with, and of their numbers."""
        ends = {kind: values.tolist() for kind, values in self.ends.items()}
        return f"{zlib.crc32(json.dumps([self.settings, ends]).encode()):08x}"

    def plan(self, step: int) -> tuple[int, int, int]:
        """(number of the first sample, number of samples, their side in px) of a step."""
        return step * self.cfg.TRAIN.BATCH, self.cfg.TRAIN.BATCH, self.side

    def places(self, step: int) -> list[tuple[str, int, int]]:
        """List (kind, shard, number in the shard) of a step's samples."""
        first, count, _ = self.plan(step)
        places = []
        for number in range(first, first + count):
            turn, index = divmod(number, len(self.kinds))
            kind = self.kinds[index]
            place = turn * self.kinds.count(kind) + self.kinds[:index].count(kind)
            record = self._order(kind, place // self.ends[kind][-1])[place % self.ends[kind][-1]]
            shard = int(np.searchsorted(self.ends[kind], record, side="right"))
            places.append((kind, shard, int(record - (self.ends[kind][shard - 1] if shard else 0))))
        return places

    def _order(self, kind, turn):
        """The permutation of a kind's records in which they are shown for the `turn`-th time."""
        key = kind, turn
        orders = self._orders
        if key not in orders:
            rng = np.random.default_rng([self.cfg.SEED, turn, list(KINDS).index(kind)])
            # A new dict, because the loader's threads read the old one. At the end of a turn two orders are needed.
            orders = {k: order for k, order in orders.items() if k[0] != kind or abs(k[1] - turn) == 1}
            orders[key] = rng.permutation(self.ends[kind][-1])
            self._orders = orders
        return orders[key]

    def batch(self, step: int) -> dict:
        """Make the minibatch of a step."""
        places = self.places(step)
        rows = [self.shards[kind][shard][row] for kind, shard, row in places]
        images, box, landmarks = (np.stack([row[name] for row in rows]) for name in VALUES)
        label = np.array([KINDS[kind] for kind, _, _ in places], np.int32)
        rng = np.random.default_rng([self.cfg.SEED, step, LIGHT])
        names = [f"{kind}-{shard:05d}.tfrecord record {row}" for kind, shard, row in places]
        return {**augmented(images, label, box, landmarks, rng, self.cfg.AUGMENT), "names": names}

    def _submit(self, pool, step):
        future = pool.submit(self._own_share, step)
        return _Coming(future), [future]

    def _own_share(self, step):
        """The samples of one generator are augmented together, so the batch is made whole and then divided."""
        number, shares = self.share
        count = self.plan(step)[1] // shares
        return {name: values[number * count : (number + 1) * count] for name, values in self.batch(step).items()}


class _Coming:
    """A batch that a thread is making, with the method that Loader.run calls."""

    def __init__(self, future):
        self.arrays = future.result


def augmented(images: np.ndarray, label: np.ndarray, box: np.ndarray, landmarks: np.ndarray,
              rng: np.random.Generator, cfg: EasyDict) -> dict[str, np.ndarray]:
    """Augment crops at random.

    A section of the crop is enlarged to the whole crop (ZOOM_IN). The crop is mirrored (FLIP; left and right landmarks
    change places), without colour (GREY), in another light (COLOUR), with less detail (BLUR), or a rectangle of it is
    hidden (ERASE). All kinds are treated alike: else the treatment would tell which crops are faces.

    Args:
        images: (B, side, side, 3) uint8 RGB; they are overwritten.
        label: (B,), values of KINDS.
        box: (B, 4) offsets of the face's corners from the crop's, as fractions of the crop's side.
        landmarks: (B, 10), x y as fractions of the crop's side.
        rng: the source of randomness.
        cfg: the section AUGMENT. A section of the crop has at least 1 - ZOOM_IN of its side.

    Returns:
        "images" uint8, "label", "box" float32 and "landmarks" float32, of the same shapes.
    """
    count, side = len(images), images.shape[1]
    mirrored, light, grey, blurred, erased = (
        rng.random((count, 5)) < [cfg.FLIP, cfg.COLOUR, cfg.GREY, cfg.BLUR, cfg.ERASE]).T
    contrast = 1 + CONTRAST * rng.uniform(-1, 1, count)
    brightness = BRIGHTNESS * rng.uniform(-1, 1, count)
    fraction = 1 - rng.uniform(0, cfg.ZOOM_IN, count)
    corner = rng.random((count, 2)) * (1 - fraction)[:, None]
    is_face, has_points = (label == KINDS["positive"]) | (label == KINDS["part"]), label == KINDS["landmark"]
    box, points = _zoomed(box, landmarks.reshape(-1, 5, 2), fraction, corner, is_face, has_points)
    box = np.where(mirrored[:, None], -box[:, [2, 1, 0, 3]] * np.array([1, -1, 1, -1], np.float32), box)
    turned = points[:, FLIPPED_LANDMARKS] * np.array([-1, 1], np.float32) + np.array([1, 0], np.float32)
    points = np.where((mirrored & has_points)[:, None, None], turned, points)
    levels = np.arange(256)
    for n in range(count):
        image = images[n]
        if fraction[n] < 1:
            image = _section(image, fraction[n], corner[n])
        if mirrored[n]:
            image = cv2.flip(image, 1)
        if grey[n]:
            image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        if light[n]:
            curve = (levels - FILL) * contrast[n] + FILL + brightness[n]
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


def _zoomed(box, points, fraction, corner, is_face, has_points):
    """(box, points) when the square at `corner` (B, 2) with `fraction` (B,) of the crop's side becomes the crop.

    Offsets of a box are from the crop's own corners: 0 0 at the upper left, 1 1 at the lower right.
    """
    own = np.array([0, 0, 1, 1], np.float32)
    moved = ((box + own) - np.tile(corner, 2)) / fraction[:, None] - own
    shifted = (points - corner[:, None]) / fraction[:, None, None]
    return np.where(is_face[:, None], moved, box), np.where(has_points[:, None, None], shifted, points)


def _section(image, fraction, corner):
    """The square at `corner` (x, y) with `fraction` of the image's side, enlarged to the size of the image."""
    side = image.shape[0]
    # The centre of pixel i is at i + 0.5 px of the image, and at i in OpenCV.
    x, y = corner * side + fraction * 0.5 - 0.5
    return cv2.warpAffine(image, np.array([[fraction, 0, x], [0, fraction, y]], np.float64), (side, side),
                          flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE)
