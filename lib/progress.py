"""Progress of a long command: a bar on a terminal, plain lines in a log; and silence for that of C libraries."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO


def clock(seconds: float) -> str:
    """1:02:03 of 3723."""
    return f"{int(seconds // 3600)}:{int(seconds // 60 % 60):02d}:{int(seconds % 60):02d}"


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Without what C libraries print to standard error, which no log level of theirs stops."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        sys.stderr.flush()
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class Progress:
    """Context manager that reports progress to standard error, so that standard output holds results only.

    On a terminal tqdm draws a bar, if it is installed. Elsewhere a line reports the count, the rate and the time left.

    Args:
        total: count at the end; None = unknown, as for a camera.
        unit: plural name of what is counted, such as `images`.
        every: seconds between two lines.
        done: count at the start.

    Examples:
        >>> with Progress(3226, "images", every=60) as progress:
        ...     progress.advance()
    """

    def __init__(self, total: int | None, unit: str, every: float = 30.0, done: int = 0):
        self.total, self.unit, self.every = total, unit, every
        self.first, self.done, self.began = done, done, time.perf_counter()
        self.reported = self.began
        self.bar = self._bar() if sys.stderr.isatty() else None

    def _bar(self):
        try:
            from tqdm import tqdm
        except ImportError:
            return None
        return tqdm(total=self.total, initial=self.first, unit=f" {self.unit}", dynamic_ncols=True, smoothing=0.05)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.close()

    def advance(self, count: int = 1, detail: Callable[[], str] | None = None) -> None:
        """Report that `count` more are done.

        Args:
            count: number of units.
            detail: function that returns text for the line; called only when a line is written.
        """
        self.done += count
        if self.bar:
            if detail:
                self.bar.set_postfix_str(detail(), refresh=False)
            self.bar.update(count)
            return
        now = time.perf_counter()
        if now - self.reported >= self.every or self.done == self.total:
            self.reported, rate = now, (self.done - self.first) / max(now - self.began, 1e-9)
            rate_text, text = f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}", f", {detail()}" if detail else ""
            if self.total is None:
                print_line(f"{self.done} {self.unit}, {rate_text}/s{text}")
                return
            left = max(0, self.total - self.done) / rate
            print_line(f"{self.done}/{self.total} {self.unit}, {rate_text}/s, {clock(left)} left{text}")

    def note(self, text: str, file: TextIO | None = None) -> None:
        """Print a line that stays, above the bar if there is one.

        Args:
            text: the line.
            file: where it is printed; None = standard error.
        """
        if self.bar:
            self.bar.write(text, file=file or sys.stderr)
        else:
            print_line(text, file)


def print_line(text: str, file: TextIO | None = None) -> None:
    """Print a line.

    Args:
        text: the line.
        file: where it is printed; None = standard error, and no error where that cannot be written: it may be a file
            on a full disk.
    """
    try:
        print(text, file=file or sys.stderr, flush=True)
    except OSError:
        if file not in (None, sys.stderr):
            raise
