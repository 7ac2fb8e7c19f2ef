"""A worker of `workers.py`: python -m manyfaces.serve.processes.worker DESCRIPTOR.

It reads the settings as a line from standard input. The end of that input is the end of the process that started it.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from ...errors import InputError
from ...progress import print_line
from ..settings import METRICS_FOLDER, Settings
from .server import serve
from .workers import ready_file


def main() -> int:
    """Serve on the inherited socket; the exit code."""
    line = bytearray()
    while not line.endswith(b"\n"):  # unbuffered: what follows is read by a thread
        line += os.read(0, 1) or b"\n"
    ready = Path(ready_file(os.environ[METRICS_FOLDER], os.getpid()))
    try:
        return serve(Settings.from_json(line.decode()), socket.socket(fileno=int(sys.argv[1])), ready.touch,
                     watched=os.dup(0))
    except InputError as error:
        print_line(f"error: {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
