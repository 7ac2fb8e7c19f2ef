"""tools/demo.py with videos and cameras: frames and their rate, JSON lines, interruptions."""

import contextlib
import os
import signal
import sys
import time

import cv2
import numpy as np
import pytest
from demo_stand_in import demo, lines, stand_in_weights
from films import ENDING, FILM, film, frames_in, uneven
from stand_in import picture, square_detector

from manyfaces.datasets.toy.portraits import portraits
from manyfaces.errors import InputError
from manyfaces.inference.demo.demo import Demo, run_demo
from manyfaces.inference.demo.journal import Journal
from manyfaces.inference.demo.sources import find_sources
from manyfaces.inference.video import live
from manyfaces.inference.video import writer as video_writer
from manyfaces.inference.video.address import Address, address_of
from manyfaces.inference.video.reader import FileFrames, VideoEnded
from manyfaces.inference.video.timing import timing


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """A file of weights that stand for the detector of green squares."""
    return stand_in_weights(monkeypatch, tmp_path)


def test_demo_reads_and_writes_video(tool, stand_in, tmp_path, capsys):
    clip = film(tmp_path / "film.avi")
    out, arguments = tmp_path / "out", ["--weights", stand_in, "--score", "0.3", clip]
    assert demo(tool, *arguments, "--frames", "4", "--out", out, "--json", tmp_path / "f.json") == 0
    assert "160x120      4  0.333" in capsys.readouterr().out
    written, _ = frames_in(out / FILM)
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
        assert row.pop("picture") == FILM and row.pop("ms") and alone.pop("ms") and row == alone
    assert len(pairs) == 6 and [path.name for path in out.iterdir()] == [FILM]


@pytest.mark.parametrize("rate", [10, 30000 / 1001, 23.976, 60, 0.5])
def test_a_video_keeps_its_frame_rate_and_its_frames(rate, tmp_path):
    clip = film(tmp_path / "film.avi", 8, rate)
    sources = find_sources([clip])
    kept = frames_in(clip)[1]
    assert kept == pytest.approx(rate, rel=1e-3) and timing(sources[0].address).count == 8
    seen, failed = run_demo(Demo(square_detector(), tmp_path / "out", 0.3), sources)
    written, now = frames_in(tmp_path / "out" / FILM)
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
    written, _ = frames_in(tmp_path / FILM)
    before, _ = frames_in(tmp_path / "film.avi")
    for drawn, plain in zip(written, before, strict=True):
        assert (np.abs(drawn[:, :400].astype(int) - plain).max(axis=2) > 60).sum() > 200  # the box and five dots


def test_ctrl_c_in_a_video_leaves_what_was_seen_and_the_next_run_begins_it_anew(tmp_path, monkeypatch):
    clip = film(tmp_path / "film.avi")
    detector, seen = square_detector(), []
    detect = detector.detect

    def impatient(image, **options):
        seen.append(image)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return detect(image, **options)

    detector.detect = impatient
    out, path = tmp_path / "out", tmp_path / "f.jsonl"
    journal = Journal(path, "x", 0.3)
    with pytest.raises(KeyboardInterrupt):
        run_demo(Demo(detector, out, 0.3, journal=journal), journal.start(find_sources([clip]), out))
    journal.close()
    assert [file.name for file in out.iterdir()] == [FILM] and len(frames_in(out / FILM)[0]) == 3
    assert len(lines(path)) == 2 and not any(row.get("end") for row in lines(path))
    journal = Journal(path, "x", 0.3)
    todo = journal.start(find_sources([clip]), out)
    assert len(todo) == 1 and path.read_text() == ""
    run_demo(Demo(square_detector(), out, 0.3, journal=journal), todo)
    assert [row.get("end") for row in lines(path)] == [None] * 5 + [True]
    assert Journal(path, "x", 0.3).start(find_sources([clip]), out) == []
    (out / FILM).unlink()
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
    """Frames that take 0.2 s each, where 25 a second are usual: the video lasts as long as the look did."""
    class Camera:
        count = 0

        def isOpened(self):
            return True

        def get(self, key):
            return 0.0

        def read(self):
            time.sleep(0.2)
            self.count += 1
            if self.count > 6:
                signal.raise_signal(signal.SIGINT)  # Ctrl-C
                time.sleep(0.3)
            return True, picture(160, 120, (20 + 10 * (self.count % 8), 30, 40))[..., ::-1]

    monkeypatch.setattr(live, "opened", lambda address, patience: contextlib.nullcontext(Camera()))
    journal = Journal(tmp_path / "f.jsonl", "x", 0.3)
    sources = journal.start(find_sources(["3"]), tmp_path)
    began = time.perf_counter()
    seen, failed = run_demo(Demo(square_detector(), tmp_path, 0.3, journal=journal), sources)
    took = time.perf_counter() - began
    assert (seen[0].frames, failed) == (6, [])
    written, rate = frames_in(tmp_path / f"camera_3{ENDING}")
    assert rate == 25 and 0.9 <= len(written) / rate <= took
    rows = lines(tmp_path / "f.jsonl")
    assert len(rows) == 6 and rows[5]["seconds"] >= 0.9 and rows[5]["end"]
    assert len(Journal(tmp_path / "f.jsonl", "x", 0.3).start(find_sources(["3"]), tmp_path)) == 1  # a camera always


# ---------------------------------------------------------------- time and end


def test_seconds_are_those_of_the_time_stamps_and_the_drawn_video_keeps_the_pace(tmp_path):
    steps = [1] * 10 + [10] * 4 + [1] * 6
    clip = uneven(tmp_path / "film.mp4", steps)
    begins = np.cumsum([0, *steps[:-1]]) / 10
    journal = Journal(tmp_path / "f.jsonl", "x", 0.3)
    sources = journal.start(find_sources([clip]), tmp_path / "out")
    seen, failed = run_demo(Demo(square_detector(), tmp_path / "out", 0.3, journal=journal), sources)
    journal.close()
    rows = lines(tmp_path / "f.jsonl")
    assert failed == [] and [row["seconds"] for row in rows] == pytest.approx(begins, abs=1e-3) and rows[-1]["end"]
    written, rate = frames_in(tmp_path / "out" / FILM)
    assert rate == pytest.approx(10) and len(written) == begins[-1] * 10 + 1
    shown = np.array([round(frame[:, :100].mean() / 10) for frame in written])
    for number, second in enumerate(begins):  # from its time on, the frame itself
        assert abs(shown[round(second * rate)] - number) <= 1
    assert (np.diff(shown) >= 0).all() and (shown[20:28] == shown[20]).all()


def test_a_writer_drops_frames_that_come_too_fast_and_keeps_the_last(tmp_path):
    with video_writer.whole_video(tmp_path / f"x{ENDING}", 10) as writer:
        for number in range(31):  # 3 s in 0.1 s steps, then ten frames within a tenth of a second
            writer.show(np.full((120, 160, 3), 5 * number, np.uint8), number / 10 if number < 20 else 2 + number / 1000)
    written, rate = frames_in(tmp_path / f"x{ENDING}")
    levels = [frame.mean() / 5 for frame in written]
    assert len(written) == 22 and levels[:20] == pytest.approx(range(20), abs=1)
    assert levels[-1] == pytest.approx(30, abs=1)


@pytest.mark.parametrize("stamps, seconds", [
    ([0, 0, 0, 0], [0, 0.1, 0.2, 0.3]),  # a backend without stamps
    ([0, 100, 50, 300], [0, 0.1, 0.2, 0.3]),
    ([500, 600, 1e12, 800], [0.5, 0.6, 0.7, 0.8]),
    ([float("nan"), 100, float("inf"), 300], [0, 0.1, 0.2, 0.3]),
])
def test_damaged_stamps_are_replaced(stamps, seconds, monkeypatch, tmp_path):
    class Capture:
        left = list(stamps)

        def __init__(self, _):
            self.stamp = 0.0

        def isOpened(self):
            return True

        def get(self, key):
            return {cv2.CAP_PROP_FPS: 10.0, cv2.CAP_PROP_POS_MSEC: self.stamp}.get(key, 0)

        def grab(self):
            self.stamp = self.left.pop(0) if self.left else None
            return self.stamp is not None

        def retrieve(self):
            return True, np.zeros((4, 4, 3), np.uint8)

        def release(self):
            pass

    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    frames = list(FileFrames(Address("video", "x.avi", "x.avi")))
    assert [frame.seconds for frame in frames] == pytest.approx(seconds)


@pytest.mark.parametrize("name, codec", [("film.avi", "MJPG"), ("film.mkv", "MJPG")])
def test_a_video_that_is_cut_short_has_no_end_and_says_so(name, codec, tmp_path):
    whole = film(tmp_path / name, 40, 20, codec)
    path, warnings = tmp_path / "f.jsonl", []

    def look():
        journal = Journal(path, "x", 0.3)
        todo = journal.start(find_sources([whole]), tmp_path / "out")
        seen, failed = run_demo(Demo(square_detector(), tmp_path / "out", 0.3, journal=journal), todo,
                                warn=warnings.append)
        journal.close()
        assert failed == []
        return seen, lines(path)

    seen, rows = look()
    assert (seen[0].frames, rows[-1]["end"], warnings) == (40, True, [])
    path.unlink()
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) * 6 // 10])
    seen, rows = look()
    assert 10 < seen[0].frames < 40 and rows[-1]["end"] is False and len(rows) == seen[0].frames
    last = rows[-1]["seconds"]
    assert warnings == [f"warning: {whole}: ends after frame {len(rows)} of 40, at {last:.2f} of 2.00 s; is it cut "
                        f"short?"]
    assert not seen[0].complete
    assert len(look()[0]) == 1  # and it is done again


@pytest.mark.parametrize("text", ["ffconcat version 1.0\nfile '{}'\n", "\ufeff#EXTM3U\n#EXTINF:1,\n{}\n"])
def test_a_playlist_opens_no_other_file(text, tmp_path):
    playlist = tmp_path / "list.mkv"
    playlist.write_text(text.format(film(tmp_path / "film.avi")))
    for read in (lambda address: list(FileFrames(address)), timing):
        with pytest.raises(InputError, match="list.mkv: a playlist, which names other files; expected a video"):
            read(address_of(playlist))


def test_a_video_that_opencv_raises_on_ends_there(tmp_path, monkeypatch):
    address = address_of(film(tmp_path / "film.avi", 6))
    real = cv2.VideoCapture

    class Raises:
        def __init__(self, path):
            self.capture, self.count = real(path), 0

        def __getattr__(self, name):
            return getattr(self.capture, name)

        def grab(self):
            self.count += 1
            if self.count > 3:
                raise cv2.error("chunk")
            return self.capture.grab()

    monkeypatch.setattr(cv2, "VideoCapture", Raises)
    seen = []
    with pytest.raises(VideoEnded, match="film.avi: ends after frame 3 of 6, at 0.20 of 0.60 s; is it cut short"):
        for frame in FileFrames(address):
            seen.append(frame.number)
    assert seen == [0, 1, 2]
