"""The loader: a batch depends only on config and step; weights, threads, caches and unreadable files."""

import threading
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from manyfaces.config import load_config
from manyfaces.data_layer.loader import CachedReader, Loader, Minibatch
from manyfaces.datasets.images import ImageError
from manyfaces.datasets.roidb import Record
from manyfaces.errors import InputError


def config(**keys):
    values = {"AUGMENT.SIZE": 48, "TRAIN.BATCH": 4, "TRAIN.STEPS": 100, "AUGMENT.MOSAIC": 0.3, "AUGMENT.BLUR": 0.3,
              **{key.replace("__", "."): value for key, value in keys.items()}}
    return load_config(overrides=[word for pair in values.items() for word in pair])


def encode(sample):
    """Targets of fixed shape that depend on the sample."""
    return {"faces": np.float32(len(sample["boxes"])), "corners": sample["boxes"].sum(axis=0, dtype=np.float32)}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    made = []
    for i in range(10):
        height, width = rng.integers(50, 130, 2)
        picture = cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3), np.uint8), (0, 0), 2)
        cv2.imwrite(str(folder / f"{i}.png"), picture)
        boxes = np.float32([[5, 5, 30, 30], [20, 22, 44, 48]])[: i % 3]
        made.append(Record(str(folder), f"{i}.png", int(width), int(height), boxes,
                           np.full((len(boxes), 5, 2), np.nan, np.float32), np.zeros(len(boxes), bool)))
    return made


def same(first, second):
    assert list(first) == list(second)
    assert first["names"] == second["names"]
    for key in set(first) - {"names"}:
        np.testing.assert_array_equal(first[key], second[key])


@pytest.mark.parametrize("workers, prefetch, cache", [(1, 0, 0), (2, 1, 1), (5, 8, 100)])
def test_data_do_not_depend_on_threads_prefetch_or_cache(records, workers, prefetch, cache):
    cfg = config(LOADER__WORKERS=workers, LOADER__PREFETCH=prefetch, LOADER__CACHE_MB=cache)
    plain = Loader(records, np.ones(10), encode, config())
    loader = Loader(records, np.ones(10), encode, cfg)
    steps = []
    for step, batch in loader.run(0, 7):  # more than three epochs of two steps
        steps.append(step)
        same(batch, plain.batch(step))
    assert steps == list(range(7))
    assert batch["images"].shape == (4, 48, 48, 3) and batch["images"].dtype == np.uint8
    assert batch["faces"].shape == (4,) and batch["corners"].shape == (4, 4)
    assert list(batch)[0] == "images"


def test_a_run_that_starts_later_gets_the_same_batches(records):
    whole = dict(Loader(records, np.ones(10), encode, config()).run(0, 6))
    for step, batch in Loader(records, np.ones(10), encode, config()).run(4, 6):
        same(batch, whole[step])


@pytest.mark.parametrize("keys", [{"TRAIN__BATCH": 4}, {"TRAIN__BATCH": 8, "AUGMENT__SIZES": [32, 64]}])
def test_the_shares_of_several_processes_are_the_batch_of_one(records, keys):
    whole = dict(Loader(records, np.ones(10), encode, config(**keys)).run(0, 5))
    loaders = [Loader(records, np.ones(10), encode, config(LOADER__WORKERS=1 + number, **keys)) for number in range(2)]
    for number, loader in enumerate(loaders):
        loader.share = number, 2
    for (step, first), (_, second) in zip(*(loader.run(0, 5) for loader in loaders), strict=True):
        assert len(first["images"]) == len(second["images"]) > 0
        same({key: [*value, *second[key]] for key, value in first.items()}, whole[step])


def test_a_digest_tells_other_annotations_from_the_same(records):
    moved = [replace(record, boxes=record.boxes + 1) for record in records]
    digests = [Loader(chosen, weights, encode, config()).digest() for chosen, weights in (
        (records, np.ones(10)), (list(records), np.ones(10)), (records[::-1], np.ones(10)), (records[1:], np.ones(9)),
        (records, np.full(10, 2.0)), (moved, np.ones(10)))]
    assert digests[0] == digests[1] and len(set(digests)) == 5


def test_epochs_use_every_image_once_and_differ(records):
    loader = Loader(records, np.ones(10), encode, config(TRAIN__BATCH=5))
    epochs = [[*loader.batch(2 * e)["names"], *loader.batch(2 * e + 1)["names"]] for e in range(3)]
    assert all(sorted(epoch) == sorted(r.path for r in records) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    first = Loader(records, np.ones(10), encode, config(SEED=4)).batch(0)
    assert first["names"] != loader.batch(0)["names"]


def test_the_augmentation_of_an_image_changes_from_epoch_to_epoch(records):
    loader = Loader(records[:1], np.ones(1), encode, config(TRAIN__BATCH=1))
    assert not np.array_equal(loader.batch(0)["images"], loader.batch(1)["images"])


def test_weights_of_sources_say_how_often_an_image_is_used(records):
    weights = [2.0] * 4 + [0.5] * 6
    loader = Loader(records, weights, encode, config(TRAIN__BATCH=11))
    assert loader.size == 11
    counts = sum(np.bincount(loader.order(epoch), minlength=10) for epoch in range(400)) / 400
    np.testing.assert_allclose(counts[:4], 2, atol=0)
    np.testing.assert_allclose(counts[4:], 0.5, atol=0.08)
    one = np.bincount(loader.order(7), minlength=10)
    assert one[:4].tolist() == [2] * 4 and one[4:].sum() == 3


def test_a_batch_may_be_larger_than_the_data_set(records):
    loader = Loader(records[:3], np.ones(3), encode, config(TRAIN__BATCH=8))
    assert set(loader.batch(0)["names"]) == {r.path for r in records[:3]}


def test_sizes_take_turns_and_a_step_keeps_its_pixels(records):
    loader = Loader(records, np.ones(10), encode, config(TRAIN__BATCH=8, AUGMENT__SIZES=[32, 64]))
    shapes = [batch["images"].shape for _, batch in loader.run(0, 5)]
    assert shapes == [(8, 32, 32, 3), (2, 64, 64, 3), (8, 32, 32, 3), (2, 64, 64, 3), (8, 32, 32, 3)]
    # No image is left out: the first ten samples of the run are the ten records.
    assert sorted(loader.batch(0)["names"] + loader.batch(1)["names"]) == sorted(r.path for r in records)
    assert [loader.plan(step)[0] for step in range(5)] == [0, 8, 10, 18, 20]


def test_the_last_steps_are_clean(records):
    keys = {"TRAIN__STEPS": 6, "AUGMENT__MOSAIC": 1.0, "TRAIN__BATCH": 2}
    mixed, clean = config(**keys), config(**keys, AUGMENT__CLEAN_STEPS=2)
    none = config(**{**keys, "AUGMENT__MOSAIC": 0.0, "AUGMENT__BLUR": 0.0})
    for step in range(6):
        # Steps are the same as without mosaics except for the draws that decide on one.
        seen = Loader(records, np.ones(10), encode, clean).batch(step)
        other = Loader(records, np.ones(10), encode, mixed).batch(step)
        assert np.array_equal(seen["images"], other["images"]) == (step < 4)
    assert not np.array_equal(Loader(records, np.ones(10), encode, none).batch(0)["images"],
                              Loader(records, np.ones(10), encode, mixed).batch(0)["images"])


def test_an_unreadable_image_is_replaced_and_named_once(records, tmp_path, capsys):
    (tmp_path / "bad.jpg").write_text("this is text")
    bad = Record(str(tmp_path), "bad.jpg", 60, 60, np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32),
                 np.zeros(0, bool))
    some = [*records[:5], bad]
    loader = Loader(some, np.ones(6), encode, config(TRAIN__BATCH=6))
    first = loader.batch(0)
    assert bad.path not in first["names"] and None not in first["names"]
    loader.batch(1)
    assert len(loader.unreadable) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {bad.path}: ") and "another image is used instead" in line
    for _, batch in Loader(some, np.ones(6), encode, config(TRAIN__BATCH=6, LOADER__WORKERS=3)).run(0, 1):
        same(batch, first)
    with pytest.raises(ImageError, match="5 images in a row could not be read"):
        list(Loader([bad], [1.0], encode, config()).run(0, 1))


def test_errors_of_a_thread_reach_the_caller(records):
    def refuse(sample):
        raise InputError("boxes: box 0 is [nan, 0, 1, 1], expected finite numbers")

    with pytest.raises(InputError, match=r"\d\.png: boxes: box 0"):
        list(Loader(records, np.ones(10), refuse, config(TRAIN__BATCH=1)).run(0, 2))
    with pytest.raises(InputError, match="holds no image"):
        Loader([], [], encode, config())


def test_arrays_of_different_shape_are_refused():
    batch = Minibatch(2)
    batch.put(1, np.zeros((4, 4, 3), np.uint8), {"labels": np.zeros(8, np.int8)}, "a.jpg")
    with pytest.raises(ValueError, match=r"b\.jpg: labels is \(1,\), the first sample's is \(8,\)"):
        batch.put(0, np.zeros((4, 4, 3), np.uint8), {"labels": np.zeros(1, np.int8)}, "b.jpg")


def test_waiting_for_data_is_counted(records):
    class Slow(CachedReader):
        def __call__(self, record, reduce=1):
            time.sleep(0.05)
            return super().__call__(record, reduce)

    loader = Loader(records, np.ones(10), encode, config(LOADER__PREFETCH=0, TRAIN__BATCH=1), Slow())
    began = time.perf_counter()
    list(loader.run(0, 3))
    assert 0.15 <= loader.waited <= time.perf_counter() - began


def test_leaving_early_ends_the_threads(records):
    for _ in Loader(records, np.ones(10), encode, config(LOADER__WORKERS=3)).run(0, 50):
        break
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


def test_the_cache_holds_what_it_may(records):
    read = CachedReader(megabytes=0)
    assert read(records[0]) is not read(records[0]) and not read.images
    read = CachedReader(megabytes=1)
    assert read(records[0]) is read(records[0])
    size = read(records[0]).nbytes
    read.left = size  # space for at most one more of that size
    for record in records:
        read(record)
    assert read.left >= 0 and sum(image.nbytes for image in read.images.values()) <= 2 * size
