"""Batches of MTCNN's samples: the mix of kinds, an order that can be recomputed, mirrored points."""

from types import SimpleNamespace

import numpy as np
import pytest
from mtcnn_scenes import config, make, maker, write_records

from manyfaces.data_layer.mtcnn.batches import SampleLoader, augmented
from manyfaces.data_layer.mtcnn.tfrecords import KINDS
from manyfaces.errors import InputError


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    return make(folder / "made", maker(write_records(folder / "images", 40))).path


def loader(samples, **keys):
    return SampleLoader(config(MTCNN__SAMPLES=samples, **keys), 12)


def test_every_batch_is_mixed_and_so_is_every_sixth_of_it(samples):
    whole = loader(samples, TRAIN__BATCH=384)
    for step in (0, 7):
        label = whole.batch(step)["label"].reshape(64, 6)
        assert (np.sort(label, axis=1) == [-2, -1, 0, 0, 0, 1]).all()


def test_a_batch_depends_only_on_its_step(samples):
    first, second = loader(samples), loader(samples, LOADER__WORKERS=1, LOADER__PREFETCH=1)
    for step, batch in first.run(3, 9):
        again = second.batch(step)
        assert batch.keys() == again.keys() and batch["images"].dtype == np.uint8
        for key in batch:
            assert np.array_equal(batch[key], again[key]), key
    assert not np.array_equal(first.batch(3)["images"], first.batch(4)["images"])
    assert not np.array_equal(first.batch(3)["images"], loader(samples, SEED=4).batch(3)["images"])


def test_the_shares_of_several_processes_are_the_batch_of_one(samples):
    loaders = [loader(samples) for _ in range(3)]
    for number, own in enumerate(loaders):
        own.share = number, 3
    assert len({own.digest() for own in loaders}) == 1
    runs = [[batch for _, batch in own.run(0, 3)] for own in loaders]
    for step, shares in enumerate(zip(*runs, strict=True)):
        for key, values in loader(samples).batch(step).items():
            assert [len(share[key]) for share in shares] == [8, 8, 8]
            np.testing.assert_array_equal(np.concatenate([share[key] for share in shares]), values, key)


def test_all_records_of_a_kind_are_used_before_one_repeats(samples):
    loaded = loader(samples)
    total = int(loaded.ends["positive"][-1])
    shown = [place for step in range(total * 6 // 24 + 1) for place in loaded.places(step) if place[0] == "positive"]
    assert len(shown) >= total and len(set(shown[:total])) == total
    assert loaded.size == len(loaded.records) == sum(int(ends[-1]) for ends in loaded.ends.values())


def test_the_others_fill_the_places_of_a_kind_without_records(tmp_path, samples):
    folder = make(tmp_path / "made", maker(write_records(tmp_path / "images", 10), MTCNN__COUNTS="[50, 50, 0, 150]"))
    label = loader(folder.path, TRAIN__BATCH=25).batch(0)["label"]
    assert [int((label == KINDS[kind]).sum()) for kind in KINDS] == [5, 5, 0, 15]
    with pytest.raises(InputError, match="AUGMENT.ZOOM_IN is 1.0, expected at least 0 and less than 1"):
        loader(samples, AUGMENT__ZOOM_IN=1.0)
    with pytest.raises(InputError, match=r"leaves \['landmark', 'negative', 'part'\]; expected positives and neg"):
        loader(samples, MTCNN__RATIO="[0, 1, 1, 3]")
    with pytest.raises(InputError, match=r"MTCNN\.RATIO is \[1, 1\], expected 4 whole numbers"):
        loader(samples, MTCNN__RATIO="[1, 1]")


def test_samples_of_another_stage_are_refused(samples):
    with pytest.raises(InputError, match="the samples there are for pnet, MTCNN.STAGE is rnet; make those with"):
        SampleLoader(config(MTCNN__SAMPLES=samples, MTCNN__STAGE="rnet"), 24)


def augment(label, box, landmarks, **keys):
    images = np.arange(12 * 12 * 3, dtype=np.uint8).reshape(1, 12, 12, 3)
    cfg = SimpleNamespace(**{**dict.fromkeys(["FLIP", "COLOUR", "GREY", "BLUR", "ERASE", "ZOOM_IN"], 0.0), **keys})
    return images.copy(), augmented(images, np.int32([label]), np.float32([box]), np.float32([landmarks]),
                                    np.random.default_rng(0), cfg)


def test_a_mirrored_crop_mirrors_box_and_points():
    """A face from .1 to .9 of the crop's width, .2 to 1.1 of its height: mirrored again from .1 to .9."""
    points = [.3, .4, .6, .5, .45, .7, .35, .9, .55, .95]
    before, after = augment(-2, [.1, .2, -.3, .1], points, FLIP=1.0)
    np.testing.assert_array_equal(after["images"][0], before[0][:, ::-1])
    np.testing.assert_allclose(after["box"][0], [.3, .2, -.1, .1], atol=1e-6)
    # The right eye, now on the left, comes first; so do the mouth's corners.
    np.testing.assert_allclose(after["landmarks"][0], [.4, .5, .7, .4, .55, .7, .45, .95, .65, .9], atol=1e-6)
    _, after = augment(0, [0, 0, 0, 0], [0] * 10, FLIP=1.0)
    assert not after["landmarks"].any() and not after["box"].any()


def test_light_and_grey_change_only_pixels():
    before, after = augment(1, [.1, .2, -.3, .1], [0] * 10, COLOUR=1.0)
    moved = after["images"][0].astype(int) - before[0]
    assert np.abs(moved).max() > 3 and np.corrcoef(before.ravel(), after["images"].ravel())[0, 1] > 0.95
    np.testing.assert_allclose(after["box"][0], [.1, .2, -.3, .1], atol=1e-6)
    _, after = augment(1, [0] * 4, [0] * 10, GREY=1.0)
    assert (after["images"][0] == after["images"][0, :, :, :1]).all()
    same, after = augment(1, [0] * 4, [0] * 10)
    np.testing.assert_array_equal(same, after["images"])


def test_a_zoomed_crop_fits_its_box_and_points():
    """Grey levels encode the place in the crop, so the corners of the new crop show its place in the old one."""
    ramp = np.arange(48, dtype=np.float32)
    images = np.uint8(np.stack([*np.meshgrid(ramp * 5, ramp * 5), np.zeros((48, 48))], axis=2))
    cfg = SimpleNamespace(FLIP=0.0, COLOUR=0.0, GREY=0.0, BLUR=0.0, ERASE=0.0, ZOOM_IN=0.4)
    label = np.int32([KINDS[kind] for kind in ("positive", "part", "landmark", "negative")] * 5)
    box, points = np.float32([.1, .2, -.3, -.1]), np.float32([.3, .4, .6, .5, .45, .7, .35, .9, .55, .95])
    has_box, has_points = np.isin(label, [1, -1])[:, None], (label == KINDS["landmark"])[:, None]
    after = augmented(np.stack([images] * 20), label, box * has_box, points * has_points, np.random.default_rng(3), cfg)
    places = after["images"][:, :, :, :2].astype(float) / 5 + 0.5  # px of the old crop at every pixel of the new one
    slope = (places[:, -8, -8] - places[:, 8, 8]) / 32
    begin = places[:, 8, 8] - 8.5 * slope
    assert (slope < 1.01).all() and slope.min() < 0.75
    for face in np.flatnonzero(has_box):
        seen = begin[face] + 48 * slope[face] * (after["box"][face] + [0, 0, 1, 1]).reshape(2, 2)
        np.testing.assert_allclose(seen.ravel(), 48 * (box + [0, 0, 1, 1]), atol=0.6)
    for face in np.flatnonzero(has_points):
        seen = begin[face] + 48 * slope[face] * after["landmarks"][face].reshape(5, 2)
        np.testing.assert_allclose(seen.ravel(), 48 * points, atol=0.6)
    assert not after["box"][~has_box[:, 0]].any() and not after["landmarks"][~has_points[:, 0]].any()


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_rectangle_is_hidden_in_every_kind(kind):
    before, after = augment(KINDS[kind], [0] * 4, [0] * 10, ERASE=1.0)
    hidden = (after["images"][0] != before[0]).any(axis=2)
    rows, columns = np.flatnonzero(hidden.any(axis=1)), np.flatnonzero(hidden.any(axis=0))
    assert 1 <= len(rows) <= 6 and 1 <= len(columns) <= 6  # .2 to .5 of 12 px
    inside = after["images"][0, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert (inside == inside[0, 0]).all() and not hidden[: rows[0]].any()


def test_blur_keeps_the_size_and_loses_detail():
    rng = np.random.default_rng(0)
    before, cfg = rng.integers(0, 256, (30, 24, 24, 3), np.uint8), SimpleNamespace(
        FLIP=0.0, COLOUR=0.0, GREY=0.0, BLUR=1.0, BLUR_FACTORS=[0.4, 0.9], ERASE=0.0, ZOOM_IN=0.0)
    after = augmented(before.copy(), np.zeros(30, np.int32), np.zeros((30, 4)), np.zeros((30, 10)), rng, cfg)["images"]
    detail = [np.abs(np.diff(images.astype(float), axis=2)).mean() for images in (before, after)]
    assert after.shape == before.shape and detail[1] < 0.8 * detail[0]
