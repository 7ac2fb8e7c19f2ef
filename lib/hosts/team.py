"""The processes of one training on several hosts, as each of them sees the others.

The first process (rank 0) listens, each other one connects to it: a star. Tensors do not go this way but through the
backend; what goes here is small: who takes part, what each step gave, what one of them decides, the state at the start.
Connections also carry signs of life, so a process that dies or falls silent is noticed by all, whatever the backend
does at that moment.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import socket
import sys
import threading
import time
from typing import Any, NoReturn

import numpy as np

from .. import __version__
from ..errors import InputError, printable, shortened
from .messages import Connection, Message
from .place import Place

BEAT = 2.0  # s between signs of life
SILENCE = 40.0  # s without one, after which a process counts as lost
GRACE = 10.0  # s that a process has to end by itself when another is lost; SILENCE + GRACE is below a minute
WAIT = 300.0  # s that a process waits for the others at the start


class HostLost(ConnectionError):
    """Another process of the training has ended or fallen silent; the message says which."""

    def __init__(self, text: str) -> None:
        super().__init__(errno.ECONNRESET, shortened(printable(text)))


class Alone:
    """The team of one process: what it says is all there is. It costs nothing."""

    rank, world = 0, 1

    def gather(self, what: str, facts: dict[str, Any], array: np.ndarray | None = None) -> list[Message]:
        """What each process says, by rank."""
        return [Message(what, facts, array)]

    def share(self, what: str, facts: dict[str, Any], array: np.ndarray | None = None) -> Message:
        """What rank 0 says, to all."""
        return Message(what, facts, array)


class Team(Alone):
    """All processes of a training, connected. `gather` and `share` are called by all of them in the same order.

    Args:
        place: that of this process.
        wait: s to wait for the others.

    Attributes:
        addresses: host:port for the backend of each process.
        names: of the hosts, by rank.

    Raises:
        InputError: the others do not come, or do not fit.
    """

    def __init__(self, place: Place, wait: float = WAIT) -> None:
        self.place, self.rank, self.world = place, place.rank, place.world
        self.names = [name or "?" for name in place.hosts]
        self.addresses: list[str] = []
        self.lost = ""  # why the training cannot go on
        self.left = threading.Event()
        self._inboxes: dict[int, queue.SimpleQueue] = {}
        self._links: dict[int, Connection] = {}
        self._gone: set[int] = set()  # that said goodbye
        self._lock = threading.Lock()
        end = time.monotonic() + wait
        if self.rank == 0:
            self._listen(end, wait)
        else:
            self._connect(end, wait)
        for rank, link in self._links.items():
            self._inboxes[rank] = queue.SimpleQueue()
            threading.Thread(target=self._read, args=(rank, link), daemon=True, name=f"from rank {rank}").start()
        threading.Thread(target=self._watch, daemon=True, name="other ranks").start()

    def __str__(self) -> str:
        return f"{self.world} processes on {len(set(self.names))} hosts"

    # ------------------------------------------------------------- the start

    def _listen(self, end, wait):
        """Take a connection of each other rank, then tell all of them who takes part."""
        first, port = self.place.hosts[0], self.place.port
        try:
            server = _server(first, port)
        except OSError as error:
            raise InputError(f"--hosts: cannot listen at port {port} ({error.strerror or error}); another training may "
                             f"use it: give a free one, --hosts {first}:PORT,...") from None
        with server:
            addresses = {0: first}
            while len(self._links) < self.world - 1:
                server.settimeout(max(0.01, end - time.monotonic()))
                try:
                    socket_, address = server.accept()
                except TimeoutError:
                    missing = [str(rank) for rank in range(1, self.world) if rank not in self._links]
                    raise InputError(f"--hosts: waited {wait:.0f} s at {first}:{port} for rank {', '.join(missing)}; "
                                     f"start the same command there with its --rank") from None
                link = Connection(socket_)
                # One that died while it waited may come again.
                self._links = {rank: link for rank, link in self._links.items() if not link.is_closed()}
                try:
                    hello = link.receive(10.0, 0)
                    rank, refusal = hello.facts["rank"], self._refusal(hello, addresses)
                    if refusal:
                        link.send(Message("refused", {"text": refusal}))
                        link.close()
                        continue
                    addresses[rank] = self.place.hosts[rank] or address[0]
                    self.names[rank] = self.place.hosts[rank] or str(hello.facts["host"])
                    self._links[rank] = link
                except (OSError, ValueError, KeyError, TypeError):
                    link.close()  # not one of ours
        self.addresses = [_joined(addresses[rank], port + 1 + rank) for rank in range(self.world)]
        for link in self._links.values():
            link.send(Message("welcome", {"addresses": self.addresses, "names": self.names}))

    def _refusal(self, hello, addresses):
        """Why a process cannot take part; "" if it can."""
        facts = hello.facts
        if hello.what != "hello" or facts["version"] != __version__:
            return f"rank 0 runs manyfaces {__version__}, this is {facts.get('version')}; install the same on all hosts"
        if facts["world"] != self.world:
            return f"--hosts names {facts['world']} processes here and {self.world} at rank 0; expected the same list"
        if facts["rank"] not in range(1, self.world) or facts["rank"] in self._links:
            return f"rank {facts['rank']} is taken, by {addresses.get(facts['rank'], 'none')}; give each its own --rank"
        return ""

    def _connect(self, end, wait):
        """Connect to rank 0, which may start later than this process."""
        first, port = self.place.hosts[0], self.place.port
        facts = {"rank": self.rank, "world": self.world, "version": __version__, "host": socket.gethostname()}
        while True:
            try:
                link = Connection(socket.create_connection((first, port), 5.0))
                link.send(Message("hello", facts))
                answer = link.receive(max(0.01, end - time.monotonic()))
                break
            except (OSError, ValueError) as error:
                if time.monotonic() >= end:
                    raise InputError(f"--hosts: rank {self.rank} waited {wait:.0f} s for rank 0 at {first}:{port} "
                                     f"({_reason(error)}); start it there, and see that the port is open") from None
                time.sleep(0.2)
        if answer.what != "welcome":
            raise InputError(f"--hosts: {answer.facts.get('text', 'refused by rank 0')}")
        self._links[0] = link
        self.addresses, self.names = answer.facts["addresses"], answer.facts["names"]

    # ------------------------------------------------------------- talk

    def gather(self, what: str, facts: dict[str, Any], array: np.ndarray | None = None) -> list[Message]:
        """What each process says, by rank; all of them get the same list.

        Raises:
            HostLost: one of them is gone.
        """
        own = Message(what, facts, array)
        if self.rank:
            self._send(0, own)
            return [self._take(0, what) for _ in range(self.world)]
        said = [own, *(self._take(rank, what) for rank in range(1, self.world))]
        for rank in range(1, self.world):
            for message in said:
                self._send(rank, message)
        return said

    def share(self, what: str, facts: dict[str, Any], array: np.ndarray | None = None) -> Message:
        """What rank 0 says, to all; the others' own facts are not used.

        Raises:
            HostLost: one of them is gone.
        """
        if self.rank:
            return self._take(0, what)
        message = Message(what, facts, array)
        for rank in range(1, self.world):
            self._send(rank, message)
        return message

    def _send(self, rank, message):
        if not self.lost:
            try:
                self._links[rank].send(message)
                return
            except OSError as error:
                self._lose(rank, _reason(error))
        raise HostLost(self.lost)

    def _take(self, rank, what):
        """The next message of a rank, which must be `what`."""
        while not self.lost:
            try:
                message = self._inboxes[rank].get(timeout=0.5)
            except queue.Empty:
                continue
            if message.what == what:
                return message
            self._lose(rank, f"it is at {message.what!r}, this process at {what!r}")
        raise HostLost(self.lost)

    # ------------------------------------------------------------- life and death

    def _read(self, rank, link):
        """Sort what a rank sends; runs in a thread of its own until the connection ends."""
        try:
            while True:
                message = link.receive()
                if message.what == "lost":
                    self._fail(str(message.facts.get("text")))
                elif message.what == "end":
                    self._lose(rank, str(message.facts.get("text")))
                elif message.what == "bye":
                    self._gone.add(rank)
                else:
                    self._inboxes[rank].put(message)
        except (OSError, ValueError) as error:
            if rank not in self._gone and not self.left.is_set():
                self._lose(rank, _reason(error))

    def _watch(self):
        """Give signs of life and expect them; end this process where it cannot end itself."""
        since = None
        while not self.left.wait(BEAT / 2):
            for rank, link in self._links.items():
                if time.monotonic() - link.heard > SILENCE and rank not in self._gone:
                    self._lose(rank, f"silent for {SILENCE:.0f} s")
                with contextlib.suppress(OSError):  # its reader finds out why
                    link.beat()
            if self.lost:
                since = since or time.monotonic()
                if time.monotonic() - since > GRACE:  # the backend waits for ever for what the lost one would send
                    self.end(1, f"error: {self.lost}")

    def _lose(self, rank, reason):
        self._fail(f"rank {rank} (host {self.names[rank]}) has ended: {reason}")

    def _fail(self, text):
        """Remember the first loss. Rank 0 tells the others, which cannot see one another."""
        with self._lock:
            if self.lost or self.left.is_set():
                return
            self.lost = (f"{text}; rank {self.rank} (host {self.names[self.rank]}) ends too. The last checkpoint is "
                         f"complete: start all of them again with --resume")
        for link in self._links.values() if self.rank == 0 else ():
            # Each in a thread: the lost one may take nothing any more.
            threading.Thread(target=_tell, args=(link, Message("lost", {"text": text})), daemon=True).start()

    def check(self) -> None:
        """Wait for the reason of an error of the backend: another process may be lost, which raises HostLost."""
        end = time.monotonic() + 2 * BEAT
        while not self.lost and time.monotonic() < end:
            time.sleep(0.05)
        if self.lost:
            raise HostLost(self.lost)

    def leave(self, error: str = "") -> None:
        """Tell the others that this process ends; without an error, wait until all of them are at this place.

        Raises:
            HostLost: without an error: another one has ended before that.
        """
        message = Message("end", {"text": error}) if error else Message("bye", {})
        for link in self._links.values():
            _tell(link, message)
        while not error and not self.lost and len(self._gone) < len(self._links):
            time.sleep(0.02)
        lost = "" if error else self.lost
        self.left.set()
        for link in self._links.values():
            link.close()
        if lost:
            raise HostLost(lost)

    def end(self, code: int, line: str = "") -> NoReturn:
        """End this process at once: what tidies up in the backends would wait for those that are gone."""
        if line:
            os.write(2, f"{line}\n".encode())
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # a full disk
                stream.flush()
        os._exit(code)


def _server(host, port):
    """A socket that listens: at the loopback for trials there, else at every address of this host."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror:  # the name service of a cluster may learn the own name later
        family, address = socket.AF_INET, ("", port)
    own = str(address[0])
    local = own.startswith("127.") or own == "::1"
    return socket.create_server((own if local else "", port), family=family, backlog=128)


def _tell(link, message):
    """Send to one that may have ended."""
    with contextlib.suppress(OSError):
        link.send(message)


def _joined(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _reason(error):
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
