"""Loader: makes the minibatch of each step, ahead of time in threads, in an order that can be computed again.

Sample i of epoch e takes all randomness from a generator seeded by (seed, e, i). So a batch is a function of the config
and the step only: a resumed run receives the same batches as an uninterrupted one, with any number of threads. Threads
are enough because reading, decoding, resizing and encoding all release the interpreter lock.
"""

import contextlib
import sys
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from easydict import EasyDict

from ..datasets.images import ImageError, read_image
from ..datasets.roidb import Record
from ..errors import InputError
from .augment import augment
from .batch_sizes import turns

ORDER = 2**32 - 1  # seeds the order of an epoch, where the seed of a sample has its number
TRIES = 5  # images in a row that may be unreadable before a sample fails


class Loader:
    """Minibatches of a roidb for a family.

    A batch is a dict: "images" (B, S, S, 3) uint8 RGB, the family's targets, and "names", the paths of the images. The
    net receives uint8, because float32 would be four times as much to write and copy.

    Args:
        records: images to train on.
        weights: how often an epoch shows each record. All 1: every image once.
        encode: the family's `encode`, from a sample (augment) to a dict of targets.
        cfg: the whole config.
        read: reads the image of a record; its second argument divides the sides. None: a CachedReader.

    Attributes:
        size: number of samples in an epoch.
        share: (number, count): `run` yields only that one of equal shares of each batch, for a process on one of
            several hosts. All shares together are the batch of one process.
        waited: seconds that `run` has waited for data.
        unreadable: messages of images that were left out.

    Raises:
        InputError: when there are no records.
    """

    def __init__(self, records: Sequence[Record], weights: Sequence[float] | np.ndarray,
                 encode: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]], cfg: EasyDict,
                 read: Callable[[Record, int], np.ndarray] | None = None):
        if not records:
            raise InputError(f"TRAIN.DATASETS {cfg.TRAIN.DATASETS!r} holds no image; see `manyfaces data build`")
        self.records, self.encode, self.cfg = records, encode, cfg
        self.read = read or CachedReader(cfg.LOADER.CACHE_MB, cfg.TEST.MAX_FILE_PIXELS)
        self.bounds = np.cumsum(np.asarray(weights, np.float64))
        self.size = max(cfg.TRAIN.BATCH, round(self.bounds[-1]))
        self.turns = turns(cfg, cfg.TRAIN.BATCH)
        self.share = 0, 1
        self.waited = 0.0
        self.unreadable: set[str] = set()
        self._orders = {}
        self._lock = threading.Lock()

    def order(self, epoch: int) -> np.ndarray:
        """(size,) numbers of the records of an epoch: each as often as its weight, fractions at random."""
        with self._lock:
            if epoch not in self._orders:
                rng = np.random.default_rng([self.cfg.SEED, epoch, ORDER])
                spread = (np.arange(self.size) + rng.random()) * (self.bounds[-1] / self.size)
                numbers = np.minimum(np.searchsorted(self.bounds, spread, side="right"), len(self.records) - 1)
                # At the end of an epoch the threads work in two epochs.
                self._orders = {e: order for e, order in self._orders.items() if abs(e - epoch) == 1}
                self._orders[epoch] = rng.permutation(numbers)
            return self._orders[epoch]

    def digest(self) -> str:
        """Checksum of all that decides the samples but the config and the pixels, to compare processes by."""
        value = zlib.crc32(self.bounds.tobytes())
        for record in self.records:
            value = zlib.crc32(f"{record.image} {record.width} {record.height}".encode(errors="replace"), value)
            for array in (record.boxes, record.landmarks, record.ignore):
                value = zlib.crc32(array.tobytes(), value)
        return f"{value:08x}"

    def plan(self, step: int) -> tuple[int, int, int]:
        """(number of the first sample, number of samples, their side in px) of a step.

        Sample numbers continue through all epochs; an epoch may end in the middle of a batch.
        """
        cycles, turn = divmod(step, len(self.turns))
        counts = [count for _, count in self.turns]
        size, count = self.turns[turn]
        return cycles * sum(counts) + sum(counts[:turn]), count, size

    def sample(self, step: int, place: int) -> tuple[np.ndarray, dict[str, np.ndarray], str]:
        """Make the sample at `place` of the batch of `step`.

        An image that cannot be read is reported once on stderr and replaced by another one, which the sample's own
        generator draws.

        Returns:
            Image (S, S, 3) uint8 RGB, dict of targets, path of the image.

        Raises:
            ImageError: when TRIES images in a row cannot be read.
            InputError: names the image that does not fit its record or cannot be encoded.
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
                    raise ImageError(f"{error}; {TRIES} images in a row could not be read") from None
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
                with contextlib.suppress(OSError):  # stderr may be a file on a full disk
                    print(f"warning: {message}; another image is used instead", file=sys.stderr, flush=True)

    def batch(self, step: int) -> dict:
        """Make the minibatch of a step, in this thread."""
        count = self.plan(step)[1]
        batch = Minibatch(count)
        for place in range(count):
            batch.put(place, *self.sample(step, place))
        return batch.arrays()

    def run(self, start: int, stop: int) -> Generator[tuple[int, dict], None, None]:
        """Yield (step, share of the batch) for start <= step < stop, prepared ahead by LOADER.WORKERS threads."""
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
        number, shares = self.share
        count = self.plan(step)[1] // shares
        batch = Minibatch(count)

        def fill(places):
            for place in places:
                batch.put(place, *self.sample(step, number * count + place))

        # One task per thread, not per sample: that needs the interpreter lock less often.
        workers = max(1, self.cfg.LOADER.WORKERS)
        return batch, [pool.submit(fill, range(first, count, workers)) for first in range(min(workers, count))]


class Minibatch:
    """A batch that threads fill place by place. The first sample decides the shapes of its arrays.

    NumPy copies a sample as fast as memory allows, and without the interpreter lock (tools/benchmark.py loader), so
    nothing is compiled here.

    Args:
        count: number of samples.
    """

    def __init__(self, count: int):
        self.names: list[str | None] = [None] * count
        self._arrays: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def put(self, place: int, image: np.ndarray, targets: dict[str, np.ndarray], name: str) -> None:
        """Copy a sample to its place.

        Raises:
            ValueError: when its arrays have other shapes than those of the first sample.
        """
        sample = {"images": image, **targets}
        with self._lock:
            if not self._arrays:
                self._arrays = {key: np.empty((len(self.names), *array.shape), array.dtype)
                                for key, array in sample.items()}
        for key, array in sample.items():
            if array.shape != self._arrays[key].shape[1:]:  # NumPy would broadcast where it can
                raise ValueError(f"{name}: {key} is {array.shape}, the first sample's is {self._arrays[key].shape[1:]}")
            self._arrays[key][place] = array
        self.names[place] = name

    def arrays(self) -> dict:
        """The batched arrays by name, "images" first, and the list "names". Every place must have been filled."""
        return {**self._arrays, "names": self.names}


class CachedReader:
    """Reads the images of records, (H, W, 3) uint8 RGB, and keeps the first ones in memory.

    Nothing is removed from the cache: an epoch reads every image once, so no choice of images is better.

    Args:
        megabytes: size of the cache in MiB.
        limit: px of an image file, as in read_image.
    """

    def __init__(self, megabytes: float = 0, limit: int = 0):
        self.left, self.limit = megabytes * 2**20, limit
        self.images = {}
        self._lock = threading.Lock()

    def __call__(self, record: Record, reduce: int = 1) -> np.ndarray:
        """Read the image; `reduce` (1, 2, 4 or 8) divides its sides."""
        key = record.path, reduce
        image = self.images.get(key)
        if image is None:
            image = read_image(record.path, reduce, self.limit)
            with self._lock:
                if image.nbytes <= self.left and key not in self.images:
                    self.images[key] = image
                    self.left -= image.nbytes
        return image
