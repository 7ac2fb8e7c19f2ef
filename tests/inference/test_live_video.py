"""detector.video with streams and cameras: newest frames, lost connections, time limits, and a clean end."""

import contextlib
import http.server
import itertools
import threading
import time

import numpy as np
import pytest
from films import film
from mjpeg import server
from processes import wait_for
from rtsp import rtsp_server
from stand_in import square_detector

from manyfaces.commands.command_line import quiet_decoders
from manyfaces.datasets.images import ImageError
from manyfaces.inference.video import live
from manyfaces.inference.video.address import Address, address_of
from manyfaces.inference.video.live import LiveFrames
from manyfaces.inference.video.reader import VideoEnded


@pytest.fixture(autouse=True)
def no_thread_is_left():
    quiet_decoders()
    yield
    wait_for(lambda: not any(thread.name.startswith("frames of") for thread in threading.enumerate()), seconds=10)


def test_a_stream_gives_frames_with_faces_in_their_time():
    with server("forever") as address, square_detector().video(address, threshold=0.3, track=True) as video:
        began, rows = time.perf_counter(), []
        for row in video:
            rows.append(row)
            if len(rows) == 20:
                break
        assert 0.2 < rows[-1].seconds < time.perf_counter() - began and rows[0].seconds == 0
    assert {len(faces) for _, _, faces in rows} == {1} and rows[0].image.shape == (120, 160, 3)
    assert (np.diff([seconds for _, seconds, _ in rows]) > 0).all()


def test_frames_that_come_while_one_is_in_work_are_dropped():
    with server("forever", rate=100) as address, square_detector().video(address) as video:
        first = next(video)
        time.sleep(0.5)
        late = next(video)
        assert video.number > 3 and video.skipped >= video.number - 1
        assert late.seconds - first.seconds > 0.4  # the newest, not the next


def test_a_lost_stream_is_connected_again_and_the_lines_say_so(monkeypatch):
    monkeypatch.setattr(live, "FIRST_WAIT", 0.02)
    notes = []
    with server(5, "refuse", 5, "forever") as address:
        with square_detector().video(address, note=notes.append) as video:
            for _ in video:
                if video.number > 15:
                    break
    assert [note.split(": ")[1].split(",")[0].split(" after")[0] for note in notes] == ["lost", "is back"] * 2
    assert notes[0].startswith(f"{address}: lost after 5 frames, at ") and "again for up to 60 s" in notes[0]


def test_a_stream_that_stays_away_is_an_error_within_the_time(monkeypatch):
    monkeypatch.setattr(live, "LOST", 0.4)
    notes, seen = [], []
    with server(8, "refuse") as address, square_detector().video(address, note=notes.append) as video:
        began = time.perf_counter()
        with pytest.raises(VideoEnded, match=r"/video: lost after 8 frames, at .* s; no frame came for 0.4 s"):
            for row in video:
                seen.append(row)
        assert time.perf_counter() - began < 3 and not video.complete
    assert 1 <= len(seen) <= 8 and len(notes) == 1


def test_rtsp_gives_frames_and_is_connected_again(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "FIRST_WAIT", 0.02)
    notes = []
    with rtsp_server(film(tmp_path / "film.avi", 25, 25, "mp4v"), 10, "forever") as address:
        with square_detector().video(address, threshold=0.3, note=notes.append) as video:
            rows = list(itertools.takewhile(lambda row: video.number < 20, video))
    assert len(notes) == 2 and "/live: lost after 10 frames" in notes[0] and "/live: is back after" in notes[1]
    assert {len(row.faces) for row in rows} == {1} and rows[0].image.shape == (120, 160, 3)


def test_an_rtsp_server_that_is_silent_or_stalls_is_given_up_in_time(tmp_path):
    path = film(tmp_path / "film.avi", 25, 25, "mp4v")
    for what, message in (("silent", "no video came in"), ("stall", "lost after 10 frames")):
        began = time.perf_counter()
        with rtsp_server(path, what, "silent") as address, pytest.raises(ImageError, match=message):
            list(LiveFrames(address_of(address), print, lost=0.3, patience=0.6))
        assert time.perf_counter() - began < 5


@pytest.mark.parametrize("what", ["refuse", "garbage", "silent"])
def test_a_stream_that_gives_nothing_is_an_error_within_the_time(what):
    with server(what) as address:
        began = time.perf_counter()
        with pytest.raises(ImageError, match=r"no video came in \d+\.\d s; is the address right"):
            next(iter(LiveFrames(address_of(address), print, patience=0.5)))
        assert time.perf_counter() - began < 3


def test_nobody_listens():
    with server("forever") as address:
        pass
    with pytest.raises(ImageError, match="no video came"):
        next(square_detector().video(address))


def test_a_stream_that_stalls_is_lost_and_connected_again():
    notes = []
    with server("stall", "forever") as address:
        frames = iter(LiveFrames(address_of(address), notes.append, patience=0.4))
        numbers = []
        for frame in frames:
            numbers.append(frame.number)
            if frame.number > 15:
                break
        frames.close()
    assert ["lost after 10 frames" in notes[0], "is back after" in notes[1], len(notes)] == [True, True, 2]


def test_ctrl_c_does_not_wait_for_a_stream_that_is_silent(monkeypatch):
    with server("stall") as address:
        stream = LiveFrames(address_of(address), print, patience=1.0)
        frames = iter(stream)
        for frame in frames:
            if frame.number == 9:
                break
        began = time.perf_counter()
        monkeypatch.setattr(stream._news, "wait", _interrupted)  # as Ctrl-C during the wait
        with pytest.raises(KeyboardInterrupt):
            next(frames)
        assert time.perf_counter() - began < 1.5


def _interrupted(*_):
    raise KeyboardInterrupt


def test_a_password_is_in_no_message(monkeypatch):
    with server("refuse") as address:
        secret = address.replace("//", "//me:secret@") + "?token=secret"
        with pytest.raises(ImageError) as error:
            next(square_detector().video(secret))
    assert "secret" not in str(error.value) and address in str(error.value)


def test_an_address_of_a_file_is_read_to_its_end_like_a_file(tmp_path):
    film(tmp_path / "film.avi")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=tmp_path)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True).start()
        video = square_detector().video(f"http://127.0.0.1:{served.server_port}/film.avi", threshold=0.3)
        rows = list(video)
        served.shutdown()
    assert [round(row.seconds, 3) for row in rows] == [0, 0.1, 0.2, 0.3, 0.4, 0.5] and video.complete


# --------------------------------------------------------------------- camera


class Camera:
    """A cv2.VideoCapture whose frames are as its letters say: . a frame, x a failed read; the last one is repeated."""

    def __init__(self, text):
        self.left = list(text)

    def isOpened(self):
        return self.left != ["0"]

    def get(self, key):
        return 0.0

    def read(self):
        time.sleep(0.002)
        good = (self.left.pop(0) if len(self.left) > 1 else self.left[0]) == "."
        return good, np.zeros((4, 6, 3), np.uint8) if good else None


def test_a_camera_that_is_pulled_out_is_opened_again_and_damage_is_counted(monkeypatch):
    monkeypatch.setattr(live, "FIRST_WAIT", 0.01)
    cameras = iter([Camera("..x..xx.x"), Camera("0"), Camera(".")])
    monkeypatch.setattr(live, "opened", lambda address, patience: contextlib.nullcontext(next(cameras)))
    notes = []
    frames = LiveFrames(Address("camera", "0", "camera 0"), notes.append)
    source = iter(frames)
    for frame in source:
        if frame.number > 10:
            break
    source.close()
    assert frames.damaged == 3 and [note.split(",")[0].split(" after ")[0] for note in notes] == [
        "camera 0: lost", "camera 0: is back"] and "lost after 5 frames" in notes[0]


def test_an_error_in_the_thread_reaches_who_iterates(monkeypatch):
    class Odd(Camera):
        def read(self):
            raise RuntimeError("a driver fails")

    monkeypatch.setattr(live, "opened", lambda address, patience: contextlib.nullcontext(Odd(".")))
    with pytest.raises(RuntimeError, match="a driver fails"):
        next(iter(LiveFrames(Address("camera", "0", "camera 0"), print)))
