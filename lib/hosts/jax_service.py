"""JAX's coordination service in a process of its own, beside rank 0.

JAX runs it inside rank 0. Where that dies, JAX aborts all other processes at once, before they can say why. Here the
service lives a little longer than rank 0, and the team (team.py) notices the death.
"""

from __future__ import annotations

import contextlib
import importlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from .team import GRACE, Team

# Without a word on its standard input, its training was killed: the others need their time to end.
SERVICE = """
import sys, time
from jaxlib import _jax
service = _jax.get_distributed_runtime_service(sys.argv[1], int(sys.argv[2]))
print("ready", flush=True)
if not sys.stdin.buffer.read():
    time.sleep(float(sys.argv[3]))
"""


class _Elsewhere:
    """Stands for the service in JAX's eyes."""

    def __init__(self, port: int, world: int) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", SERVICE, f"[::]:{port}", str(world), str(2 * GRACE)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline() == b"ready\n"

    def shutdown(self) -> None:
        """End the process; the training has ended in order."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(b"done")
            self.process.stdin.close()
        self.process.wait()


@contextlib.contextmanager
def coordinated(team: Team) -> Iterator[str]:
    """Give host:port of the service, while JAX connects to it. Every process of the team calls it."""
    module: Any = importlib.import_module("jax._src.distributed")
    own = getattr(module, "_jax", None)
    port, service = 0, None
    if team.rank == 0 and hasattr(own, "get_distributed_runtime_service"):  # else JAX keeps it inside rank 0
        with socket.create_server(("", 0)) as free:
            port = free.getsockname()[1]
        service = _Elsewhere(port, team.world)
        port = port if service.ready else 0
    port = team.share("coordinator", {"port": port}).facts["port"]
    host, _, usual = team.addresses[0].rpartition(":")
    if service is None or not port:
        yield f"{host}:{port or usual}"
        return
    module._jax = _Instead(own, service)
    try:
        yield f"{host}:{port}"
    finally:
        module._jax = own


class _Instead:
    """A module, but for the function that would start the service here."""

    def __init__(self, module, service):
        self._module, self._service = module, service

    def __getattr__(self, name):
        return getattr(self._module, name)

    def get_distributed_runtime_service(self, *_, **__):
        """The service that runs already."""
        return self._service
