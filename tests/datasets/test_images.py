import io
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from manyfaces.datasets import ImageError, image_size, read_image
from manyfaces.datasets.image_headers.jpeg_png import is_cut_short
from manyfaces.datasets.pixels import rgb_image


def picture(width=70, height=50):
    """Smooth colours, which JPEG preserves well."""
    small = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def encoded(image, form, **options):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, form, **options) if isinstance(image, np.ndarray) else \
        image.save(buffer, form, **options)
    return buffer.getvalue()


def reference(data):
    """The image as Pillow reads it, another decoder with its own code for EXIF and colour spaces."""
    return np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")).astype(int)


JPEG = encoded(picture(), "JPEG", quality=90)
PNG = encoded(picture(), "PNG")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF"])
def test_formats_are_read_as_rgb(form, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(encoded(picture(), form))
    image = read_image(path)
    assert image.dtype == np.uint8 and image.flags.c_contiguous and image.shape == (50, 70, 3)
    assert np.abs(image - reference(path.read_bytes())).mean() < 1.5
    assert image_size(path) == (70, 50) == image_size(path.read_bytes())


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1"])
def test_other_pixel_kinds_of_png_become_rgb(mode):
    data = encoded(Image.fromarray(picture()).convert(mode), "PNG")
    np.testing.assert_array_equal(read_image(data), reference(data))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpeg_become_rgb(mode):
    data = encoded(Image.fromarray(picture()).convert(mode), "JPEG", quality=95)
    assert np.abs(read_image(data) - reference(data)).mean() < 2.5


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_become_eight(channels):
    image = picture()[..., :channels]
    data = cv2.imencode(".png", image.astype(np.uint16) * 257)[1].tobytes()
    assert read_image(data).tolist() == np.broadcast_to(image[..., ::-1], (50, 70, 3)).tolist()


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_the_size_agrees(form, orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "x"
    path.write_bytes(encoded(picture(), form, exif=exif))
    expected = reference(path.read_bytes())
    image = read_image(path)
    assert image.shape == expected.shape == ((70, 50, 3) if orientation > 4 else (50, 70, 3))
    assert np.abs(image - expected).mean() < 1.5
    assert image_size(path) == image.shape[1::-1]
    assert read_image(path, reduce=2).shape == tuple(-(-side // 2) for side in image.shape[:2]) + (3,)


@pytest.mark.parametrize("reduce", [1, 2, 4, 8])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_reduced_decoding_shows_the_same_picture_smaller(form, reduce):
    large = picture(640, 480)
    image = read_image(encoded(large, form), reduce)
    assert image.shape == (480 // reduce, 640 // reduce, 3)
    smaller = cv2.resize(large, image.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(image.astype(int) - smaller).mean() < 3


def test_an_unknown_reduction_is_an_error_of_the_caller():
    with pytest.raises(ValueError, match="reduce=3"):
        read_image(JPEG, reduce=3)


def test_one_pixel_and_twenty_thousand_pixels():
    assert read_image(encoded(picture(1, 1), "PNG")).shape == (1, 1, 3)
    assert read_image(encoded(picture(1, 1), "JPEG"), reduce=8).shape == (1, 1, 3)
    wide = encoded(picture(20000, 30), "JPEG")
    assert read_image(wide).shape == (30, 20000, 3)
    assert read_image(wide, reduce=8).shape == (4, 2500, 3)


def wrong_files():
    thumbnail = encoded(picture(16, 16), "JPEG")
    exif = Image.Exif()
    exif[0x010E] = thumbnail.decode("latin-1").encode("latin-1")  # a complete JPEG, with its end marker, in the header
    with_thumbnail = encoded(picture(), "JPEG", exif=exif)
    assert with_thumbnail.count(b"\xff\xd9") == 2
    return {
        "empty": (b"", "empty file"),
        "text": (b"this is no picture\nat all\n", "holds text ('this is no picture'...), not an image"),
        "html": (b"<html><body>404 Not Found</body></html>", "holds text"),
        "noise": (bytes([1, 2, 3, 250] * 20), "starts with 01 02 03 fa"),
        "jpeg start": (JPEG[:2], "cut short"),
        "jpeg header": (JPEG[:200], "cut short"),
        "jpeg half": (JPEG[:len(JPEG) // 2], "cut short"),
        "jpeg less two": (JPEG[:-2], "cut short"),
        "jpeg half behind a thumbnail": (with_thumbnail[:len(with_thumbnail) - 200], "cut short"),
        "progressive half": (encoded(picture(), "JPEG", progressive=True)[:-300], "cut short"),
        "png half": (PNG[:len(PNG) // 2], "cut short"),
        "png signature": (PNG[:6], "cut short"),
        "png damaged": (PNG[:8] + b"\0" * (len(PNG) - 20) + PNG[-12:], "the file is damaged"),
        "webp half": (encoded(picture(), "WEBP")[:300], "cannot be decoded"),
        "bmp half": (encoded(picture(), "BMP")[:3000], "cannot be decoded"),
    }


@pytest.mark.parametrize("kind", wrong_files())
def test_a_wrong_file_is_one_line_that_names_it(kind, tmp_path):
    data, message = wrong_files()[kind]
    path = tmp_path / "some picture.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError) as error:
        read_image(path)
    assert str(error.value).startswith(f"{path}: ") and message in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(ImageError, match=f"^image of {len(data)} bytes: "):
        read_image(data)


def test_an_absent_file_and_a_folder(tmp_path):
    for function in (read_image, image_size):
        with pytest.raises(ImageError, match="x.jpg: no such file"):
            function(tmp_path / "x.jpg")
        with pytest.raises(ImageError, match="cannot be read"):
            function(tmp_path)


@pytest.mark.parametrize("data", [JPEG, PNG], ids=["jpeg", "png"])
def test_every_cut_is_noticed_before_decoding(data):
    """Older OpenCV fills the rest of a cut JPEG with grey, so the check must not depend on the decoder."""
    start = 2 if data is JPEG else 1
    assert not is_cut_short(data)
    assert [length for length in range(start, len(data) - 8) if not is_cut_short(data[:length])] == []


def test_data_behind_the_end_of_a_jpeg_is_no_fault():
    data = JPEG + b"maker notes " * 100
    np.testing.assert_array_equal(read_image(data), read_image(JPEG))


def test_the_size_of_a_cut_jpeg_comes_from_its_header(tmp_path):
    path = tmp_path / "x.jpg"
    path.write_bytes(JPEG[:-100])
    assert image_size(path) == (70, 50)


@given(st.sampled_from([JPEG, PNG]), st.data())
def test_no_damage_raises_anything_but_image_error(data, draw):
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 6))):
        damaged[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        image = read_image(bytes(damaged))
    except ImageError as error:
        assert "\n" not in str(error)
    else:
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


@given(st.binary(max_size=64), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n"]))
def test_no_header_raises_anything_but_image_error(tmp_path_factory, rest, start):
    path = tmp_path_factory.getbasetemp() / "header"
    path.write_bytes(start + rest)
    try:
        size = image_size(path)
    except ImageError:
        return
    assert len(size) == 2 and min(size) > 0


def test_threads_read_what_one_reads(tmp_path):
    paths = []
    for index in range(8):
        paths.append(tmp_path / f"{index}.jpg")
        paths[-1].write_bytes(encoded(np.roll(picture(), index, axis=0), "JPEG"))
    alone = [read_image(path) for path in paths] * 10
    with ThreadPoolExecutor(8) as pool:
        for image, expected in zip(pool.map(read_image, paths * 10), alone, strict=True):
            np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("source", [
    "https://example.org/x.jpg", "http://example.org/x.jpg?a=1", "s3://bucket/x.jpg", "file:///folder/x.jpg",
    Path("https://example.org/x.jpg"), "data:image/png;base64," + "iVBORw0KGgo" * 1000])
def test_a_url_is_named_as_one(source):
    for read in (read_image, image_size, rgb_image):
        with pytest.raises(ImageError, match="is a URL, expected a path; download it, or give the bytes") as error:
            read(source)
        assert len(str(error.value)) < 250


@pytest.mark.parametrize("source", ["", "a\0b", b"a\0b".decode(), Path("a\0b"), "a\ud800b", "x" * 5000])
def test_what_cannot_be_a_path_is_an_image_error(source):
    for read in (read_image, image_size, rgb_image):
        with pytest.raises(ImageError, match=r"^('.*': cannot be the path|x+\[\.\.\.\]x+: cannot be read)"):
            read(source)


@pytest.mark.parametrize("mode", ["La", "RGBa", "PA", "HSV", "LAB", "YCbCr", "CMYK", "1", "P", "I;16", "F", "I"])
def test_a_pil_image_of_any_mode_is_converted_or_refused(mode):
    image = Image.new(mode, (7, 5))
    try:
        assert rgb_image(image).shape == (5, 7, 3)
    except ImageError as error:
        assert f"PIL image 7 x 5 of mode {mode}" in str(error)


def test_a_raw_file_of_a_camera_is_not_taken_for_its_preview(tmp_path):
    Image.new("RGB", (16, 12)).save(tmp_path / "x.tif")
    (tmp_path / "x.NEF").write_bytes((tmp_path / "x.tif").read_bytes())
    assert image_size(tmp_path / "x.tif") == (16, 12)
    for read in (read_image, image_size):
        with pytest.raises(ImageError, match=r"x\.NEF: not read, it is a camera's raw file"):
            read(tmp_path / "x.NEF")


def test_a_chunk_that_is_longer_than_the_file_costs_no_memory():
    """OpenCV reserves what a chunk claims before it reads it: up to 4 GB."""
    script = "\n".join([
        "import resource, sys",
        "from manyfaces.datasets import ImageError, read_image",
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss",
        "try: read_image(sys.argv[1])",
        "except ImageError as error: print(error)",
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000)"])
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        for kind in (b"IDAT", b"IEND"):
            at = PNG.index(kind) - 4
            file.seek(0)
            file.write(PNG[:at] + b"\xff\xff\xff\x00" + PNG[at + 4:])
            file.flush()
            done = subprocess.run([sys.executable, "-c", script, file.name], capture_output=True, text=True, check=True)
            assert done.stdout.splitlines() == [
                f"{file.name}: cannot be decoded, the file is damaged: a chunk is longer than the file", "True"]


def test_the_turn_is_that_of_image_size_even_where_the_exif_is_damaged():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(picture(40, 30), "JPEG", exif=exif)
    entry = data.index(b"\x01\x12\x00\x03")  # OpenCV takes an orientation of any type
    for kind in range(256):
        damaged = data[:entry + 3] + bytes([kind]) + data[entry + 4:]
        assert read_image(damaged).shape[1::-1] == image_size(damaged)
