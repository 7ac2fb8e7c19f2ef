"""Augmentation: boxes and points stay on what they mark; one generator draws everything."""

import cv2
import numpy as np
import pytest

from manyfaces.config import load_config
from manyfaces.data_layer import augment as module
from manyfaces.data_layer.augment import augment, colour, cover_faces, cut, flip, lose_resolution, turn
from manyfaces.datasets.images import read_image
from manyfaces.datasets.roidb import Record
from manyfaces.errors import InputError

LEFT_EYE, RIGHT_EYE = np.uint8([250, 20, 20]), np.uint8([20, 20, 250])


def section(**keys):
    """The AUGMENT section without changes of light, so that colours can be found again."""
    quiet = {"SIZE": 160, "COLOUR": 0.0, "FLIP": 0.0, **keys}
    return load_config(overrides=[word for key, value in quiet.items() for word in (f"AUGMENT.{key}", value)]).AUGMENT


def scene(boxes, width=240, height=180, image="a.png"):
    """A Record of white squares on black with two coloured eyes, and the image itself."""
    picture = np.zeros((height, width, 3), np.uint8)
    points = np.zeros((len(boxes), 5, 2), np.float32)
    for (x1, y1, x2, y2), at in zip(boxes, points, strict=True):
        side = x2 - x1
        picture[y1:y2, x1:x2] = 255
        for k, (part, ink) in enumerate(((0.25, LEFT_EYE), (0.75, RIGHT_EYE))):
            x, y, r = x1 + part * side, y1 + 0.3 * side, max(1, side // 8)
            picture[int(y - r) : int(y + r), int(x - r) : int(x + r)] = ink
            at[k] = (int(x - r) + int(x + r)) / 2, (int(y - r) + int(y + r)) / 2
        at[2:] = [[x1 + 0.5 * side, y1 + 0.5 * side], [x1 + 0.3 * side, y1 + 0.8 * side],
                  [x1 + 0.7 * side, y1 + 0.8 * side]]
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Record("", image, width, height, boxes, points, np.zeros(len(boxes), bool)), picture


def centre_of(image, ink):
    """(x, y) of the pixels close to a colour, or None."""
    rows, columns = np.nonzero(np.abs(image.astype(int) - ink).max(axis=2) < 60)
    return (columns.mean() + 0.5, rows.mean() + 0.5) if len(rows) > 3 else None


@pytest.mark.parametrize("keys", [
    {}, {"FLIP": 1.0}, {"FACE_SIZES": [30, 100], "FACE_PROBABILITY": 1.0}, {"SCALES": [0.3, 0.7]},
    {"MOSAIC": 1.0, "FLIP": 0.5}], ids=["crop", "flip", "face sizes", "shrunk", "mosaic"])
def test_boxes_and_landmarks_stay_where_the_face_is(keys):
    record, picture = scene([(60, 40, 130, 110)])
    empty, black = scene([], image="b.png")
    pictures, cfg, seen = {"a.png": picture, "b.png": black}, section(**keys), 0
    for seed in range(40):
        sample = augment(record, lambda r, reduce: pictures[r.image], np.random.default_rng(seed), cfg,
                         lambda rng: empty)
        assert sample["image"].shape == (160, 160, 3) and sample["image"].dtype == np.uint8
        for box, landmarks in zip(sample["boxes"], sample["landmarks"], strict=True):
            sides, apart = box[2:] - box[:2], landmarks[1, 0] - landmarks[0, 0]
            if np.isnan(landmarks).any() or sides[0] < 25 or np.abs(sides / apart - 2).max() > 0.1:
                continue  # cut, so what is left of an eye has another centre
            # In a mirrored image the eye on the left was painted as the right one.
            inks = [LEFT_EYE, RIGHT_EYE]
            mirrored = centre_of(sample["image"], LEFT_EYE)[0] > centre_of(sample["image"], RIGHT_EYE)[0]
            for point, ink in zip(landmarks[:2], inks[::-1] if mirrored else inks, strict=True):
                np.testing.assert_allclose(centre_of(sample["image"], ink), point, atol=0.8)
            assert landmarks[0, 0] < landmarks[1, 0], "the left eye is left as seen in the image"
            rows, columns = np.nonzero((sample["image"] > 200).any(axis=2))
            edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            np.testing.assert_allclose(edges, box, atol=1.01)
            seen += 1
    assert seen >= 10


def test_a_window_holds_the_centre_of_a_face():
    record, picture = scene([(10, 10, 30, 30), (200, 150, 230, 180), (100, 20, 160, 80)])
    centres = record.boxes.reshape(-1, 2, 2).mean(axis=1)
    cfg = section(SIZE=96, SCALES=[1.0, 3.0])
    for seed in range(60):
        taken = {}

        def look(image, start, scale, size, taken=taken):
            taken["low"], taken["high"] = np.array(start), np.array(start) + np.array(size) / scale
            return cut(image, start, scale, size)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "cut", look)
            augment(record, lambda r, reduce: picture, np.random.default_rng(seed), cfg)
        assert ((centres >= taken["low"]) & (centres <= taken["high"])).all(axis=1).any()


def test_scales_and_face_sizes_are_kept():
    record, picture = scene([(60, 40, 100, 80)])
    rng, sides = np.random.default_rng(0), []
    for _ in range(150):
        sample = augment(record, lambda r, reduce: picture, rng,
                         section(FACE_SIZES=[10, 90], FACE_PROBABILITY=1.0, SCALES=[0.1, 9.0], ZOOM_OUT=9.0))
        whole = sample["boxes"][~np.isnan(sample["landmarks"]).any(axis=(1, 2))]
        sides += [*(whole[:, 2] - whole[:, 0])]
    assert min(sides) > 8.5 and max(sides) < 95
    # Log-uniform from 10 to 90: half of them below 30.
    assert 0.35 < np.mean(np.array(sides) < 30) < 0.65


def test_stretch_changes_the_aspect_of_faces():
    """Width to height between 0.5 and 2, half of them wider than high; only the scale changes the area."""
    record, picture = scene([(90, 60, 130, 100)])
    aspects, areas = [], []
    for seed in range(150):
        sample = augment(record, lambda r, reduce: picture, np.random.default_rng(seed),
                         section(SCALES=[1.0, 1.0], STRETCH=[0.5, 2.0]))
        whole = sample["boxes"][((sample["boxes"] > 0) & (sample["boxes"] < 160)).all(axis=1)]
        sides = whole[:, 2:] - whole[:, :2]
        aspects, areas = [*aspects, *(sides[:, 0] / sides[:, 1])], [*areas, *sides.prod(axis=1)]
    assert 0.48 < min(aspects) < 0.6 and 1.7 < max(aspects) < 2.1
    assert 0.35 < np.mean(np.array(aspects) < 1) < 0.65
    np.testing.assert_allclose(areas, 1600, rtol=0.06)


def test_zoom_out_is_limited_and_grey_outside():
    record, picture = scene([(60, 40, 100, 80)])
    picture[:] = 255
    for seed in range(20):
        sample = augment(record, lambda r, reduce: picture, np.random.default_rng(seed),
                         section(SCALES=[0.01, 0.02], ZOOM_OUT=2.0))
        assert set(np.unique(sample["image"])) == {module.FILL, 255}
        # The window is twice the longer side: the image is 80 x 60 of 160 x 160 px.
        assert 0.85 < (sample["image"][..., 0] == 255).sum() / (80 * 60) < 1.1


def test_cut_and_small_faces_become_ignore_regions():
    record, picture = scene([(0, 0, 40, 40), (100, 60, 140, 100), (60, 150, 63, 153)])
    for seed in range(30):
        sample = augment(record, lambda r, reduce: picture, np.random.default_rng(seed),
                         section(SCALES=[1.0, 1.0], SIZE=96, MIN_FACE=4.0))
        sides = sample["boxes"][:, 2:] - sample["boxes"][:, :2]
        small = sides.max(axis=1) <= 3
        assert sample["ignore"][small].all()
        part, least = sides.prod(axis=1) / 40**2, section().MIN_VISIBLE
        clear = np.abs(part - least) > 0.02
        assert (sample["ignore"] == (part < least))[clear & ~small].all()
        assert np.isnan(sample["landmarks"][sample["ignore"] & ~small]).all()


def test_ignore_regions_stay_and_attract_no_window():
    record, picture = scene([(20, 20, 60, 60), (150, 100, 190, 140)])
    record.ignore[0] = True
    for seed in range(20):
        sample = augment(record, lambda r, reduce: picture, np.random.default_rng(seed),
                         section(SIZE=64, SCALES=[1.0, 1.0]))
        assert (~sample["ignore"]).sum() <= 1
        assert len(sample["boxes"]), "the window contains the face that is not ignored"


def test_no_faces_at_all():
    record, picture = scene([])
    sample = augment(record, lambda r, reduce: picture, np.random.default_rng(0), section(MOSAIC=1.0, FLIP=1.0),
                     lambda rng: record)
    assert (sample["boxes"].shape, sample["landmarks"].shape, sample["ignore"].shape) == ((0, 4), (0, 5, 2), (0,))


def test_flip_by_hand_and_twice():
    record, picture = scene([(60, 40, 130, 110)])
    sample = {"image": picture, "boxes": record.boxes, "ignore": record.ignore, "landmarks": record.landmarks}
    once = flip(sample)
    np.testing.assert_array_equal(once["image"], picture[:, ::-1])
    assert once["boxes"].tolist() == [[110, 40, 180, 110]]
    # Left eye, right eye, nose, left and right mouth corner: each pair has changed sides and then order.
    np.testing.assert_array_equal(once["landmarks"][0, :, 0], 240 - record.landmarks[0, [1, 0, 2, 4, 3], 0])
    twice = flip(once)
    for key in sample:
        np.testing.assert_array_equal(twice[key], sample[key])


def test_quarter_turns_keep_boxes_and_points_on_the_face():
    record, picture = scene([(60, 40, 130, 110), (5, 150, 25, 170)], width=180)
    sample = {"image": picture, "boxes": record.boxes, "ignore": record.ignore, "landmarks": record.landmarks,
              "picture": np.float32([0, 10, 180, 170])}
    once = turn(sample, 1)
    np.testing.assert_array_equal(once["image"], np.rot90(picture))
    assert once["boxes"].tolist() == [[40, 50, 110, 120], [150, 155, 170, 175]]  # y1, 180 - x2, y2, 180 - x1
    assert once["picture"].tolist() == [10, 0, 170, 180]
    for quarters in (1, 2, 3):
        turned = turn(sample, quarters)
        for (x1, y1, x2, y2), points in zip(turned["boxes"].astype(int), turned["landmarks"], strict=True):
            assert turned["image"][y1:y2, x1:x2].any(axis=-1).all(), "the box is on the square"
            for point, ink in zip(points[:2], (LEFT_EYE, RIGHT_EYE), strict=True):
                x, y = np.floor(point).astype(int)
                np.testing.assert_array_equal(turned["image"][y, x], ink)  # a turned face keeps its left eye
    whole = turn(sample, 4)
    for key in sample:
        np.testing.assert_array_equal(whole[key], sample[key])


def test_a_cover_takes_a_strip_of_each_chosen_face_and_nothing_else():
    rng = np.random.default_rng(3)
    image = np.full((200, 200, 3), 255, np.uint8)
    boxes = np.float32([[20, 20, 80, 80], [110, 30, 170, 90], [-20, 150, 30, 215]])
    assert cover_faces(image, boxes, rng, 0.0) is image
    edges = set()
    for _ in range(40):
        covered = cover_faces(image, boxes, np.random.default_rng(rng.integers(1 << 30)), 1.0)
        assert (image == 255).all() and covered.shape == image.shape
        changed = (covered != 255).any(axis=-1)
        outside = changed.copy()
        for x1, y1, x2, y2 in boxes.clip(0, 200).astype(int):
            outside[y1:y2, x1:x2] = False
        assert not outside.any()
        strip = changed[20:80, 20:80]  # all of one colour that is not white, or a piece of the white image
        if strip.any():
            rows, columns = np.flatnonzero(strip.any(axis=1)), np.flatnonzero(strip.any(axis=0))
            assert strip[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
            assert 0.18 < strip.mean() < 0.52 and 60 in (len(rows), len(columns))
            edges.add((rows[0] == 0, rows[-1] == 59, columns[0] == 0, columns[-1] == 59))
    assert len(edges) == 4


def test_everything_random_comes_from_the_generator():
    record, picture = scene([(60, 40, 130, 110), (10, 10, 40, 40)])
    cfg = section(COLOUR=0.5, FLIP=0.5, MOSAIC=0.5, BLUR=0.5, GREY=0.1, TURN=0.5, COVER=0.5)
    before = picture.copy()

    def sample(seed):
        return augment(record, lambda r, reduce: picture, np.random.default_rng(seed), cfg, lambda rng: record)

    for seed in range(12):
        first, second = sample(seed), sample(seed)
        for key in first:
            np.testing.assert_array_equal(first[key], second[key])
    assert len({sample(seed)["image"].tobytes() for seed in range(12)}) == 12
    np.testing.assert_array_equal(picture, before, "what the reader caches is not written to")


def test_clean_means_neither_mosaic_nor_blur():
    record, picture = scene([(60, 40, 130, 110)])

    def never(*_):
        raise AssertionError("called")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_mosaic", never)
        patch.setattr(module, "lose_resolution", never)
        patch.setattr(module, "cover_faces", never)
        cfg = section(MOSAIC=1.0, BLUR=1.0, COVER=1.0)
        augment(record, lambda r, reduce: picture, np.random.default_rng(0), cfg, never, clean=True)
        with pytest.raises(AssertionError, match="called"):
            augment(record, lambda r, reduce: picture, np.random.default_rng(0), cfg, lambda rng: record)


def test_colour_by_hand():
    image = np.random.default_rng(0).integers(60, 200, (8, 8, 3), np.uint8)
    quiet = section()
    np.testing.assert_array_equal(colour(image, np.random.default_rng(0), quiet), image)
    grey = colour(image, np.random.default_rng(0), section(GREY=1.0))
    luma = image @ np.float32([0.299, 0.587, 0.114])
    assert np.abs(grey - luma[..., None]).max() < 0.6
    # In any light grey stays grey except for rounding, and brighter stays brighter.
    ramp = np.repeat(np.arange(60, 190, dtype=np.uint8)[None, :, None], 3, axis=2)
    for seed in range(30):
        found = colour(ramp, np.random.default_rng(seed), section(COLOUR=1.0)).astype(int)
        assert np.ptp(found, axis=2).max() <= 1
        assert (np.diff(found[0, :, 1]) >= 0).all()


def test_lost_resolution_keeps_size_and_lowers_detail():
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    for seed in range(10):
        found = lose_resolution(image, np.random.default_rng(seed), (0.4, 0.9))
        assert found.shape == image.shape and found.dtype == np.uint8
        assert found.astype(float).var() < image.astype(float).var()


def test_resolution_is_lost_by_the_requested_factor(monkeypatch):
    """Noise shrunk to a fraction f of its sides keeps about f * f of its independent values, and so of its variance.

    JPEG at the small size, which half of them get, lowers that.
    """
    image = np.random.default_rng(0).integers(0, 256, (240, 240, 3), np.uint8)
    seeds = [seed for seed in range(40) if np.random.default_rng(seed).random() < 0.7]  # the others become JPEGs
    assert len(seeds) > 20

    def kept():
        """(2, seeds) fractions of the variance."""
        return np.array([[lose_resolution(image, np.random.default_rng(seed), (factor, factor)).astype(float).var()
                          for seed in seeds] for factor in (0.25, 0.5)]) / image.var()

    compressed = kept()
    monkeypatch.setattr(module, "_compressed", lambda image, *_: image)
    quarter, half = plain = kept()
    assert half.min() > 2 * quarter.max() and 0.02 < quarter.mean() < 0.0625 < half.mean() < 0.25
    assert 0.3 < (compressed != plain).mean() < 0.7
    assert (compressed <= 1.1 * plain).all() and compressed.mean() < 0.9 * plain.mean()


def test_some_lose_more_along_one_side():
    """The ratio of detail along x to that along y: for noise 1 before, and 1 again where the factors are equal."""
    image = np.random.default_rng(0).integers(0, 256, (240, 240, 3), np.uint8)

    def finer(seed, factors):
        found = lose_resolution(image, np.random.default_rng(seed), factors).astype(float)
        return np.abs(np.diff(found, axis=1)).mean() / np.abs(np.diff(found, axis=0)).mean()

    seeds = [seed for seed in range(60) if np.random.default_rng(seed).random() < 0.7]
    ratios = np.array([[finer(seed, (0.5, 0.5)), finer(seed, (0.2, 0.9))] for seed in seeds])
    assert np.abs(ratios[:, 0] - 1).max() < 0.1
    differ = np.abs(np.log(ratios[:, 1])) > 0.1
    assert 0.25 < differ.mean() < 0.65 and 0.7 < np.median(ratios[:, 1]) < 1.4


def test_a_reduced_decode_gives_the_same_sample(tmp_path):
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (480, 640, 3), np.uint8), (0, 0), 6)
    cv2.imwrite(str(tmp_path / "a.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 98])
    boxes, landmarks = np.float32([[100, 80, 260, 300]]), np.full((1, 5, 2), 200, np.float32)
    record = Record(str(tmp_path), "a.jpg", 640, 480, boxes, landmarks, np.zeros(1, bool))
    asked = set()

    def read(record, reduce):
        asked.add(reduce)
        return read_image(record.path, reduce)

    for low, high, expected in ((0.3, 0.49, {2}), (0.13, 0.24, {4}), (0.51, 2.0, {1})):
        cfg = section(SCALES=[low, high], ZOOM_OUT=9.0)
        asked.clear()
        for seed in range(5):
            reduced = augment(record, read, np.random.default_rng(seed), cfg)
            record.image = "a.jpg" if expected == {1} else "a.other"  # whose decoder does not reduce
            whole = augment(record, lambda r, reduce: read_image(tmp_path / "a.jpg"), np.random.default_rng(seed), cfg)
            record.image = "a.jpg"
            np.testing.assert_allclose(reduced["boxes"], whole["boxes"], atol=1.01)
            assert np.abs(reduced["image"].astype(int) - whole["image"]).mean() < 2.5
        assert asked == expected
    record.width = 639  # an odd side would leave half a pixel at the edge
    assert module._reduction(record, 0.3) == 1


def test_an_image_of_another_size_than_the_roidb_says_is_an_error():
    record, picture = scene([(60, 40, 130, 110)])
    with pytest.raises(InputError, match=r"a\.png: the image has 120 x 180 px, the roidb says 240 x 180; build"):
        augment(record, lambda r, reduce: picture[:, :120], np.random.default_rng(0), section())
    record.width = record.height = 0  # a roidb that was made without images
    assert augment(record, lambda r, reduce: picture, np.random.default_rng(0), section())["image"].shape[0] == 160


@pytest.mark.parametrize("size", [(1, 1), (2, 500), (500, 2)])
def test_tiny_images(size):
    record, picture = scene([], *size)
    for seed in range(5):
        sample = augment(record, lambda r, reduce: picture, np.random.default_rng(seed), section())
        assert sample["image"].shape == (160, 160, 3)


@pytest.mark.parametrize("kind", ["crop", "ssd"])
@pytest.mark.parametrize("box", [(1000, 900, 1010, 910), (-900, -900, -890, -890), (-4000, 20, 9000, 60),
                                 (10, 5000, 30, 5020)])
def test_a_face_far_outside_its_image_cannot_end_a_training(box, kind):
    """Readers leave such faces out; a roidb that was built without the images may have them."""
    record, picture = scene([(60, 40, 130, 110)])
    record.boxes = np.float32([box])
    record.landmarks = record.landmarks[:1]
    for keys in ({}, {"FACE_SIZES": [30, 100], "FACE_PROBABILITY": 1.0}, {"SCALES": [3.0, 8.0]}):
        cfg = section(KIND=kind, **keys)
        for seed in range(20):
            sample = augment(record, lambda r, reduce: picture, np.random.default_rng(seed), cfg)
            assert sample["image"].shape == (160, 160, 3) and not (~sample["ignore"]).any()
