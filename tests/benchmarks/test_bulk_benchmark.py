"""The section `bulk`: processor time of a process with those that it starts, and what it refuses."""

import subprocess
import sys

import pytest
from processes import wait_for

from benchmarks import run_section
from benchmarks.process_tree import ProcessTree
from manyfaces.errors import InputError

WORK = """
import subprocess, sys, time
data = bytearray(1 if "child" in sys.argv else 60_000_000)
child = None if "child" in sys.argv else subprocess.Popen([sys.executable, __file__, "child"])
while time.process_time() < 0.2:
    pass
sys.stdin.read()
"""


def test_processor_time_and_memory_are_those_of_all_processes(tmp_path):
    (tmp_path / "work.py").write_text(WORK)
    with subprocess.Popen([sys.executable, tmp_path / "work.py"], stdin=subprocess.PIPE) as process:
        with ProcessTree(process.pid) as tree:
            wait_for(lambda: tree.seconds >= 0.38, process)  # both have worked for 0.2 s, in ticks of 0.01 s
            process.stdin.close()
            process.wait()
    assert len(tree.times) == 2 and tree.seconds < 1 and 0.18 < tree.times[process.pid] < 0.5
    assert tree.peaks[process.pid][1] > 60 > tree.peak(" child") > 1  # MB


def test_a_wrong_engine_is_refused():
    with pytest.raises(InputError, match="--engines spark: expected some of plain, local, ray, nodes"):
        run_section("bulk", engines=("plain", "spark"))
