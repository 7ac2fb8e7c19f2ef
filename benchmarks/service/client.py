"""HTTP as bytes over sockets, so that it can also be wrong: requests, and what comes back."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

HOST = "127.0.0.1"
LEAVE = object()
"""A piece of a request: the client closes its connection and reads no answer."""


class Answer(NamedTuple):
    """An answer of the service.

    Attributes:
        status: of HTTP; 0: the connection was closed without an answer.
        headers: names in lower case.
        body: its bytes.
        seconds: since the last byte of the request was sent, or could not be.
        rest: bytes behind the answer.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float
    rest: bytes = b""

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """`ok`, the code of the error, or `closed`."""
        if not self.status:
            return "closed"
        error = self.json.get("error") if self.headers.get("content-type") == "application/json" else None
        return error["code"] if error else "ok" if self.status < 400 else f"status {self.status} without JSON"


CLOSED = Answer(0, {}, b"", 0.0)


def request(body: bytes = b"", path: str = "/v1/detect", method: str = "POST", **headers: str | None) -> bytes:
    """A request as bytes. Headers are named content_type for Content-Type; None leaves one out."""
    named: dict[str, str | None] = {"host": "127.0.0.1", "content_length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in named.items() if value is not None]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body


def form(parts: Iterable[tuple[str, bytes]], boundary: str = "b0undary", end: bool = True) -> bytes:
    """The body of a multipart form: (headers of a part without the last line end, its data)."""
    rows = [f"--{boundary}\r\n{head}\r\n\r\n".encode() + data + b"\r\n" for head, data in parts]
    return b"".join(rows) + (f"--{boundary}--\r\n".encode() if end else b"")


def file_part(name: str, data: bytes) -> tuple[str, bytes]:
    """A part of `form` with a file."""
    return f'Content-Disposition: form-data; name="images"; filename="{name}"', data


def exchange(port: int, *pieces: Any, timeout: float = 30.0, read: bool = True) -> Answer:
    """Send pieces over a connection of their own and read the answer.

    Args:
        port: of the service.
        pieces: bytes to send; seconds to wait, as float; LEAVE; or an iterable of such pieces.
        timeout: s without a byte from the service, after which TimeoutError is raised.
        read: whether to read what comes; else only its end is awaited.
    """
    with socket.create_connection((HOST, port), timeout=timeout) as connection:
        try:
            for piece in pieces:
                _send(connection, piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused while it sent; the answer may be there
        except StopIteration:
            return CLOSED
        start = time.perf_counter()
        with contextlib.suppress(ConnectionResetError):
            return read_answer(connection, start)
        return CLOSED


def _send(connection, piece):
    if piece is LEAVE:
        raise StopIteration
    if isinstance(piece, bytes):
        connection.sendall(piece)
    elif isinstance(piece, float):
        time.sleep(piece)
    else:
        for each in piece:
            _send(connection, each)


def read_answer(connection: socket.socket, start: float = 0.0, rest: bytes = b"") -> Answer:
    """The next answer of a connection, behind what was read already; 100 Continue is skipped."""
    data = rest
    while True:
        while b"\r\n\r\n" not in data:
            more = connection.recv(1 << 16)
            if not more:
                return CLOSED._replace(seconds=time.perf_counter() - start)
            data += more
        head, _, data = data.partition(b"\r\n\r\n")
        line, *rows = head.decode("latin-1").split("\r\n")
        if line.split()[1] != "100":
            break
    headers = {name.strip().lower(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
    length = int(headers.get("content-length", 0))
    while len(data) < length:
        more = connection.recv(1 << 16)
        if not more:
            raise ConnectionResetError("the answer is cut short")
        data += more
    return Answer(int(line.split()[1]), headers, data[:length], time.perf_counter() - start, data[length:])


def ask(port: int, body: bytes = b"", path: str = "/v1/detect", method: str = "POST", **headers: str | None) -> Answer:
    """The answer to a well-formed request."""
    return exchange(port, request(body, path, method, **headers))
