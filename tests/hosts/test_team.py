"""Teams without a backend: what all learn, who may take part, and that the loss of one is noticed by all."""

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from free_ports import free_ports

from manyfaces.errors import InputError
from manyfaces.hosts import team as module
from manyfaces.hosts.messages import MOST_FACTS, Connection, Message
from manyfaces.hosts.place import Place
from manyfaces.hosts.team import Alone, HostLost, Team

LOCAL = "127.0.0.1"


def places(world, port=0):
    port = port or free_ports(world + 1)
    return [Place(rank, (LOCAL,) * world, port, rank) for rank in range(world)]


def each(teams, function):
    """function(team) of all teams at the same time."""
    with ThreadPoolExecutor(len(teams)) as pool:
        return list(pool.map(function, teams))


@pytest.fixture
def team():
    """A function: that many connected teams, which are left at the end."""
    made = []

    def connected(world):
        made.extend(each(places(world), lambda place: Team(place, wait=30)))
        return made

    yield connected
    for one in made:
        one.left.set()
        for link in one._links.values():
            link.close()


def test_all_learn_what_each_says(team):
    teams = team(3)
    assert len({tuple(one.addresses) for one in teams}) == 1 and len(set(teams[0].addresses)) == 3
    values = [np.float32([[0.1, np.nan], [np.inf, rank]]) for rank in range(3)]
    for turn in range(20):
        heard = each(teams, lambda one, turn=turn: one.gather(f"step {turn}", {"signal": one.rank or None, "norm": 0.1},
                                                              values[one.rank]))
        for said in heard:
            assert [message.facts["signal"] for message in said] == [None, 1, 2]
            for message, value in zip(said, values, strict=True):
                np.testing.assert_array_equal(message.array, value)
                assert message.array.dtype == np.float32 and message.facts["norm"] == 0.1
        shared = each(teams, lambda one: one.share("best", {"of": one.rank}, np.arange(one.rank + 3)))
        assert [message.facts["of"] for message in shared] == [0, 0, 0] and len(shared[2].array) == 3
    each(teams, lambda one: one.leave())
    assert not any(one.lost for one in teams)


def test_one_process_hears_itself():
    alone, value = Alone(), np.ones(2)
    assert alone.gather("step", {"a": 1}, value) == [Message("step", {"a": 1}, value)]
    assert alone.share("state", {}, value).array is value and (alone.rank, alone.world) == (0, 1)


def test_a_large_array_arrives_whole(team):
    teams = team(2)
    values = np.random.default_rng(0).normal(size=(300, 500)).astype(np.float32)
    heard = each(teams, lambda one: one.share("state", {}, None if one.rank else values))
    np.testing.assert_array_equal(heard[1].array, values)


def test_no_object_is_unpickled(team):
    teams = team(2)
    with pytest.raises(ValueError, match="pickle"):
        teams[0].share("state", {}, np.array([{}], object))


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_all_others_notice_a_connection_that_ends(team, lost):
    teams = team(3)
    teams[lost].left.set()  # a process that is dead does not tell the third one that it has lost the second
    for link in teams[lost]._links.values():
        link.close()
    others = [one for one in teams if one.rank != lost]

    def last(one):
        with pytest.raises(HostLost) as error:
            one.gather("step", {})
        return str(error.value)

    for one, text in zip(others, each(others, last), strict=True):
        assert f"rank {lost} (host {LOCAL}) has ended" in text and f"rank {one.rank} (host {LOCAL}) ends too" in text


def test_the_others_learn_why_one_ends(team):
    teams = team(3)
    teams[2].leave("a.jpg {0}: five images in a row could not be read")
    for one in teams[:2]:
        with pytest.raises(HostLost, match=r"rank 2 .* has ended: a.jpg \{0\}: five images"):
            one.gather("step", {})


def test_a_silent_one_is_lost(team, monkeypatch):
    """As when a cable is cut: no connection ends, and nothing comes."""
    monkeypatch.setattr(module, "SILENCE", 0.5)
    monkeypatch.setattr(module, "BEAT", 0.2)
    teams = team(2)
    teams[1].left.set()  # its watch ends: no signs of life
    with pytest.raises(HostLost, match="rank 1 .* has ended: silent for 0 s"):
        teams[0].gather("step", {})


def test_signs_of_life_keep_a_quiet_team(team, monkeypatch):
    monkeypatch.setattr(module, "SILENCE", 0.8)
    monkeypatch.setattr(module, "BEAT", 0.1)
    teams = team(2)
    time.sleep(1.6)
    assert [len(said) for said in each(teams, lambda one: one.gather("step", {}))] == [2, 2]


def test_processes_at_different_places_end(team):
    teams = team(2)

    def other(one):
        with pytest.raises(HostLost, match="it is at 'step 4', this process at 'step 3'|has ended"):
            one.gather(f"step {3 + one.rank}", {})

    each(teams, other)


def test_the_wait_for_a_rank_ends_with_its_number():
    place = places(3)[0]
    with pytest.raises(InputError, match=r"waited 0 s at 127.0.0.1:\d+ for rank 1, 2; start"):
        Team(place, wait=0.05)
    with pytest.raises(InputError, match=r"rank 1 waited 0 s for rank 0 at 127.0.0.1:\d+ \(Connection refused\)"):
        Team(places(2)[1], wait=0.05)
    with socket.create_server((LOCAL, place.port)), pytest.raises(InputError, match="cannot listen at port"):
        Team(place, wait=0.05)


def test_who_does_not_fit_is_told_and_the_others_come_in():
    port = free_ports(4)
    good, larger = places(2, port), places(3, port)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(Team, good[0], 30)
        with pytest.raises(InputError, match="names 3 processes here and 2 at rank 0"):
            Team(larger[1], 30)
        with socket.create_connection((LOCAL, port)) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with socket.create_connection((LOCAL, port)) as stranger:
            stranger.sendall(struct.pack("!IQ", MOST_FACTS + 1, 0))
        second = Team(good[1], 30)
        assert [len(said) for said in each([first.result(), second], lambda one: one.gather("step", {}))] == [2, 2]
        each([first.result(), second], lambda one: one.leave())


def test_a_rank_is_taken_once_but_one_that_died_may_come_again():
    world = places(3)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(Team, world[0], 30)
        while True:
            try:
                dying = Connection(socket.create_connection((LOCAL, world[0].port)))
                break
            except OSError:
                time.sleep(0.01)
        hello = {"rank": 1, "world": 3, "version": module.__version__, "host": "b"}
        dying.send(Message("hello", hello))
        time.sleep(0.1)
        twice = Connection(socket.create_connection((LOCAL, world[0].port)))
        twice.send(Message("hello", hello))
        assert "rank 1 is taken" in twice.receive(10).facts["text"]
        dying.close()
        second = pool.submit(Team, world[1], 30)
        teams = [Team(world[2], 30), first.result(), second.result()]
        assert [len(said) for said in each(teams, lambda one: one.gather("step", {}))] == [3, 3, 3]
        each(teams, lambda one: one.leave())


# A process that waits for ever inside its backend, as for a tensor of the lost one.
STUCK = """
import sys, threading
from manyfaces.hosts import team
from manyfaces.hosts.place import Place
team.GRACE = team.BEAT = 0.2
one = team.Team(Place(int(sys.argv[1]), ("127.0.0.1",) * 2, int(sys.argv[2])), 60)
print("ready", flush=True)
threading.Event().wait()
"""


@pytest.mark.slow
def test_a_process_that_waits_inside_its_backend_ends_too():
    port = free_ports(3)
    both = [subprocess.Popen([sys.executable, "-c", STUCK, str(rank), str(port)], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ":".join(sys.path)})
            for rank in range(2)]
    try:
        for process in both:
            assert process.stdout.readline() == "ready\n"
        both[0].send_signal(signal.SIGKILL)
        _, errors = both[1].communicate(timeout=60)
        assert both[1].returncode == 1
        lines = errors.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: rank 0 (host 127.0.0.1) has ended"), errors
    finally:
        for process in both:
            process.kill()
            process.wait()
