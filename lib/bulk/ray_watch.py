"""Ends a command whose call of Ray never returns: after a stop signal, or when the first node of the cluster is gone.

Such a call is deep in Ray's own code, where neither a signal's handler nor an exception reaches. Nothing is lost by the
end of the process: a part is written atomically.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable

from ..progress import print_line
from .stop import GRACE

GONE = 60.0  # s without an answer, after which the first node is taken as gone
EVERY = 5.0  # s between two questions
LEAVE = 15.0  # s beyond GRACE that a regular stop may take


class Watch:
    """Context manager; in its block a thread watches.

    Args:
        address: host:port of the first node.
        end: ends the process with an exit code.
    """

    def __init__(self, address: str, end: Callable[[int], object] = os._exit) -> None:
        host, _, port = address.rpartition(":")
        self.place, self.end = (host.strip("[]"), int(port)), end
        self.read, self.write = os.pipe()
        os.set_blocking(self.write, False)
        self.before, self.over = -1, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watch:
        if threading.current_thread() is threading.main_thread():
            self.before = signal.set_wakeup_fd(self.write)  # gets each signal at once, whatever the main thread does
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(self.before)
        self.over.set()
        os.write(self.write, b"\0")
        self.thread.join()
        os.close(self.read)
        os.close(self.write)

    def _watch(self):
        answered, stops = time.monotonic(), []
        while not self.over.is_set():
            if select.select([self.read], [], [], EVERY)[0]:
                stops += [(number, time.monotonic()) for number in os.read(self.read, 100)
                          if number in (signal.SIGINT, signal.SIGTERM)]
            now = time.monotonic()
            if stops and now - stops[0][1] > GRACE + LEAVE:
                print_line("stopped without an answer of Ray; the finished parts are complete, and the same command "
                           "continues")
                self.end(128 + stops[0][0])
                return
            if self._answers():
                answered = now
            elif now - answered > GONE:
                print_line(f"error: the first node of the Ray cluster ({self.place[0]}:{self.place[1]}) has not "
                           f"answered for {GONE:.0f} s; the finished parts are complete, and the same command "
                           f"continues with another --address")
                self.end(1)
                return

    def _answers(self):
        try:
            socket.create_connection(self.place, EVERY).close()
            return True
        except OSError:
            return False
