"""The small web server of `manyfaces web`: it answers the addresses of a table, and no others."""

from __future__ import annotations

import hashlib
import http.server
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..errors import InputError
from .headers import headers_of

HOST = "127.0.0.1"
PORT = 8737  # the first choice: a browser remembers the permission for the camera by the port, too
SECONDS = 30  # without a byte of a client


class Server(http.server.ThreadingHTTPServer):
    """Answers GET and HEAD for a table of files, on this machine only.

    Attributes:
        files: address -> file or content, as `site_files` gives it.
        threads: whether answers have the headers that browsers want before they allow threads.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, files: Mapping[str, Path | bytes], port: int | None = None, threads: bool = True) -> None:
        """Start to listen.

        Args:
            port: 0: any that is free; None: PORT, or any that is free where that is taken.

        Raises:
            InputError: the port is taken.
        """
        self.files, self.threads = files, threads
        for number in (PORT, 0) if port is None else (port,):
            try:
                super().__init__((HOST, number), _Handler)
                return
            except OSError as error:
                if number == (port or 0):
                    raise InputError(f"--port {number}: cannot listen on {HOST} ({error.strerror}); choose another "
                                     "one, or 0 for any that is free") from None

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that leaves in the middle of an answer is no error."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    server_version = "manyfaces"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = SECONDS

    def do_GET(self) -> None:
        address = unquote(urlsplit(self.path).path, errors="surrogateescape").removeprefix("/")
        source = self.server.files.get(address, b"")
        try:
            tag = _tag(source)
            known = self.headers.get("If-None-Match") == tag
            data = b"" if known else source.read_bytes() if isinstance(source, Path) else source
        except OSError:  # removed since the server began
            source = b""
        if not source:
            self._answer(HTTPStatus.NOT_FOUND, {"Content-Type": "text/plain"}, b"no such address\n")
            return
        headers = headers_of(address or "index.html", self.server.threads) | {"ETag": tag}
        self._answer(HTTPStatus.NOT_MODIFIED if known else HTTPStatus.OK, headers, data)

    do_HEAD = do_GET

    def _answer(self, status, headers, data):
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """The addresses are not printed: they would bury the one line with the page's own address."""


def _tag(source):
    """The ETag of a file or content. A file is not read for it: the runtime has 14 MB."""
    if isinstance(source, Path):
        facts = source.stat()
        return f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'
    return f'"{hashlib.sha256(source).hexdigest()[:32]}"'
