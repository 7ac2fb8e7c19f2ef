"""Starts all processes of a training on several hosts from one of them, and again when one is lost.

A process of another host is started by ssh. Each process reads its standard input and stops, with a checkpoint, when
that ends: so all of them stop with the launcher, however it ends, and none stays behind on another host.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from .place import Place

PATIENCE = 60.0  # s that the other processes have to end when one has, before they are killed
POLL = 0.1  # s
FINAL = (2, 130, 143)  # exit codes that another try would give again: bad input, stopped
PASSED = ("KERAS_BACKEND", "PYTHONPATH", "CUDA_VISIBLE_DEVICES")  # variables for other hosts, and those that begin so:
PASSED_STARTS = ("NCCL_", "GLOO_", "TF_", "JAX_", "XLA_", "OMP_", "MANYFACES_")


def launch(command: Sequence[str], again: Sequence[str], place: Place, retries: int, ssh: str = "ssh") -> int:
    """Run a command once per process until all of them have ended.

    Args:
        command: the words that start a process, without its rank.
        again: words to add to those of a process when it is started again.
        place: any of the group; says the hosts.
        retries: how often all of them are started again, when one ended and not because of its input or a signal.
        ssh: the words that run a command on another host.

    Returns:
        The exit code: 0 if all of them gave 0.
    """
    stop = _Stop()
    with stop.on_signals():
        for left in range(retries, -1, -1):
            words = [*command, *(again if left < retries else ())]
            codes = _run([_process(words, rank, host, ssh) for rank, host in enumerate(place.hosts)], stop)
            failed = [(rank, code) for rank, code in enumerate(codes) if code]
            if not failed:
                return 0
            rank, code = next((pair for pair in failed if pair[1] in FINAL), failed[0])
            text = f"rank {rank} (host {place.hosts[rank]}) ended with code {code}"
            if stop.count or code in FINAL or not left:
                print(f"launch: {text}", file=sys.stderr, flush=True)
                return code
            print(f"launch: {text}; all of them are started again ({left - 1} more retries)", file=sys.stderr,
                  flush=True)
    raise AssertionError("every try returns or is followed by another")


def stop_with_input() -> None:
    """Send this process SIGTERM when its standard input ends: its launcher stops, or is gone."""
    def read():
        with contextlib.suppress(OSError):
            while os.read(0, 1024):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=read, daemon=True, name="launcher").start()


class _Stop:
    """Counts the signals to stop that the launcher has received."""

    def __init__(self):
        self.count = 0

    @contextlib.contextmanager
    def on_signals(self):
        handlers = {number: signal.signal(number, self._add) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _add(self, number, frame):
        self.count += 1


def is_here(host: str) -> bool:
    """Whether a name means this host."""
    own = socket.gethostname()
    return host in ("localhost", "::1", own, own.partition(".")[0]) or host.startswith("127.")


def _process(words, rank, host, ssh):
    """A started process. It has a session of its own, because Ctrl-C is for the launcher, which stops them in order."""
    words = [*words, "--rank", str(rank)]
    if not is_here(host):
        passed = [f"{key}={value}" for key, value in sorted(os.environ.items())
                  if key in PASSED or key.startswith(PASSED_STARTS)]
        start = f"cd {shlex.quote(os.getcwd())} && exec"
        words = [*shlex.split(ssh), host, f"{start} {shlex.join(['env', *passed, *words])}"]
    return subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)


def _run(processes, stop):
    """Wait for all processes; returns their exit codes, 128 + N for signal N."""
    ended, asked = None, 0
    try:
        while any(process.poll() is None for process in processes):
            if ended is None and any(process.poll() for process in processes):
                ended = time.monotonic()
            if stop.count > asked:
                asked = stop.count
                for process in processes:
                    process.stdin.close()
            if asked > 1 or (ended and time.monotonic() - ended > PATIENCE):
                for process in processes:
                    process.kill()
            time.sleep(POLL)
    finally:
        for process in processes:
            process.kill()
            process.stdin.close()
    return [code if code >= 0 else 128 - code for code in (process.wait() for process in processes)]
