"""The launcher: which processes it starts, where, when again, and that none of them outlives it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from manyfaces.hosts import launch as module
from manyfaces.hosts.launch import is_here, launch
from manyfaces.hosts.place import Place

HERE = ("127.0.0.1", "localhost")
# A process that notes its words, and ends with the code that codes.json has for its rank and the number of its start.
PROCESS = """
import json, os, pathlib, sys, time
rank = sys.argv[sys.argv.index("--rank") + 1]
note = pathlib.Path(f"starts.{rank}")
starts = note.read_text().splitlines() if note.exists() else []
note.write_text("\\n".join([*starts, json.dumps([sys.argv[1:], os.environ.get("NCCL_NOTE")])]))
codes = json.loads(pathlib.Path("codes.json").read_text())[rank]
code = codes[min(len(starts), len(codes) - 1)]
os.kill(os.getpid(), -code) if code < 0 else sys.exit(code)
"""
# A process that runs until its standard input ends.
WAITING = """
import os, pathlib, signal, sys, time
from manyfaces.hosts.launch import stop_with_input
rank = sys.argv[sys.argv.index("--rank") + 1]
def stop(number, frame):
    pathlib.Path(f"stopped.{rank}").touch()
    os._exit(128 + number)
signal.signal(signal.SIGTERM, stop)
stop_with_input()
pathlib.Path(f"ready.{rank}").touch()
time.sleep(300)
"""
LAUNCHER = """
import sys
from manyfaces.hosts.launch import launch
from manyfaces.hosts.place import Place
sys.exit(launch([sys.executable, "-c", sys.argv[1]], [], Place(0, ("127.0.0.1",) * 2), 5))
"""
# Runs a command of another host here: a shell reads it, as sshd's does.
SSH = """#!/bin/sh
echo "$1" >> hosts
shift
cd / && exec sh -c "$*"
"""


@pytest.fixture
def codes(tmp_path, monkeypatch):
    """A function that launches PROCESS with the codes of each rank; returns the launcher's."""
    monkeypatch.chdir(tmp_path)

    def launched(by_rank, retries=0, hosts=HERE, **options):
        (tmp_path / "codes.json").write_text(json.dumps(dict(enumerate(by_rank))))
        command = [sys.executable, "-c", PROCESS, "--set", "NAME", "it's \"mine\" $HOME"]
        return launch(command, ["--again"], Place(0, hosts), retries, **options)

    return launched


def starts(folder, rank):
    return [json.loads(line) for line in (folder / f"starts.{rank}").read_text().splitlines()]


def test_each_rank_is_started_once(codes, tmp_path, capsys):
    assert codes([[0], [0]], retries=3) == 0
    for rank in range(2):
        assert starts(tmp_path, rank) == [[["--set", "NAME", "it's \"mine\" $HOME", "--rank", str(rank)], None]]
    assert capsys.readouterr().err == ""


def test_a_lost_one_brings_all_of_them_back(codes, tmp_path, capfd):
    assert codes([[1, 0], [-9, 0]], retries=2) == 0
    for rank in range(2):
        words = [words for words, _ in starts(tmp_path, rank)]
        assert ["--again" in each for each in words] == [False, True]
    assert "ended with code" in (text := capfd.readouterr().err) and "(1 more retries)" in text


def test_the_tries_end(codes, tmp_path, capfd):
    assert codes([[-9], [1]], retries=2) == 137
    assert len(starts(tmp_path, 0)) == 3 and "rank 0 (host 127.0.0.1) ended with code 137" in capfd.readouterr().err


@pytest.mark.parametrize("code", [2, 130, 143])
def test_bad_input_and_a_stop_are_not_tried_again(codes, tmp_path, code, capfd):
    assert codes([[1], [code]], retries=2) == code
    assert len(starts(tmp_path, 0)) == 1


def test_another_host_is_reached_by_ssh(codes, tmp_path, monkeypatch):
    ssh = tmp_path / "my ssh"
    ssh.write_text(SSH)
    ssh.chmod(0o755)
    monkeypatch.setenv("NCCL_NOTE", "two words; 'quoted'")
    monkeypatch.setattr(module.socket, "gethostname", lambda: "here.net")
    assert codes([[0], [0], [0]], hosts=("here", "far", "further"), ssh=f"'{ssh}'") == 0
    assert sorted((tmp_path / "hosts").read_text().split()) == ["far", "further"]
    for rank in range(3):
        words = ["--set", "NAME", "it's \"mine\" $HOME", "--rank", str(rank)]
        assert starts(tmp_path, rank) == [[words, "two words; 'quoted'"]]


def test_an_unreachable_host(codes, capfd):
    assert codes([[0], [0]], hosts=("127.0.0.1", "far"), ssh="sh -c 'exit 255'") == 255
    assert "rank 1 (host far) ended with code 255" in capfd.readouterr().err


def test_names_of_this_host(monkeypatch):
    monkeypatch.setattr(module.socket, "gethostname", lambda: "gpu01.lab.net")
    assert [is_here(name) for name in ("gpu01", "gpu01.lab.net", "localhost", "127.0.0.2", "::1")] == [True] * 5
    assert not any(is_here(name) for name in ("gpu02", "gpu01.other.net", "10.0.0.1", "gpu011"))


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 143), (signal.SIGKILL, -9)])
def test_all_stop_with_the_launcher(tmp_path, number, code):
    """Also where it is killed: their standard input ends then."""
    process = subprocess.Popen([sys.executable, "-c", LAUNCHER, WAITING], cwd=tmp_path,
                               env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))})

    def wait_for(name):
        end = time.monotonic() + 120
        while not all((tmp_path / f"{name}.{rank}").exists() for rank in range(2)):
            assert time.monotonic() < end, name
            time.sleep(0.01)

    try:
        wait_for("ready")
        process.send_signal(number)
        assert process.wait(120) == code
        wait_for("stopped")
    finally:
        process.kill()
        process.wait()
