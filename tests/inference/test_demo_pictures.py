"""Hidden and cut-out faces of tools/demo.py with a stand-in for the net: what is left of a face and of the metadata."""

import io
import re
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from demo_stand_in import demo, lines, stand_in_weights
from PIL import Image, ImageCms
from stand_in import picture, save, square_detector

from manyfaces.align import hide
from manyfaces.commands.command_line import run
from manyfaces.datasets.image_headers.jpeg_png import colour_profile
from manyfaces.datasets.images import read_image
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.detections import Detections
from manyfaces.errors import InputError
from manyfaces.inference.demo.demo import Demo, halves
from manyfaces.inference.demo.pictures import HELD, Pictures
from manyfaces.inference.demo.sources import Source, find_sources


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """A file of weights that stand for the detector of green squares."""
    return stand_in_weights(monkeypatch, tmp_path)


# ------------------------------------------------------------------ what is left of a face


@pytest.mark.parametrize("how", ["blur", "pixelate"])
def test_nothing_but_six_by_six_means_is_left_of_a_face(how):
    """Two faces whose areas have the same means give the same picture: what differed is gone."""
    random = np.random.default_rng(0)
    first = random.integers(0, 256, (60, 60, 3), np.uint8)
    areas = first.reshape(6, 10, 6, 10, 3).transpose(0, 2, 1, 3, 4).reshape(36, 100, 3)
    second = random.permuted(areas, axis=1).reshape(6, 6, 10, 10, 3).transpose(0, 2, 1, 3, 4).reshape(60, 60, 3)
    assert (first != second).any()
    scenes = [np.pad(face, ((5, 9), (7, 3), (0, 0)), constant_values=77) for face in (first, second)]
    before = scenes[0].copy()
    left = [hide(scene, [[7, 5, 67, 65]], how, margin=0) for scene in scenes]
    assert np.array_equal(*left) and np.array_equal(scenes[0], before)
    outside = np.ones(left[0].shape[:2], bool)
    outside[5:65, 7:67] = False
    assert (left[0][outside] == 77).all()
    if how == "pixelate":
        means = first.reshape(6, 10, 6, 10, 3).mean(axis=(1, 3))
        assert np.abs(left[0][5:65, 7:67] - means.repeat(10, 0).repeat(10, 1)).max() <= 0.5


@pytest.mark.parametrize("how", ["blur", "pixelate"])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (2, 9), (11, 13)])
def test_small_faces_keep_no_single_pixel(how, size):
    """Of a checked pattern only its mean is left, also where a face has fewer pixels than areas."""
    width, height = size
    checked = (np.indices((height, width)).sum(axis=0) % 2 * 200).astype(np.uint8)
    left = hide(np.dstack([checked] * 3), [[0, 0, width, height]], how, margin=0)
    assert np.ptp(left) <= (0 if width * height == 1 else 70)


def test_the_margin_and_the_border():
    image = np.random.default_rng(1).integers(0, 256, (100, 100, 3), np.uint8)
    changed = (hide(image, [[80, 40, 100, 60], [-50, -50, -30, -30]], "blur", margin=0.5) != image).any(axis=(0, 2))
    assert changed[70:].all() and not changed[:70].any()
    assert np.array_equal(hide(image, np.zeros((0, 4))), image)


def test_faces_that_touch_are_hidden_the_same_in_any_order_where_one_covers_them():
    image = np.random.default_rng(2).integers(0, 256, (80, 80, 3), np.uint8)
    both = [hide(image, boxes, "pixelate", 0) for boxes in ([[0, 0, 48, 48], [30, 30, 78, 78]],
                                                            [[30, 30, 78, 78], [0, 0, 48, 48]])]
    single = (slice(0, 30), slice(0, 48))
    assert np.array_equal(both[0][single], both[1][single])
    assert not (both[0][:48, :48] == image[:48, :48]).all(axis=2).mean() > 0.01


def test_a_small_box_within_a_large_one_shows_no_more_of_it():
    image = np.random.default_rng(3).integers(0, 256, (600, 600, 3), np.uint8)
    large, small = [0, 0, 600, 600], [[x, y, x + 60, y + 60] for x in range(0, 600, 60) for y in range(0, 600, 60)]
    for boxes in ([large, *small], [*small, large]):
        assert np.array_equal(hide(image, boxes, "pixelate", 0), hide(image, [large], "pixelate", 0))


def test_a_face_that_fills_a_large_photograph_is_hidden_whole(tool, tmp_path):
    """At its own size SSH finds parts of such a face only, and hides each of them in tiles of its own."""
    portrait = portraits()[0]
    large = cv2.resize(portrait.image, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
    save(tmp_path / "in.png", large)
    assert run(tool("demo").main, [str(tmp_path / "in.png"), "--pixelate", "--out", str(tmp_path / "out")]) == 0
    left, top, right, bottom = (5 * np.array(portrait.box)).astype(int)
    face = read_image(tmp_path / "out" / "in.png")[top:bottom, left:right].reshape(-1, 3)
    assert len(np.unique(face, axis=0)) <= 36


def test_halves_are_for_detectors_of_one_scale():
    detector = square_detector()
    assert halves(detector, (480, 640)) == [1] and halves(detector, (641, 480)) == [1, 0.5]
    assert halves(detector, (4000, 3000)) == [1, 0.5, 0.25, 0.125]
    detector.cfg.TEST.SCALES = [0.5, 1.0]  # chosen by the user
    assert halves(detector, (4000, 3000)) is None


@pytest.mark.parametrize("options, message", [
    ({"how": "melt"}, "found 'melt', expected blur or pixelate"), ({"margin": -1}, "margin is -1"),
    ({"boxes": [[0, 0, np.nan, 1]]}, "a box holds NaN")])
def test_what_cannot_be_hidden_is_named(options, message):
    with pytest.raises(InputError, match=f"hide: {message}"):
        hide(np.zeros((9, 9, 3), np.uint8), **{"boxes": [[0, 0, 1, 1]], **options})


def test_detections_hide_themselves_in_an_image(tmp_path):
    image = np.random.default_rng(3).integers(0, 256, (40, 50, 3), np.uint8)
    faces = Detections([[10, 10, 30, 30]], [0.9])
    assert np.array_equal(faces.hide(save(tmp_path / "a.png", image), "pixelate", 0.1),
                          hide(image, faces.boxes, "pixelate", 0.1))


# ------------------------------------------------------------------ pictures and their files


def test_hidden_pictures_keep_size_format_and_everything_else(tool, stand_in, tmp_path, monkeypatch):
    """A PNG stays one, so the pixels beside the face are the same; TEST.HIDE_SCORE decides, not DEMO_SCORE."""
    image = picture(300, 200, (50, 60, 40))
    image[70:90, 60:80] = (0, 190, 0)
    save(tmp_path / "in/a.png", image)
    save(tmp_path / "in/b.jpg", image)
    monkeypatch.chdir(tmp_path)
    keys = ["TEST.SCORE", "0.3", "TEST.MAX_SIDE", "200", "TEST.HIDE_SCORE", "0.31", "TEST.DEMO_SCORE", "0.9"]
    assert demo(tool, "--weights", stand_in, "in", "--blur", "--json", "f.jsonl", "--set", *keys) == 0
    left = read_image("hidden/a.png")
    changed = np.argwhere((left != image).any(axis=2))
    # 0.2 of 40 px more at each end, and a pixel of the enlarged box at most
    assert np.abs(changed.min(axis=0) - (52, 42)).max() <= 1 and np.abs(changed.max(axis=0) - (107, 97)).max() <= 1
    assert read_image("hidden/b.jpg").shape == image.shape
    rows = lines(tmp_path / "f.jsonl")
    assert [(row["picture"], row["shows"], row["threshold"]) for row in rows] == [("a.png", "blur", 0.31),
                                                                                 ("b.jpg", "blur", 0.31)]


def test_faces_are_cut_out_into_a_folder_and_old_ones_go(tool, stand_in, tmp_path, monkeypatch):
    save(tmp_path / "a.png", picture(300, 200, (50, 60, 40), (200, 20, 60)))
    save(tmp_path / "b.jpg", picture(300, 200))
    monkeypatch.chdir(tmp_path)
    arguments = ["--weights", stand_in, "a.png", "b.jpg", "--score", "0.3", "--json", "f.jsonl"]
    assert demo(tool, *arguments, "--crop") == 0
    assert sorted(read_image(file).shape for file in (tmp_path / "faces/a").iterdir()) == [(56, 56, 3), (84, 84, 3)]
    assert list((tmp_path / "faces/b").iterdir()) == []  # done, and without a face
    (tmp_path / "faces/a/mine.png").write_bytes(b"x")
    (tmp_path / "faces/a/9.png").write_bytes(b"x")
    assert demo(tool, *arguments, "--align") == 0  # the same detector and threshold, but other pictures
    assert sorted(file.name for file in (tmp_path / "faces/a").iterdir()) == ["1.png", "2.png", "mine.png"]
    assert read_image("faces/a/1.png").shape == (112, 112, 3)
    assert [row["shows"] for row in lines(tmp_path / "f.jsonl")] == ["align", "align"]
    stamp = (tmp_path / "faces/a/1.png").stat().st_mtime_ns
    assert demo(tool, *arguments, "--align") == 0 and (tmp_path / "faces/a/1.png").stat().st_mtime_ns == stamp


def test_a_detector_without_landmarks_cannot_align(tmp_path, monkeypatch):
    detector = square_detector()
    monkeypatch.setattr(detector, "detect", lambda *_, **__: Detections([[1, 1, 9, 9]], [0.9]))
    source = find_sources([save(tmp_path / "a.png", picture(20, 20))])[0]
    with pytest.raises(InputError, match="--align: this detector finds no landmarks.*take --crop"):
        Demo(detector, tmp_path / "out", 0.3, kind="align").look(source)


@pytest.mark.parametrize("name, kind", [("a.png", "--blur"), ("a.jpg", "--pixelate"), ("a.jpg", None)])
def test_a_picture_never_replaces_its_source(name, kind, tool, stand_in, tmp_path, capsys):
    path = save(tmp_path / name, picture(300, 200, (50, 60, 40)))
    before = path.read_bytes()
    assert demo(tool, "--weights", stand_in, path, "--out", tmp_path, *([kind] if kind else [])) == 2
    assert f"{path}: would be overwritten by the picture of {path}; choose another" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_picture_replaces_no_other_source_and_none_is_written_before(tool, stand_in, tmp_path, capsys):
    """The drawn picture of b.png would be b.jpg, which is a photograph of its own."""
    for name in ("a.png", "b.png", "b.jpg"):
        save(tmp_path / name, picture(300, 200, (50, 60, 40)))
    before = (tmp_path / "b.jpg").read_bytes()
    assert demo(tool, "--weights", stand_in, *(tmp_path / name for name in ("a.png", "b.png", "b.jpg")), "--out",
                tmp_path) == 2
    assert re.search("b.jpg: would be overwritten by the picture of .*b.png; choose", capsys.readouterr().err)
    assert (tmp_path / "b.jpg").read_bytes() == before and not (tmp_path / "a.jpg").exists()


@pytest.mark.parametrize("words, message", [
    (["--blur", "--no-pictures"], "--blur: is about pictures"), (["--strip"], "--strip: goes with --blur")])
def test_options_that_do_not_go_together(words, message, tool, stand_in, tmp_path, capsys):
    path = save(tmp_path / "a.png", picture(30, 20))
    assert demo(tool, "--weights", stand_in, path, "--out", tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err


# ------------------------------------------------------------------ metadata


def photograph(path):
    """A JPEG with place, camera, a preview image and a colour profile; returns the profile."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[271] = "Camera maker"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (52.0, 30.0, 0.0)
    data, preview = io.BytesIO(), io.BytesIO()
    Image.fromarray(picture(300, 200, (50, 60, 40))).save(data, "JPEG", quality=95, exif=exif, icc_profile=profile,
                                                          comment=b"a comment")
    Image.fromarray(picture(30, 20, (5, 6, 4))).save(preview, "JPEG")
    segment = b"MPF\0" + preview.getvalue()
    head = data.getvalue()[:2] + b"\xff\xe2" + (len(segment) + 2).to_bytes(2, "big") + segment
    path.write_bytes(head + data.getvalue()[2:])
    return profile


@pytest.mark.parametrize("strip", [False, True])
@pytest.mark.parametrize("kind", ["blur", "crop"])
def test_pixels_and_at_most_the_colour_profile_are_written(kind, strip, tool, stand_in, tmp_path):
    profile = photograph(tmp_path / "photo.jpg")
    assert demo(tool, "--weights", stand_in, tmp_path / "photo.jpg", "--out", tmp_path / "out", f"--{kind}",
                *(["--strip"] if strip else []), "--score", "0.3") == 0
    data = (tmp_path / "out" / ("photo/1.jpg" if kind == "crop" else "photo.jpg")).read_bytes()
    with Image.open(io.BytesIO(data)) as written:
        assert not written.getexif() and "comment" not in written.info
        kept = written.info.get("icc_profile")
    assert kept == (None if strip or not hasattr(cv2, "imencodeWithMetadata") else profile)
    assert not any(text in data for text in (b"Exif", b"Camera", b"MPF", b"a comment"))
    assert data.count(b"\xff\xd8\xff") == 1  # no preview


def test_profiles_are_read_as_pillow_reads_them(tmp_path):
    """Also one of several segments, and none of grey pixels, of a damaged file, or of one that unpacks to too much."""
    short = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    long = (len(short) + 150_000).to_bytes(4, "big") + short[4:] + np.random.default_rng(5).bytes(150_000)
    image, grey = Image.fromarray(picture(30, 20)), Image.fromarray(picture(30, 20)[..., 0])
    for kind in ("JPEG", "PNG"):
        for profile in (short, long):
            data = io.BytesIO()
            image.save(data, kind, icc_profile=profile)
            with Image.open(data) as written:
                assert colour_profile(data.getvalue()) == profile == written.info["icc_profile"]
            assert colour_profile(data.getvalue()[:300]) is None
        data = io.BytesIO()
        grey.save(data, kind, icc_profile=short[:16] + b"GRAY" + short[20:])
        assert colour_profile(data.getvalue()) is None
        image.save(data := io.BytesIO(), kind)
        assert colour_profile(data.getvalue()) is None
    bomb = zlib.compress((10**8).to_bytes(4, "big") + short[4:20] + bytes(10**8 - 20))
    chunk = b"iCCP" + b"x\0\0" + bomb
    data = b"\x89PNG\r\n\x1a\n" + (len(chunk) - 4).to_bytes(4, "big") + chunk + bytes(4)
    tracemalloc.start()
    assert colour_profile(data) is None
    assert tracemalloc.get_traced_memory()[1] < 20 << 20  # not the 100 MB that it would unpack to
    tracemalloc.stop()
    assert colour_profile(b"") is None and colour_profile(b"\xff\xd8\xff\xe2\0") is None


# ------------------------------------------------------------------ video


def test_a_face_of_a_video_stays_hidden_for_a_while(tmp_path):
    noise = np.random.default_rng(4).integers(0, 256, (64, 64, 3), np.uint8)
    pictures, face, none = Pictures(tmp_path, "blur", 0.3), Detections([[20, 20, 40, 40]], [0.9]), Detections([], [])
    shown = [pictures.frame(noise, faces, seconds) for faces, seconds in
             ((face, 0.0), (none, 0.1), (none, HELD), (none, HELD + 0.01))]
    assert np.array_equal(shown[0], hide(noise, face.boxes)) and not np.array_equal(shown[0], noise)
    assert np.array_equal(shown[1], shown[0]) and np.array_equal(shown[2], shown[0])
    assert np.array_equal(shown[3], noise)
    pictures.frame(noise, face, 0.7)
    with pictures.video(Source("video", "next", "next"), tmp_path / "next.webm", 25) as add:
        add(0, noise, none, 0.0)
        assert np.array_equal(pictures.frame(noise, none, 0.0), noise)  # nothing is left of the film before


def test_faces_of_a_video_are_numbered_by_frame(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (96, 64))
    for squares in ((), ((10, 10, 24),), ((10, 10, 24), (60, 20, 24))):
        writer.write(cv2.cvtColor(picture(96, 64, *squares), cv2.COLOR_RGB2BGR))
    writer.release()
    film = Source("video", str(tmp_path / "film.avi"), "film")
    seen = Demo(square_detector(), tmp_path / "out", 0.3, kind="crop").look(film)
    assert seen.frames == 3 and sorted(file.name for file in (tmp_path / "out/film").iterdir()) == [
        "000001_1.jpg", "000002_1.jpg", "000002_2.jpg"]
    Demo(square_detector(), tmp_path / "out", 0.3, kind="pixelate").look(film)
    capture = cv2.VideoCapture(str(next(path for path in (tmp_path / "out").iterdir() if path.is_file())))
    frames = [capture.read()[1] for _ in range(3)]
    assert all(frame.shape == (64, 96, 3) for frame in frames)
    capture.release()
