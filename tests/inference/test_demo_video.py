"""tools/demo.py with videos and cameras: frames and their rate, JSON lines, interruptions."""

import os
import sys
import time

import cv2
import numpy as np
import pytest
from demo_stand_in import demo, lines, stand_in_weights
from stand_in import picture, square_detector

from manyfaces.datasets.toy.portraits import portraits
from manyfaces.errors import InputError
from manyfaces.inference.demo import demo as demonstration
from manyfaces.inference.demo import video as video_writer
from manyfaces.inference.demo.demo import Demo, run_demo
from manyfaces.inference.demo.journal import Journal
from manyfaces.inference.demo.sources import find_sources, frame_count


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """A file of weights that stand for the detector of green squares."""
    return stand_in_weights(monkeypatch, tmp_path)


def film(path, count=6, rate=10, codec="MJPG"):
    """A clip of `count` frames of 160 x 120 px: a green square that moves 10 px to the right each frame."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, (160, 120))
    assert writer.isOpened()
    for x in range(count):
        writer.write(np.ascontiguousarray(picture(160, 120, (20 + 10 * (x % 8), 30, 40))[..., ::-1]))
    writer.release()
    return str(path)


def frames_in(path):
    """(list of frames, frames a second)."""
    capture, found = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        found.append(read[1])
    return found, capture.get(cv2.CAP_PROP_FPS)


def test_demo_reads_and_writes_video(tool, stand_in, tmp_path, capsys):
    clip = film(tmp_path / "film.avi")
    out, arguments = tmp_path / "out", ["--weights", stand_in, "--score", "0.3", clip]
    assert demo(tool, *arguments, "--frames", "4", "--out", out, "--json", tmp_path / "f.json") == 0
    assert "160x120      4  0.333" in capsys.readouterr().out
    written, _ = frames_in(out / "film.mp4")
    assert len(written) == 4 and all(frame.shape[1] > 160 for frame in written)  # with the bar
    rows = lines(tmp_path / "f.json")
    assert [row["faces"][0]["box"][0] for row in rows] == pytest.approx([20, 30, 40, 50], abs=3)
    assert [row["frame"] for row in rows] == [0, 1, 2, 3]
    assert [row["seconds"] for row in rows] == [0, 0.1, 0.2, 0.3]


def test_without_pictures_a_video_gives_its_lines(tool, stand_in, tmp_path, capsys):
    clip, out = film(tmp_path / "film.avi"), tmp_path / "out"
    words = ["--weights", stand_in, "--score", "0.3", clip]
    assert demo(tool, *words, "--out", out, "--json", tmp_path / "f.json") == 0
    assert demo(tool, *words, "--no-pictures", "--json", tmp_path / "g.json") == 0
    pairs = list(zip(lines(tmp_path / "f.json"), lines(tmp_path / "g.json"), strict=True))
    for row, alone in pairs:
        assert row.pop("picture") == "film.mp4" and row.pop("ms") and alone.pop("ms") and row == alone
    assert len(pairs) == 6 and [path.name for path in out.iterdir()] == ["film.mp4"]


@pytest.mark.parametrize("rate", [10, 30000 / 1001, 23.976, 60, 0.5])
def test_a_video_keeps_its_frame_rate_and_its_frames(rate, tmp_path):
    clip = film(tmp_path / "film.avi", 8, rate)
    sources = find_sources([clip])
    kept = frames_in(clip)[1]
    assert kept == pytest.approx(rate, rel=1e-3) and frame_count(sources[0]) == 8
    seen, failed = run_demo(Demo(square_detector(), tmp_path / "out", 0.3), sources)
    written, now = frames_in(tmp_path / "out/film.mp4")
    assert (seen[0].frames, len(written), failed) == (8, 8, []) and now == pytest.approx(kept, rel=1e-3)


def test_faces_of_a_real_clip_are_found_and_drawn_in_every_frame(tmp_path):
    """A portrait that moves, through the weights that ship."""
    from manyfaces import Detector

    face = portraits()[1].image[:240, 100:340]
    writer = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (400, 300))
    for x in range(0, 120, 20):
        frame = np.full((300, 400, 3), 90, np.uint8)
        frame[30:270, x : x + 240] = face
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    journal = Journal(tmp_path / "f.jsonl", "x", 0.5)
    sources = journal.start(find_sources([tmp_path / "film.avi"]), tmp_path)
    run_demo(Demo(Detector.load("ssh_mobilenet_v1_025"), tmp_path, 0.5, journal=journal), sources)
    journal.close()
    centres = [[np.mean(face["box"][0::2]) for face in row["faces"]] for row in lines(tmp_path / "f.jsonl")]
    assert [len(part) for part in centres] == [1] * 6
    np.testing.assert_allclose(np.diff([part[0] for part in centres]), 20, atol=4)
    written, _ = frames_in(tmp_path / "film.mp4")
    before, _ = frames_in(tmp_path / "film.avi")
    for drawn, plain in zip(written, before, strict=True):
        assert (np.abs(drawn[:, :400].astype(int) - plain).max(axis=2) > 60).sum() > 200  # the box and five dots


def test_ctrl_c_in_a_video_leaves_what_was_seen_and_the_next_run_begins_it_anew(tmp_path, monkeypatch):
    clip = film(tmp_path / "film.avi")
    detector, seen = square_detector(), []
    detect = detector.detect

    def impatient(image):
        seen.append(image)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return detect(image)

    detector.detect = impatient
    out, path = tmp_path / "out", tmp_path / "f.jsonl"
    journal = Journal(path, "x", 0.3)
    with pytest.raises(KeyboardInterrupt):
        run_demo(Demo(detector, out, 0.3, journal=journal), journal.start(find_sources([clip]), out))
    journal.close()
    assert [file.name for file in out.iterdir()] == ["film.mp4"] and len(frames_in(out / "film.mp4")[0]) == 3
    assert len(lines(path)) == 2 and not any(row.get("end") for row in lines(path))
    journal = Journal(path, "x", 0.3)
    todo = journal.start(find_sources([clip]), out)
    assert len(todo) == 1 and path.read_text() == ""
    run_demo(Demo(square_detector(), out, 0.3, journal=journal), todo)
    assert [row.get("end") for row in lines(path)] == [None] * 5 + [True]
    assert Journal(path, "x", 0.3).start(find_sources([clip]), out) == []
    (out / "film.mp4").unlink()
    assert len(Journal(path, "x", 0.3).start(find_sources([clip]), out)) == 1


def test_more_frames_of_a_video_than_were_done_are_a_reason_to_do_it_again(tmp_path):
    sources = find_sources([film(tmp_path / "film.avi")])

    def todo(limit):
        journal = Journal(tmp_path / "f.jsonl", "x", 0.3)
        left = journal.start(sources, tmp_path / "out", limit)
        run_demo(Demo(square_detector(), tmp_path / "out", 0.3, limit, journal), left)
        journal.close()
        return len(left)

    assert [todo(3), todo(3), todo(2), todo(4), todo(0), todo(0), todo(5)] == [1, 0, 0, 1, 1, 0, 0]
    assert len(lines(tmp_path / "f.jsonl")) == 6


def test_a_video_that_cannot_be_written_is_an_error_that_says_so(tmp_path, monkeypatch):
    demo = Demo(square_detector(), tmp_path / "out", 0.3)
    sources = find_sources([film(tmp_path / "film.avi")])
    monkeypatch.setattr(video_writer.VideoWriter, "close", lambda self: None)  # its end is never written
    with pytest.raises(InputError, match="film.mp4: the video of 6 frames could not be written; is the disk full"):
        demo.look(sources[0])
    assert list((tmp_path / "out").iterdir()) == []


def test_the_next_format_serves_where_opencv_lacks_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(video_writer, "FORMATS", ((".mp4", "XXXX"), (".avi", "MJPG")))
    video_writer.video_format.cache_clear()
    try:
        sources = find_sources([film(tmp_path / "film.avi")])
        run_demo(Demo(square_detector(), tmp_path / "out", 0.3), sources)
        assert len(frames_in(tmp_path / "out/film.avi")[0]) == 6
        monkeypatch.setattr(video_writer, "FORMATS", ((".mp4", "XXXX"),))
        video_writer.video_format.cache_clear()
        with pytest.raises(InputError, match="writes no video: tried XXXX"):
            run_demo(Demo(square_detector(), tmp_path / "out", 0.3), sources)
    finally:
        video_writer.video_format.cache_clear()


# ----------------------------------------------------------------------- camera


def test_where_there_is_no_camera_the_error_says_so(tool, stand_in, tmp_path, capfd):
    number = "97"  # no machine has so many
    assert demo(tool, "--weights", stand_in, "--out", tmp_path / "out", number) == 2
    err = capfd.readouterr().err
    assert err.startswith("warning: camera 97: cannot be opened; ") and err.endswith("no source could be read\n")
    assert len(err.splitlines()) == 2
    if sys.platform.startswith("linux") and not any(name.startswith("video") for name in os.listdir("/dev")):
        assert "this machine has none (no /dev/video*)" in err
    assert not (tmp_path / "out").exists()


def test_a_camera_ends_with_ctrl_c_and_is_seen_in_its_own_time(tmp_path, monkeypatch):
    """Frames that take 0.2 s each at a named rate of 30 a second: the video lasts as long as the look did."""
    def camera(source, limit=0):
        for x in range(6):
            yield picture(160, 120, (20 + 10 * x, 30, 40)), 30.0
            time.sleep(0.2)
        raise KeyboardInterrupt

    monkeypatch.setattr(demonstration, "frames", camera)
    journal = Journal(tmp_path / "f.jsonl", "x", 0.3)
    sources = journal.start(find_sources(["3"]), tmp_path)
    began = time.perf_counter()
    seen, failed = run_demo(Demo(square_detector(), tmp_path, 0.3, journal=journal), sources)
    took = time.perf_counter() - began
    assert (seen[0].frames, failed) == (6, [])
    written, rate = frames_in(tmp_path / "camera_3.mp4")
    assert rate == 30 and 0.9 <= len(written) / rate <= took
    rows = lines(tmp_path / "f.jsonl")
    assert len(rows) == 6 and rows[5]["seconds"] >= 0.9 and rows[5]["end"]
    assert len(Journal(tmp_path / "f.jsonl", "x", 0.3).start(find_sources(["3"]), tmp_path)) == 1  # a camera always
