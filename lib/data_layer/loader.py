"""Loader: step -> minibatch, made ahead by threads, in an order that can be recomputed.

Sample i of epoch e draws all its chance from a generator seeded by (seed, e, i). So a batch is a function of the
config and the step alone: a resumed run sees what the uninterrupted one would have seen, whatever the number of
threads. Threads serve because reading, decoding, resizing and encoding all release the interpreter lock.
"""

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..datasets.images import read_image
from ..errors import InputError
from .augment import augment
from .minibatch import assemble

ORDER = 2**32 - 1  # stands in place of a sample's number where the order of an epoch is drawn


class Loader:
    """Minibatches of a roidb for a family.

    records: list of Record. weights: how often an epoch shows each (all 1: every image once). encode: the family's
    `encode`. cfg: the whole config. `loader.run(start, stop)` yields (step, batch); batch is a dict of the images
    (B, S, S, 3) uint8, the family's targets, and `names`, the list of the images' paths.
    """

    def __init__(self, records, weights, encode, cfg, read=None):
        if not records:
            raise InputError(f"TRAIN.DATASETS {cfg.TRAIN.DATASETS!r} holds no image; see tools/build_roidb.py")
        self.records, self.encode, self.cfg = records, encode, cfg
        self.read = read or CachedReader(cfg.LOADER.CACHE_MB)
        self.bounds = np.cumsum(np.asarray(weights, np.float64))
        self.size = max(cfg.TRAIN.BATCH, round(self.bounds[-1]))
        self.steps_per_epoch = self.size // cfg.TRAIN.BATCH
        self.waited = 0.0  # seconds that `run` has waited for data
        self._order = (-1, None)
        self._lock = threading.Lock()

    def order(self, epoch):
        """Numbers of the records of an epoch, (size,): each as often as its weight says, fractions by chance."""
        with self._lock:
            if self._order[0] != epoch:
                rng = np.random.default_rng([self.cfg.SEED, epoch, ORDER])
                spread = (np.arange(self.size) + rng.random()) * (self.bounds[-1] / self.size)
                self._order = (epoch, rng.permutation(np.searchsorted(self.bounds, spread, side="right")))
            return self._order[1]

    def sample(self, step, place):
        """The augmented and encoded sample at `place` of the batch of `step`, with the path of its image."""
        epoch, batch = divmod(step, self.steps_per_epoch)
        number = batch * self.cfg.TRAIN.BATCH + place
        record = self.records[self.order(epoch)[number]]
        rng = np.random.default_rng([self.cfg.SEED, epoch, number])
        clean = step >= self.cfg.TRAIN.STEPS - self.cfg.AUGMENT.CLEAN_STEPS
        sample = augment(record, self.read, rng, self.cfg.AUGMENT, self._another, clean)
        return sample["image"], self.encode(sample), record.path

    def _another(self, rng):
        number = np.searchsorted(self.bounds, rng.random() * self.bounds[-1], side="right")
        return self.records[min(number, len(self.records) - 1)]

    def batch(self, step):
        """The minibatch of a step, made here and now."""
        return assemble([self.sample(step, place) for place in range(self.cfg.TRAIN.BATCH)])

    def run(self, start, stop):
        """Yield (step, batch) for start <= step < stop, prepared ahead by LOADER.WORKERS threads."""
        places, ahead = range(self.cfg.TRAIN.BATCH), deque()
        pool = ThreadPoolExecutor(max(1, self.cfg.LOADER.WORKERS), thread_name_prefix="loader")
        try:
            coming = start
            for step in range(start, stop):
                while coming < min(stop, step + 1 + self.cfg.LOADER.PREFETCH):
                    ahead.append([pool.submit(self.sample, coming, place) for place in places])
                    coming += 1
                began = time.perf_counter()
                samples = [future.result() for future in ahead.popleft()]
                self.waited += time.perf_counter() - began
                yield step, assemble(samples)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class CachedReader:
    """Record -> image (H, W, 3) uint8 RGB; decoded images stay in memory until `megabytes` are used.

    There is no eviction: an epoch passes over all images once, and then first come is as good as any other choice.
    """

    def __init__(self, megabytes=0):
        self.left = megabytes * 2**20
        self.images = {}
        self._lock = threading.Lock()

    def __call__(self, record):
        image = self.images.get(record.path)
        if image is None:
            image = read_image(record.path)
            with self._lock:
                if image.nbytes <= self.left and record.path not in self.images:
                    self.images[record.path] = image
                    self.left -= image.nbytes
        return image
