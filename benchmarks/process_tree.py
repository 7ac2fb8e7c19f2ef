"""Processor time and memory of a process and of all that it starts, also where others wait for these or none does."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
EVERY = 0.2  # s


class ProcessTree:
    """Context manager that looks at /proc while a process runs. What ends within EVERY seconds of its start is missed.

    Attributes:
        times: processor time in s, user and system, of each process.
        peaks: command, and MB (10^6 bytes) of the largest resident set, of each process.
    """

    def __init__(self, process: int) -> None:
        self.process = process
        self.times: dict[int, float] = {}
        self.before: dict[int, float] = {}
        self.peaks: dict[int, tuple[str, float]] = {}
        self.known = {process}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ProcessTree:
        self._look()
        self.before = dict(self.times)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    @property
    def seconds(self) -> float:
        """Since the block began."""
        return sum(self.times.values()) - sum(self.before.values())

    def peak(self, word: str = "") -> float:
        """MB of the largest process whose command has a word in it; 0: there is none."""
        return max((size for command, size in self.peaks.values() if word in command), default=0.0)

    def _watch(self):
        while not self.ended.wait(EVERY):
            self._look()
        self._look()

    def _look(self):
        stats = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                stats[int(name)] = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
        grown = True
        while grown:  # children of what is known; a known one stays known when its parent ends
            found = {process for process, fields in stats.items() if int(fields[1]) in self.known}
            grown = not found <= self.known
            self.known |= found
        for process in self.known & stats.keys():
            self.times[process] = (int(stats[process][11]) + int(stats[process][12])) / TICKS
            with contextlib.suppress(OSError, StopIteration):
                lines = Path("/proc", str(process), "status").read_text().splitlines()
                peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6
                command = Path("/proc", str(process), "cmdline").read_bytes().replace(b"\0", b" ").decode()
                self.peaks[process] = command, peak
