"""Messages between two processes that train together: JSON facts and one array, in frames on a TCP connection.

Nothing that is received can run code. An array is NumPy's own format, read without pickles.
"""

from __future__ import annotations

import contextlib
import io
import json
import select
import socket
import struct
import threading
import time
from typing import Any, NamedTuple

import numpy as np

from ..parsing import parse_json

HEAD = struct.Struct("!IQ")  # bytes of the facts, bytes of the array
MOST_FACTS, MOST_ARRAY = 1 << 24, 1 << 33


class Message(NamedTuple):
    """What one process tells another.

    Attributes:
        what: kind of the message, which the receiver expects by name.
        facts: JSON values.
        array: or None.
    """

    what: str
    facts: dict[str, Any]
    array: np.ndarray | None = None


class Connection:
    """One end of a connection. Threads may send at the same time; only one receives.

    Attributes:
        heard: time of the last bytes from the other end.
    """

    def __init__(self, link: socket.socket) -> None:
        link.settimeout(None)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket, self.heard = link, time.monotonic()
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Send a message; OSError where the other end is gone."""
        data = _packed(message)
        with self._lock:
            self.socket.sendall(data)

    def beat(self) -> None:
        """Send a sign of life, unless a message is being sent, or waits for the other end: that is one too."""
        if self._lock.acquire(blocking=False):
            try:
                if select.select([], [self.socket], [], 0)[1]:
                    self.socket.sendall(_packed(Message("beat", {})))
            finally:
                self._lock.release()

    def receive(self, timeout: float | None = None, most: int = MOST_ARRAY) -> Message:
        """Wait for a message that is no sign of life.

        Args:
            timeout: s to wait; None: for ever.
            most: bytes of its array.

        Raises:
            OSError: the connection has ended, or the time is over.
            ValueError: it is no message of this program.
        """
        self.socket.settimeout(timeout)
        while True:
            sizes = HEAD.unpack(self._exactly(HEAD.size))
            if sizes[0] > MOST_FACTS or sizes[1] > most:
                raise ValueError(f"a message of {sum(sizes):,} bytes")
            value, blob = parse_json(self._exactly(sizes[0])), self._exactly(sizes[1])
            if not (isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
                    and isinstance(value[1], dict)):
                raise ValueError("a message without a name")
            if value[0] != "beat":
                array = np.load(io.BytesIO(blob), allow_pickle=False) if blob else None
                return Message(value[0], value[1], array)

    def _exactly(self, count):
        data = bytearray()
        while len(data) < count:
            piece = self.socket.recv(min(count - len(data), 1 << 20))
            if not piece:
                raise ConnectionResetError("the connection has ended")
            self.heard = time.monotonic()
            data += piece
        return bytes(data)

    def is_closed(self) -> bool:
        """Whether the other end has closed the connection; nothing is received."""
        try:
            return bool(select.select([self.socket], [], [], 0)[0]) and not self.socket.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def close(self) -> None:
        """End the connection; the other end is told by the system."""
        with contextlib.suppress(OSError):  # it has ended already
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def _packed(message):
    facts, blob = json.dumps([message.what, message.facts]).encode(), b""
    if message.array is not None:
        file = io.BytesIO()
        np.lib.format.write_array(file, np.asarray(message.array), allow_pickle=False)
        blob = file.getvalue()
    return HEAD.pack(len(facts), len(blob)) + facts + blob
