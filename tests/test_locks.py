"""Locks: a living process keeps its place, a dead one's is taken over, and nothing depends on how it died."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest
from conftest import ROOT

from manyfaces import locks
from manyfaces.errors import InputError

fcntl = pytest.importorskip("fcntl")

HERE = socket.gethostname()
HOLDER = """
import sys
from manyfaces.locks import hold
hold(sys.argv[1], is_file=sys.argv[2] == "file")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(place, kind="folder"):
    """Another process that holds a place until its input ends."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, place, kind], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_second_process_learns_who_works_there(tmp_path, kind, capsys):
    place, is_file = tmp_path / "place", kind == "file"
    with holder(place, kind) as process:
        who = rf"place: process {process.pid} on {HERE} \(since 2.*\) works there; .*stop it, or rest\."
        for call in (locks.hold, locks.check_free):
            with pytest.raises(InputError, match=who):
                call(place, ", or rest", is_file=is_file)
        process.communicate("")  # its end removes the lock
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == []
    locks.hold(place, is_file=is_file)
    locks.hold(place, is_file=is_file)
    locks.release(place, is_file=is_file)
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == [] and capsys.readouterr().err == ""


def test_the_lock_of_a_killed_process_is_taken_over_with_a_word(tmp_path, capsys):
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGSTOP)  # that it does nothing does not mean that it is dead
        with pytest.raises(InputError, match=f"process {process.pid}"):
            locks.hold(tmp_path)
        process.kill()
        process.wait()
        locks.check_free(tmp_path)
        assert capsys.readouterr().err == "" and (tmp_path / locks.NAME).exists()
        locks.hold(tmp_path)
        assert f"{tmp_path}: process {process.pid} on " in capsys.readouterr().err
    assert json.loads((tmp_path / locks.NAME).read_text())["pid"] == os.getpid()
    locks.release(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_child_of_fork_does_not_share_the_lock(tmp_path):
    locks.hold(tmp_path)
    child = os.fork()
    if not child:
        code = 1
        try:
            locks.release(tmp_path)
            locks.hold(tmp_path)
        except InputError:
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0 and (tmp_path / locks.NAME).exists()
    locks.release(tmp_path)


@pytest.mark.parametrize("text, taken", [
    ("", True), ("no JSON", True), ('{"pid": "x"}', True), ("[]", True),
    ("[" * 1000, True), (json.dumps({"pid": float("inf"), "host": HERE, "since": "then"}), True),
    (json.dumps({"pid": os.getppid(), "host": HERE, "since": "then"}), False),
    (json.dumps({"pid": os.getpid(), "host": HERE, "since": "then"}), True),  # an earlier process of the same number
    (json.dumps({"pid": 999999999, "host": HERE, "since": "then"}), True),
    (json.dumps({"pid": 999999999, "host": "elsewhere", "since": "then"}), False),
])
def test_where_the_file_system_has_no_locks_the_process_id_decides(tmp_path, monkeypatch, text, taken):
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    (tmp_path / locks.NAME).write_text(text)
    if taken:
        locks.hold(tmp_path)
        locks.release(tmp_path)
    else:
        with pytest.raises(InputError, match=f"works there; .* If there is no such process, delete {tmp_path}"):
            locks.hold(tmp_path)


def test_a_name_of_255_bytes_has_a_lock_too(tmp_path):
    locks.hold(tmp_path / ("ä" * 127), is_file=True)
    assert len(os.listdir(tmp_path)) == 1
    locks.release(tmp_path / ("ä" * 127), is_file=True)
    assert os.listdir(tmp_path) == []


def test_a_lock_file_that_its_process_removes_meanwhile_is_not_taken(tmp_path, monkeypatch):
    lock = locks._lock

    def after_the_end(file, other):
        (tmp_path / locks.NAME).unlink()
        monkeypatch.setattr(locks, "_lock", lock)
        return lock(file, other)

    monkeypatch.setattr(locks, "_lock", after_the_end)
    locks.hold(tmp_path)
    assert json.loads((tmp_path / locks.NAME).read_text())["pid"] == os.getpid()
    locks.release(tmp_path)
