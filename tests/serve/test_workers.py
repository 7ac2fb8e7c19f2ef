"""Several processes on one socket, and a service that asks for a key."""

import os
import signal
import socket

import pytest
from test_service import encoded
from test_stops import wait_for

from benchmarks.service.client import ask, exchange, request
from benchmarks.service.load import Load
from benchmarks.service.process import Served
from manyfaces.serve.processes import workers
from manyfaces.serve.settings import Settings

pytestmark = pytest.mark.slow
KEY, OTHER = "0123456789abcdef0123", "another-key-of-someone"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Two workers, with a key in the environment and two in a file."""
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_text(f"# of the team\n{OTHER}\n\nthe-third-key-of-all\n")
    with Served("--workers", "2", "--parallel", "1", "--key-file", str(path),
                variables={"MANYFACES_API_KEY": KEY}) as running:
        yield running


def asked(served, path, method="GET", **headers):
    return ask(served.port, encoded() if method == "POST" else b"", path, method, **headers)


def test_without_a_key_only_probes_and_the_page_are_open(served):
    for headers in ({}, {"authorization": "Bearer " + KEY[:-1]}, {"authorization": "Bearer"}, {"x_api_key": "x" * 999},
                    {"authorization": "Basic " + KEY}, {"authorization": KEY}, {"x_api_key": ""}):
        for path, method in (("/v1/detect", "POST"), ("/v1/models", "GET"), ("/metrics", "GET"),
                             ("/openapi.json", "GET"), ("/v1/nothing", "GET"), ("/nothing", "GET"),
                             ("/v1/../v1/models", "GET"), ("//v1/models", "GET"), ("/%76%31/models", "GET")):
            answer = asked(served, path, method, **headers)
            assert answer.code == "unauthorized" and answer.headers["www-authenticate"].startswith("Bearer")
    assert [asked(served, path).status for path in ("/healthz", "/readyz", "/", "/site.json")] == [200] * 4


def test_each_of_the_keys_opens_and_none_is_shown(served):
    for headers in ({"authorization": f"Bearer {KEY}"}, {"x_api_key": OTHER}, {"authorization": f"bearer {OTHER}"},
                    {"x_api_key": "the-third-key-of-all"}):
        assert asked(served, "/v1/detect", "POST", **headers).status == 200
        assert asked(served, "/v1/models", **headers).status == 200
    said = served.said() + str(served.log())
    assert not [key for key in (KEY, OTHER) if key in said]
    words = b"".join(open(f"/proc/{process}/cmdline", "rb").read() for process in
                     (served.process.pid, *served.children()))
    assert KEY.encode() not in words


def test_a_body_without_a_key_is_not_read(served):
    answer = exchange(served.port, request(content_length="9000000"))
    assert answer.code == "unauthorized" and answer.headers["connection"] == "close"


def test_workers_share_the_work_and_their_metrics_and_a_killed_one_is_replaced(served):
    def count():
        text = asked(served, "/metrics", x_api_key=KEY).body.decode()
        name = 'manyfaces_requests_total{code="ok",route="/v1/models",status="200"} '
        return next(float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))

    workers = served.children()
    asked(served, "/v1/models", x_api_key=KEY)
    before = count()
    for _ in range(20):
        assert asked(served, "/v1/models", x_api_key=KEY).status == 200
    wait_for(lambda: count() >= before + 20)  # a worker counts after it has answered
    assert len(workers) == 2 and count() == before + 20
    assert len([row for row in served.log() if row["event"] == "start"]) == 2
    os.kill(workers[0], signal.SIGKILL)
    wait_for(lambda: len(served.children()) == 2 and workers[0] not in served.children())
    wait_for(lambda: len([row for row in served.log() if row["event"] == "start"]) == 3)
    assert count() >= before + 20 and "ended with code -9" in served.said()


def test_a_worker_that_is_killed_while_it_starts_is_replaced(monkeypatch, tmp_path):
    """The first process is killed at once; the second writes that it listens."""
    started, ready = [], []

    class Process:
        def __init__(self, settings, listening, folder):
            self.process, self.pid, self.born = self, len(started) + 1, 0.0
            started.append(self)
            self.code = -9 if len(started) == 1 else None
            if self.code is None:
                open(workers.ready_file(folder, self.pid), "w").close()
                ready.append(self.pid)

        def poll(self):
            return self.code

        def stop(self, number):
            self.code = 0

        def kill(self):
            pass

    monkeypatch.setattr(workers, "_Worker", Process)
    monkeypatch.setattr(workers, "_forget", lambda process, folder: None)
    monkeypatch.setattr(workers, "refuse_rest", lambda listening: None)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        code = workers.serve_with_workers(Settings(), listening, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert (code, len(started), ready) == (0, 2, [2])


def test_sigterm_ends_all_workers_in_order(served):
    workers = served.children()
    with Load(served.port, encoded(), clients=4, headers={"x_api_key": KEY}, faces=1) as load:
        wait_for(lambda: load.outcome.codes["ok"] > 8)
        code, _ = served.stop()
    assert code == 0 and set(load.outcome.codes) <= {"ok", "stopping", "refused"}, load.outcome.codes
    assert not [process for process in workers if os.path.exists(f"/proc/{process}")]
    stops = [row for row in served.log() if row["event"] == "stop"]
    assert len(stops) == 2 and not any(row["unanswered"] for row in stops)
