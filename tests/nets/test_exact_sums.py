"""TRAIN.DETERMINISTIC: a step gives the same bits on a busy machine, where threads finish in any order."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import busy_cores

pytest.importorskip("tensorflow")


@pytest.mark.slow
def test_gradients_are_summed_in_one_order_on_a_busy_machine():
    """Without it TensorFlow adds the six gradients of a map to a variable as they come: six runs gave six results."""
    with busy_cores():
        done = subprocess.run([sys.executable, Path(__file__).with_name("exact_sums.py"), "4"], capture_output=True,
                              text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    assert done.returncode == 0, done.stderr
    (_, free), (hashes, exact) = json.loads(done.stdout)
    assert "AssignAdd" in free, "this net is one whose sums TensorFlow takes apart"
    assert "AssignAdd" not in exact and "TemporaryVariable" not in exact and "AddN" in exact
    assert len(hashes) == 4 and len(set(hashes)) == 1
