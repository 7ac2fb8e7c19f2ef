"""The size in the header of every format, the limit of pixels, and damaged headers."""

import io
import os
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from manyfaces.datasets import ImageError, image_size, read_image
from manyfaces.datasets.folders import read_within
from manyfaces.datasets.image_headers import FORMATS, HeaderError, read_header
from manyfaces.datasets.images import MAX_FILE_PIXELS, pixel_limit
from manyfaces.datasets.pixels import rgb_image
from manyfaces.errors import InputError

PICTURE = cv2.resize(np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8), (70, 50))


def pillow(form, image=None, **options):
    buffer = io.BytesIO()
    (Image.fromarray(PICTURE) if image is None else image).save(buffer, form, **options)
    return buffer.getvalue()


def opencv(ending, *options, channels=3, kind=np.uint8):
    return cv2.imencode(ending, PICTURE[..., :channels].astype(kind), options)[1].tobytes()


def several(form):
    return pillow(form, save_all=True, append_images=[Image.fromarray(255 - PICTURE)])


FILES = {
    "JPEG": pillow("JPEG"), "progressive": pillow("JPEG", progressive=True),
    "PNG": pillow("PNG"), "APNG": several("PNG"),
    "VP8": pillow("WEBP"), "VP8L": pillow("WEBP", lossless=True), "VP8X": pillow("WEBP", icc_profile=b"0" * 200),
    "animated WebP": several("WEBP"), "GIF": pillow("GIF"), "animated GIF": several("GIF"),
    "BMP": pillow("BMP"), "TIFF": pillow("TIFF"), "BigTIFF": pillow("TIFF", big_tiff=True),
    "AVIF": pillow("AVIF"), "AVIF sequence": several("AVIF"),
    "JP2": pillow("JPEG2000"), "J2K": pillow("JPEG2000", no_jp2=True),
    "PBM": opencv(".pbm", channels=1), "PGM": opencv(".pgm", channels=1), "PPM": opencv(".ppm"),
    "ASCII PPM": opencv(".ppm", cv2.IMWRITE_PXM_BINARY, 0), "PAM": opencv(".pam"),
    "PFM": opencv(".pfm", kind=np.float32), "Sun": opencv(".ras"), "HDR": opencv(".hdr", kind=np.float32),
}


@pytest.mark.parametrize("name", FILES)
def test_the_header_gives_the_size_that_opencv_decodes(name, tmp_path):
    data = FILES[name]
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (50, 70, 3) == read_image(data).shape
    assert read_header(io.BytesIO(data))[1:] == (70, 50, 1, 3500)
    path = tmp_path / "x"
    path.write_bytes(data)
    assert image_size(path) == image_size(data) == (70, 50)


def test_every_format_of_the_table_is_tested():
    assert {row[0] for row in FORMATS} == {read_header(io.BytesIO(data)).kind for data in FILES.values()}


@pytest.mark.parametrize("form", ["WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_is_stored_turned_is_read_upright(form, orientation):
    """Pillow writes the turn of an AVIF as irot and imir, which OpenCV does not follow."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = pillow(form, exif=exif)
    expected = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")).astype(int)
    image = read_image(data)
    assert image.shape == expected.shape == ((70, 50, 3) if orientation > 4 else (50, 70, 3))
    assert np.abs(image - expected).mean() < 3 and image.flags.c_contiguous
    assert image_size(data) == image.shape[1::-1]
    assert read_image(data, 2).shape == (image.shape[0] // 2, image.shape[1] // 2, 3)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_an_avif_is_turned_once_by_its_container_or_else_by_its_exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    both = cv2.imencodeWithMetadata(".avif", PICTURE[..., ::-1], [cv2.IMAGE_METADATA_EXIF],
                                    [np.frombuffer(exif.tobytes()[6:], np.uint8)])[1].tobytes()
    assert both.count(b"irot") == 1 and both.count(b"\x85") >= 1
    place = both.index(b"ipma")
    only_exif = both.replace(b"irot", b"free")
    only_exif = only_exif[:place] + only_exif[place:].replace(b"\x85", b"\x05", 1)  # no longer essential
    expected = np.rot90(PICTURE, {3: 2, 6: 3, 8: 1}[orientation]).astype(int)
    for data in (both, only_exif):
        assert np.abs(read_image(data) - expected).mean() < 4
        assert image_size(data) == expected.shape[1::-1]


def test_heic_is_named():
    data = struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"heic", 0, b"mif1", b"heic") + bytes(100)
    with pytest.raises(ImageError, match="it is HEIC, which OpenCV does not read; convert it to JPEG or PNG$"):
        read_image(data)


# ------------------------------------------------------------------------------------------------ the limit


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def claims(width, height):
    """One small file per format whose header claims width x height."""
    short, long_, big = (struct.pack(f"<2{letter}", *(side % 2 ** (8 * size) for side in (width, height)))
                         for letter, size in (("H", 2), ("I", 4), ("Q", 8)))
    jpeg, gif, bmp, sun = bytearray(FILES["JPEG"]), bytearray(FILES["GIF"]), bytearray(FILES["BMP"]), FILES["Sun"]
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    gif[6:10], bmp[18:26] = short, long_
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)) + chunk(
        b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    vp8x = bytearray(FILES["VP8X"])
    vp8x[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    sequence = [(256, 4, width), (257, 4, height), (258, 3, 8), (262, 3, 1), (273, 4, 8), (277, 3, 1), (279, 4, 100)]
    tiff = struct.pack("<2sHIH", b"II", 42, 8, len(sequence)) + b"".join(
        struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in sequence) + bytes(200)
    bigtiff = struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 2) + b"".join(
        struct.pack("<HHQQ", tag, 16, 1, value) for tag, value in ((256, width), (257, height))) + bytes(200)
    avif, at = bytearray(FILES["AVIF"]), FILES["AVIF"].index(b"ispe")
    avif[at + 8 : at + 16] = struct.pack(">II", width, height)
    j2k = bytearray(FILES["J2K"])
    j2k[8:16] = j2k[24:32] = struct.pack(">II", width, height)
    size = f"{width} {height}".encode()
    return {
        "JPEG": bytes(jpeg), "PNG": png, "WebP": bytes(vp8x), "GIF": bytes(gif), "BMP": bytes(bmp), "TIFF": tiff,
        "BigTIFF": bigtiff, "AVIF": bytes(avif), "JPEG 2000": bytes(j2k),
        "PNM": b"P5\n# a comment\n" + size + b"\n255\n",
        "PFM": b"PF\n" + size + b"\n-1\n",
        "PAM": b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH 1\nMAXVAL 255\nENDHDR\n" % (width, height),
        "Sun raster": sun[:4] + struct.pack(">II", width, height) + sun[12:],
        "Radiance HDR": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % (height, width),
    }


@pytest.mark.parametrize("name", claims(1, 1))
def test_a_header_above_the_limit_is_refused_before_decoding(name, tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *arguments: pytest.fail("it was decoded"))
    path = tmp_path / "x"
    path.write_bytes(claims(20_000, 10_000)[name])
    with pytest.raises(ImageError) as error:
        read_image(path)
    assert str(error.value).startswith(f"{path}: 20,000 x 10,000 px ({name.removeprefix('Big')}), more than the limit "
                                       f"of 178,956,970 px; ")
    for way in ("TEST.MAX_FILE_PIXELS", "limit=", "MANYFACES_MAX_FILE_PIXELS"):
        assert way in str(error.value)
    with pytest.raises(ImageError, match="20,000 x 10,000"):
        read_within(path, 1000)
    assert image_size(path) == (20_000, 10_000)


def test_a_tile_counts_like_the_image_it_belongs_to():
    tags = [(256, 64), (257, 64), (322, 2**20), (323, 2**14)]
    data = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags) + bytes(100)
    with pytest.raises(ImageError, match="64 x 64 px .TIFF., more than the limit"):
        read_image(data)


def test_the_limit_is_an_argument_or_a_variable_of_the_environment(monkeypatch):
    data = FILES["PNG"]
    assert pixel_limit() == MAX_FILE_PIXELS == 178_956_970
    for read in (read_image, rgb_image):
        with pytest.raises(ImageError, match="70 x 50 px .PNG., more than the limit of 3,499 px"):
            read(data, limit=3499)
        assert read(data, limit=3500).shape == (50, 70, 3)
    monkeypatch.setenv("MANYFACES_MAX_FILE_PIXELS", "3000")
    with pytest.raises(ImageError, match="limit of 3,000 px"):
        read_image(data)
    assert read_image(data, limit=3500).shape == (50, 70, 3)
    for text in ("many", "0", "-5", "1e9", "9" * 30):
        monkeypatch.setenv("MANYFACES_MAX_FILE_PIXELS", text)
        with pytest.raises(InputError, match="MANYFACES_MAX_FILE_PIXELS: found '.+', expected a number of px such"):
            pixel_limit()


def test_a_pillow_file_that_is_not_decoded_yet_has_the_same_limit():
    with pytest.raises(ImageError, match="70 x 50 of mode RGB is more than the limit of 3,000 px"):
        rgb_image(Image.open(io.BytesIO(FILES["PNG"])), limit=3000)
    loaded = Image.open(io.BytesIO(FILES["PNG"]))
    loaded.load()
    assert rgb_image(loaded, limit=3000).shape == (50, 70, 3)


def test_opencv_has_a_limit_of_its_own_behind_that_of_the_headers():
    code = ("import os, manyfaces, cv2, numpy as np; print(os.environ['OPENCV_IO_MAX_IMAGE_PIXELS'])\n"
            "try: cv2.imdecode(np.frombuffer(b'P5 30000 20000 255 ', np.uint8), 1)\n"
            "except cv2.error as error: print('MAX_IMAGE_PIXELS' in str(error))")
    for value, limit in (("", "536870912"), ("900000000", "900000000")):
        environment = {key: text for key, text in os.environ.items() if key != "OPENCV_IO_MAX_IMAGE_PIXELS"}
        run = subprocess.run([sys.executable, "-c", code], env={**environment, "MANYFACES_MAX_FILE_PIXELS": value},
                             capture_output=True, text=True, timeout=60, check=True)
        assert run.stdout.split()[0] == limit and (run.stdout.split()[1:] == ["True"]) == (not value)


# ------------------------------------------------------------------------------------------------ damage


def test_a_progressive_jpeg_of_a_thousand_scans_is_refused():
    data = FILES["progressive"]
    scan = data.rindex(b"\xff\xda")
    with pytest.raises(ImageError, match="hundreds of scans"):
        read_image(data[:-2] + data[scan:-2] * 1000 + data[-2:])


@pytest.mark.parametrize("name", FILES)
def test_damaged_headers_end_in_an_image_error(name):
    """Cut at every place, and with every byte of the first 200 changed: a header or an error, and never much memory."""
    data = FILES[name]
    for length in range(1, min(len(data), 200)):
        for damaged in (data[:length], data[:length] + b"\xff" + data[length + 1 :],
                        data[:length] + b"\0" + data[length + 1 :]):
            try:
                header = read_header(io.BytesIO(damaged))
            except HeaderError as error:
                assert "\n" not in str(error)
                continue
            assert header is None or header.width > 0 and header.height > 0 and 1 <= header.orientation <= 8


def test_garbage_between_segments_is_skipped_as_by_libjpeg():
    data = FILES["JPEG"]
    frame = data.index(b"\xff\xdb")
    assert image_size(data[:frame] + b"garbage" + data[frame:]) == (70, 50)


def test_an_endless_file_is_not_read():
    with pytest.raises(ImageError, match="/dev/zero: cannot be decoded"):
        read_image("/dev/zero")


def test_a_pipe_is_read():
    read, write = os.pipe()
    os.write(write, FILES["PNG"])
    os.close(write)
    assert read_image(f"/dev/fd/{read}").shape == (50, 70, 3)
    os.close(read)
