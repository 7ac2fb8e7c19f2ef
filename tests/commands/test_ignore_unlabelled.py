"""`manyfaces data ignore`: squares that nobody labelled become ignored regions; a damaged image stays as it is."""

import numpy as np
import pytest
from stand_in import picture, save, square_detector

from manyfaces.commands.data import ignore_unlabelled
from manyfaces.datasets.roidb import Record, Roidb, load_roidb, save_roidb
from manyfaces.errors import InputError


@pytest.fixture
def roidb(tmp_path, monkeypatch):
    """Path of a roidb: an image with a labelled and an unlabelled square, and one that cannot be read."""
    monkeypatch.setattr(ignore_unlabelled, "detector_from", lambda options: square_detector())
    save(tmp_path / "a.png", picture(96, 64, (8, 8, 16), (50, 20, 24)))
    (tmp_path / "b.png").write_bytes(b"no picture")
    points = np.full((1, 5, 2), np.nan, np.float32)
    records = [Record(str(tmp_path), name, 96, 64, np.float32([[8, 8, 24, 24]]), points, np.zeros(1, bool))
               for name in ("a.png", "b.png")]
    path = tmp_path / "mine.pkl"
    save_roidb(Roidb(records, {"small": 2}, "labels.txt"), path)
    return path


def test_unlabelled_squares_are_ignored(roidb, tmp_path, capsys):
    out = tmp_path / "more.pkl"
    ignore_unlabelled.main(["--roidb", str(roidb), "--out", str(out), "--score", "0.3"])
    said = capsys.readouterr()
    assert "1 regions in 1 of 2 images are ignored now; 2 faces count as before" in said.out
    assert "b.png" in said.err and "its record stays as it is" in said.err
    made = load_roidb(out)
    assert made.records[0].boxes.tolist() == [[8, 8, 24, 24], [50, 20, 74, 44]]
    assert made.records[0].ignore.tolist() == [False, True] and len(made.records[1].boxes) == 1
    assert (made.source, made.dropped) == ("labels.txt", {"small": 2})


def test_wrong_options_are_named(roidb, tmp_path):
    for words, message in ((["--score", "2"], "--score"), (["--iou", "0"], "--iou")):
        with pytest.raises(InputError, match=message):
            ignore_unlabelled.main(["--roidb", str(roidb), "--out", str(tmp_path / "x.pkl"), *words])
    assert not (tmp_path / "x.pkl").exists()
