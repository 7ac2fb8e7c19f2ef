"""One process of the service: uvicorn, which drains on SIGTERM and ends with exit code 0."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from ...errors import InputError
from ...progress import print_line
from ..answers import MOST_HEAD, Problem
from ..app import Site, create_app
from ..logs import Handler, Log
from ..service import Service
from ..settings import MB, Settings, read_keys
from .protocol import Protocol

_REFUSING = 0.5  # s after a signal, at least, in which clients still get 503 instead of a refused connection
_READING = 2.0  # s, at most, to read what clients send that were refused last
_TICK = 0.02
_LONG = 5.0  # s of one image, from which on a note says so
_KEEP_ALIVE = 15  # s that a connection may wait for its next request
BACKLOG = 256  # connections that wait to be accepted


class Server(uvicorn.Server):
    """uvicorn's server with another shutdown.

    After the first signal new requests get 503 while accepted ones are answered; then the socket is closed. A second
    signal ends at once.

    Args:
        config: of uvicorn.
        service: what the app serves.
        announce: is called as soon as requests are accepted.

    Attributes:
        cut: requests that were not answered when the grace was over.
    """

    def __init__(self, config: uvicorn.Config, service: Service, announce: Callable[[], None] | None = None) -> None:
        super().__init__(config)
        self.service, self.announce, self.cut = service, announce, 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn.Server."""
        await super().startup(sockets)
        if self.started and self.announce:
            self.announce()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn.Server, but the signal is not raised again afterwards: an orderly end has exit code 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        with on_signals(self.handle_exit):
            yield

    def handle_exit(self, sig: int, frame: Any) -> None:
        """As uvicorn.Server, for both signals."""
        self.force_exit, self.should_exit = self.should_exit, True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse what comes, answer what was accepted, then close."""
        self.service.stopping = True
        start = time.monotonic()
        grace = self.service.settings.grace_seconds
        while not self.force_exit and (self.service.active or time.monotonic() - start < _REFUSING):
            if time.monotonic() - start > grace:
                break
            await asyncio.sleep(_TICK)
        for server in self.servers:
            server.close()
        start = time.monotonic()
        while not self.force_exit and (connections := self.server_state.connections):
            reading = any(getattr(connection, "lingering", False) for connection in connections)
            if time.monotonic() - start > (_READING if reading else _REFUSING):
                break
            await asyncio.sleep(_TICK)  # those whose request is on its way get their 503
        self.cut = self.service.active
        if self.cut:
            self.force_exit = True
        await super().shutdown(sockets)
        self.service.lanes.close()


@contextlib.contextmanager
def on_signals(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Within the block SIGINT and SIGTERM call a function."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def open_socket(host: str, port: int) -> socket.socket:
    """A listening address; InputError where it is taken or not of this machine."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        found.sort(key=lambda row: row[0] != socket.AF_INET)  # localhost has two
        family, kind, number, _, address = found[0]
        made = socket.socket(family, kind, number)
    except OSError as error:
        raise InputError(f"--host {host}: {error.strerror}; expected an address of this machine, such as "
                         "127.0.0.1") from None
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        raise InputError(f"--host {host} --port {port}: {error.strerror}; choose another --port, or 0 for any free "
                         "one") from None
    made.set_inheritable(True)
    return made


def refuse_rest(listening: socket.socket) -> None:
    """Answer 503 to connections that were made, but that nobody has accepted; then close the socket.

    Closing it alone would reset them.
    """
    answer = Problem("stopping", "The service is shutting down; try again in a moment.", 1).raw()
    listening.setblocking(False)
    made = []
    with listening, contextlib.suppress(OSError):
        while True:
            connection, _ = listening.accept()
            made.append(connection)
            connection.settimeout(_READING)
            with contextlib.suppress(OSError):
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
    end = time.monotonic() + _READING
    for connection in made:  # read what they send, or they would be reset before they read the answer
        with connection, contextlib.suppress(OSError):
            while time.monotonic() < end and connection.recv(1 << 16):
                pass


def url_of(listening: socket.socket, host: str) -> str:
    """The address of a service for a browser."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}/"


def site_of(settings: Settings) -> Site | None:
    """The page, with the models of this service."""
    if not settings.page:
        return None
    from ...web import headers_of, runtime_folder, site_files

    return site_files(runtime=runtime_folder(), service=list(settings.named_models())), headers_of


def serve(settings: Settings, listening: socket.socket, announce: Callable[[], None] | None = None,
          watched: int | None = None) -> int:
    """Serve until a signal.

    Args:
        settings: of the service.
        listening: from `open_socket`.
        announce: is called as soon as requests are accepted.
        watched: a file descriptor whose end is as a signal: the process that started this one has ended.

    Returns:
        The exit code: 0. Where accepted requests were not answered within the grace, or a second signal came, the
        process ends with 1 without a return: a thread that works on an image cannot be stopped.

    Raises:
        InputError: a model or a key cannot be used.
    """
    log = Log()
    service = Service(settings, read_keys(settings.key_file), log)
    service.open()
    handler = Handler(log)
    for name in ("uvicorn.error", "asyncio"):  # warnings of these are about what clients do, which is logged anyway
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.ERROR)
    config = uvicorn.Config(
        create_app(service, site_of(settings)), http=Protocol, ws="none", loop="asyncio", lifespan="on",
        log_config=None, access_log=False, proxy_headers=False, server_header=False, backlog=BACKLOG, workers=1,
        timeout_keep_alive=_KEEP_ALIVE, h11_max_incomplete_event_size=MOST_HEAD, timeout_graceful_shutdown=2)
    server = Server(config, service, announce)
    if watched is not None:
        threading.Thread(target=_until_end, args=(watched, server), daemon=True).start()
    for name, speed in service.speeds.items():
        longest = speed * settings.max_pixels / MB
        if longest > _LONG and watched is None:
            print_line(f"note: an image of {settings.max_pixels / MB:g} megapixels takes {name} about {longest:.0f} s, "
                       "which cannot be stopped; --max-megapixels bounds it")
    log.event("start", models=list(service.detectors), parallel=settings.lanes,
              ms_per_megapixel={name: round(speed * 1e3, 1) for name, speed in service.speeds.items()})
    rest = listening.dup()
    try:
        server.run([listening])
        if watched is None:  # else the process that started this one does it for all
            refuse_rest(rest)
    finally:
        rest.close()
        log.event("stop", unanswered=server.cut)
        log.close()
    if server.cut:
        sys.stderr.flush()
        os._exit(1)
    return 0


def _until_end(descriptor, server):
    with contextlib.suppress(OSError), open(descriptor, "rb") as file:
        file.read()
    server.should_exit = True
