"""Loader: step -> minibatch, made ahead by threads, in an order that can be recomputed.

Sample i of epoch e draws all its chance from a generator seeded by (seed, e, i). So a batch is a function of the
config and the step alone: a resumed run sees what the uninterrupted one would have seen, whatever the number of
threads. Threads serve because reading, decoding, resizing and encoding all release the interpreter lock.
"""

import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from easydict import EasyDict

from ..datasets.images import ImageError, read_image
from ..errors import InputError
from .augment import augment
from .batch_sizes import turns

ORDER = 2**32 - 1  # stands in place of a sample's number where the order of an epoch is drawn
TRIES = 5  # images that may be unreadable one after the other before a sample is given up


class Loader:
    """Minibatches of a roidb for a family.

    records: list of Record. weights: how often an epoch shows each (all 1: every image once). encode: the family's
    `encode`. cfg: the whole config. read: function (Record, reduce) -> image, None: from the files, cached.
    `loader.run(start, stop)` yields (step, batch); batch is a dict of the images (B, S, S, 3) uint8, the family's
    targets, and `names`, the list of the images' paths. uint8 goes to the net: as float32 it would be four times as
    much to write and to copy.
    """

    def __init__(self, records, weights, encode, cfg, read=None):
        if not records:
            raise InputError(f"TRAIN.DATASETS {cfg.TRAIN.DATASETS!r} holds no image; see tools/build_roidb.py")
        self.records, self.encode, self.cfg = records, encode, cfg
        self.read = read or CachedReader(cfg.LOADER.CACHE_MB)
        self.bounds = np.cumsum(np.asarray(weights, np.float64))
        self.size = max(cfg.TRAIN.BATCH, round(self.bounds[-1]))
        self.turns = turns(cfg, cfg.TRAIN.BATCH)
        self.waited = 0.0  # seconds that `run` has waited for data
        self.unreadable = set()  # messages of images that were left out
        self._orders = {}
        self._lock = threading.Lock()

    def order(self, epoch):
        """Numbers of the records of an epoch, (size,): each as often as its weight says, fractions by chance."""
        with self._lock:
            if epoch not in self._orders:
                rng = np.random.default_rng([self.cfg.SEED, epoch, ORDER])
                spread = (np.arange(self.size) + rng.random()) * (self.bounds[-1] / self.size)
                numbers = np.minimum(np.searchsorted(self.bounds, spread, side="right"), len(self.records) - 1)
                # Around the end of an epoch the threads work in two of them.
                self._orders = {e: order for e, order in self._orders.items() if abs(e - epoch) == 1}
                self._orders[epoch] = rng.permutation(numbers)
            return self._orders[epoch]

    def plan(self, step):
        """(number of the first sample, number of samples, their side in px) of a step.

        Samples are counted through all epochs; an epoch may end in the middle of a batch.
        """
        cycles, turn = divmod(step, len(self.turns))
        counts = [count for _, count in self.turns]
        size, count = self.turns[turn]
        return cycles * sum(counts) + sum(counts[:turn]), count, size

    def sample(self, step, place):
        """The sample at `place` of the batch of `step`: (image (S, S, 3) uint8, dict of targets, path of the image).

        An image that cannot be read is said once on stderr, and another one, drawn by the sample's own generator,
        takes its place.
        """
        first, _, size = self.plan(step)
        epoch, number = divmod(first + place, self.size)
        record = self.records[self.order(epoch)[number]]
        rng = np.random.default_rng([self.cfg.SEED, epoch, number])
        cfg = EasyDict({**self.cfg.AUGMENT, "SIZE": size})
        clean = step >= self.cfg.TRAIN.STEPS - self.cfg.AUGMENT.CLEAN_STEPS
        for left in reversed(range(TRIES)):
            try:
                sample = augment(record, self.read, rng, cfg, self._another, clean)
                break
            except ImageError as error:
                if not left:
                    raise ImageError(f"{error}; {TRIES} images one after the other could not be read") from None
                self._leave_out(str(error))
                record = self._another(rng)
        try:
            return sample["image"], self.encode(sample), record.path
        except InputError as error:
            raise InputError(f"{record.path}: {error}") from None

    def _another(self, rng):
        number = np.searchsorted(self.bounds, rng.random() * self.bounds[-1], side="right")
        return self.records[min(number, len(self.records) - 1)]

    def _leave_out(self, message):
        with self._lock:
            if message not in self.unreadable:
                self.unreadable.add(message)
                print(f"warning: {message}; another image takes its place", file=sys.stderr, flush=True)

    def batch(self, step):
        """The minibatch of a step, made here and now."""
        count = self.plan(step)[1]
        batch = Minibatch(count)
        for place in range(count):
            batch.put(place, *self.sample(step, place))
        return batch.arrays()

    def run(self, start, stop):
        """Yield (step, batch) for start <= step < stop, prepared ahead by LOADER.WORKERS threads."""
        ahead = deque()
        pool = ThreadPoolExecutor(max(1, self.cfg.LOADER.WORKERS), thread_name_prefix="loader")
        try:
            coming = start
            for step in range(start, stop):
                while coming < min(stop, step + 1 + self.cfg.LOADER.PREFETCH):
                    ahead.append(self._submit(pool, coming))
                    coming += 1
                began = time.perf_counter()
                batch, futures = ahead.popleft()
                for future in futures:
                    future.result()
                self.waited += time.perf_counter() - began
                yield step, batch.arrays()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, pool, step):
        count = self.plan(step)[1]
        batch = Minibatch(count)

        def fill(places):
            for place in places:
                batch.put(place, *self.sample(step, place))

        # A share of the batch for each thread: handing over sample by sample would cost more turns of the lock.
        workers = max(1, self.cfg.LOADER.WORKERS)
        return batch, [pool.submit(fill, range(first, count, workers)) for first in range(min(workers, count))]


class Minibatch:
    """A batch that threads fill place by place; its arrays are made when the first sample is there.

    Copying a sample to its place is what NumPy does as fast as memory allows, and without the interpreter lock
    (tools/benchmark.py loader), so nothing is compiled here.
    """

    def __init__(self, count):
        self.names = [None] * count
        self._arrays = None
        self._lock = threading.Lock()

    def put(self, place, image, targets, name):
        """Copy a sample to its place. Raises ValueError when its arrays are not shaped as the first sample's."""
        parts = {"images": image, **targets}
        with self._lock:
            if self._arrays is None:
                self._arrays = {key: np.empty((len(self.names), *part.shape), part.dtype)
                                for key, part in parts.items()}
        for key, part in parts.items():
            if part.shape != self._arrays[key].shape[1:]:  # which NumPy would broadcast where it can
                raise ValueError(f"{name}: {key} is {part.shape}, the first sample's is {self._arrays[key].shape[1:]}")
            self._arrays[key][place] = part
        self.names[place] = name

    def arrays(self):
        """Dict of the batched arrays, `images` first, and `names`; every place must have been filled."""
        return {**self._arrays, "names": self.names}


class CachedReader:
    """(Record, reduce) -> image (H, W, 3) uint8 RGB; decoded images stay in memory until `megabytes` are used.

    There is no eviction: an epoch passes over all images once, and then first come is as good as any other choice.
    """

    def __init__(self, megabytes=0):
        self.left = megabytes * 2**20
        self.images = {}
        self._lock = threading.Lock()

    def __call__(self, record, reduce=1):
        key = record.path, reduce
        image = self.images.get(key)
        if image is None:
            image = read_image(record.path, reduce)
            with self._lock:
                if image.nbytes <= self.left and key not in self.images:
                    self.images[key] = image
                    self.left -= image.nbytes
        return image
