"""Other processes: some keep the cores busy; and a wait for a state, because a busy machine may take any time."""

import contextlib
import os
import random
import subprocess
import sys
import threading
import time

PATIENCE = 900.0  # s, after which something hangs
CORES = os.cpu_count() or 1


def wait_for(state, process=None, seconds=PATIENCE):
    """Wait until state() is true, and return it; while the process (subprocess.Popen) lives, if there is one."""
    end = time.monotonic() + seconds
    while not (found := state()):
        assert process is None or process.poll() is None, f"the process ended with {process.returncode} before that"
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.005)
    return found


@contextlib.contextmanager
def on_loopback(server, stop):
    """Within the block a socketserver.BaseServer serves in a thread; yields its port. stop: an Event for the end."""
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        stop.set()
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def busy_cores(count=CORES):
    """Within the block this many processes work in short pieces, so that others are interrupted at any place."""
    workers = [subprocess.Popen([sys.executable, __file__, str(os.getpid())]) for _ in range(count)]
    try:
        yield
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def work(parent):
    """Until the parent has ended."""
    while os.getppid() == parent:
        end = time.monotonic() + random.uniform(0.001, 0.03)
        while time.monotonic() < end:
            pass
        time.sleep(random.uniform(0, 0.005))


if __name__ == "__main__":
    work(int(sys.argv[1]))
