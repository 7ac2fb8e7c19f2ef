"""Drawn videos: what is written can be read, and what cannot be written is an error."""

import numpy as np
import pytest
from films import ENDING, FILM, film, frames_in
from full_disk import room_for
from stand_in import square_detector

from manyfaces.errors import InputError
from manyfaces.inference.demo.demo import Demo, run_demo
from manyfaces.inference.demo.sources import find_sources
from manyfaces.inference.video import writer as video_writer


def test_a_video_that_cannot_be_written_is_an_error_that_says_so(tmp_path, monkeypatch):
    demo = Demo(square_detector(), tmp_path / "out", 0.3)
    sources = find_sources([film(tmp_path / "film.avi")])
    monkeypatch.setattr(video_writer.VideoWriter, "close", lambda self: None)  # its end is never written
    with pytest.raises(InputError, match=f"{FILM}: the video of 6 frames could not be written; is the disk full"):
        demo.look(sources[0])
    assert list((tmp_path / "out").iterdir()) == []


def test_a_video_that_a_full_disk_cuts_short_is_an_error(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (60, 120, 160, 3), dtype=np.uint8)
    with pytest.raises(InputError, match=f"{FILM}: the video of 60 frames could not be written; is the disk full"):
        with room_for(40_000), video_writer.whole_video(tmp_path / FILM, 25) as writer:
            for frame in noise:
                writer.write(frame)
    assert list(tmp_path.iterdir()) == []


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


def test_a_drawn_video_is_of_a_kind_that_browsers_play(tmp_path, capfd):
    """H.264 in MP4 or VP8 in WebM, told by the file's own bytes; nothing is printed by the libraries."""
    with video_writer.whole_video(tmp_path / FILM, 25) as writer:
        for number in range(5):
            writer.write(np.full((120, 160, 3), 40 * number, np.uint8))
    data = (tmp_path / FILM).read_bytes()
    if ENDING == ".webm":
        assert data.startswith(b"\x1aE\xdf\xa3") and b"webm" in data[:64] and b"V_VP8" in data
    else:
        assert data[4:8] == b"ftyp" and b"avc1" in data
    levels = [frame.mean() for frame in frames_in(tmp_path / FILM)[0]]
    assert levels == pytest.approx([0, 40, 80, 120, 160], abs=4)
    assert capfd.readouterr().err == ""


def test_a_format_that_opens_but_does_not_give_the_pictures_back_is_not_taken(monkeypatch):
    class Dark:  # as of an encoder that the machine has not really
        def __init__(self, path):
            pass

        def read(self):
            return True, np.zeros((64, 64, 3), np.uint8)

        def release(self):
            pass

    monkeypatch.setattr(video_writer.cv2, "VideoCapture", Dark)
    video_writer.video_format.cache_clear()
    try:
        with pytest.raises(InputError, match="writes no video: tried avc1, VP80, mp4v, MJPG"):
            video_writer.video_format()
    finally:
        video_writer.video_format.cache_clear()
