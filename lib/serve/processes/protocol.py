"""The connection: what uvicorn leaves open for slow and refused clients.

h11 is used because it bounds the head of a request. Added here are a time for that head (408), a time for a client to
take its answer, a limit of connections (503), errors of the protocol as JSON, and a closing that lets a client that
still sends read the answer before the connection ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..answers import MOST_HEAD, Problem

_LINGER = 5.0  # s that a refused client may go on sending; what it sends is thrown away


class Protocol(H11Protocol):
    """A connection of a client. The app has the Service as `app.state.service`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.service = self.config.app.state.service  # type: ignore[union-attr]
        self.settings = self.service.settings
        self._head: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._last: asyncio.TimerHandle | None = None
        self.lingering = self.refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As asyncio.Protocol."""
        transport.set_write_buffer_limits(0)  # pause_writing as soon as a client does not take what it is sent
        super().connection_made(_Closing(transport, self))  # type: ignore[arg-type]
        if len(self.connections) > self.settings.max_connections:
            self._refuse(Problem("busy", "There are too many connections; try again soon.", 1))
        else:
            self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio.Protocol."""
        for timer in (self._head, self._stuck, self._last):
            if timer:
                timer.cancel()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """As asyncio.Protocol."""
        if self.lingering:
            return
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """As H11Protocol."""
        super().on_response_complete()
        if not self.transport.is_closing() and self.conn.trailing_data[0]:  # a further request has begun to arrive
            self._watch_head()

    def send_400_response(self, msg: str) -> None:
        """As H11Protocol, but JSON."""
        self._refuse(Problem("bad_request", "The request is not valid HTTP/1.1, or its head has more than "
                             f"{MOST_HEAD:,} bytes."))

    def pause_writing(self) -> None:
        """As asyncio.Protocol: the client does not take its answer."""
        super().pause_writing()
        if self._stuck is None:
            self._stuck = self.loop.call_later(self.settings.write_seconds, self._abort)

    def resume_writing(self) -> None:
        """As asyncio.Protocol."""
        super().resume_writing()
        if self._stuck:
            self._stuck.cancel()
            self._stuck = None

    def linger(self, transport: asyncio.Transport) -> None:
        """End what is sent, throw away what still comes, and close after a time."""
        self.lingering = True
        self.flow.resume_reading()
        with contextlib.suppress(OSError):  # the client has closed it already
            if transport.can_write_eof():
                transport.write_eof()
        self._last = self.loop.call_later(_LINGER, transport.abort)

    def shutdown(self) -> None:
        """As H11Protocol: the service ends."""
        if self.lingering:
            self.transport.abort()
        else:
            super().shutdown()

    def _watch_head(self):
        waits = not self.transport.is_closing() and self.conn.their_state is h11.IDLE
        begun = waits and (self.cycle is None or bool(self.conn.trailing_data[0]))  # else the time of keep-alive counts
        if begun and self._head is None:
            self._head = self.loop.call_later(self.settings.header_seconds, self._slow_head)
        elif not begun and self._head:
            self._head.cancel()
            self._head = None

    def _slow_head(self):
        self._head = None
        if self.conn.trailing_data[0]:
            self._refuse(Problem("timeout", f"The head of the request did not come within "
                                 f"{self.settings.header_seconds:g} s."))
        else:
            self.transport.close()

    def _refuse(self, problem):
        """Answer without a request, and close."""
        if self.transport.is_closing():
            return
        started = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if not started:
            self.transport.write(problem.raw())
        if self.cycle is not None:  # whoever waits for the rest of the body need not
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.refused = True
        self.transport.close()
        self.service.metrics.requests.labels("none", str(problem.status), problem.code).inc()
        self.service.log.event("refused", status=problem.status, code=problem.code)

    def _abort(self):
        self.service.log.event("stuck", code="timeout")
        self.transport.abort()


class _Closing:
    """A transport whose close() lingers where the client may still be sending."""

    def __init__(self, transport: asyncio.Transport, protocol: Protocol) -> None:
        self._transport, self._protocol, self._closed = transport, protocol, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether close() was called."""
        return self._closed or self._transport.is_closing()

    def close(self) -> None:
        """As asyncio.Transport; reads on for a time where the client may still be sending."""
        if self._protocol.lingering:
            return
        self._closed = True
        if self._protocol.refused or self._protocol.conn.their_state is h11.SEND_BODY:
            self._protocol.linger(self._transport)
        else:
            self._transport.close()
