"""The short form of tests/kills.py: what a kill leaves of the quickest program."""

import kills
import pytest


@pytest.mark.slow
def test_a_roidb_is_whole_or_not_there_whenever_its_program_is_killed(capsys):
    assert kills.main(["--kills", "2", "--busy", "2", "--images", "12", "roidb"]) == 0
    assert capsys.readouterr().out.count("nothing broken, the same bits at the end") == 2
