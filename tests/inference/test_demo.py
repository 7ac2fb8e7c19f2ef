"""tools/demo.py with a stand-in for the net: pictures, JSON lines, going on after an interruption, sources."""

import os
import re
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from conftest import ROOT
from demo_stand_in import CFG, WAITS_AT, demo, lines, stand_in_weights
from processes import PATIENCE, wait_for
from stand_in import Squares, picture, save, square_detector

from manyfaces.detections import Detections
from manyfaces.errors import InputError
from manyfaces.inference.demo.demo import Demo, run_demo
from manyfaces.inference.demo.journal import Journal, detector_mark
from manyfaces.inference.demo.sources import default_sources, find_sources


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """A file of weights that stand for the detector of green squares."""
    return stand_in_weights(monkeypatch, tmp_path)


def test_demo_draws_prints_and_writes_json(tool, stand_in, tmp_path, capsys):
    save(tmp_path / "in/a.png", picture(300, 200, (50, 60, 40), (200, 20, 60)))
    save(tmp_path / "in/b/a.png", picture(100, 80))
    out = tmp_path / "out"
    assert demo(tool, "--weights", stand_in, "--out", out, "--json", tmp_path / "f.json", "--score", "0.3",
                tmp_path / "in") == 0
    header, first, second, last = capsys.readouterr().out.splitlines()
    assert re.split(" (?!ms)+ *", header) == ["source", "size", "faces", "best", "net ms", "decode ms", "nms ms"]
    assert first.split()[-6:-3] == ["300x200", "2", "0.333"] and second.split()[-6:-3] == ["100x80", "0", "-"]
    assert all(float(value) >= 0 for value in first.split()[-3:])
    assert last == f"wrote 2 to {out}"
    drawn = cv2.imread(str(out / "a.jpg"))
    assert drawn.shape[0] == 200 and drawn.shape[1] > 300 and (out / "a_2.jpg").is_file()
    rows = lines(tmp_path / "f.json")
    assert [row["picture"] for row in rows] == ["a.jpg", "a_2.jpg"] and [row["threshold"] for row in rows] == [0.3, 0.3]
    assert Detections.from_json((tmp_path / "f.json").read_text().splitlines()[0]).boxes.shape == (2, 4)
    assert [len(row["faces"]) for row in rows] == [2, 0]
    assert sorted(face["box"] for face in rows[0]["faces"]) == [[50, 60, 90, 100], [200, 20, 260, 80]]
    assert np.shape(rows[0]["faces"][0]["landmarks"]) == (5, 2)
    assert (rows[0]["width"], rows[0]["height"]) == (300, 200)


def test_demo_refuses_images_above_the_limit_of_its_config(tool, stand_in, tmp_path, capsys):
    save(tmp_path / "in/a.png", picture(300, 200))
    save(tmp_path / "in/b.png", picture(100, 80))
    assert demo(tool, "--weights", stand_in, "--out", tmp_path / "out", tmp_path / "in", "--set",
                "TEST.MAX_FILE_PIXELS", "8000") == 0
    assert "a.png: 300 x 200 px (PNG), more than the limit of 8,000 px" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.jpg"]


@pytest.mark.parametrize("word", ["9" * 20, "²"])
def test_a_number_that_no_camera_has_is_no_source(word):
    with pytest.raises(InputError, match="no such file or folder; expected an image"):
        find_sources([word])


def test_demo_warms_up_once_a_size_so_that_times_are_those_of_a_second_look(tool, stand_in, tmp_path, monkeypatch):
    for name, width in (("a", 100), ("b", 100), ("c", 200)):
        save(tmp_path / f"in/{name}.png", picture(width, 80))
    widths, run_net = [], Squares.run
    monkeypatch.setattr(Squares, "run", lambda self, batch: widths.append(batch.shape[2]) or run_net(self, batch))
    assert demo(tool, "--weights", stand_in, "--out", tmp_path / "out", tmp_path / "in") == 0
    assert widths == [128, 128, 128, 224, 224]  # a twice, b once, c twice


# ------------------------------------------------------------------ going on


def folder_of_three(tmp_path):
    for name in "abc":
        save(tmp_path / f"in/{name}.png", picture(100, 80, (10, 20, 30)))
    return tmp_path / "in"


def test_a_second_run_skips_what_is_done(tool, stand_in, tmp_path, capsys):
    folder, out, path = folder_of_three(tmp_path), tmp_path / "out", tmp_path / "f.jsonl"
    arguments = ["--weights", stand_in, "--out", out, "--json", path, "--score", "0.3", folder]
    assert demo(tool, *arguments) == 0
    before = path.read_bytes(), [(file.name, file.stat().st_mtime_ns) for file in sorted(out.iterdir())]
    capsys.readouterr()
    assert demo(tool, *arguments) == 0
    assert capsys.readouterr().out == f"{out}: all 3 were there already (--overwrite does them again)\n"
    assert before == (path.read_bytes(), [(file.name, file.stat().st_mtime_ns) for file in sorted(out.iterdir())])
    # A line cut short by a power failure, and a picture that is lost: both are done again, the third is not.
    path.write_bytes(path.read_bytes()[:-20])
    (out / "a.jpg").unlink()
    assert demo(tool, *arguments) == 0
    assert "wrote 2" in (text := capsys.readouterr().out) and "; 1 were there already" in text
    assert sorted(row["source"] for row in lines(path)) == [str(folder / f"{name}.png") for name in "abc"]
    assert demo(tool, *arguments, "--anew") == 0
    assert "wrote 3" in capsys.readouterr().out and len(lines(path)) == 3


def test_without_pictures_the_lines_alone_say_what_is_done(tool, stand_in, tmp_path, capsys):
    folder, path = folder_of_three(tmp_path), tmp_path / "f.jsonl"
    arguments = ["--weights", stand_in, "--json", path, "--score", "0.3", folder]
    assert demo(tool, *arguments, "--no-pictures") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "3 done" and "picture" not in lines(path)[0]
    assert demo(tool, *arguments, "--no-pictures") == 0
    assert capsys.readouterr().out == f"{path}: all 3 were there already (--overwrite does them again)\n"
    assert demo(tool, *arguments, "--out", tmp_path / "out") == 0  # pictures are wanted now
    assert len(lines(path)) == 3 and len(list((tmp_path / "out").iterdir())) == 3


def test_every_line_is_there_as_soon_as_its_image_is_done(tmp_path):
    folder, path = folder_of_three(tmp_path), tmp_path / "f.jsonl"
    journal = Journal(path, "x", 0.3)
    counts = []
    run_demo(Demo(square_detector(), tmp_path / "out", 0.3, journal=journal), journal.start(find_sources([folder]), ""),
             note=lambda text: counts.append(len(lines(path)) if path.read_text() else 0))
    assert counts == [0, 1, 2, 3]  # beside the header and each row


@pytest.mark.parametrize("change, message", [
    (["--score", "0.2"], "line 1: threshold is 0.3, now it is 0.2; choose another --json, or --overwrite"),
    (["--set", "TEST.SCALES", "[0.5]"], "line 1: by is 'w.weights.h5 [0-9a-f]{12}', now it is 'w.weights.h5 ")])
def test_lines_of_another_detector_are_not_mixed(change, message, tool, stand_in, tmp_path, capsys):
    arguments = ["--weights", stand_in, "--out", tmp_path / "out", "--json", tmp_path / "f.jsonl", "--score", "0.3",
                 folder_of_three(tmp_path)]
    assert demo(tool, *arguments) == 0
    before = (tmp_path / "f.jsonl").read_bytes()
    assert demo(tool, *arguments, *change) == 2
    assert re.search(message, capsys.readouterr().err)
    assert (tmp_path / "f.jsonl").read_bytes() == before


def test_other_weights_and_another_test_section_are_another_detector(tmp_path):
    plain, mirrored, batched = square_detector(), square_detector(FLIP=True), square_detector(BATCH=3)
    assert detector_mark(plain) == detector_mark(batched) != detector_mark(mirrored)
    marks = []
    for content in (b"a", b"b"):
        (tmp_path / "w").write_bytes(content)
        plain.source = batched.source = tmp_path / "w"
        assert detector_mark(plain) == detector_mark(batched)
        marks.append(detector_mark(plain))
    assert len({*marks, detector_mark(mirrored)}) == 3 and all(mark.startswith("w ") for mark in marks)


@pytest.mark.parametrize("text", ["[\n {\n", "no json\n", '{"a": 1}\n', "7\n"])
def test_a_file_of_something_else_is_left_alone(text, tmp_path):
    (tmp_path / "f.jsonl").write_text(text)
    with pytest.raises(InputError, match="f.jsonl line 1: found .*expected a line of an earlier run"):
        Journal(tmp_path / "f.jsonl", "x", 0.3)
    assert (tmp_path / "f.jsonl").read_text() == text


def test_two_processes_do_not_write_one_file(tmp_path):
    """The second one would replace the file that the first one appends to."""
    path = tmp_path / "f.jsonl"
    journal = Journal(path, "x", 0.3)
    code = "import sys; from manyfaces.inference.demo.journal import Journal; Journal(sys.argv[1], 'x', 0.3, True)"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert f"{path}: process {os.getpid()} on " in done.stderr and "or choose another --json" in done.stderr
    journal.close()
    subprocess.run([sys.executable, "-c", code, path], check=True)


@pytest.mark.slow
def test_ctrl_c_leaves_whole_files_and_the_next_run_goes_on(tmp_path):
    """The process of tools/demo.py itself, stopped by SIGINT in a folder, in the middle of which it waits."""
    for number in range(2 * WAITS_AT):
        save(tmp_path / f"in/{number:03}.png", picture(300, 200, (10, 20, 30)))
    path, out = tmp_path / "f.jsonl", tmp_path / "out"
    (tmp_path / "w.weights.h5").write_bytes(b"x")
    command = [sys.executable, ROOT / "tests/demo_stand_in.py", "--cfg", CFG, "--weights", tmp_path / "w.weights.h5",
               "--out", out, "--json", path, "--score", "0.3", tmp_path / "in"]
    # Where the tests run in the background of a shell, SIGINT is ignored, and a child inherits that.
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    wait_for(lambda: path.is_file() and path.read_bytes().count(b"\n") >= 5, running)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130 and err.endswith("error: interrupted\n") and "Traceback" not in err
    done = lines(path)
    assert 5 <= len(done) <= WAITS_AT
    pictures = sorted(file.name for file in out.iterdir())
    assert len(pictures) - len(done) in (0, 1) and all(cv2.imread(str(out / name)) is not None for name in pictures)
    assert not [name for name in pictures if name.startswith(".")]
    left = Journal(path, done[0]["by"], 0.3).start(find_sources([tmp_path / "in"]), out)
    assert len(left) == 2 * WAITS_AT - len(done)


# ---------------------------------------------------------------------- sources


def test_sources_are_images_folders_globs_videos_and_cameras(tmp_path):
    for name in ("b.png", "a.png", "more/c.jpg"):
        save(tmp_path / name, picture(32, 32))
    (tmp_path / "film.MP4").write_bytes(b"x")
    (tmp_path / "more/7").write_bytes(b"x")
    found = find_sources([tmp_path, tmp_path / "*.png", tmp_path / "film.MP4", "0"])
    assert [(source.kind, source.name) for source in found] == [
        ("image", "a"), ("image", "b"), ("image", "c"), ("video", "film"), ("image", "a_2"), ("image", "b_2"),
        ("video", "film_2"), ("camera", "camera_0")]
    assert [(source.kind, source.where) for source in find_sources(["/dev/video3"])] == [("camera", "3")]
    assert find_sources([tmp_path / "more/7"])[0].kind == "image"  # a file named like a camera is a file
    for word, message in (("none.jpg", "no such file or folder"), ("none*.jpg", "nothing matches it")):
        with pytest.raises(InputError, match=message):
            find_sources([tmp_path / word])
    for address in ("ftp://a.b/c.mp4", "file:///x.mp4", "http:///c.mp4"):
        with pytest.raises(InputError, match=f"^{address}: is a URL of a kind that is not read; expected rtsp, "):
            find_sources([address])
    with pytest.raises(InputError, match="^https://a.b/c.jpg: is a URL of an image; download it"):
        find_sources(["https://a.b/c.jpg?size=9"])


def test_a_stream_is_named_without_its_password(tmp_path):
    found = find_sources(["rtsp://me:secret@camera.local:554/live/1?token=secret", "https://a.b/c.mp4?key=secret"])
    assert [(source.kind, source.where, source.name) for source in found] == [
        ("stream", "rtsp://camera.local:554/live/1", "camera.local_554_live_1"),
        ("video", "https://a.b/c.mp4", "a.b_c")]
    assert found[0].address.where == "rtsp://me:secret@camera.local:554/live/1?token=secret"
    for odd in ("rtsp://me:sec/ret@camera/live", "rtsp://me:sec?ret@camera/live", "http://me:1?secret@camera"):
        assert find_sources([odd])[0].where.endswith("://(hidden)") and find_sources([odd])[0].name == "hidden"
    assert [source.live for source in found] == [True, False] and "secret" not in repr(found[0].address.name)


def test_an_address_is_always_done_again(tmp_path):
    """Two addresses that differ in what is hidden have one name."""
    sources = find_sources(["https://a.b/c.mp4?key=1", "https://a.b/c.mp4?key=2", "rtsp://a.b/c"])
    assert [source.name for source in sources] == ["a.b_c", "a.b_c_2", "a.b_c_3"]
    path = tmp_path / "f.jsonl"
    journal = Journal(path, "x", 0.3)
    assert journal.start(sources, None) == sources
    for source in sources:
        journal.add({"source": source.where, "threshold": 0.3, "frame": 0, "end": True})
    journal.close()
    again = Journal(path, "x", 0.3)
    assert again.start(sources, None) == sources and path.read_text() == ""
    again.close()


def test_demo_has_two_portraits_and_a_crowd_where_demo_data_is_empty(tmp_path):
    (tmp_path / "README.md").write_text("put images here")
    found = default_sources(tmp_path)
    assert [source.name for source in found] == ["grace_hopper", "astronaut", "crowd"]
    assert [source.read()[1] for source in found] == [(512, 600), (512, 512), (1600, 1000)]
    save(tmp_path / "mine.png", picture(32, 32))
    assert [source.name for source in default_sources(tmp_path)] == ["mine"]
    assert len(default_sources(tmp_path / "absent")) == 3


@pytest.mark.parametrize("copy, folder", [(True, "demo/visualize"), (False, "faces")])
def test_pictures_go_below_the_working_folder(copy, folder, tool, stand_in, tmp_path, monkeypatch):
    """Never into the package, wherever that is installed."""
    monkeypatch.chdir(tmp_path)
    if copy:
        (tmp_path / "demo/visualize").mkdir(parents=True)
    save(tmp_path / "a.png", picture(64, 48, (8, 8, 20)))
    assert demo(tool, "--weights", stand_in, "a.png") == 0
    assert [path.name for path in (tmp_path / folder).iterdir()] == ["a.jpg"]
