"""Bad input gives one clear line, the rest of the work continues, and no file that exists is lost.

Images and folders, weights, a full disk. Annotation files: tests/datasets/test_readers.py.
"""

import errno
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from conftest import ROOT
from full_disk import room_for
from PIL import Image
from stand_in import picture, save, square_detector

from manyfaces import pretrained
from manyfaces.commands.command_line import run
from manyfaces.config import load_config, save_config
from manyfaces.errors import InputError
from manyfaces.inference import models as testing
from manyfaces.inference.demo.demo import Demo, run_demo
from manyfaces.inference.demo.sources import find_sources
from manyfaces.inference.detector import Detector
from manyfaces.inference.folder import detect_folder

CFG = str(ROOT / "cfgs" / "ssh_mobilenet_v1_025.yml")
SQUARE = picture(160, 120, (40, 30, 48))


def encoded(image, form="JPEG", **options):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, form, **options)
    return buffer.getvalue()


def turned(orientation):
    """SQUARE as a camera stores it that was held in another orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    back = {6: Image.Transpose.ROTATE_90, 3: Image.Transpose.ROTATE_180, 2: Image.Transpose.FLIP_LEFT_RIGHT}
    return encoded(Image.fromarray(SQUARE).transpose(back[orientation]), quality=95, exif=exif)


def huge_png(side):
    """A header of side x side pixels, with only 20 bytes of them."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(b"\0" * 20)) + chunk(b"IEND", b""))


JPEG = encoded(SQUARE, quality=95)
GOOD = {
    "plain.jpg": JPEG,
    "cmyk.jpg": encoded(Image.fromarray(SQUARE).convert("CMYK"), quality=95),
    "16 bit.png": cv2.imencode(".png", SQUARE[..., ::-1].astype(np.uint16) * 257)[1].tobytes(),
    "transparent.png": encoded(Image.fromarray(SQUARE).convert("RGBA"), "PNG"),
    "held upright.jpg": turned(6),
    "upside down.jpg": turned(3),
    "mirrored.jpg": turned(2),
    "really a png.jpg": encoded(SQUARE, "PNG"),
}
WITHOUT_SQUARE = {
    "grey.jpg": encoded(Image.fromarray(SQUARE).convert("L")),
    "grey 16 bit.png": cv2.imencode(".png", SQUARE[..., 1].astype(np.uint16) * 257)[1].tobytes(),
    "one pixel.png": encoded(picture(1, 1), "PNG"),
    "one grey pixel.jpg": encoded(picture(1, 1)),
}
BAD = {
    "half.jpg": (JPEG[: len(JPEG) // 2], "cut short"),
    "half again.png": (encoded(SQUARE, "PNG")[:150], "cut short"),
    "empty.jpg": (b"", "empty file"),
    "text.jpg": (b"This is not a picture.\n", "holds text"),
    "huge.png": (huge_png(20000), "more than the limit of"),
    "beyond all measure.png": (huge_png(2**31 - 1), "more than the limit of"),
}


def folder_of(tmp_path, files):
    (tmp_path / "in").mkdir(exist_ok=True)
    for name, data in files.items():
        (tmp_path / "in" / name).write_bytes(data)
    return tmp_path / "in"


def boxes(path):
    return np.array([line.split() for line in path.read_text().splitlines()[2:]], float).reshape(-1, 5)[:, :4]


def test_faces_in_unusual_images_are_detected_upright(tmp_path):
    folder = folder_of(tmp_path, GOOD | WITHOUT_SQUARE)
    result = detect_folder(square_detector(), folder, tmp_path / "out")
    assert result["failed"] == [] and result["images"] == len(GOOD) + len(WITHOUT_SQUARE)
    for name in GOOD:
        detected = boxes(tmp_path / "out" / (name.rsplit(".", 1)[0] + ".txt"))
        assert len(detected) == 1 and np.abs(detected[0] - [40, 30, 48, 48]).max() <= 2, name
    for name in WITHOUT_SQUARE:
        assert len(boxes(tmp_path / "out" / (name.rsplit(".", 1)[0] + ".txt"))) == 0, name


def test_twenty_thousand_pixels_are_no_problem(tmp_path):
    wide = encoded(picture(20000, 50, (19900, 10, 30)), "PNG")
    large = encoded(picture(20000, 3000, (12000, 800, 1200)), quality=30)
    folder = folder_of(tmp_path, {"wide.png": wide, "large.jpg": large})
    detector = square_detector()
    detector.cfg.TEST.update(MAX_PIXELS=4_000_000, LARGE="shrink")
    shapes = []
    inner = detector.run
    detector.run = lambda images: shapes.append(images.shape) or inner(images)
    detect_folder(detector, folder, tmp_path / "out")
    assert max(shape[1] * shape[2] for shape in shapes) < 4_400_000  # the limit, and padding
    assert np.abs(boxes(tmp_path / "out/wide.txt") - [19900, 10, 30, 30]).max() <= 1
    assert np.abs(boxes(tmp_path / "out/large.txt") - [12000, 800, 1200, 1200]).max() <= 20


def test_a_bad_image_is_one_line_and_the_others_are_detected(tmp_path, capsys):
    folder = folder_of(tmp_path, {"good.jpg": JPEG} | {name: data for name, (data, _) in BAD.items()})
    stale = tmp_path / "out" / "half.txt"
    stale.parent.mkdir()
    stale.write_text("half.jpg\n0\n")
    result = detect_folder(square_detector(BATCH=3), folder, tmp_path / "out")
    assert result["images"] == 1 and sorted(result["failed"]) == sorted(BAD)
    assert [path.name for path in (tmp_path / "out").glob("*.txt")] == ["good.txt"]  # nor the one of an earlier run
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(lines) == len(BAD)
    for name, (_, message) in BAD.items():
        line, = (line for line in lines if f"{name}: " in line)
        assert message in line and line.endswith("; left out")


def tool_test(tool, monkeypatch, folder, out, *more):
    monkeypatch.setattr(testing, "load_detector", lambda cfg, weights: square_detector(weights))
    weights = folder.parent / "w.weights.h5"
    weights.write_bytes(b"any bytes")
    return run(tool("test").main, ["--cfg", CFG, "--weights", str(weights), "--images", str(folder), "--out", str(out),
                                   *more])


def test_exit_codes_say_whether_anything_was_done(tool, monkeypatch, tmp_path, capsys):
    folder = folder_of(tmp_path, {"empty.jpg": b"", "good.jpg": JPEG})
    assert tool_test(tool, monkeypatch, folder, tmp_path / "out") == 0
    assert "1 images were left out: empty.jpg" in capsys.readouterr().out
    (folder / "good.jpg").unlink()
    assert tool_test(tool, monkeypatch, folder, tmp_path / "out") == 2
    assert capsys.readouterr().err.endswith("error: no image could be read\n")
    assert tool_test(tool, monkeypatch, folder / "none", tmp_path / "out") == 2
    assert capsys.readouterr().err == f"error: {folder}/none: no such folder of images\n"


def test_the_demo_continues_too(tmp_path, capsys):
    folder = folder_of(tmp_path, {"a.jpg": JPEG, "b.jpg": JPEG[:100], "c.mp4": b"no film", "d.jpg": b""})
    warnings = []
    seen, failed = run_demo(Demo(square_detector(), tmp_path / "out", score=0.3), find_sources([folder]),
                            warn=warnings.append)
    assert [row.faces for row in seen] == [1] and len(failed) == 3
    assert [text.split(": ")[2] for text in warnings] == [
        "cut short after 100 bytes, its end is missing; copy it again; left out",
        "empty file, expected an image; left out", "cannot be opened as a video; left out"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg"]


# --------------------------------------------------------------------- weights


SMALL = ["NET.ALPHA", "0.25", "NET.WIDTHS", "[8, 8, 8]", "NET.TOP_DOWN_WIDTH", "8"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """(config, weights file) of a small net."""
    from manyfaces.nets import backend, family
    from manyfaces.weights.files import save_weights

    backend.prepare(seed=0)
    cfg, path = load_config(None, SMALL), tmp_path_factory.mktemp("small") / "w.weights.h5"
    save_weights(family(cfg).build(), path, cfg)
    return cfg, path


def test_a_net_with_its_weights_takes_images_of_any_size(small):
    detector = testing.load_detector(*small)
    for width, height in ((1, 1), (33, 7), (2000, 5), (100, 80)):
        faces = detector.detect(picture(width, height), threshold=0)
        assert (faces.boxes[:, 2:] <= [width, height]).all() and (faces.boxes >= 0).all()


def test_shipped_weights_load_by_name(small, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    cfg, path = small
    save_config(cfg, tmp_path / "mine.yml")
    (tmp_path / "mine.weights.h5").write_bytes(path.read_bytes())
    detector = Detector.load("mine", overrides=["TEST.SCORE", "0.001"])
    assert detector.cfg.NET.ALPHA == 0.25 and detector.cfg.TEST.SCORE == 0.001
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    expected = testing.load_detector(load_config(None, [*SMALL, "TEST.SCORE", "0.001"]), path)
    expected = expected.detect(image, threshold=0)
    np.testing.assert_array_equal(detector.detect(image, threshold=0).boxes, expected.boxes)
    assert len(expected) > 10


def test_images_in_a_batch_give_what_each_gives_alone(small):
    cfg, path = small
    detector = testing.load_detector(load_config(None, [*SMALL, "TEST.BATCH", "4"]), path)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (height, 90, 3), np.uint8) for height in (70, 81, 96)]
    detector.cfg.TEST.SCORE = 0.0001
    for image, together in zip(images, detector.detect(images, threshold=0), strict=True):
        alone = detector.detect(image, threshold=0)
        assert len(alone) == len(together) > 10
        np.testing.assert_allclose(together.scores, alone.scores, rtol=1e-4)
        np.testing.assert_allclose(together.boxes, alone.boxes, atol=1e-2)


@pytest.mark.parametrize("changes, message", [
    (["NET.ALPHA", "0.5"], "NET.ALPHA 0.25, the config has 0.5"),
    (["NET.LANDMARKS", "True"], "NET.LANDMARKS False, the config has True"),
    (["ANCHORS.SIZES", "[[8, 16], [64, 128], [256, 512]]"], "ANCHORS.SIZES"),  # of the same shape, but wrong
    (["NET.VARIANT", "torch"], "NET.VARIANT 'keras', the config has 'torch'")])
def test_weights_of_another_net_are_refused(changes, message, small):
    with pytest.raises(InputError, match="w.weights.h5: these weights were trained with") as error:
        testing.load_detector(load_config(None, [*SMALL, *changes]), small[1])
    assert message in str(error.value)


def test_weights_that_do_not_name_their_net_are_refused_by_their_shapes(small, tmp_path, recwarn):
    import h5py

    path = tmp_path / "x.weights.h5"
    path.write_bytes(small[1].read_bytes())
    with h5py.File(path, "r+") as file:
        del file.attrs["manyfaces"], file.attrs["manyfaces_digest"]  # as earlier versions and others write them
    testing.load_detector(small[0], path)
    with pytest.raises(InputError, match="x.weights.h5: these weights belong to another net") as error:
        testing.load_detector(load_config(None, [*SMALL, "NET.LANDMARKS", "True"]), path)
    assert "\n" not in str(error.value)
    assert not [warning for warning in recwarn if "container" in str(warning.message)]  # Keras prints pages of them


@pytest.mark.parametrize("data", [b"", b"no weights", None], ids=["empty", "text", "cut"])
def test_broken_weights_are_one_line(data, small, tmp_path):
    path = tmp_path / "x.weights.h5"
    path.write_bytes(small[1].read_bytes()[:20000] if data is None else data)
    with pytest.raises(InputError, match="x.weights.h5: not a complete weights file") as error:
        testing.load_detector(small[0], path)
    assert "\n" not in str(error.value)


def test_missing_weights_say_what_to_do(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    folder = folder_of(tmp_path, {"good.jpg": JPEG})
    arguments = ["--cfg", CFG, "--images", str(folder), "--out", str(tmp_path / "out")]
    assert run(tool("test").main, arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no weights ship for ssh_mobilenet_v1_025 (there are: none); give weights of your")
    assert run(tool("test").main, [*arguments, "--weights", str(tmp_path / "x.weights.h5")]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/x.weights.h5: no such weights file\n"
    assert run(tool("demo").main, ["--cfg", str(tmp_path / "none.yml")]) == 2
    assert "none.yml: cannot be read as a config" in capsys.readouterr().err


# ------------------------------------------------------------------- full disk


def test_a_full_disk_leaves_the_earlier_weights_and_checkpoint(small, tmp_path, capfd):
    from manyfaces.engine.checkpoint import load_state, save_state, state_arrays
    from manyfaces.nets import family
    from manyfaces.weights.files import save_weights

    model = family(small[0]).build()
    save_weights(model, tmp_path / "w.weights.h5", small[0])
    save_state(tmp_path / "c.npz", state_arrays({"model": model.variables}), step=7)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for size in (0, 50_000):
        with room_for(size):
            with pytest.raises(OSError) as error:
                save_weights(model, tmp_path / "w.weights.h5", small[0])
            assert error.value.errno == errno.EFBIG
            with pytest.raises(OSError) as error:
                save_state(tmp_path / "c.npz", state_arrays({"model": model.variables}), step=8)
            assert error.value.errno == errno.EFBIG
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before  # and nothing beside them
    assert load_state(tmp_path / "c.npz", {"model": model.variables})["step"] == 7
    assert capfd.readouterr().err == ""  # HDF5 would print pages


def test_a_training_reports_it_and_continues(tmp_path, monkeypatch):
    from manyfaces.engine import run_files
    from manyfaces.engine.tracking.tracker import Trackers

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_files, "save_state", full)
    monkeypatch.setattr(run_files, "weights_content", lambda *_: b"")
    notes, files = [], run_files.RunFiles(tmp_path, None, Trackers([]), False)
    files.note = notes.append
    files.save(40, {}, None, {})
    assert notes == [f"warning: {tmp_path}: cannot write the checkpoint of step 40 (No space left on device); training "
                     "continues, the earlier checkpoint is complete"]
    with pytest.raises(InputError, match="step 40.*free some space, then --resume"):
        files.save(40, {}, None, {}, last=True)


def test_a_full_disk_names_the_prediction_file_and_keeps_the_others(tool, monkeypatch, tmp_path, capsys):
    crowd = picture(400, 400, *((x, y, 10) for x in range(5, 400, 20) for y in range(5, 400, 20)))
    for name, image in (("a", SQUARE), ("b", crowd), ("c", SQUARE)):
        save(tmp_path / f"in/{name}.png", image)
    with room_for(2000):
        assert tool_test(tool, monkeypatch, tmp_path / "in", tmp_path / "out") == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/out/b.txt: File too large\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "settings.json"]
    assert len(boxes(tmp_path / "out/a.txt")) == 1
    assert tool_test(tool, monkeypatch, tmp_path / "in", tmp_path / "out", "--resume") == 0
    assert "2 images, 401 faces" in capsys.readouterr().out and len(boxes(tmp_path / "out/b.txt")) == 400
