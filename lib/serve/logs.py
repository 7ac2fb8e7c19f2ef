"""The log: one JSON line per request, and per event of the service. No image content, no address of a client, no key.

A thread writes the lines, so a reader of the log that stalls does not stop the service. Lines that find no room are
counted, and the count is logged.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import queue
import sys
import threading
import traceback
from typing import Any, TextIO

from ..errors import printable, shortened

_ROOM = 10_000  # lines
_PATIENCE = 2.0  # s at the end, for a reader that stalls


class Log:
    """Writes events as JSON lines.

    Args:
        stream: None: standard output.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lines: queue.Queue[str | None] = queue.Queue(_ROOM)
        self._lost = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def event(self, event: str, level: str = "info", **facts: Any) -> None:
        """Log an event. Facts that are None are left out."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        row = {"time": now, "level": level, "event": event, **{key: value for key, value in facts.items()
                                                                if value is not None}}
        try:
            self._lines.put_nowait(json.dumps(row))
        except queue.Full:
            self._lost += 1

    def failure(self, error: BaseException, **facts: Any) -> None:
        """Log a defect with its traceback."""
        trace = "".join(traceback.format_exception(error))
        self.event("failure", "error", error=shortened(printable(str(error)), 500), trace=trace[-4000:], **facts)

    def close(self) -> None:
        """Write what is there."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=_PATIENCE)
            self._thread.join(_PATIENCE)

    def _write(self):
        while (line := self._lines.get()) is not None:
            if self._lost:
                lost, self._lost = self._lost, 0
                line += "\n" + json.dumps({"level": "warning", "event": "lines_lost", "count": lost})
            with contextlib.suppress(OSError, ValueError):  # a full disk or a closed pipe ends no service
                self._stream.write(line + "\n")
                if self._lines.empty():
                    self._stream.flush()


class Handler(logging.Handler):
    """Passes what uvicorn logs on as events."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """As logging.Handler."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self._log.failure(error, logger=record.name)
        else:
            self._log.event("server", record.levelname.lower(), logger=record.name,
                            message=shortened(printable(record.getMessage()), 500))
