"""Ctrl-C and SIGTERM: what is finished is kept, what is in work gets some seconds."""

from __future__ import annotations

import signal
import threading
import time

from ..progress import print_line

GRACE = 20.0  # s that the parts in work get; what sends SIGTERM often sends SIGKILL half a minute later


class TimeUp(BaseException):
    """GRACE is over, for an engine that cannot ask whether it is."""


class Stop:
    """Context manager within which the first signal asks to stop, and a second one is a KeyboardInterrupt.

    Attributes:
        asked: number of the signal; 0: none has come.
    """

    def __init__(self) -> None:
        self.asked, self.since = 0, 0.0
        self.handlers: dict[int, object] = {}

    @property
    def expired(self) -> bool:
        """Whether GRACE seconds have passed since the signal."""
        return bool(self.asked) and time.monotonic() - self.since > GRACE

    def raise_when_expired(self) -> None:
        """From now on raise TimeUp in the main thread GRACE seconds after the signal."""
        if self.handlers:
            self.handlers[signal.SIGALRM] = signal.signal(signal.SIGALRM, _time_up)

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        if signal.SIGALRM in self.handlers:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self.handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _on_signal(self, number, frame):
        if self.asked:
            raise KeyboardInterrupt
        self.asked, self.since = number, time.monotonic()
        if signal.SIGALRM in self.handlers:
            signal.setitimer(signal.ITIMER_REAL, GRACE)
        print_line(f"{signal.Signals(number).name}: the parts in work get {GRACE:.0f} s to be finished; a second "
                   f"signal stops at once")


def _time_up(number, frame):
    raise TimeUp
