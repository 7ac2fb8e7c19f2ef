"""`manyfaces serve` as a process of its own, and what it costs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ..process_tree import TICKS
from ..timing import environment

_START = 120.0  # s, on a busy machine


class Served:
    """Context manager: a running service.

    Args:
        words: of the command line; --port 0 is added where there is no --port.
        variables: of the environment.

    Attributes:
        port: where it listens.
        process: of the command; its workers are children of it.
    """

    def __init__(self, *words: str, variables: dict[str, str] | None = None) -> None:
        self.out = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8")
        port = () if "--port" in words else ("--port", "0")
        self.process = subprocess.Popen([sys.executable, "-m", "manyfaces", "serve", *port, *words], stdout=self.out,
                                        stderr=self.errors, env={**environment(), **(variables or {})})
        self.port = 0

    def __enter__(self) -> Served:
        end = time.monotonic() + _START
        while not (found := re.search(r" at http://\S+?:(\d+)/", self.said())):
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise RuntimeError(f"the service has not started: {self.said()[-2000:]}")
            time.sleep(0.02)
        self.port = int(found[1])
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def said(self) -> str:
        """Its standard error."""
        return _read(self.errors)

    def log(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return [json.loads(line) for line in _read(self.out).splitlines()]

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """(exit code, seconds) after a signal."""
        start = time.perf_counter()
        self.process.send_signal(number)
        return self.process.wait(_START), time.perf_counter() - start

    def seconds(self) -> float:
        """Processor time of the process since its start, without workers."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def megabytes(self) -> float:
        """Its resident memory in 10^6 bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def children(self) -> list[int]:
        """Process ids of its workers."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(word) for word in path.read_text().split()]


def _read(file):
    """All that was written, by another process, without moving its place."""
    return os.pread(file.fileno(), 1 << 28, 0).decode("utf-8", "replace")
