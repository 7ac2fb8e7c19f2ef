import json
import os

import numpy as np
import pytest
from stand_in import SCORE, picture, save, square_detector

from manyfaces.datasets import folders
from manyfaces.errors import InputError
from manyfaces.evaluation import read_predictions
from manyfaces.inference.base import scaled_size
from manyfaces.inference.folder import detect_folder
from manyfaces.inference.models import settings_of
from manyfaces.inference.results import SETTINGS


def rows(path):
    name, count, *lines = path.read_text().splitlines()
    assert len(lines) == int(count)
    return name, np.array([line.split() for line in lines], np.float64).reshape(-1, 5)


@pytest.fixture
def images(tmp_path):
    """Three pictures in two folders; all pad to 128 x 96 px."""
    save(tmp_path / "in/0--Parade/x.png", picture(100, 90, (10, 20, 30)))
    save(tmp_path / "in/0--Parade/y.jpg", picture(110, 70, (50, 8, 24), (5, 40, 16)))
    save(tmp_path / "in/z.PNG", picture(128, 96))
    return tmp_path / "in"


def test_folders_are_kept_and_nothing_is_rounded(images, tmp_path):
    result = detect_folder(square_detector(), images, tmp_path / "out")
    name, faces = rows(tmp_path / "out/0--Parade/x.txt")
    assert name == "0--Parade/x.png"
    assert faces[:, :4].tolist() == [[10, 20, 30, 30]]
    assert np.float32(faces[0, 4]) == SCORE
    _, faces = rows(tmp_path / "out/0--Parade/y.txt")
    assert np.abs(faces[np.argsort(faces[:, 0]), :4] - [[5, 40, 16, 16], [50, 8, 24, 24]]).max() <= 1  # JPEG
    assert rows(tmp_path / "out/z.txt") == ("z.PNG", pytest.approx(np.zeros((0, 5))))
    assert (result["images"], result["faces"], result["failed"]) == (3, 3, [])
    assert sorted(result["ms"]) == ["decode", "net", "nms"] and min(result["ms"].values()) >= 0
    assert set(read_predictions(tmp_path / "out")) == {"", "0--Parade"}  # what the evaluator will see


def test_images_of_like_size_share_a_batch_and_nothing_else_changes(images, tmp_path):
    alone, together = square_detector(), square_detector(BATCH=4)
    detect_folder(alone, images, tmp_path / "a")
    detect_folder(together, images, tmp_path / "b")
    assert alone.family.shapes == [(1, 96, 128, 3)] * 3
    assert together.family.shapes == [(3, 96, 128, 3)]
    for file in ("0--Parade/x.txt", "0--Parade/y.txt", "z.txt"):
        assert (tmp_path / "a" / file).read_text() == (tmp_path / "b" / file).read_text()


def test_a_batch_is_cut_at_max_pixels():
    detector = square_detector(BATCH=8, MAX_PIXELS=2 * 128 * 96)
    detector.detect([picture(128, 96)] * 5, threshold=0)
    assert [shape[0] for shape in detector.family.shapes] == [2, 2, 1]


def test_scales_and_flip_find_the_same_square(images, tmp_path):
    detector = square_detector(NMS=0.5)
    result = detect_folder(detector, images, tmp_path / "out", scales=[0.5, 2, 270], flip=True)
    assert result["faces"] == 3  # NMS joins the six views
    # x.png at 50 x 45, 200 x 180 and 300 x 270 px, padded, each also mirrored
    shapes = [shape[1:3] for shape in detector.family.shapes]
    assert shapes[:6] == [(64, 64)] * 2 + [(192, 224)] * 2 + [(288, 320)] * 2
    assert len(shapes) == 18
    _, faces = rows(tmp_path / "out/0--Parade/x.txt")
    assert np.abs(faces[0, :4] - [10, 20, 30, 30]).max() <= 2


def test_a_flipped_view_has_its_landmarks_on_the_right_side():
    detector = square_detector()
    plain = detector.detect(picture(96, 64, (8, 8, 40)), threshold=0)
    flipped = detector.detect(picture(96, 64, (8, 8, 40)), flip=True, threshold=0)
    assert len(flipped) == 1 and len(detector.family.shapes) == 3
    np.testing.assert_allclose(flipped.boxes, plain.boxes)
    np.testing.assert_allclose(flipped.landmarks, plain.landmarks)
    mirrored = plain.mirrored(96).landmarks[0]
    assert mirrored[0, 0] < mirrored[1, 0] and mirrored[3, 0] < mirrored[4, 0]  # left stays left in the image


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_large_image_is_seen_smaller_and_its_boxes_come_back_in_full_size(ending, tmp_path, capsys, monkeypatch):
    save(tmp_path / f"in/large.{ending}", picture(1999, 1500, (804, 400, 320)))
    asked = []
    read = folders.read_image
    monkeypatch.setattr(folders, "read_image", lambda path, reduce, *more: asked.append(reduce) or read(path, reduce))
    detector = square_detector(MAX_PIXELS=160_000, LARGE="shrink")
    detect_folder(detector, tmp_path / "in", tmp_path / "out", scales=[0.1, 1])
    assert asked == [4]  # 500 x 375 px are the smallest that still have 160,000
    assert detector.family.shapes == [(1, 160, 224, 3), (1, 352, 480, 3)]  # 200 x 150 and 462 x 346, padded
    _, faces = rows(tmp_path / "out/large.txt")
    assert np.abs(faces[0, :4] - [804, 400, 320, 320]).max() <= 10
    assert f"large.{ending}: 1999 x 1500 px, scaled down to 462 x 346 because TEST.MAX" in capsys.readouterr().err


def test_a_large_image_that_is_asked_for_small_needs_no_warning(tmp_path, capsys):
    save(tmp_path / "in/x.jpg", picture(2000, 1500, (400, 400, 300)))
    detector = square_detector(MAX_PIXELS=160_000, LARGE="shrink")
    detect_folder(detector, tmp_path / "in", tmp_path / "out", scales=[300, 0.1])
    assert detector.family.shapes == [(1, 320, 416, 3), (1, 160, 224, 3)]  # 400 x 300 and 200 x 150
    assert "warning" not in capsys.readouterr().err


def test_a_reduced_decode_changes_nothing_where_every_image_is_squeezed(tmp_path, capsys):
    save(tmp_path / "in/x.jpg", picture(2000, 1500, (400, 300, 600)))
    detector = square_detector(MAX_PIXELS=160_000, LARGE="shrink", SIZE=[96, 64])
    detect_folder(detector, tmp_path / "in", tmp_path / "out", scales=[1, 2])
    assert detector.family.shapes == [(1, 64, 96, 3), (1, 128, 192, 3)]
    _, faces = rows(tmp_path / "out/x.txt")
    assert np.abs(faces[0, :4] - [400, 300, 600, 600]).max() <= 25  # a pixel of the squeezed image
    assert "warning" not in capsys.readouterr().err


def test_enlarging_stops_at_max_pixels_without_a_word(tmp_path, capsys):
    save(tmp_path / "in/x.png", picture(300, 200, (40, 40, 60)))
    detector = square_detector(MAX_PIXELS=100_000, LARGE="shrink")
    detect_folder(detector, tmp_path / "in", tmp_path / "out", scales=[4])
    assert scaled_size(300, 200, 4, max_pixels=100_000) == (387, 258)
    assert detector.family.shapes == [(1, 288, 416, 3)]
    assert "warning" not in capsys.readouterr().err


def test_a_list_chooses_images_with_or_without_extension(images, tmp_path, capsys):
    names = tmp_path / "names.txt"
    names.write_text("0--Parade/y\r\nz.PNG\r\nmissing\r\n\r\n")
    result = detect_folder(square_detector(), images, tmp_path / "out", names)
    assert result["images"] == 2 and result["failed"] == ["missing.jpg"]
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.txt")) == ["y.txt", "z.txt"]
    assert f"warning: {images / 'missing.jpg'}: no such file; left out" in capsys.readouterr().err
    for text, message in (("a\nb\n", "none of its 2 names"), ("", "none of its 0 names"),
                          ("../x.png\n", "leaves the folder"), ("/x.png\n", "leaves the folder")):
        names.write_text(text)
        with pytest.raises(InputError, match=message):
            detect_folder(square_detector(), images, tmp_path / "out", names)


def test_two_images_of_one_name_are_not_written_to_one_file(images, tmp_path):
    save(images / "z.jpg", picture(64, 64))
    with pytest.raises(InputError, match="z.PNG and z.jpg would both be written to"):
        detect_folder(square_detector(), images, tmp_path / "out")


def test_a_folder_without_images_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no such folder of images"):
        detect_folder(square_detector(), tmp_path / "none", tmp_path / "out")
    (tmp_path / "notes.txt").write_text("x")
    save(tmp_path / ".hidden/x.png", picture(64, 64))
    with pytest.raises(InputError, match="holds no image"):
        detect_folder(square_detector(), tmp_path, tmp_path / "out")


def test_links_are_followed_once(images, tmp_path):
    (images / "0--Parade/back").symlink_to(images)
    (images / "more").symlink_to(tmp_path / "elsewhere")
    save(tmp_path / "elsewhere/e.png", picture(32, 32))
    assert folders.find_images(images) == ["0--Parade/x.png", "0--Parade/y.jpg", "more/e.png", "z.PNG"]


def test_resume_does_only_what_is_missing_and_only_under_the_same_settings(images, tmp_path):
    out = tmp_path / "out"
    detect_folder(square_detector(), images, out, settings={"name": "a", "scales": [1]})
    (out / "z.txt").unlink()
    before = (out / "0--Parade/x.txt").stat().st_mtime_ns
    detector = square_detector()
    result = detect_folder(detector, images, out, settings={"name": "a", "scales": [1]}, resume=True)
    assert (result["images"], result["resumed"], len(detector.family.shapes)) == (1, 2, 1)
    assert (out / "z.txt").is_file() and (out / "0--Parade/x.txt").stat().st_mtime_ns == before
    with pytest.raises(InputError, match=r"have scales \[1\], now it is \[2\]"):
        detect_folder(square_detector(), images, out, settings={"name": "a", "scales": [2]}, resume=True)
    # A new run began here with other settings and was interrupted at once: nothing that is older counts as its own.
    (out / SETTINGS).write_text(json.dumps({"name": "b"}))
    os.utime(out / SETTINGS, ns=(before + 10**9, before + 10**9))
    for file in out.rglob("*.txt"):
        os.utime(file, ns=(before, before))
    assert detect_folder(square_detector(), images, out, settings={"name": "b"}, resume=True)["images"] == 3


def test_settings_name_the_weights_by_their_content(tmp_path):
    (tmp_path / "w.weights.h5").write_bytes(b"abc")
    cfg = square_detector(SCALES=[0.5]).cfg
    settings = settings_of(cfg, tmp_path / "w.weights.h5", flip=True)
    assert settings["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    assert settings["scales"] == [0.5] and settings["flip"] is True and settings["nms"] == cfg.TEST.NMS
    assert settings_of(cfg, tmp_path / "w.weights.h5", scales=[1, 2])["scales"] == [1, 2]


class OutOfMemory(RuntimeError):
    pass


def test_where_the_memory_does_not_suffice_the_images_go_one_by_one(images, tmp_path, capsys):
    save(images / "wide.png", picture(200, 90))
    detector = square_detector(BATCH=4)
    inner = detector.family.run

    def run(batch):
        if len(batch) > 1 or batch.shape[2] > 130:
            raise OutOfMemory("RESOURCE_EXHAUSTED: failed to allocate memory")
        return inner(batch)

    detector.run = run
    result = detect_folder(detector, images, tmp_path / "out")
    assert result["images"] == 3 and result["failed"] == ["wide.png"]
    assert "warning: wide.png, 200 x 90 px: not enough memory for it" in capsys.readouterr().err
    detector.run = lambda batch: 1 / 0  # anything else is a defect and is not hidden
    with pytest.raises(ZeroDivisionError):
        detect_folder(detector, images, tmp_path / "out")
