"""Clients that send the same image again and again, each over a connection of its own, and what happens to them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from .client import HOST, Answer, read_answer, request

_PAUSE = 0.02  # s after a refusal


@dataclass
class Outcome:
    """What became of all requests of a run.

    Attributes:
        codes: `ok` and codes of errors; `refused`: no connection; `lost`: sent, but the connection ended without an
            answer; `wrong`: another answer than expected.
        seconds: of each request that was answered with `ok`.
        slowest_refusal: seconds of the slowest answer 503.
        retry: values of Retry-After.
    """

    codes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    slowest_refusal: float = 0.0
    retry: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, code: str, answer: Answer | None = None, seconds: float = 0.0) -> None:
        """Count a request."""
        with self.lock:
            self.codes[code] += 1
            if code == "ok":
                self.seconds.append(seconds)
            elif answer is not None and answer.status == 503:
                self.slowest_refusal = max(self.slowest_refusal, seconds)
                self.retry.add(answer.headers.get("retry-after", "none"))

    def percentile(self, percent: float) -> float:
        """ms that so many percent of the answers took at most."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1e3 if ordered else float("nan")


class Load:
    """Context manager: clients that send until the block ends, or until they have sent `count` requests together.

    Args:
        port: of the service.
        image: the body.
        clients: how many.
        count: requests of all of them; None: until the end of the block.
        faces: number of faces that the answer has to have.
        headers: as `request` takes them.
    """

    def __init__(self, port: int, image: bytes, clients: int, count: int | None = None, faces: int | None = None,
                 headers: dict[str, str] | None = None) -> None:
        self.port, self.data, self.faces = port, request(image, **(headers or {})), faces
        self.outcome, self.left, self.ended = Outcome(), count, threading.Event()
        self.began = time.perf_counter()
        self.threads = [threading.Thread(target=self._client, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.wait()

    def wait(self) -> None:
        """Until all clients have ended."""
        for thread in self.threads:
            thread.join(120)

    def _take(self):
        """Whether there is a request left to send."""
        with self.outcome.lock:
            if self.left is None:
                return True
            self.left -= 1
            return self.left >= 0

    def _client(self):
        connection = None
        while not self.ended.is_set() and self._take():
            start = time.perf_counter()
            try:
                connection = connection or socket.create_connection((HOST, self.port), timeout=60)
            except OSError:
                self.outcome.add("refused")
                time.sleep(_PAUSE)
                continue
            try:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.sendall(self.data)
                answer = read_answer(connection, start)
            except OSError:
                answer = None
            seconds = time.perf_counter() - start
            if answer is None or not answer.status:
                self.outcome.add("lost")
                connection = _close(connection)
                continue
            good = answer.code != "ok" or self.faces in (None, len(answer.json["faces"]))
            self.outcome.add(answer.code if good else "wrong", answer, seconds)
            if answer.headers.get("connection") == "close":
                connection = _close(connection)
            if answer.status == 503:
                time.sleep(_PAUSE)
        if connection:
            connection.close()


def _close(connection):
    connection.close()
