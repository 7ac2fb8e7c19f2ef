"""`manyfaces detect` with --track, --realtime and streams: lines, pictures, hidden faces, exit codes."""

import os
import struct
import time

import cv2
import numpy as np
import pytest
from demo_stand_in import demo, lines, stand_in_weights
from films import FILM, film, frames_in
from mjpeg import server
from stand_in import picture

from manyfaces.inference.demo import demo as demonstration


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """A file of weights that stand for the detector of green squares."""
    return stand_in_weights(monkeypatch, tmp_path)


def squares(path, frames, codec="MJPG"):
    """A film of 10 frames a second; per frame a list of squares (x, y, side)."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 10, (160, 120))
    for each in frames:
        writer.write(np.ascontiguousarray(picture(160, 120, *each)[..., ::-1]))
    writer.release()
    return path


def test_ids_are_in_the_lines_and_drawn(tool, stand_in, tmp_path, capsys):
    clip = squares(tmp_path / "film.avi", [[(10 + 8 * n, 10, 30), (120 - 8 * n, 70, 30)] for n in range(10)])
    words = ["--weights", stand_in, "--score", "0.3", clip, "--out", tmp_path / "out", "--json", tmp_path / "f.json"]
    assert demo(tool, *words, "--track") == 0
    assert "mean of 10 frames, 2 tracks" in capsys.readouterr().out
    rows = lines(tmp_path / "f.json")
    upper = [[face["id"] for face in row["faces"] if face["box"][1] < 40] for row in rows]
    lower = [[face["id"] for face in row["faces"] if face["box"][1] > 40] for row in rows]
    assert upper == [upper[0]] * 10 and lower == [lower[0]] * 10 and {*upper[0], *lower[0]} == {1, 2}
    assert all(row["by"].endswith(" tracked") and row["threshold"] == pytest.approx(0.1) for row in rows)
    assert demo(tool, *words, "--track") == 0 and "all 1 were there already" in capsys.readouterr().out
    assert demo(tool, *words) == 2 and "choose another --json" in capsys.readouterr().err  # lines without ids
    plain = tmp_path / "plain"
    assert demo(tool, "--weights", stand_in, "--score", "0.3", clip, "--out", plain) == 0
    drawn, without = frames_in(tmp_path / "out" / FILM)[0][5], frames_in(plain / FILM)[0][5]
    label = np.abs(drawn[56:69, 78:95].astype(int) - without[56:69, 78:95]).max(axis=2) > 60
    assert label.any()  # above the box of the lower square


def test_a_face_that_is_missed_between_two_frames_stays_hidden(tool, stand_in, tmp_path, monkeypatch):
    """The detector misses the face in five frames in a row, in which it moves by more than its size."""
    writer = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
    for number in range(15):
        image = picture(160, 120, (10 + 8 * number, 40, 24))
        image[46:58, 16 + 8 * number : 28 + 8 * number : 4] = image[46:58, 17 + 8 * number : 28 + 8 * number : 4] = 0
        writer.write(np.ascontiguousarray(image[..., ::-1]))
    writer.release()
    clip, real, calls = tmp_path / "film.avi", demonstration.Demo._detect, []

    def forgetful(self, image, threshold=None):
        calls.append(image)
        faces = real(self, image, threshold)
        return faces[:0] if 5 <= len(calls) - 1 <= 9 else faces

    def seen(path):
        """The frames in which the stripes of the face are seen."""
        frames = frames_in(path)[0]
        assert len(frames) == 15
        return [n for n, frame in enumerate(frames) if frame[46:58, 16 + 8 * n : 28 + 8 * n, 1].std() > 60]

    assert seen(clip) == list(range(15))
    monkeypatch.setattr(demonstration.Demo, "_detect", forgetful)
    words = ["--weights", stand_in, "--score", "0.3", clip, "--pixelate"]
    assert demo(tool, *words, "--out", tmp_path / "plain") == 0
    calls.clear()
    assert demo(tool, *words, "--track", "--out", tmp_path / "tracked") == 0
    assert set(seen(tmp_path / "plain" / FILM)) & {6, 7, 8, 9} and seen(tmp_path / "tracked" / FILM) == []


def test_a_written_video_holds_no_metadata_of_its_source(tool, stand_in, tmp_path):
    """A title and a place as phones write them, in the box udta, are in the source and not in the result."""
    path = squares(tmp_path / "film.mp4", [[(30, 30, 40)]] * 3, "mp4v")
    text = b"".join(struct.pack(">I4sHH", 12 + len(value), name, len(value), 0) + value
                    for name, value in ((b"\xa9nam", b"SECRET TITLE"), (b"\xa9xyz", b"+52.5+013.4/SECRET")))
    data = path.read_bytes()
    place = data.find(b"moov") - 4
    size, = struct.unpack(">I", data[place : place + 4])
    assert place + size == len(data)  # the last box
    box = struct.pack(">I4s", 8 + len(text), b"udta") + text
    path.write_bytes(data[:place] + struct.pack(">I", size + len(box)) + data[place + 4 :] + box)
    assert path.read_bytes().count(b"SECRET") == 2
    for word in ("--blur", "--pixelate"):
        assert demo(tool, "--weights", stand_in, "--score", "0.3", path, word, "--strip", "--out", tmp_path / word) == 0
        written, = (tmp_path / word).iterdir()
        assert b"SECRET" not in written.read_bytes() and b"52.5" not in written.read_bytes()
        assert len(frames_in(written)[0]) == 3


def test_a_video_that_is_cut_short_is_no_success(tool, stand_in, tmp_path, capsys):
    path = film(tmp_path / "film.avi", 40, 20)
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) * 6 // 10)
    words = ["--weights", stand_in, "--score", "0.3", "--out", tmp_path / "out"]
    assert demo(tool, *words, path) == 2
    err = capsys.readouterr().err
    assert "film.avi: ends after frame" in err and f"read to its end; what was read is in {tmp_path / 'out'}" in err
    assert 15 < len(frames_in(tmp_path / "out" / FILM)[0]) < 30
    assert demo(tool, *words, path, film(tmp_path / "good.avi")) == 0
    assert "wrote 2 to" in (out := capsys.readouterr().out) and "; 1 cut short" in out


def test_realtime_says_how_many_frames_it_skipped(tool, stand_in, tmp_path, capsys, monkeypatch):
    real = demonstration.Demo._detect
    monkeypatch.setattr(demonstration.Demo, "_detect", lambda self, image, threshold=None: (
        time.sleep(0.15), real(self, image, threshold))[1])
    clip = film(tmp_path / "film.avi", 40, 40)
    assert demo(tool, "--weights", stand_in, "--score", "0.3", clip, "--realtime", "--no-pictures",
                "--json", tmp_path / "f.json") == 0
    rows = lines(tmp_path / "f.json")
    assert f"mean of {len(rows)} frames, {40 - len(rows)} skipped to keep up" in capsys.readouterr().out
    assert 2 <= len(rows) <= 12 and rows[-1]["end"] and rows[-1]["skipped"] == 40 - len(rows)
    assert [row["seconds"] for row in rows] == [row["frame"] / 40 for row in rows]


def test_a_stream_is_written_until_its_frames_are_enough(tool, stand_in, tmp_path, capsys):
    words = ["--weights", stand_in, "--score", "0.3", "--out", tmp_path / "out", "--json", tmp_path / "f.json"]
    with server("forever") as address:
        secret = address.replace("//", "//me:secret@") + "?key=secret"
        assert demo(tool, *words, secret, "--frames", "15", "--track") == 0
        assert demo(tool, *words, secret, "--frames", "15", "--track") == 0  # a stream is never there already
    rows = lines(tmp_path / "f.json")
    assert len(rows) == 15 and {row["source"] for row in rows} == {address} and rows[-1]["end"]
    assert {len(row["faces"]) for row in rows} == {1}
    written, = (tmp_path / "out").iterdir()
    assert written.name.startswith("127.0.0.1_") and written.name.endswith(f"_video{written.suffix}")
    assert len(frames_in(written)[0]) >= 5
    both = capsys.readouterr()
    assert "secret" not in both.out + both.err + (tmp_path / "f.json").read_text()


def test_a_stream_that_is_lost_keeps_what_was_there(tool, stand_in, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("manyfaces.inference.video.live.LOST", 0.3)
    words = ["--weights", stand_in, "--score", "0.3", "--out", tmp_path / "out", "--json", tmp_path / "f.json"]
    with server(10, "refuse") as address:
        assert demo(tool, *words, address) == 2
    err = capsys.readouterr().err
    assert f"{address}: lost after 10 frames" in err and "no frame came for 0.3 s" in err
    rows = lines(tmp_path / "f.json")
    assert 1 <= len(rows) <= 10 and rows[-1]["end"] is False and len(list((tmp_path / "out").iterdir())) == 1
