"""One odd item never ends the work: names of any bytes, outputs of any encoding, images and folders that go away."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from demo_stand_in import demo, lines, stand_in_weights
from stand_in import POINTS, picture, save, square_detector

from manyfaces import Detector, pretrained
from manyfaces.commands.command_line import run
from manyfaces.datasets.images import ImageError
from manyfaces.datasets.roidb import Record, Roidb, save_roidb
from manyfaces.datasets.toy.crowds import write_crowds
from manyfaces.errors import InputError
from manyfaces.evaluation.fddb import read_detections
from manyfaces.evaluation.files.predictions import read_predictions
from manyfaces.export.check import check_images
from manyfaces.files import whole_file, write_whole
from manyfaces.inference.demo.demo import Demo, run_demo
from manyfaces.inference.demo.journal import Journal
from manyfaces.inference.demo.sources import Source, find_sources
from manyfaces.inference.folder import detect_folder
from manyfaces.inference.landmarks import measure_landmarks

SQUARE = picture(100, 80, (10, 20, 30))
STEMS = [b"caf\xe9", b"new\nline", b"n" * 251, "사진".encode() * 41, b"\x1b[31mred", "\u202egpj".encode(), b"%d",
         b"quo\"te'", b"-rf", b" lead", b"<b>", b"=cmd|x", b"a;b`id`"]


def odd_folder(folder):
    """A folder of an image per STEMS and one ordinary image; file systems that refuse a name lack it."""
    code, made = cv2.imencode(".png", SQUARE[..., ::-1])[1].tobytes(), 0
    folder.mkdir()
    for stem in [*STEMS, b"z"]:
        try:
            (folder / os.fsdecode(stem + b".png")).write_bytes(code)
        except OSError:
            continue
        made += 1
    return folder, made


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """A file of weights that stand for the detector of green squares."""
    return stand_in_weights(monkeypatch, tmp_path)


def printed(encoding, call):
    """What a call prints to standard output in an encoding."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with contextlib.redirect_stdout(stream):
        assert call() == 0
        stream.flush()
        return stream.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_the_demo_takes_every_name_in_every_encoding(encoding, tool, stand_in, tmp_path):
    folder, made = odd_folder(tmp_path / "in")
    words = ["--weights", stand_in, "--out", tmp_path / "out", "--score", "0.3", "--json", tmp_path / "f.jsonl", folder]
    header, *rows, last = printed(encoding, lambda: demo(tool, *words)).splitlines()
    assert len(rows) == made and last == f"wrote {made} to {tmp_path / 'out'}"
    assert all(row.split()[-6:-3] == ["100x80", "1", "0.333"] for row in rows)
    found = lines(tmp_path / "f.jsonl")
    assert sorted(row["source"] for row in found) == sorted(os.path.join(folder, name) for name in os.listdir(folder))
    assert sorted(row["picture"] for row in found) == sorted(os.listdir(tmp_path / "out"))
    assert {name[:-4] for name in os.listdir(tmp_path / "out")} == {name[:-4] for name in os.listdir(folder)}
    again = printed(encoding, lambda: demo(tool, *words))
    assert again.endswith(f"all {made} were there already (--overwrite does them again)\n")


@pytest.mark.parametrize("file_format", ["wider", "coco", "fddb"])
def test_predictions_of_every_name_are_written_and_read_back(file_format, tmp_path):
    folder, made = odd_folder(tmp_path / "in")
    out = tmp_path / ("pred" if file_format == "wider" else "pred.txt")
    result = detect_folder(square_detector(), folder, out, file_format=file_format)
    assert (result["images"], result["failed"], result["faces"]) == (made, [], made)
    if file_format == "wider":
        read = read_predictions(out)[""]
        assert set(read) == {name[:-4] for name in os.listdir(folder)}
    elif file_format == "fddb":
        read = read_detections(out)
        assert {"caf%udce9", "new%nline", "%x1b[31mred"} <= set(read)
    else:
        rows, images = json.loads(out.read_bytes()), json.loads(Path(f"{out}.images.json").read_bytes())["images"]
        names = {image["id"]: image["file_name"] for image in images}
        assert {names[row["image_id"]] for row in rows} == set(os.listdir(folder))
        read = {row["image_id"]: np.array([[*row["bbox"], row["score"]]]) for row in rows}
    assert len(read) == made
    for rows in read.values():
        np.testing.assert_allclose(rows, [[10, 20, 30, 30, 1 / 3]], rtol=1e-6)


def test_a_video_of_any_name_is_read_and_drawn(tmp_path):
    folder = tmp_path / os.fsdecode(b"f\xefx")
    folder.mkdir()
    plain, path = tmp_path / "x.avi", folder / os.fsdecode(b"caf\xe9\n.avi")
    writer = cv2.VideoWriter(str(plain), cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
    for _ in range(3):
        writer.write(np.full((120, 160, 3), 90, np.uint8))
    writer.release()
    plain.rename(path)
    warnings = []
    seen, failed = run_demo(Demo(square_detector(), folder / "out", 0.3), find_sources([path]), warn=warnings.append)
    assert (seen[0].frames, failed, warnings) == (3, [], [])
    drawn, = (folder / "out").iterdir()
    assert os.fsencode(drawn.name).startswith(b"caf\xe9\n.") and drawn.stat().st_size > 1000


def test_a_picture_whose_name_is_too_long_is_left_out(tmp_path):
    save(tmp_path / "z.png", SQUARE)
    sources = [Source("image", "a", "n" * 252, SQUARE), *find_sources([tmp_path / "z.png"])]
    warnings = []
    seen, failed = run_demo(Demo(square_detector(), tmp_path / "out", 0.3), sources, warn=warnings.append)
    assert failed == ["a"] and len(seen) == 1 and os.listdir(tmp_path / "out") == ["z.jpg"]
    assert warnings == ["warning: a: File name too long for its picture; left out"]


def test_predictions_whose_name_is_too_long_are_left_out(tmp_path, monkeypatch, capsys):
    for name in "ab":
        save(tmp_path / f"in/{name}.png", SQUARE)
    from manyfaces.inference import results
    shorter = results.image_name
    monkeypatch.setattr(results, "image_name", lambda image: shorter(image) if image == "b.png" else "n" * 252)
    result = detect_folder(square_detector(), tmp_path / "in", tmp_path / "out")
    assert result["failed"] == ["a.png"] and result["images"] == 1
    assert "warning: a.png: File name too long for its prediction file; left out\n" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path / "out")) == ["b.txt", "settings.json"]


def test_temporary_names_are_short_and_apart(tmp_path):
    first, second = tmp_path / ("ä" * 127), tmp_path / ("ä" * 126 + "b")
    with whole_file(first, ".weights.h5") as one, whole_file(second, ".weights.h5") as other:
        assert one != other and max(len(os.fsencode(each.name)) for each in (one, other)) <= 143
        one.write_bytes(b"1")
        other.write_bytes(b"2")
    assert (first.read_bytes(), second.read_bytes(), len(os.listdir(tmp_path))) == (b"1", b"2", 2)
    write_whole(tmp_path / "x.json", json.dumps({"name": "caf\udce9"}, ensure_ascii=False))
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {"name": "caf\udce9"}


@pytest.mark.parametrize("size", [(70_000, 8), (8, 70_000)])
def test_a_picture_too_long_for_jpeg_becomes_png(size, tmp_path):
    image = picture(*size, (2, 2, 4))
    journal = Journal(tmp_path / "f.jsonl", "x", 0.3)
    sources = [Source("image", "long", "long", image)]
    journal.start(sources, tmp_path)
    seen, failed = run_demo(Demo(square_detector(), tmp_path / "out", 0.3, journal=journal), sources)
    journal.close()
    row, = lines(tmp_path / "f.jsonl")
    assert failed == [] and row["picture"] == "long.png" and (row["width"], row["height"]) == size
    assert max(cv2.imread(str(tmp_path / "out/long.png")).shape) >= 70_000
    assert Journal(tmp_path / "f.jsonl", "x", 0.3).start(sources, tmp_path / "out") == []


# ------------------------------------------------------------ images in a list


def test_an_unreadable_image_of_a_list_gives_its_error_in_its_place(tmp_path):
    detector, gone, bad = square_detector(), tmp_path / "gone.jpg", b"no image"
    images = [SQUARE, str(gone), SQUARE, bad, np.zeros((3, 3)), picture(50, 50)]
    found = detector.detect(images, errors="return", threshold=0)
    assert [type(each).__name__ for each in found] == ["Detections", "ImageError"] * 2 + ["ImageError", "Detections"]
    assert [len(found[n]) for n in (0, 2, 5)] == [1, 1, 0]
    assert str(found[1]) == f"{gone}: no such file" and "image 3 of 6" in str(found[3])
    assert isinstance(detector.detect(gone, errors="return", threshold=0), ImageError)
    assert len(detector.detect(SQUARE, errors="return", threshold=0)) == 1
    assert detector.detect([], errors="return") == [] and detector.detect([bad], errors="return")[0].args
    with pytest.raises(ImageError, match="gone.jpg: no such file"):
        detector.detect(images)
    with pytest.raises(InputError, match="errors is 'ignore', expected raise or return"):
        detector.detect(images, errors="ignore")


# ------------------------------------------------------------ what is removed while it is written


def removing(path, after):
    """A detector of green squares that removes a file or folder at its call number `after`."""
    detector, calls = square_detector(), []
    detect = detector.detect

    def busy(*arguments, **options):
        calls.append(1)
        if len(calls) == after:
            shutil.rmtree(path) if Path(path).is_dir() else os.unlink(path)
        return detect(*arguments, **options)

    detector.detect = busy
    return detector


def test_a_folder_of_predictions_that_is_removed_ends_the_work(tmp_path, capsys):
    for name in "abc":
        save(tmp_path / f"in/{name}.png", SQUARE)
    detector = removing(tmp_path / "out", 2)
    assert run(lambda _: detect_folder(detector, tmp_path / "in", tmp_path / "out") and 0) == 1
    assert capsys.readouterr().err == (f"error: {tmp_path}/out/settings.json: was removed while the predictions were "
                                       f"written\n")


def test_a_folder_of_pictures_or_a_journal_that_is_removed_ends_the_work(tmp_path, capsys):
    for name in "abc":
        save(tmp_path / f"in/{name}.png", SQUARE)
    out, path = tmp_path / "out", tmp_path / "f.jsonl"
    sources = find_sources([tmp_path / "in"])
    assert run(lambda _: run_demo(Demo(removing(out, 3), out, 0.3), sources) and 0) == 1
    assert f"error: {out}: was removed while pictures were written to it\n" in capsys.readouterr().err
    journal = Journal(path, "x", 0.3)
    journal.start(sources, None)
    assert run(lambda _: run_demo(Demo(removing(path, 3), None, 0.3, journal=journal), sources) and 0) == 1
    assert f"error: {path}: was removed while lines were written to it\n" in capsys.readouterr().err
    journal.close()


# ------------------------------------------------------------ standard output


CODE = """
import sys
from manyfaces.commands.command_line import argument_parser, run
def main(arguments):
    argument_parser("Does.", "tool").parse_args(arguments)
    print("a line")
    print("a note", file=sys.stderr)
sys.exit(run(main))
"""


def run_code(words, stdout, stderr, buffered=True):
    """CODE in its own process; where output is buffered, only the last flush finds out that nobody reads it."""
    env = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
    return subprocess.run([sys.executable, "-c", CODE, *words], stdout=stdout, stderr=stderr, env=env, text=True)


@pytest.mark.parametrize("words, both, buffered, code", [
    ([], False, True, 141), ([], False, False, 141), ([], True, True, 141), (["--help"], False, True, 141),
    (["--help"], True, False, 0), (["--wrong"], False, True, 2), (["--wrong"], True, True, 141)])
def test_a_reader_that_has_gone_is_no_traceback_even_for_few_lines(words, both, buffered, code):
    read, write = os.pipe()
    os.close(read)
    done = run_code(words, write, write if both else subprocess.PIPE, buffered)
    os.close(write)
    assert done.returncode == code
    assert both or not any(word in done.stderr for word in ("Traceback", "BrokenPipe", "ignored"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_standard_output_on_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        done = run_code([], full, subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == "a note\nerror: standard output: No space left on device\n"


def test_a_message_is_one_printable_line(capsys):
    def main(arguments):
        raise InputError("a\nb\x1b[31m\udce9.jpg: 사진 é")

    assert run(main) == 2
    assert capsys.readouterr().err == "error: a\\nb\\x1b[31m\\udce9.jpg: 사진 é\n"




@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_model_in_a_folder_of_any_name_is_opened(runtime, tmp_path):
    folder, name = tmp_path / os.fsdecode(b"caf\xe9"), "ssh_mobilenet_v1_025"
    folder.mkdir()
    for ending in (".onnx", ".json"):
        shutil.copyfile(pretrained.FOLDER / (name + ending), folder / (name + ending))
    image = np.zeros((64, 64, 3), np.uint8)
    found = Detector.load(folder / f"{name}.onnx", runtime=runtime).detect(image, threshold=0)
    expected = Detector.load(name, runtime=runtime).detect(image, threshold=0)
    np.testing.assert_allclose(found.scores[:5], expected.scores[:5])


# ------------------------------------------------------------ files before tables, and images beside the detector's


def half_broken(folder, count=6):
    """A Roidb of squares with five landmarks; every second image file is damaged."""
    for number in range(count):
        save(folder / f"{number}.png", SQUARE)
        if number % 2:
            (folder / f"{number}.png").write_bytes(b"damaged")
    box, points = np.float32([[10, 20, 40, 50]]), 30 * POINTS[None] + np.float32([10, 20])
    return Roidb([Record(str(folder), f"{number}.png", 100, 80, box, points, np.zeros(1, bool))
                  for number in range(count)], {}, "x")


def test_unreadable_images_of_a_data_set_are_left_out(tmp_path, capsys):
    roidb = half_broken(tmp_path / "in")
    detector = square_detector()
    detector.cfg.TEST.DEMO_SCORE = 0.3
    rows = measure_landmarks(detector, roidb)
    assert [row["image"] for row in rows] == ["0", "2", "4"] and max(row["detected"] for row in rows) < 1e-6
    assert capsys.readouterr().err.count("; left out") == 3
    assert len(check_images(tmp_path / "in")) == 3
    crowd, = write_crowds(roidb.records, tmp_path / "crowds", sheets=1, columns=1, side=50).records
    assert len(crowd.boxes) == 1
    with pytest.raises(InputError, match="only 3 images with a face can be read: expected at least 4 for 2 x 2"):
        write_crowds(roidb.records, tmp_path / "crowds", sheets=1, columns=2, side=50)
    for path in (tmp_path / "in").iterdir():
        path.write_bytes(b"damaged")
    with pytest.raises(InputError, match="none of its images can be read, nothing to compare"):
        check_images(tmp_path / "in")


def test_results_are_written_though_the_reader_of_the_tables_has_gone(tool, tmp_path, monkeypatch):
    roidb = half_broken(tmp_path / "in")
    save_roidb(roidb, tmp_path / "x.pkl")
    detect_folder(square_detector(), tmp_path / "in", tmp_path / "pred")

    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    words = ["--pred", str(tmp_path / "pred"), "--roidb", str(tmp_path / "x.pkl"), "--json", str(tmp_path / "r.json")]
    for protocol, more in (("roidb", []), ("best_box", []), ("heights", ["--csv", str(tmp_path / "r.csv")])):
        with contextlib.redirect_stdout(Gone()):
            assert run(tool("evaluate").main, [protocol, *words, *more]) == 141
        assert json.loads((tmp_path / "r.json").read_text())[0]["protocol"] == protocol
        (tmp_path / "r.json").unlink()
    assert (tmp_path / "r.csv").read_text().startswith("set,detector,")


def test_closed_streams_are_no_error():
    code = "import sys\nfrom manyfaces.progress import Progress\n" + CODE.replace(
        'print("a note", file=sys.stderr)', 'print("a note", file=sys.stderr)\n    Progress(1, "x").advance()')
    for closed in ("1>&-", "2>&-", "1>&- 2>&-"):
        done = subprocess.run(["bash", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, code], capture_output=True)
        assert done.returncode == 0 and b"Traceback" not in done.stderr
