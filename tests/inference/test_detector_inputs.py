"""What Detector.detect takes for an image, and what it says of everything else; from several threads at once."""

import io
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from stand_in import picture, save, square_detector

from manyfaces.datasets.images import ImageError, read_image
from manyfaces.datasets.pixels import rgb_image
from manyfaces.inference import base as module

IMAGE = picture(120, 90, (20, 30, 32), (70, 10, 24))


def same(found, expected):
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.landmarks, expected.landmarks)


def encoded(image, ending=".png"):
    return cv2.imencode(ending, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


class Tensor:
    """As the frameworks have them: no array, but one can be had."""

    def __array__(self, dtype=None, copy=None):
        return IMAGE


def test_all_kinds_of_images_give_the_same_faces(tmp_path):
    path = save(tmp_path / "x.png", IMAGE)
    data = encoded(IMAGE)
    transparent = np.dstack([IMAGE, np.full((90, 120), 7, np.uint8)])
    wide = np.zeros((90, 240, 3), np.uint8)
    wide[:, ::2] = IMAGE
    detector = square_detector()
    expected = detector.detect(IMAGE, threshold=0)
    assert len(expected) == 2 and expected.threshold == 0
    kinds = [str(path), Path(path), data, bytearray(data), memoryview(data), transparent, wide[:, ::2],
             IMAGE[:, ::-1][:, ::-1], np.asfortranarray(IMAGE), Tensor(), Image.fromarray(IMAGE),
             Image.fromarray(transparent), Image.open(path)]
    for kind in kinds:
        same(detector.detect(kind, threshold=0), expected)
    for found in detector.detect(kinds, threshold=0) + detector.detect(tuple(kinds), threshold=0):
        same(found, expected)
    assert detector.detect([], threshold=0) == []


def test_grey_images_have_three_equal_channels():
    grey = IMAGE[..., 0]
    expected = np.dstack([grey] * 3)
    for kind in (grey, grey[..., None], Image.fromarray(grey), encoded(expected)):
        np.testing.assert_array_equal(rgb_image(kind), expected)
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    assert deep.mode.startswith("I;16")
    np.testing.assert_array_equal(rgb_image(deep), expected)


@pytest.mark.parametrize("mode", ["P", "CMYK", "LA", "RGBA", "YCbCr"])
def test_pil_images_of_other_modes(mode):
    image = Image.fromarray(IMAGE).convert(mode)
    np.testing.assert_array_equal(rgb_image(image), np.asarray(image.convert("RGB")))


def test_boxes_are_in_the_pixels_that_the_caller_holds(tmp_path):
    # A JPEG that is to be turned by a quarter: as a file it is turned, as PIL opens it it is not.
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(IMAGE).save(file, "JPEG", exif=exif)
    assert rgb_image(file.getvalue()).shape == (120, 90, 3)
    assert rgb_image(Image.open(file)).shape == (90, 120, 3)


def test_an_array_that_needs_nothing_is_not_copied():
    assert rgb_image(IMAGE) is IMAGE or np.shares_memory(rgb_image(IMAGE), IMAGE)


@pytest.mark.parametrize("bad, message", [
    (IMAGE / 255, "found an array of float64 (90, 120, 3), expected uint8 with values 0..255; scale it to 0..255"),
    (IMAGE.astype(np.float32), "found an array of float32 (90, 120, 3), expected uint8"),
    (IMAGE.astype(np.uint16), "found an array of uint16 (90, 120, 3), expected uint8 with values 0..255; divide"),
    (IMAGE.astype(int), "found an array of int64"), (IMAGE > 3, "a mask is not an image"),
    (IMAGE[None], "found an array of uint8 (1, 90, 120, 3), a batch; expected one image (H, W, 3), or list(batch)"),
    (IMAGE.transpose(2, 0, 1), "found an array of uint8 (3, 90, 120), channels first; expected (H, W, 3)"),
    (IMAGE[..., :2], "expected (H, W, 3) RGB"), (IMAGE[0, :, 0], "expected (H, W, 3) RGB"),
    (IMAGE[:0], "which holds no pixel"), (np.array(None), "array of object"),
    (None, "found an object of type NoneType; cv2.imread gives None"), (7, "found an object of type int, expected"),
    (np.float32(3), "found an object of type float32"), ({}, "found an object of type dict"),
    (iter([]), "found an object of type list_iterator"), (b"", "image of 0 bytes: empty file"),
    (b"GIF?", "image of 4 bytes: cannot be decoded"),
    (Image.new("F", (8, 8)), "PIL image 8 x 8 of mode F, expected 8 bits per channel"),
    (Image.new("RGB", (0, 8)), "PIL image 0 x 8 of mode RGB holds no pixel")])
def test_what_is_no_image_is_named(bad, message):
    detector = square_detector()
    with pytest.raises(ImageError, match=f"^image: .*{re.escape(message)}|^image: {re.escape(message)}"):
        detector.detect(bad)
    with pytest.raises(ImageError, match=f"^image 2 of 3: .*{re.escape(message)}"):
        detector.detect([IMAGE, IMAGE, bad])


def test_files_are_named_by_their_path(tmp_path):
    (tmp_path / "short.png").write_bytes(encoded(IMAGE)[:90])
    for name, message in (("none.jpg", "none.jpg: no such file"), ("short.png", "short.png: cut short")):
        for images in (tmp_path / name, [IMAGE, str(tmp_path / name)]):
            with pytest.raises(ImageError, match=message):
                square_detector().detect(images)
    opened = Image.open(io.BytesIO(encoded(IMAGE, ".jpg")[:-300]))
    with pytest.raises(ImageError, match="image: PIL image 120 x 90 of mode RGB cannot be decoded"):
        square_detector().detect(opened)


def test_a_long_list_is_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_PIXELS", 3 * 120 * 90)
    held, most = [], []
    monkeypatch.setattr(module, "rgb_image", lambda *a, **k: held.append(1) or rgb_image(*a, **k))
    detector = square_detector(BATCH=2)
    run = detector.run
    detector.run = lambda batch: most.append(len(held)) or run(batch)
    path = save(tmp_path / "x.png", IMAGE)
    found = detector.detect([path] * 8, threshold=0)
    assert len(found) == 8 and most == [3, 3, 6, 6, 8]  # read so far at each batch: never ahead of its part
    for faces in found:
        same(faces, square_detector().detect(IMAGE, threshold=0))


def test_threads_find_what_one_after_the_other_finds():
    rng = np.random.default_rng(5)
    images = [picture(*rng.integers(60, 200, 2), *[(x, 5, 9 + x % 7) for x in range(4, 45, 20)]) for _ in range(40)]
    detector = square_detector(SCALES=[0.5, 1], FLIP=True)
    expected = [detector.detect(image, threshold=0) for image in images]
    with ThreadPoolExecutor(8) as pool:
        for found, want in zip(pool.map(partial(detector.detect, threshold=0), images), expected, strict=True):
            same(found, want)


def test_a_file_gives_what_its_array_gives(tmp_path):
    path = save(tmp_path / "x.jpg", IMAGE)
    same(square_detector().detect(path, threshold=0), square_detector().detect(read_image(path), threshold=0))
