"""The end of a service, its queue when it is full, and clients that leave."""

import functools
import signal
import socket

import processes
import pytest
from test_service import encoded

from benchmarks.service.client import LEAVE, ask, exchange, request
from benchmarks.service.load import Load
from benchmarks.service.process import Served
from manyfaces.errors import InputError
from manyfaces.serve.processes.server import open_socket

pytestmark = pytest.mark.slow
wait_for = functools.partial(processes.wait_for, seconds=60)


def test_sigterm_answers_what_was_accepted_refuses_the_rest_and_exits_0():
    with Served("--queue", "64", "--parallel", "1", "--max-images", "4") as served:
        with Load(served.port, encoded(".png", 512), clients=6, faces=1) as load:
            wait_for(lambda: load.outcome.codes["ok"] > 8)
            code, seconds = served.stop()
        log = served.log()
    codes = load.outcome.codes
    assert code == 0 and seconds < 20
    assert codes["stopping"] and set(codes) <= {"ok", "stopping", "refused"}, codes
    assert codes["ok"] == len([row for row in log if row.get("status") == 200]) and log[-1]["event"] == "stop"
    assert log[-1]["unanswered"] == 0 and served.said().count("\n") == 1, "no traceback"


@pytest.fixture(scope="module")
def ordinary():
    """A service with the defaults; the last test that uses it ends it."""
    with Served() as served:
        yield served


def test_many_connections_are_bounded(ordinary):
    sockets = [socket.create_connection(("127.0.0.1", ordinary.port)) for _ in range(512)]
    answer = wait_for(lambda: (found := exchange(ordinary.port)).code == "busy" and found)
    assert answer.status == 503 and answer.headers["retry-after"] == "1"
    for each in sockets:
        each.close()
    wait_for(lambda: exchange(ordinary.port, request(path="/healthz", method="GET")).status == 200)


def test_a_second_signal_ends_at_once_also_where_a_client_is_slow(ordinary):
    with socket.create_connection(("127.0.0.1", ordinary.port)) as slow:
        slow.sendall(request(content_length="5000"))
        ask(ordinary.port, path="/healthz", method="GET")  # by then the slow one was accepted
        ordinary.process.send_signal(signal.SIGTERM)
        wait_for(lambda: ask(ordinary.port, path="/readyz", method="GET").code == "stopping")
        assert ask(ordinary.port, path="/healthz", method="GET").status == 200
        code, seconds = ordinary.stop(signal.SIGINT)
    assert code == 1 and seconds < 5  # the slow one was not answered


@pytest.fixture(scope="module")
def small():
    """A service with room for three images."""
    with Served("--queue", "2", "--max-images", "2", "--parallel", "1", "--patience", "2") as served:
        yield served


def large():
    return encoded(".bmp", 2000)  # takes about half a second


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(small):
    with Load(small.port, large(), clients=6) as load:
        wait_for(lambda: load.outcome.codes["ok"] >= 3 and load.outcome.codes["busy"] >= 3)
        answer = ask(small.port, path="/readyz", method="GET")
        assert answer.status in (200, 503) and ask(small.port, path="/healthz", method="GET").status == 200
    assert set(load.outcome.codes) == {"ok", "busy"} and load.outcome.retry <= set(map(str, range(1, 61)))
    refused = [row["total_ms"] for row in small.log() if row.get("code") == "busy"]
    assert sorted(refused)[len(refused) // 2] < 100  # ms; the slowest only where the machine is not busy


def test_what_waits_is_dropped_when_its_client_leaves(small):
    body = large()
    before = len(small.log())
    with Load(small.port, body, clients=1) as load:
        for _ in range(12):
            exchange(small.port, request(body), LEAVE)
        wait_for(lambda: load.outcome.codes["ok"] > 2)
    wait_for(lambda: b"manyfaces_pending_images 0.0" in ask(small.port, path="/metrics", method="GET").body)
    rows = [row for row in small.log()[before:] if row.get("path") == "/v1/detect"]
    gone = [row for row in rows if row["status"] == 499]
    assert gone and all(row["code"] == "gone" for row in gone) and "work_ms" not in gone[0]
    assert load.outcome.codes["lost"] == 0 and b"manyfaces_held_bytes 0.0" in ask(
        small.port, path="/metrics", method="GET").body


def test_a_client_that_does_not_take_its_answers_is_cut_off(small):
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", small.port))
        slow.settimeout(0.2)
        try:
            while True:
                slow.sendall(request(path="/openapi.json", method="GET", content_length=None) * 100)
        except OSError:  # it takes no more requests, since its answers are not taken
            pass
        wait_for(lambda: any(row["event"] == "stuck" for row in small.log()))
    assert ask(small.port, path="/healthz", method="GET").status == 200


def test_an_image_in_work_does_not_hold_up_the_end_after_a_second_signal():
    with Served("--model", "tiny_mobilenet_v1_025", "--parallel", "1") as served:
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            client.sendall(request(encoded(".bmp", 2500)))  # takes it about three seconds
            wait_for(lambda: b"pending_images 1.0" in ask(served.port, path="/metrics", method="GET").body)
            served.process.send_signal(signal.SIGTERM)
            wait_for(lambda: ask(served.port, path="/readyz", method="GET").code == "stopping")
            code, seconds = served.stop()
    assert code == 1 and seconds < 2 and served.log()[-1]["unanswered"] == 1


def test_what_cannot_be_served_is_an_error_of_one_line():
    with pytest.raises(RuntimeError) as error, Served("--model", "nothing", "--workers", "2"):
        pass
    assert "error: nothing: expected a name" in str(error.value) and "Traceback" not in str(error.value)
    for host in ("192.0.2.1", "no such host", ""):
        with pytest.raises(InputError, match=f"--host {host}.*(expected an address|choose another)"):
            open_socket(host, 1 if not host else 0).close()


def test_a_port_that_is_taken_is_an_error_of_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(RuntimeError, match="error: --host 127.0.0.1 --port .*in use.*choose another"):
            with Served("--port", str(taken.getsockname()[1])):
                pass
