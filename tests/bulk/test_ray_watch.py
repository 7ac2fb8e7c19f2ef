"""A command whose call of Ray never returns is ended; one that goes on is not."""

import os
import signal
import socket
import threading

import pytest

from manyfaces.bulk import ray_watch


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(ray_watch, "EVERY", 0.01)


@pytest.fixture
def node():
    """The address of something that answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def ended_with(address, act=lambda: None, seconds=10.0):
    """The exit code with which a watched command is ended; None: it is not."""
    codes, ended = [], threading.Event()

    def end(code):
        codes.append(code)
        ended.set()

    with ray_watch.Watch(address, end):
        act()
        ended.wait(seconds)
    return codes[0] if codes else None


def test_a_first_node_that_is_gone_ends_it(monkeypatch, capsys):
    monkeypatch.setattr(ray_watch, "GONE", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    assert ended_with(address) == 1
    assert f"the first node of the Ray cluster ({address}) has not answered" in capsys.readouterr().err


def test_one_that_answers_does_not(node, monkeypatch):
    monkeypatch.setattr(ray_watch, "GONE", 0.05)
    assert ended_with(node, seconds=0.3) is None


def test_a_signal_that_is_not_obeyed_in_time_ends_it(node, monkeypatch, capsys):
    monkeypatch.setattr(ray_watch, "GRACE", 0.0)
    monkeypatch.setattr(ray_watch, "LEAVE", 0.05)
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        assert ended_with(node, lambda: os.kill(os.getpid(), signal.SIGTERM)) == 128 + signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "the same command continues" in capsys.readouterr().err


def test_a_signal_that_is_obeyed_does_not(node):
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        assert ended_with(node, lambda: os.kill(os.getpid(), signal.SIGTERM), seconds=0.2) is None
    finally:
        signal.signal(signal.SIGTERM, before)
