"""Ports in a row that nobody uses at the moment."""

import random
import socket


def free_ports(count):
    """The first of `count` ports. Below those that the system gives to connections by itself."""
    while True:
        first = random.randrange(10_000, 30_000)
        sockets = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.create_server(("127.0.0.1", port)))
            return first
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()
