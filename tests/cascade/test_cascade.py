"""The cascade with artificial nets: levels on a canvas, seams, strips, batches, odd images, both box conventions."""

import threading

import numpy as np
import pytest

from manyfaces.cascade import geometry, pyramid, resample
from manyfaces.cascade.cascade import TIMES, Cascade, Clock
from manyfaces.config import load_config
from manyfaces.errors import InputError
from manyfaces.inference.cascade_detector import CascadeDetector

BASE = ("FAMILY", "mtcnn", "NET.LANDMARKS", "true", "TEST.NMS", "0.7")


def config(*words):
    return load_config(None, (*BASE, *words))


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def bright_net(images):
    """A P-Net made of means: the brighter a window of 12 px, the higher its score. It moves no box."""
    sums = images.astype(np.float64).mean(axis=3).cumsum(axis=1).cumsum(axis=2)
    sums = np.pad(sums, ((0, 0), (1, 0), (1, 0)))
    means = (sums[:, 12:, 12:] - sums[:, :-12, 12:] - sums[:, 12:, :-12] + sums[:, :-12, :-12])[:, ::2, ::2] / 144
    scores = np.stack([np.zeros_like(means), (means - 128) / 8], axis=3).astype(np.float32)
    return {"scores": scores, "boxes": np.zeros((*means.shape, 4), np.float32)}


def bright_crops(images):
    """R-Net and O-Net: bright crops pass; the landmarks are at fixed places of the crop."""
    means = images.mean(axis=(1, 2, 3), dtype=np.float64)
    points = np.tile(np.float32([0.3, 0.4, 0.7, 0.4, 0.5, 0.6, 0.35, 0.8, 0.65, 0.8]), (len(images), 1))
    return {"scores": np.stack([np.zeros_like(means), (means - 128) / 8], axis=1).astype(np.float32),
            "boxes": np.zeros((len(images), 4), np.float32), "landmarks": points}


NETS = {"pnet": bright_net, "rnet": bright_crops, "onet": bright_crops}


def in_lanes(nets, lanes):
    """The same nets, as from a runtime that takes small calls, `lanes` at once, each call of its own size."""
    class Lane:
        def __init__(self, net):
            self.net, self.lanes, self.local = net, lanes, threading.local()

        def __call__(self, images):
            kept = self.local.__dict__.setdefault("kept", {})  # memory that the next call of a thread reuses
            outputs = {}
            for name, values in self.net(images).items():
                outputs[name] = kept.setdefault((name, values.shape), np.empty_like(values))
                outputs[name][:] = values
            return outputs

    return {stage: Lane(net) for stage, net in nets.items()}


def scene(spots, height=200, width=260):
    """A dark image with bright squares (x, y, side)."""
    image = np.zeros((height, width, 3), np.uint8)
    for x, y, side in spots:
        image[y : y + side, x : x + side] = 255
    return image


# ------------------------------------------------------------------ pyramid


@pytest.mark.parametrize("size", [(100, 60), (641, 480), (1024, 1365), (33, 700), (20, 20)])
def test_levels_do_not_overlap_on_the_canvas(size):
    levels = pyramid.levels_of(0, *size, 20, 0.709)
    width, height = pyramid.pack(levels)
    taken = np.zeros((height, width), int)
    for level in levels:
        assert level.x % 2 == level.y % 2 == 0
        assert level.x + level.block[0] <= width and level.y + level.block[1] <= height
        taken[level.y : level.y + level.block[1], level.x : level.x + level.block[0]] += 1
    assert taken.max() == 1 and width % pyramid.MULTIPLE == 0
    strips = pyramid.strips(taken, 0)
    assert {strip.shape for _, strip in strips} == {strips[0][1].shape}  # all of one size, and they cover the canvas
    assert [row for row, _ in strips] == [n * (len(strips[0][1]) - 10) // 2 for n in range(len(strips))]
    assert 2 * strips[-1][0] + len(strips[-1][1]) == height


def test_a_canvas_wastes_little():
    levels = pyramid.levels_of(0, 1024, 768, 20, 0.709)
    width, height = pyramid.pack(levels)
    assert sum(level.width * level.height for level in levels) / (width * height) > 0.8


def test_levels_by_hand():
    """20 px are 12 px at scale 0.6; the last level still has 12 px: 60 * 0.6 = 36, 25.5, 18.1, 12.8, then 9."""
    levels = pyramid.levels_of(7, 100, 60, 20, 0.709)
    assert [(level.width, level.height) for level in levels] == [(61, 37), (43, 26), (31, 19), (22, 13)]
    assert {level.image for level in levels} == {7}
    assert pyramid.levels_of(0, 100, 19, 20, 0.709) == []


@pytest.mark.parametrize("words", [(), ("CASCADE.RESAMPLE", "mean", "CASCADE.ROUND", "false")])
def test_cells_on_the_canvas_are_those_of_each_level_alone(words, monkeypatch):
    """The same boxes and scores as from one call of the net per level, also when the canvas is cut into strips."""
    cfg, images = config(*words, "CASCADE.THRESHOLDS", "[0.3, 0.5, 0.5]"), [picture(90, 121), picture(64, 64, 1)]
    dtype = np.uint8 if cfg.CASCADE.ROUND else np.float32
    expected = []
    for number, image in enumerate(images):
        for level in pyramid.levels_of(number, image.shape[1], image.shape[0], 20, 0.709):
            alone = resample(image, [[0, 0, *image.shape[1::-1]]], (level.width, level.height), cfg.CASCADE.RESAMPLE,
                             dtype=dtype)
            even = np.pad(alone, ((0, 0), (0, level.height % 2), (0, level.width % 2), (0, 0)), "edge")
            odds = bright_net(even)["scores"][0, ..., 1]
            expected += [(number, level.width, row, column, odds[row, column])
                         for row, column in np.argwhere(odds >= np.log(0.3 / 0.7))]
    assert len(expected) > 50
    for pixels, nets in ((pyramid.CANVAS_PIXELS, NETS), (64 * 64, NETS), (64 * 64, in_lanes(NETS, 3))):
        monkeypatch.setattr(pyramid, "CANVAS_PIXELS", pixels)
        cells, cascade = [], Cascade(nets, cfg)
        sizes = [image.shape[1::-1] for image in images]
        groups = pyramid.canvases(sizes, 20, 0.709)
        assert len(groups) == (1 if pixels > 10**6 else 2)
        for levels in groups:
            canvas = pyramid.draw(images, levels, cfg.CASCADE.RESAMPLE, dtype, cascade.lanes)
            which, boxes, scores, _ = cascade._cells(canvas, levels, sizes, Clock())
            for number, box, score in zip(which, boxes, scores, strict=True):
                level = levels[number]
                grow = np.array(sizes[level.image]) / (level.width, level.height)
                x, y = np.rint(box[:2] / grow / 2).astype(int)
                cells.append((level.image, level.width, y, x, np.log(score / (1 - score))))
        assert [row[:4] for row in sorted(cells)] == [row[:4] for row in sorted(expected)]
        np.testing.assert_allclose([row[4] for row in sorted(cells)], [row[4] for row in sorted(expected)], atol=2e-4)


# ----------------------------------------------------------------- geometry


def test_boxes_of_cells_in_both_conventions():
    level = pyramid.levels_of(0, 100, 60, 24, 0.5)[0]  # scale 0.5, 51 x 31 px
    rows, columns = np.array([0, 3]), np.array([0, 5])
    which, levels, sizes = np.array([0, 0]), [level], [(100, 60)]
    np.testing.assert_allclose(geometry.cell_boxes(rows, columns, which, levels, sizes, False),
                               np.float32([[0, 0, 12, 12], [10, 6, 22, 18]]) * ([100 / 51, 60 / 31] * 2), rtol=1e-6)
    boxes = geometry.cell_boxes(rows, columns, which, levels, sizes, True)
    assert boxes.tolist() == [[2, 2, 24, 24], [22, 14, 44, 36]]
    two = [level, pyramid.levels_of(1, 30, 40, 12, 0.5)[0]]
    assert geometry.cell_boxes(rows, columns, np.array([1, 0]), two, [*sizes, (30, 40)], True).tolist() == [
        [1, 1, 12, 12], [22, 14, 44, 36]]


def test_calibration_by_hand():
    moved = geometry.calibrate(np.float32([[10, 20, 30, 60]]), np.float32([[0.1, -0.1, 0, 0.5]]))
    assert moved.tolist() == [[12, 16, 30, 80]]
    assert geometry.calibrate(np.float32([[10, 20, 29, 59]]), np.float32([[0.1, 0, 0, 0.5]]), 1).tolist() == [
        [12, 20, 29, 79]]


def test_squares_and_their_pixels():
    boxes = np.float32([[10, 20, 30, 60], [-8, 3, 2, 9.4]])
    assert geometry.square(boxes, False).tolist() == [[0, 20, 40, 60], [-8, 1, 2, 11]]
    assert geometry.square(boxes, True)[0].tolist() == [0, 20, 40, 60]
    corners, inside = geometry.windows(np.float32([[-8, 1, 2, 11], [90, 5, 95, 9], [0, 0, 0, 4]]), (90, 50), False)
    assert corners[0].tolist() == [-8, 1, 2, 11] and inside.tolist() == [True, False, False]
    corners, inside = geometry.windows(np.float32([[-8.5, 1.5, 2.9, 51], [91.2, 5, 95, 9]]), (90, 50), True)
    assert corners[0].tolist() == [0, 0, 2, 50] and inside.tolist() == [True, False]
    assert not geometry.windows(np.float32([[np.nan, 1, 2, 11], [np.inf, 0, np.inf, 9]]), (90, 50), False)[1].any()


# ------------------------------------------------------------------ cascade


@pytest.mark.parametrize("boxes", ["continuous", "inclusive"])
def test_finds_what_is_bright(boxes):
    spots = [(30, 40, 40), (150, 100, 60), (225, 5, 35)]
    faces = Cascade(NETS, config("CASCADE.BOXES", boxes)).detect([scene(spots)])[0]
    assert faces.landmarks.shape == (len(faces), 5, 2) and (np.diff(faces.scores) <= 0).all()
    for x, y, side in spots:
        inside = (faces.boxes > [x - 6, y - 6] * 2) & (faces.boxes < [x + side + 6, y + side + 6] * 2)
        best = faces.take(inside.all(axis=1))
        assert len(best)
        corner, extent = best.boxes[0, :2], best.boxes[0, 2:] - best.boxes[0, :2]
        np.testing.assert_allclose(best.landmarks[0, 2], corner + extent * [0.5, 0.6], atol=1.1)
    centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    for centre in centres:  # nothing in the dark
        assert any(x - 10 < centre[0] < x + s + 10 and y - 10 < centre[1] < y + s + 10 for x, y, s in spots)
    assert set(faces.times) == set(TIMES)


def test_images_together_give_what_each_gives_alone():
    images = [scene([(30, 40, 40)]), np.zeros((80, 90, 3), np.uint8), scene([(5, 5, 100)], 150, 111), picture(10, 10),
              scene([(0, 0, 25), (60, 60, 22)], 97, 99)]
    cascade = Cascade(NETS, config())
    together = cascade.detect(images)
    assert [len(faces) > 0 for faces in together] == [True, False, True, False, True]
    for image, faces in zip(images, together, strict=True):
        alone = cascade.detect([image])[0]
        np.testing.assert_array_equal(faces.boxes, alone.boxes)
        np.testing.assert_allclose(faces.scores, alone.scores, rtol=1e-6)


def test_lanes_change_nothing():
    """Small parallel calls give what large calls give, whichever thread takes which."""
    images = [scene([(30, 40, 40), (150, 100, 60)]), scene([(0, 0, 25), (60, 60, 22)], 97, 99), picture(10, 10)]
    expected = Cascade(NETS, config()).detect(images)
    for lanes in (1, 2, 5):
        results = Cascade(in_lanes(NETS, lanes), config()).detect(images)
        for one, other in zip(results, expected, strict=True):
            np.testing.assert_array_equal(one.boxes, other.boxes)
            np.testing.assert_array_equal(one.landmarks, other.landmarks)
            np.testing.assert_allclose(one.scores, other.scores, rtol=1e-6)
            assert all(one.times[name] >= 0 for name in TIMES) and one.times["pnet"] > 0


def test_a_batch_is_cut_and_padded(monkeypatch):
    sizes = []

    def counting(images):
        sizes.append(len(images))
        return bright_crops(images)

    monkeypatch.setattr("manyfaces.cascade.cascade.CALLS", {"rnet": (8, 4), "onet": (8, 4)})
    images = [scene([(30, 40, 40)]), scene([(50, 50, 30), (120, 60, 50)])]
    few = Cascade(NETS | {"rnet": counting}, config()).detect(images)
    assert len(sizes) > 1 and set(sizes[:-1]) == {8} and sizes[-1] in (4, 8)
    monkeypatch.undo()
    for one, other in zip(few, Cascade(NETS, config()).detect(images), strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)


def test_an_image_of_20000_px():
    image = np.zeros((40, 20000, 3), np.uint8)
    image[4:34, 19900:19930] = image[4:34, 100:130] = 255
    faces = Cascade(NETS, config()).detect([image])[0]
    assert faces.boxes[:, 0].min() < 140 and faces.boxes[:, 0].max() > 19880


def test_candidates_are_what_the_next_net_receives():
    received = {}

    def watch(stage):
        def run(images):
            received.setdefault(stage, []).append(images)
            return bright_crops(images)
        return run

    image = scene([(30, 40, 40)])
    cascade = Cascade({"pnet": bright_net, "rnet": watch("rnet"), "onet": watch("onet")}, config())
    cascade.detect([image])
    for until, stage, side in (("pnet", "rnet", 24), ("rnet", "onet", 48)):
        (rows,) = cascade.candidates([image], until)
        crops = resample(image, rows[:, :4].astype(int), (side, side))
        np.testing.assert_array_equal(crops, np.concatenate(received[stage])[: len(crops)])
        assert ((rows[:, 4] > 0.5) & (rows[:, 4] <= 1)).all()
    with pytest.raises(InputError, match="until is 'onet'"):
        cascade.candidates([image], "onet")


def test_each_stage_has_its_own_threshold():
    image = scene([(30, 40, 40)])
    least = min(faces.scores.min() for faces in Cascade(NETS, config()).detect([image]))
    strict = Cascade(NETS, config("CASCADE.THRESHOLDS", "[0.6, 0.7, 0.999]")).detect([image])[0]
    assert least >= np.float32(0.7) and (strict.scores >= np.float32(0.999)).all() and len(strict)


@pytest.mark.parametrize(("words", "message"), [
    (("CASCADE.THRESHOLDS", "[0.6, 0.7]"), "expected 3 numbers"),
    (("CASCADE.NMS", "[0, 0.7, 0.7, 0.7]"), "more than 0"),
    (("CASCADE.FACTOR", "1.0"), "less than 1")])
def test_bad_settings(words, message):
    with pytest.raises(InputError, match=message):
        Cascade(NETS, config(*words))


# ----------------------------------------------------------------- detector


def test_as_a_detector_with_mirror_and_scales():
    cfg, image = config("CASCADE.THRESHOLDS", "[0.6, 0.6, 0.6]"), scene([(30, 40, 40), (150, 100, 60)])
    detector = CascadeDetector(NETS, cfg)
    plain = detector.detect(image, threshold=0)
    both, = detector.detect([image], scales=[1.0, 0.5], flip=True, threshold=0)
    assert set(plain.times) == {"net", "decode", "nms"} and detector.detect(image).threshold == cfg.TEST.DEMO_SCORE
    assert len(both) >= len(plain) > 0
    mirrored = detector.detect(image[:, ::-1], threshold=0).mirrored(image.shape[1])
    np.testing.assert_allclose(np.sort(mirrored.boxes[:, 1]).min(), np.sort(plain.boxes[:, 1]).min(), atol=4)
    assert len(detector.detect(np.zeros((50, 60, 3), np.uint8), threshold=0)) == 0
    cfg.TEST.SCORE = 0.9999
    assert len(detector.detect(image, threshold=0)) < len(plain)
