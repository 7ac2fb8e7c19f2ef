"""The short form of tests/kills.py: what a kill leaves of the quickest program."""

import random
import sys

import kills
import pytest


@pytest.mark.slow
def test_a_roidb_is_whole_or_not_there_whenever_its_program_is_killed(capsys):
    assert kills.main(["--kills", "2", "--busy", "2", "--images", "12", "roidb"]) == 0
    assert capsys.readouterr().out.count("nothing broken, the same bits at the end") == 2


IN_PLACE = """
import pathlib, sys, time
with open(sys.argv[1], "wb") as file:
    file.write(b"one half, ")
    file.flush()
    time.sleep(0.3)
    file.write(b"the other")
"""


def test_a_program_that_writes_in_place_is_seen(tmp_path, monkeypatch, capsys):
    (tmp_path / "program").mkdir()
    target = kills.Target([tmp_path / "program/file"], [tmp_path / "program/file"])
    monkeypatch.setattr(kills, "targets", lambda data, out: {"program": target})
    monkeypatch.setattr(kills, "command", lambda words: [sys.executable, "-c", IN_PLACE, *words])
    wrong = kills.rounds("program", None, tmp_path, 3, random.Random(0))
    assert wrong == capsys.readouterr().out.count("broken ['file'], differs []") >= 1
