"""Several processes that listen on one socket. One that dies is replaced; a signal ends all of them in order."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from ...errors import InputError
from ...progress import print_line
from ..settings import METRICS_FOLDER as FOLDER
from ..settings import Settings
from .server import BACKLOG, on_signals, refuse_rest

_TICK = 0.05  # s
_START = 120.0  # s that the first ones may take to load their models
_SOON = 5.0  # s: what dies sooner is started again only after a pause


class _Worker:
    """A process. It reads its settings from a pipe whose other end stays open here: its end is this process' end."""

    def __init__(self, settings: Settings, listening: socket.socket, folder: str) -> None:
        words = [sys.executable, "-m", f"{__package__}.worker", str(listening.fileno())]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, pass_fds=(listening.fileno(),),
                                        start_new_session=True, env={**os.environ, FOLDER: folder})
        self.born = time.monotonic()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(settings.to_json().encode() + b"\n")  # type: ignore[union-attr]
            self.process.stdin.flush()  # type: ignore[union-attr]

    def stop(self, number: int) -> None:
        """Send it a signal."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


def serve_with_workers(settings: Settings, listening: socket.socket, announce: Callable[[], None]) -> int:
    """Serve by settings.workers processes until a signal.

    Returns:
        The exit code: 0; 1 where a worker could not answer what it had accepted.

    Raises:
        InputError: the first workers do not start; they have said why.
    """
    asked: list[int] = []
    folder = tempfile.mkdtemp(prefix="manyfaces-metrics-")
    workers: list[_Worker] = []

    def replace(number: int, code: int) -> None:
        print_line(f"a worker has ended with code {code}; another one is started")
        _forget(workers[number].process.pid, folder)
        if time.monotonic() - workers[number].born < _SOON:
            time.sleep(1)
        workers[number] = _Worker(settings, listening, folder)

    with on_signals(lambda number, frame: asked.append(number)):
        try:
            listening.listen(BACKLOG)
            workers = [_Worker(settings, listening, folder) for _ in range(settings.workers)]
            _await_start(workers, folder, asked, replace)
            if not asked:
                announce()
            while not asked:
                time.sleep(_TICK)
                for number, worker in enumerate(workers):
                    code = worker.process.poll()
                    if code is not None and not asked:
                        replace(number, code)
            code = _stop(workers, asked)
            refuse_rest(listening)
            return code
        finally:
            for worker in workers:
                worker.process.kill()
            shutil.rmtree(folder, ignore_errors=True)


def _await_start(workers, folder, asked, replace):
    """Until each worker has written that it listens. One that is killed meanwhile is replaced: it is not its fault."""
    end = time.monotonic() + _START
    while not asked and not all(os.path.exists(ready_file(folder, worker.process.pid)) for worker in workers):
        for number, worker in enumerate(workers):
            code = worker.process.poll()
            if code is not None and code < 0:
                replace(number, code)
            elif code is not None:
                raise InputError(f"a worker could not start (exit code {code}); its message is above")
        if time.monotonic() > end:
            raise InputError(f"the workers have not started within {_START:.0f} s; start fewer --workers")
        time.sleep(_TICK)


def _stop(workers, asked):
    """Tell all to end; a second signal tells them again, which ends them at once."""
    codes = []
    for worker in workers:
        worker.stop(signal.SIGTERM)
    for worker in workers:
        while (code := worker.process.poll()) is None:
            time.sleep(_TICK)
            if len(asked) > 1:
                asked.pop()
                for other in workers:
                    other.stop(signal.SIGTERM)
        codes.append(code)
    return int(any(codes))


def ready_file(folder: str, process: int) -> str:
    """The file by which a worker says that it accepts requests."""
    return os.path.join(folder, f"ready-{process}")


def _forget(process, folder):
    """Its gauges count no longer; its counters do."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(process, folder)
