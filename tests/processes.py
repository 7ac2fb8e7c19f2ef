"""Waiting for other processes: for a state, not for a time, because a busy machine may take any time."""

import time

PATIENCE = 900.0  # s, after which something hangs


def wait_for(state, process):
    """Wait until state() is true, while the process (subprocess.Popen) lives."""
    end = time.monotonic() + PATIENCE
    while not state():
        assert process.poll() is None, f"the process ended with {process.returncode} before that"
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.005)
