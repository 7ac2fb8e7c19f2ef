"""The loader at 640 px: its stages compared with cv2.imdecode alone, and the whole loader with Grain doing the same.

The images are those of data/pickles/wider_train.pkl if it exists, else toy scenes 1,024 px wide. Stages are timed in
processor time of one thread, each on the output of the stage before it. Grain is left out if it is not installed.
"""

import os
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from manyfaces.config import load_config
from manyfaces.data_layer import COMPILED, augment
from manyfaces.data_layer.loader import CachedReader, Loader, Minibatch
from manyfaces.datasets.images import read_image
from manyfaces.datasets.readers import READERS
from manyfaces.datasets.roidb import load_roidb
from manyfaces.datasets.toy.data_set import write_toy
from manyfaces.nets.ssh import SSH

from . import machine
from .timing import Table

ROIDB = "data/pickles/wider_train.pkl"
TURNS = 3
OVERRIDES = ["NET.LANDMARKS", "True", "TRAIN.BATCH", "16"]


def run(images: int = 96, steps: int = 24, size: int = 640) -> list[Table]:
    """Time the loader.

    Args:
        images: number of images.
        steps: batches of 16 that are timed for the second table.
        size: of a sample, px.

    Returns:
        Two Tables: milliseconds and images/s of each stage, and images/s of whole loaders.
    """
    cfg = load_config(overrides=[*OVERRIDES, "AUGMENT.SIZE", str(size)])
    with tempfile.TemporaryDirectory() as folder:
        records, source = _records(folder, images)
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)  # a stage of one thread is compared with decoding in one thread
        try:
            return [_stages(records, cfg, source), _whole(records, cfg, steps, source)]
        finally:
            cv2.setNumThreads(threads)


def _records(folder, count):
    """Evenly spread records whose images exist, and a phrase that says where they come from."""
    if os.path.exists(ROIDB):
        records, source = load_roidb(ROIDB).records, ROIDB
    else:
        paths = write_toy(folder, min(count, 24), seed=0, width=1024)
        records, source = READERS["retinaface"](paths["retinaface"], paths["images"]).records, "toy scenes"
    chosen = np.unique(np.linspace(0, len(records) - 1, count).astype(int))
    return [records[i] for i in chosen], source


# ------------------------------------------------------------------- stages


def _stages(records, cfg, source):
    encode, section, batch = SSH(cfg).encode, cfg.AUGMENT, 16
    codes = [Path(record.path).read_bytes() for record in records]
    decoded = {record.path: read_image(record.path) for record in records}

    def read(record, reduce):
        image = decoded.get((record.path, reduce)) if reduce > 1 else decoded[record.path]
        if image is None:
            image = decoded[record.path, reduce] = read_image(record.path, reduce)
        return image

    def warp(i):
        size = (section.SIZE, section.SIZE)
        return augment.crop(records[i], read, np.random.default_rng([0, i]), section, size)

    def light(i):
        image = augment.flip(samples[i])["image"] if i % 2 else samples[i]["image"]
        return augment.colour(image, np.random.default_rng([1, i]), section)

    def put(convert=lambda image: image):
        for start in range(0, len(records) - batch + 1, batch):
            made = Minibatch(batch)
            for place in range(batch):
                image = convert(samples[start + place]["image"])
                made.put(place, image, encoded[start + place], "")

    rows, each = [], range(len(records))

    def add(name, call, count=None):
        seconds = _processor_seconds(call) / (count or len(records))
        first = seconds if not rows else float(rows[0][1]) / 1e3
        rows.append([name, f"{seconds * 1e3:.2f}", f"{1 / seconds:.0f}", f"{seconds / first:.2f}"])

    def add_each(name, stage):
        def call():
            for i in each:  # outputs are dropped, as in a training, so that their memory is used for the next image
                stage(i)

        add(name, call)

    add_each("cv2.imdecode alone", lambda i: cv2.imdecode(np.frombuffer(codes[i], np.uint8), cv2.IMREAD_COLOR))
    add_each("read and decode", lambda i: read_image(records[i].path))
    samples = [warp(i) for i in each]  # also fills `decoded` with the reduced images
    add_each("warp: crop, resize, faces", warp)
    add_each("flip and colour", light)
    encoded = [encode(sample) for sample in samples]
    add_each("targets", lambda i: encode(samples[i]))
    count = len(records) // batch * batch
    if count:
        add("batch, uint8", put, count)
        add("batch, float32 instead", lambda: put(lambda image: image.astype(np.float32)), count)
    kind = "" if COMPILED else ", not compiled"
    return Table(f"Loader, stage by stage, {section.SIZE} px{kind}",
                 ("stage", "ms an image", "images/s", "times imdecode"), rows,
                 f"{len(records)} images of {source}; processor time of one thread, medians.", machine.BASE)


def _processor_seconds(call, repeats=5):
    """Median seconds of processor time of this thread per call, which other work on the machine does not change."""
    call()
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return float(np.median(times))


# -------------------------------------------------------------------- whole


class Sample:
    """Function from the number of a sample to the sample, for every loader; other processes make their own Loader."""

    def __init__(self, records, cfg):
        self.records, self.cfg, self.loader = records, cfg, None

    def __getstate__(self):
        return {**self.__dict__, "loader": None}

    def __call__(self, number):
        if self.loader is None:
            read = CachedReader(0)
            self.loader = Loader(self.records, np.ones(len(self.records)), SSH(self.cfg).encode, self.cfg, read)
            cv2.setNumThreads(1)
        return self.loader.sample(*divmod(int(number), self.cfg.TRAIN.BATCH))


def stacked(samples):
    """A batch of the samples, stacked with NumPy."""
    images, targets, names = zip(*samples, strict=True)
    return {"images": np.stack(images), "names": list(names),
            **{key: np.stack([target[key] for target in targets]) for key in targets[0]}}


def _whole(records, cfg, steps, source):
    ways = {"manyfaces, 2 threads": lambda: ours(records, cfg, steps, 2),
            "manyfaces, 1 thread": lambda: ours(records, cfg, steps, 1),
            "Grain, 2 threads": lambda: grain_threads(records, cfg, steps),
            "Grain, 2 processes": lambda: grain_processes(records, cfg, steps)}
    rates, work, first = {}, {}, {}
    for turn in range(TURNS):  # in turns, so that other work on the machine affects all of them
        for name, way in ways.items():
            processes = "processes" in name
            batches = None if processes and turn else way()
            if batches is None:
                continue
            start, before = time.perf_counter(), time.process_time()
            for step, batch in enumerate(batches):
                if step == 0 and processes:  # starting new Python processes is not part of the work
                    start = time.perf_counter()
                if step == 0 and not np.array_equal(first.setdefault("images", batch["images"]), batch["images"]):
                    raise RuntimeError(f"{name} gives other images than ours")
            images = (step + 1 - processes) * cfg.TRAIN.BATCH
            rates.setdefault(name, []).append(images / (time.perf_counter() - start))
            work.setdefault(name, []).append(None if processes else 1e3 * (time.process_time() - before) / images)
    best = max(rates["manyfaces, 2 threads"])
    rows = [[name, f"{max(rate):.0f}", f"{max(rate) / best:.2f}", f"{min(work[name]):.2f}" if work[name][0] else ""]
            for name, rate in rates.items()]
    return Table(f"Loader, files to batches of {cfg.TRAIN.BATCH}, {cfg.AUGMENT.SIZE} px",
                 ("loader", "images/s", "times ours", "processor ms an image"), rows,
                 f"{len(records)} images of {source}, decoded again each time; the same samples from each; the best of "
                 f"{TURNS} turns. A peer that is not installed has no row.",
                 {row[0]: (*machine.BASE, *(["grain"] if "Grain" in row[0] else [])) for row in rows})


def ours(records, cfg, steps, workers):
    cfg = load_config(overrides=[*OVERRIDES, "AUGMENT.SIZE", str(cfg.AUGMENT.SIZE), "LOADER.WORKERS", str(workers)])
    loader = Loader(records, np.ones(len(records)), SSH(cfg).encode, cfg, CachedReader(0))
    return (batch for _, batch in loader.run(0, steps))


def grain_dataset(records, cfg, steps):
    """Grain and a dataset of batches of the same samples; None if Grain is not installed."""
    try:
        import grain
    except ImportError:
        return None
    numbers = grain.MapDataset.range(steps * cfg.TRAIN.BATCH)
    return grain, numbers.map(Sample(records, cfg)).batch(cfg.TRAIN.BATCH, batch_fn=stacked)


def grain_threads(records, cfg, steps):
    made = grain_dataset(records, cfg, steps)
    if made is None:
        return None
    grain, batches = made
    options = grain.ReadOptions(num_threads=2, prefetch_buffer_size=cfg.LOADER.PREFETCH)
    return iter(batches.to_iter_dataset(options))


def grain_processes(records, cfg, steps):
    made = grain_dataset(records, cfg, steps)
    if made is None:
        return None
    grain, batches = made
    options = grain.MultiprocessingOptions(num_workers=2, per_worker_buffer_size=cfg.LOADER.PREFETCH // 2)
    plain = batches.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=1))
    return iter(plain.mp_prefetch(options))
