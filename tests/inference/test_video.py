"""detector.video with files: times, rotation, damage, early ends, real time, and an end before the end."""

import gc
import itertools
import os
import struct
import threading

import cv2
import numpy as np
import pytest
from films import film, uneven
from stand_in import square_detector

from manyfaces.datasets.images import ImageError
from manyfaces.errors import InputError
from manyfaces.inference.video.address import Address, address_of
from manyfaces.inference.video.containers import is_cut_short
from manyfaces.inference.video.reader import FileFrames, VideoEnded


def test_a_video_gives_frames_times_and_faces(tmp_path):
    video = square_detector().video(film(tmp_path / "film.avi"), threshold=0.3)
    rows = list(video)
    assert len(rows) == 6 and video.complete and video.warning == ""
    for number, (frame, seconds, faces) in enumerate(rows):
        assert frame.shape == (120, 160, 3) and frame.dtype == np.uint8 and seconds == pytest.approx(number / 10)
        assert frame[50, 35 + 10 * number].tolist() == pytest.approx([0, 255, 0], abs=12)  # RGB
        assert faces.boxes[0] == pytest.approx([20 + 10 * number, 30, 60 + 10 * number, 70], abs=3)
        assert faces.ids is None
    assert list(square_detector().video(film(tmp_path / "film.avi"), threshold=0.5))[0].faces.scores.tolist() == []
    with pytest.raises(InputError, match="threshold is 2, expected a number from 0 to 1"):
        square_detector().video(tmp_path / "film.avi", threshold=2)


def test_a_cascade_reads_videos_too(tmp_path):
    from manyfaces import Detector

    film(tmp_path / "film.avi", 2)
    with Detector.load("mtcnn", threads=1).video(tmp_path / "film.avi", track=True) as video:
        assert [len(faces) for _, _, faces in video] == [0, 0] and video.complete


def test_times_are_those_of_the_stamps(tmp_path):
    clip = uneven(tmp_path / "film.mp4", [1] * 5 + [10] * 4 + [1] * 3)
    seconds = [seconds for _, seconds, _ in square_detector().video(clip)]
    assert seconds == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.5, 2.5, 3.5, 4.5, 4.6, 4.7], abs=1e-3)


@pytest.mark.parametrize("turn, corner", [(90, (0, -1)), (180, (-1, -1)), (270, (-1, 0))])
def test_a_clip_of_a_phone_is_turned_upright(turn, corner, tmp_path):
    """The matrix of the track (box tkhd) says by how much the picture is to be turned clockwise."""
    image = np.full((120, 160, 3), 90, np.uint8)
    image[:40, :40] = 255  # the first corner
    writer = cv2.VideoWriter(str(tmp_path / "phone.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (160, 120))
    for _ in range(3):
        writer.write(image)
    writer.release()
    data = bytearray((tmp_path / "phone.mp4").read_bytes())
    cos, sin = round(np.cos(np.radians(turn))), round(np.sin(np.radians(turn)))
    place = data.find(b"tkhd") + 4 + 40
    data[place : place + 20] = struct.pack(">iiiii", cos << 16, sin << 16, 0, -sin << 16, cos << 16)
    (tmp_path / "phone.mp4").write_bytes(data)
    frame = next(square_detector().video(tmp_path / "phone.mp4")).image
    assert frame.shape == ((120, 160, 3) if turn == 180 else (160, 120, 3))
    light = [corner for corner in itertools.product((0, -1), repeat=2) if frame[corner].mean() > 200]
    assert light == [corner]


@pytest.mark.parametrize("name", ["фильм — 사진.avi", "a b'c\"d.avi", "-1.avi", os.fsdecode(b"caf\xe9.avi"), "007"])
def test_any_name_of_a_file_is_read(name, tmp_path, monkeypatch):
    film(tmp_path / "x.avi", 2)
    (tmp_path / "x.avi").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(list(square_detector().video(name))) == 2


def test_what_is_no_video_is_an_error_that_says_so(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    for source, message in ((tmp_path, "is a folder, expected a video"), (tmp_path / "none.mp4", "no such file"),
                            (tmp_path / "text.mp4", "text.mp4: cannot be opened as a video"),
                            (tmp_path / "empty.mp4", "empty.mp4: cannot be opened as a video"),
                            (-1, "camera -1: expected 0"), (2.5, "video: found 2.5, expected a path"),
                            (True, "video: found True"), ("ftp://a/b.mp4", "of a kind that is not read"),
                            ("rtsp:///live", "with a host"),
                            ("http://[::1/x", "URL: "), ("https://a.b/c.png", "is a URL of an image")):
        with pytest.raises(ImageError, match=message):
            next(square_detector().video(source))


def test_a_pipe_is_no_video(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")  # to open it would wait for ever
    with pytest.raises(ImageError, match="pipe.mp4: is not a regular file, expected a video"):
        next(square_detector().video(tmp_path / "pipe.mp4"))
    assert address_of("/dev/video2") == Address("camera", "2", "camera 2") == address_of(2) == address_of("2")


def test_an_mp4_without_its_index_is_said_to_be_cut_short(tmp_path):
    path = film(tmp_path / "film.mp4", 30, codec="mp4v")  # OpenCV writes the index last
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) * 8 // 10)
    with pytest.raises(ImageError, match=r"film.mp4: cannot be opened as a video; its index \(moov\) at the end"):
        next(square_detector().video(path))


def test_frames_that_are_too_large_are_refused_before_they_are_decoded(tmp_path):
    detector = square_detector(MAX_FILE_PIXELS=160 * 120 - 1)
    with pytest.raises(ImageError, match="frames have 160 x 120 px, expected at most 19,199 px"):
        next(detector.video(film(tmp_path / "film.avi")))


# --------------------------------------------------------------------- damage


class Packets:
    """A cv2.VideoCapture of 10 frames a second; `text` has a letter per packet: . a frame, x damage, E an exception."""

    def __init__(self, text, count=None):
        self.left, self.number, self.count, self.released = list(text), -1, len(text) if count is None else count, False

    def isOpened(self):
        return True

    def get(self, key):
        return {cv2.CAP_PROP_FPS: 10, cv2.CAP_PROP_FRAME_COUNT: self.count,
                cv2.CAP_PROP_POS_MSEC: 100 * self.number}.get(key, 0)

    def grab(self):
        what = self.left.pop(0) if self.left else "x"
        self.number += 1
        if what == "E":
            raise cv2.error("damage")
        return what == "."

    def retrieve(self):
        return True, np.zeros((4, 6, 3), np.uint8)

    def release(self):
        self.released = True


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv"])
@pytest.mark.parametrize("text, numbers, damaged", [
    ("..xx..", 4, 2), ("x.....", 5, 1), (".EE.E.", 3, 3), ("......", 6, 0)])
def test_damaged_frames_are_skipped_and_counted(text, numbers, damaged, name, monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", lambda path: Packets(text))
    frames = FileFrames(Address("video", name, name))
    seen = [(frame.number, round(frame.seconds, 6)) for frame in frames]
    assert [number for number, _ in seen] == list(range(numbers))
    assert (frames.damaged, frames.complete) == (damaged, True)
    assert [seconds for _, seconds in seen] == [i / 10 for i, what in enumerate(text) if what == "."] or text[0] == "x"


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv"])
def test_frames_that_need_a_damaged_one_are_counted_with_it(name, monkeypatch):
    class Loses(Packets):
        def grab(self):
            good = super().grab()
            self.number += 2 * (self.number == 3)  # two more never come
            return good

    monkeypatch.setattr(cv2, "VideoCapture", lambda path: Loses("...x....", 10))
    frames = FileFrames(Address("video", name, name))
    assert len(list(frames)) == 7 and frames.damaged == 3


def test_damage_in_a_real_file_does_not_end_it(tmp_path):
    path = tmp_path / "film.avi"
    film(path, 40, 20)
    data = bytearray(path.read_bytes())
    places = [place for place in range(len(data)) if data[place : place + 4] == b"00dc"][:40]
    for place in places[10:13]:  # the pictures of three frames
        data[place + 8 : places[places.index(place) + 1]] = bytes(places[places.index(place) + 1] - place - 8)
    path.write_bytes(data)
    video = square_detector().video(path)
    seconds = [seconds for _, seconds, _ in video]
    assert (len(seconds), video.damaged, video.complete) == (37, 3, True) and seconds[-1] == pytest.approx(1.95)


def test_a_file_that_is_cut_short_is_an_error_after_its_last_frame(tmp_path):
    path = film(tmp_path / "film.avi", 40, 20)
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) * 6 // 10)
    video, seen = square_detector().video(path), []
    with pytest.raises(VideoEnded) as error:
        for _, seconds, _ in video:
            seen.append(seconds)
    where = f"frame {len(seen)} of 40, at {seen[-1]:.2f} of 2.00 s"
    assert str(error.value) == f"{path}: ends after {where}; is it cut short?"
    assert not video.complete and 15 < len(seen) < 30


def boxes(*rows):
    return b"".join(struct.pack(">I4s", 8 + len(data), kind) + data for kind, data in rows)


MP4 = boxes((b"ftyp", b"isom" * 4), (b"moov", bytes(50)), (b"mdat", bytes(100)))
AVI = b"RIFF" + struct.pack("<I", 104) + b"AVI " + bytes(100)
MKV = b"\x1aE\xdf\xa3" + b"\x84" + bytes(4) + b"\x18S\x80g" + b"\x01" + (100).to_bytes(7, "big") + bytes(100)
ASF = (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(14) + bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
       + bytes(24) + struct.pack("<Q", 200) + bytes(122))


@pytest.mark.parametrize("whole", [MP4, AVI, MKV, ASF], ids=["mp4", "avi", "mkv", "asf"])
def test_a_container_says_whether_its_end_is_missing(whole, tmp_path):
    path = tmp_path / "film"
    for data, cut in ((whole, False), (whole[:-50], True), (whole[:-2], True)):
        path.write_bytes(data)
        assert is_cut_short(path) is cut


@pytest.mark.parametrize("data", [
    b"", b"abc", b"\x47" * 400, bytes(64), MP4[:4], AVI[:4] + bytes(4) + AVI[8:60],  # a recording that was not closed
    MKV[:13] + b"\x01" + b"\xff" * 7 + bytes(9), MP4 + struct.pack(">I4s", 0, b"mdat") + bytes(20),
    MP4 + struct.pack(">I4sQ", 1, b"mdat", 36) + bytes(20), MP4 + bytes(8)])
def test_what_no_container_says_is_not_cut_short(data, tmp_path):
    (tmp_path / "film").write_bytes(data)
    assert not is_cut_short(tmp_path / "film")


def edited(path, length, start=0):
    """A film of 60 frames, 2 s, whose edit list shows `length` ms from `start` on (1 s is 15360)."""
    data = bytearray(open(film(path, 60, 30, "mp4v"), "rb").read())
    place = data.find(b"elst") + 12
    assert struct.unpack(">Ii", data[place : place + 8]) == (2000, 0)
    data[place : place + 8] = struct.pack(">Ii", length, start)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("length, start", [(1000, 0), (2000, 15360)])
def test_a_clip_that_was_trimmed_without_a_new_encoding_is_complete(length, start, tmp_path):
    video = square_detector().video(edited(tmp_path / "film.mp4", length, start))
    assert len(list(video)) == 30 and video.complete and video.damaged == 0
    assert video.warning == (f"{tmp_path / 'film.mp4'}: its picture ends at 0.97 s, where its header names 2.00 s; its "
                             f"sound may be longer, or it was trimmed, or it is damaged")


def test_a_file_whose_second_half_was_never_written_ends_early(tmp_path):
    """It has its whole length, as downloads that were given up have."""
    path = tmp_path / "film.mp4"
    data = bytearray(open(film(path, 60, 30, "mp4v"), "rb").read())
    first, last = data.find(b"mdat"), data.find(b"moov") - 4
    data[(first + last) // 2 : last] = bytes(last - (first + last) // 2)
    path.write_bytes(data)
    with pytest.raises(VideoEnded, match="ends after frame [23].? of 60"):
        list(square_detector().video(path))


# ------------------------------------------------------------------- real time


def test_real_time_skips_late_frames_and_waits_for_early_ones(tmp_path):
    """By a clock of the test: each frame takes 0.25 s, where 0.1 s are left for it."""
    now = [100.0]
    frames = FileFrames(address_of(film(tmp_path / "film.avi", 20)), realtime=True,
                        clock=(lambda: now[0], lambda wait: now.__setitem__(0, now[0] + wait)))
    seen = []
    for frame in frames:
        seen.append(frame)
        assert -1e-9 <= now[0] - 100 - frame.seconds <= 0.1 + 1e-9  # it is shown in its time
        now[0] += 0.25 if frame.seconds < 1 else 0.01
    numbers = [frame.number for frame in seen]
    assert frames.skipped == 20 - len(seen) and numbers == sorted(set(numbers)) and numbers[-1] == 19
    assert 4 <= sum(number < 10 for number in numbers) <= 6 and sum(number >= 12 for number in numbers) == 8
    assert [frame.seconds for frame in seen] == pytest.approx([number / 10 for number in numbers])


def test_a_machine_that_is_never_in_time_still_gives_a_frame_each_second(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", lambda path: Packets("." * 40))
    now = [0.0]

    def clock():
        now[0] += 1.0  # whatever is done takes longer than the film
        return now[0]

    frames = FileFrames(Address("video", "x.mp4", "x.mp4"), realtime=True, clock=(clock, lambda wait: None))
    assert [frame.number for frame in frames] == [0, 10, 20, 30] and frames.skipped == 36


# ------------------------------------------------------------------------- end


def test_a_video_that_is_left_frees_its_file(tmp_path, monkeypatch):
    captures = []

    def open_one(path):
        captures.append(Packets("." * 50))
        return captures[-1]

    monkeypatch.setattr(cv2, "VideoCapture", open_one)
    (tmp_path / "x.mp4").write_bytes(b"x")
    threads = threading.active_count()
    video = square_detector().video(tmp_path / "x.mp4")
    next(video)
    video.close()
    with square_detector().video(tmp_path / "x.mp4") as other:
        next(other)
    for _ in square_detector().video(tmp_path / "x.mp4"):
        break
    gc.collect()
    assert [capture.released for capture in captures] == [True] * 3 and threading.active_count() == threads
    assert list(video) == []


def test_ctrl_c_in_a_detector_frees_the_file(tmp_path, monkeypatch):
    capture, detector = Packets("." * 50), square_detector()
    monkeypatch.setattr(cv2, "VideoCapture", lambda path: capture)
    (tmp_path / "x.mp4").write_bytes(b"x")

    def detect(image, threshold):
        raise KeyboardInterrupt

    detector.detect = detect
    with pytest.raises(KeyboardInterrupt):
        list(detector.video(tmp_path / "x.mp4"))
    assert capture.released


def test_a_single_frame_is_a_video(tmp_path):
    video = square_detector().video(film(tmp_path / "film.avi", 1), threshold=0.3)
    (frame, seconds, faces), = video
    assert frame.shape == (120, 160, 3) and seconds == 0 and len(faces) == 1 and video.complete
