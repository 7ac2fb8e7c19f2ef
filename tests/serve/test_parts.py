"""The parts of the service that need no process: settings, keys, forms, the queue, the log."""

import asyncio
import email
import email.policy
import io
import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.service.client import file_part, form
from manyfaces.errors import InputError
from manyfaces.serve.answers import CODES, Problem
from manyfaces.serve.bodies import Held, read_body, split_form
from manyfaces.serve.lanes import Lanes
from manyfaces.serve.logs import Log
from manyfaces.serve.settings import Keys, Settings, is_loopback, read_keys

FORM = "multipart/form-data; boundary=b0undary"


# ------------------------------------------------------------------------------------------------ settings and keys

@pytest.mark.parametrize(("values", "message"), [
    ({"port": 70_000}, "port is 70000, expected a whole number, from 0 to 65535"),
    ({"workers": 0}, "workers is 0"), ({"queue": 4, "max_images": 5}, "max_images is 5, more than the 4 images"),
    ({"max_bytes": 0}, "max_bytes is 0"), ({"body_seconds": float("nan")}, "body_seconds is nan"),
    ({"models": ("a", "x/a.onnx")}, "the name a is given twice"), ({"models": ()}, "found none"),
    ({"models": ("a b=x.onnx",)}, "expected a name, a file, or NAME=FILE"), ({"models": ("a=",)}, "found 'a='"),
    ({"allow_origins": ("*",)}, "expected an origin"), ({"allow_origins": ("https://a.example/x",)}, "without a path")])
def test_settings_that_cannot_be(values, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        Settings(**values)


def test_names_of_models_show_no_path_and_settings_survive_the_way_to_a_worker():
    settings = Settings(models=("ssh_mobilenet_v1_025", "/some/where/mine.onnx", "best=out/x.xml"), max_pixels=7)
    assert settings.named_models() == {"ssh_mobilenet_v1_025": "ssh_mobilenet_v1_025", "mine": "/some/where/mine.onnx",
                                       "best": "out/x.xml"}
    assert Settings.from_json(settings.to_json()) == settings
    assert [is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "0.0.0.0", "::",
                                           "example.org", "127.0.0.1.example.org")] == [True] * 5 + [False] * 4


def test_keys_of_a_file_and_of_the_environment(tmp_path, monkeypatch):
    path = tmp_path / "keys"
    path.write_text("# a comment\n  key-of-alice-123456 \n\nkey-of-bob-12345678\n")
    monkeypatch.setenv("MANYFACES_API_KEY", "key-of-the-environment")
    keys = read_keys(str(path))
    assert [keys.fit(key) for key in (b"key-of-alice-123456", b"key-of-bob-12345678", b"key-of-the-environment")] == [
        True] * 3
    assert [keys.fit(key) for key in (b"", b"# a comment", b"key-of-alice-12345", b"\xff")] == [False] * 4
    monkeypatch.delenv("MANYFACES_API_KEY")
    assert not read_keys() and not Keys() and not Keys().fit(b"")
    monkeypatch.setenv("MANYFACES_API_KEY_FILE", str(path))
    assert read_keys().fit(b"key-of-bob-12345678")


@pytest.mark.parametrize("key", ["", "short-secret", "with a space in it ", "é" * 20])
def test_a_key_that_is_none_is_an_error_which_does_not_show_it(key, tmp_path, monkeypatch):
    monkeypatch.setenv("MANYFACES_API_KEY", key)
    with pytest.raises(InputError, match="MANYFACES_API_KEY.*at least 16") as error:
        read_keys()
    assert not key or key not in str(error.value)
    for content in (b"", b"# nothing\n", b"\xff\xfe"):
        (tmp_path / "keys").write_bytes(content)
        with pytest.raises(InputError, match="keys"):
            read_keys(str(tmp_path / "keys"))
    with pytest.raises(InputError, match="No such file"):
        read_keys(str(tmp_path / "none"))


# ----------------------------------------------------------------------------------------------------------- bodies

@given(st.lists(st.tuples(st.text("ab. é", max_size=8), st.binary(max_size=60)), min_size=1, max_size=5))
def test_a_form_is_split_into_what_was_put_in(files):
    data = form([file_part(name, content.replace(b"b0undary", b"")) for name, content in files])
    message = email.message_from_bytes(f"Content-Type: {FORM}\r\n\r\n".encode() + data, policy=email.policy.HTTP)
    found, parameters = split_form(data, FORM, 5)
    assert [bytes(part.data) for part in found] == [content.replace(b"b0undary", b"") for _, content in files]
    assert [part.file for part in found] == [name for name, _ in files] and parameters == {}
    assert len(list(message.iter_parts())) == len(found)


@given(st.integers(0, 400), st.binary(max_size=3))
def test_a_damaged_form_is_a_problem_or_a_form(at, instead):
    parameter = ('Content-Disposition: form-data; name="model"', b"x")
    data = form([file_part("a", b"1" * 50), parameter, file_part("b", b"")])
    try:
        images, _ = split_form(data[:at] + instead + data[at + len(instead) :], FORM, 3)
    except Problem as problem:
        assert problem.code in ("bad_multipart", "too_many_images")
    else:
        assert 1 <= len(images) <= 3


def test_a_body_is_counted_while_it_is_read_and_no_longer_when_it_fails():
    async def scenario():
        held = Held(most=100)
        pieces = [{"type": "http.request", "body": b"x" * 40, "more_body": True}] * 3

        async def receive():
            return pieces.pop() if pieces else {"type": "http.request", "body": b"", "more_body": False}

        with pytest.raises(Problem, match="on their way"):
            await read_body(receive, {}, Settings(), held)
        assert held.now == 0
        pieces[:] = [{"type": "http.request", "body": b"x" * 40, "more_body": True}] * 2
        assert len(await read_body(receive, {}, Settings(), held)) == held.now == 80

    asyncio.run(scenario())


@pytest.mark.parametrize(("prefix", "path", "status"), [
    ("", "/v1/models", 401), ("/faces", "/faces/v1/models", 401), ("/faces/", "/faces/metrics", 401),
    ("/faces", "/faces/", 200), ("/faces", "/faces/healthz", 200), ("", "/", 200), ("", "/new", 401)])
def test_a_prefix_of_a_server_in_front_opens_nothing(prefix, path, status):
    """Ray Serve mounts the app under a prefix, which is then part of the path."""
    pytest.importorskip("prometheus_client")
    from manyfaces.serve.guard import Guard
    from manyfaces.serve.service import Service

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    async def scenario():
        sent = []

        async def send(message):
            sent.append(message)

        service = Service(Settings(), Keys(["0123456789abcdef"]), Log(io.StringIO()))
        scope = {"type": "http", "method": "GET", "path": path, "root_path": prefix, "query_string": b"",
                 "headers": [(b"host", b"localhost")]}
        await Guard(app, service, ["/"])(scope, None, send)
        assert sent[0]["status"] == status

    asyncio.run(scenario())


# ------------------------------------------------------------------------------------------------------------ queue

def test_lanes_run_in_order_and_drop_what_waits_when_it_is_cancelled():
    async def scenario():
        lanes, go, ran = Lanes(1, 3), threading.Event(), []

        def work(name, wait=False):
            if wait:
                go.wait(30)
            ran.append(name)
            return name

        futures = [lanes.submit(lambda name=name: work(name, name == "a")) for name in "abcd"]
        assert lanes.pending == 4 and not lanes.has_room()
        futures[1].cancel()
        futures[0].cancel()  # it runs already: its result is dropped, and its lane stays taken until it ends
        await asyncio.sleep(0)
        assert lanes.pending == 3 and lanes.running == 1 and lanes.has_room() and not lanes.has_room(2)
        go.set()
        assert [await future for future in futures[2:]] == ["c", "d"]
        assert ran == ["a", "c", "d"] and lanes.pending == 0
        with pytest.raises(ZeroDivisionError):
            await lanes.submit(lambda: 1 / 0)
        assert lanes.pending == 0
        lanes.close()

    asyncio.run(scenario())


# -------------------------------------------------------------------------------------------------- errors and logs

def test_every_code_of_an_error_stands_on_the_page():
    from conftest import ROOT

    page = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
    for code, (status, text) in CODES.items():
        assert f"| {status} | `{code}` | {text} |" in page


def test_an_error_is_one_line_and_bounded():
    problem = Problem("not_an_image", "a\nb\x1b" + "c" * 9999)
    assert len(problem.message) <= 500 and problem.message.isprintable()
    head, _, body = problem.raw().partition(b"\r\n\r\n")
    assert json.loads(body)["error"]["code"] == "not_an_image" and f"content-length: {len(body)}".encode() in head


def test_a_reader_of_the_log_that_stalls_does_not_stop_the_service():
    class Stalled(io.StringIO):
        def write(self, text):
            blocked.wait(30)
            return super().write(text)

    blocked, stream = threading.Event(), Stalled()
    log = Log(stream)
    for number in range(10_010):
        log.event("request", number=number, nothing=None)
    blocked.set()
    log.close()
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert rows[0]["number"] == 0 and "nothing" not in rows[0] and rows[0]["time"].endswith("+00:00")
    assert sum(row["count"] for row in rows if row["event"] == "lines_lost") + sum(
        row["event"] == "request" for row in rows) == 10_010
