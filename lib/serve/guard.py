"""What surrounds each request: refusals before its body is read, errors as JSON, its id, log line and metrics."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection
from typing import Any

from ..errors import printable, shortened
from .answers import MOST_HEAD, Gone, Problem
from .service import Service
from .settings import is_loopback

OPEN = frozenset({"/healthz", "/readyz"})
"""Addresses that answer without a key, by any name, and during shutdown."""
KNOWN = OPEN | {"/v1/detect", "/v1/models", "/metrics", "/openapi.json", "/"}
"""Addresses that metrics name; others are summed."""
GONE = 499  # status in the log; nothing is sent


class Guard:
    """Middleware around the app.

    Args:
        app: the ASGI app.
        service: what it serves.
        page: addresses that ask for no key, because they hold nothing secret. All others do where the service has one.
    """

    def __init__(self, app: Any, service: Service, page: Collection[str] = ()) -> None:
        self.app, self.service, self.page = app, service, frozenset(page)
        settings = service.settings
        self.names = ({"localhost", *(name.lower() for name in settings.allow_hosts)}
                      if is_loopback(settings.host) else None)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As ASGI 3."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = _Request(scope, receive, send, self.service)
        self.service.active += 1
        try:
            try:
                self._check(scope, request.headers)
                await self.app(scope, request.receive, request.send)
            except Gone:
                request.status, request.facts["code"] = GONE, "gone"
            except Problem as problem:
                await request.refuse(problem)
            except Exception as error:
                self.service.log.failure(error, id=request.id)
                await request.refuse(Problem("internal", f"The service has a defect; its log has the details under "
                                             f"{request.id}."))
        finally:
            self.service.active -= 1
            request.close()

    def _check(self, scope, headers):
        """Refuse what needs no body to be refused."""
        path = _path(scope)
        size = len(path) + len(scope.get("query_string", b"")) + sum(len(a) + len(b) for a, b in scope["headers"])
        if size > MOST_HEAD:  # the server bounds only what comes in pieces
            raise Problem("bad_request", f"The head of the request has more than {MOST_HEAD:,} bytes.")
        if path in OPEN:
            return
        if self.service.stopping:
            raise Problem("stopping", "The service is shutting down; try again in a moment.", 1)
        host = _host(headers.get("host", ""))
        if self.names is not None and not is_loopback(host) and host not in self.names:
            raise Problem("wrong_host", "The service listens on this machine only and was called by another name; "
                          "--allow-host adds one.")
        if self.service.keys and path not in self.page:
            scheme, _, key = headers.get("authorization", "").partition(" ")
            given = key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
            if not self.service.keys.fit(given.encode("utf-8", "replace")):
                raise Problem("unauthorized", "The API key is missing or wrong; send it as `Authorization: Bearer "
                              "KEY`.")


class _Request:
    """A request while it is answered; it notes what the log line needs."""

    def __init__(self, scope, receive, send, service):
        self.scope, self.service = scope, service
        self.start, self.id = time.perf_counter(), secrets.token_hex(8)
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
        self.facts: dict[str, Any] = {}
        scope["state"] = {**scope.get("state", {}), "facts": self.facts}
        self.status = 0
        self.unread = "transfer-encoding" in self.headers or self.headers.get("content-length", "0") != "0"
        self._receive, self._send = receive, send

    async def receive(self):
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self.unread = False
        return message

    async def send(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", self.id.encode())]
            if self.unread or self.service.stopping:  # the rest of the body is not read for the next request
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, problem):
        self.facts["code"] = problem.code
        if self.status:  # it had begun: the connection is closed, which the client notices
            return
        body = problem.body(request=self.id)
        await self.send({"type": "http.response.start", "status": problem.status, "headers":
                         problem.headers(len(body))})
        await self.send({"type": "http.response.body", "body": body})

    def close(self):
        service, path = self.service, _path(self.scope)
        shown, path = shortened(printable(path), 100), path if path in KNOWN else "other"
        seconds = time.perf_counter() - self.start
        code = self.facts.pop("code", "ok" if self.status < 400 else "other")
        service.metrics.requests.labels(path, str(self.status), code).inc()
        service.metrics.seconds.labels(path).observe(seconds)
        if self.status == GONE:
            service.metrics.dropped.inc()
        service.log.event("request", "error" if self.status >= 500 and code == "internal" else "info", id=self.id,
                          method=self.scope["method"], path=shown, status=self.status, code=code,
                          total_ms=round(seconds * 1e3, 1), **self.facts)


def _path(scope):
    """The address within the app, which a server may have mounted elsewhere, such as Ray Serve under a prefix."""
    return scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))


def _host(header: str) -> str:
    """The name in a Host header, without its port."""
    name = header.strip().lower()
    return name.partition("]")[0] + "]" if name.startswith("[") else name.partition(":")[0]
